"""Regions of areas: none is missed that has a zone which the area covers, and few are named beside those."""

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON

from monsoon.transforms.geo.areas import Area, Zones
from monsoon.transforms.geo.regions import REGION_RESOLUTION, region_of, regions_of

CORNERS = sorted(
    {
        corner
        for region in h3.grid_disk(h3.latlng_to_cell(LAT, LON, REGION_RESOLUTION), 1)
        for corner in h3.cell_to_boundary(region)
    }
)
"""Corners of regions around Delhi: where three of them meet."""

anywhere = st.tuples(st.floats(-89.5, 89.5), st.floats(-179.99, 179.99))
pentagons = st.sampled_from([h3.cell_to_latlng(cell) for cell in h3.get_pentagons(REGION_RESOLUTION)])
places = st.one_of(st.sampled_from(CORNERS), anywhere, pentagons)
near = st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))
resolutions = st.sampled_from([0, 2, 3, 5, 7, 9, 11])


def zones_around(place, offsets, resolution):
    """Zones around a place, and all around each of them."""
    cells = set()
    for north, east in offsets:
        lat = max(-90.0, min(90.0, place[0] + north))
        cell = h3.latlng_to_cell(lat, (place[1] + east + 180.0) % 360.0 - 180.0, resolution)
        cells.update(h3.grid_disk(cell, 1))
    return Zones.from_cells(np.array(sorted(cells), dtype=np.uint64), resolution)


def assert_none_is_missed(area, zones):
    covered = zones.cells[zones.covered_by(area)].tolist()
    assert {region_of(zone) for zone in covered} <= set(regions_of(area, zones.resolution))


@given(places, near, st.floats(0.01, 79.78), st.lists(near, min_size=1, max_size=12), resolutions)
def test_no_region_of_a_disc_is_missed(place, offset, radius_km, offsets, resolution):
    area = Area("disc", place[0] + 0.1 * offset[0] * (abs(place[0]) < 89), place[1], radius_km=radius_km)
    assert_none_is_missed(area, zones_around(place, offsets, resolution))


@given(places, st.lists(near, min_size=3, max_size=3), st.lists(near, min_size=1, max_size=12), resolutions)
def test_no_region_of_a_polygon_is_missed(place, corners, offsets, resolution):
    ring = [(max(-180, min(180, place[1] + east)), max(-90, min(90, place[0] + north))) for north, east in corners]
    wkt = f"POLYGON(({', '.join(f'{lon} {lat}' for lon, lat in [*ring, ring[0]])}))"
    assert_none_is_missed(Area("polygon", *place, wkt=wkt), zones_around(place, [*offsets, *corners], resolution))


@given(places, st.integers(1, 10), st.lists(near, max_size=12), resolutions)
def test_no_region_of_a_cell_is_missed(place, cell_resolution, offsets, resolution):
    cell = h3.latlng_to_cell(*place, cell_resolution)
    area = Area("cell", *h3.cell_to_latlng(cell), cell=cell)
    assert_none_is_missed(area, zones_around(place, [(0.0, 0.0), *offsets], resolution))


@pytest.mark.parametrize("resolution", [5, 7])
def test_no_zone_is_missed_along_the_whole_border_of_a_region(resolution):
    """Descendants stick out of their region: a tiny disc around the center of each finds its region."""
    for region in [h3.latlng_to_cell(LAT, LON, REGION_RESOLUTION), h3.get_pentagons(REGION_RESOLUTION)[4]]:
        zones = h3.cell_to_children(region, resolution)
        out = [zone for zone in zones if h3.latlng_to_cell(*h3.cell_to_latlng(zone), REGION_RESOLUTION) != region]
        assert resolution == 5 or out
        for zone in [*zones[::97], *out]:
            area = Area("disc", *h3.cell_to_latlng(zone), radius_km=0.001)
            assert region in regions_of(area, resolution)


def test_few_regions_are_named_that_have_nothing_of_the_area():
    center = h3.cell_to_latlng(region_of(h3.latlng_to_cell(LAT, LON, 9)))
    assert len(regions_of(Area("disc", *center, radius_km=10.0), 9)) == 1
    assert len(regions_of(Area("disc", *CORNERS[0], radius_km=10.0), 9)) == 3
    assert len(regions_of(Area("disc", *CORNERS[0], radius_km=79.78), 9)) <= 12
    box = "POLYGON((76.8 28.4, 77.3 28.4, 77.3 28.9, 76.8 28.9, 76.8 28.4))"
    assert len(regions_of(Area("polygon", 28.65, 77.05, wkt=box), 9)) <= 4


def test_a_polygon_at_the_antimeridian_reaches_across_it():
    west = "POLYGON((179.5 -17, 180 -17, 180 -16.5, 179.5 -16.5, 179.5 -17))"
    zone = h3.latlng_to_cell(-16.8, -179.99, 7)
    zones = Zones.from_cells(np.array(h3.grid_disk(zone, 8), dtype=np.uint64), 7)
    assert len(zones.covered_by(Area("polygon", -16.75, 179.75, wkt=west)))
    assert_none_is_missed(Area("polygon", -16.75, 179.75, wkt=west), zones)
    assert all(
        abs(h3.cell_to_latlng(each)[1]) > 170 for each in regions_of(Area("polygon", -16.75, 179.75, wkt=west), 7)
    )
