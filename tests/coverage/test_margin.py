"""The margin of a zone: measured on the sphere, to the border, and only for those who report."""

from dataclasses import replace

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import at, subscription_record
from kit.examples import examples

from monsoon.sources.product_files import load_products
from monsoon.transforms.adjudication.candidates import CandidateFinder
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.geo.near import cells_around, cells_within
from monsoon.transforms.geo.sphere import EARTH_RADIUS_M, distance_m
from monsoon.transforms.presence import REPORT_HOLDS_MS, Presence, ReportCells
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.event_detector import EventState
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

JUGAAD = load_products(["jugaad"])["jugaad"]
LAT, LON = 28.5845, 77.2056
RESOLUTION = 8
ZONE = h3.latlng_to_cell(LAT, LON, RESOLUTION)


def sampled_distance_m(lat, lon, cell):
    """To the border of a cell, by a thousand points on each of its sides."""
    border = np.array(h3.cell_to_boundary(cell))
    shares = np.linspace(0, 1, 1000)[:, None, None]
    points = (border * (1 - shares) + np.roll(border, -1, axis=0) * shares).reshape(-1, 2)
    return float(distance_m(lat, lon, points[:, 0], points[:, 1]).min())


@examples(60)
@given(st.floats(8, 34), st.floats(69, 97), st.integers(6, 9), st.sampled_from([50.0, 500.0, 1200.0]))
def test_cells_within_a_margin_are_those_whose_border_is(lat, lon, resolution, margin_m):
    place = np.array([lat]), np.array([lon])
    cell = cells_of(*place, resolution)
    found = set(cells_within(*place, cell, margin_m)[1].tolist())
    assert int(cell[0]) in found
    edge_m = h3.average_hexagon_edge_length(resolution, unit="m")
    for other in h3.grid_disk(int(cell[0]), int(margin_m / edge_m) + 3):
        away_m = sampled_distance_m(lat, lon, other)
        if other != int(cell[0]) and abs(away_m - margin_m) > 1:
            assert (other in found) == (away_m < margin_m), (other, away_m)
    assert found <= set(cells_around([int(cell[0])], margin_m).tolist())


def beyond(meters):
    """The point so far outside the middle of the zone's first side, straight away from its center."""
    (lat1, lon1), (lat2, lon2) = h3.cell_to_boundary(ZONE)[:2]
    lat, lon = (lat1 + lat2) / 2, (lon1 + lon2) / 2
    north, east = lat - LAT_C, (lon - LON_C) * np.cos(np.radians(lat))
    length = np.hypot(north, east)
    step = np.degrees(meters / EARTH_RADIUS_M) / length
    return lat + north * step, lon + east * step / np.cos(np.radians(lat))


LAT_C, LON_C = h3.cell_to_latlng(ZONE)


@pytest.mark.parametrize(("meters", "counts"), [(5, True), (480, True), (520, False)])
def test_a_rider_counts_as_in_the_zone_up_to_500_m_outside_it(meters, counts):
    lat, lon = beyond(meters)
    assert h3.latlng_to_cell(lat, lon, RESOLUTION) != ZONE
    telemetry = TelemetryTable.from_columns(worker=["w1"], event_time_ms=[at(-5)], lat=[lat], lon=[lon])
    presence = Presence(ReportCells(telemetry), ["w1"], RESOLUTION, JUGAAD.presence_margin_m)
    assert (ZONE in presence.at(at(0)).by_cell) == counts
    assert presence.reported_in(ZONE, at(0)) == counts
    assert ZONE in presence.visited
    assert ZONE not in Presence(ReportCells(telemetry), ["w1"], RESOLUTION).at(at(0)).by_cell


def outage(platform, confirmed=0.0):
    event = EventState(at(confirmed), at(confirmed), 600.0, None, ("x",), ("r",), at(confirmed))
    zones = np.array([ZONE], dtype=np.uint64)
    return Series(JUGAAD.trigger("outage"), platform, zones, (Revision(at(confirmed), 0, "confirmed", event),))


def claims_on(series, plan, named, minutes=-5.0, **fields):
    telemetry = TelemetryTable.from_columns(
        worker=["w1"], event_time_ms=[at(minutes)], lat=[LAT], lon=[LON], platform=[named]
    )
    coverage = Coverage(
        JUGAAD,
        [subscription_record("activated", -100, -50, 10_000, product="jugaad", plan=plan, platform="swiggy", **fields)],
    )
    presence = Presence(ReportCells(telemetry), coverage.workers, RESOLUTION, JUGAAD.presence_margin_m)
    found = list(CandidateFinder(JUGAAD, coverage, presence).disruptions(series))
    return {worker for each in found for worker in each.updates}


def test_full_shield_bridges_to_every_platform_that_the_telemetry_named():
    assert claims_on(outage("zomato"), "full_shield", "zomato") == {"w1"}
    assert claims_on(outage("zomato"), "full_shield", "swiggy") == set()
    assert claims_on(outage("zomato"), "full_shield", None) == set()
    assert claims_on(outage("swiggy"), "full_shield", "zomato") == {"w1"}
    assert claims_on(outage("zomato"), "standard", "zomato") == set()


def test_a_platform_named_90_minutes_ago_is_still_bridged_to():
    minutes = -REPORT_HOLDS_MS / 60_000
    assert claims_on(outage("zomato"), "full_shield", "zomato", minutes) == {"w1"}
    home = {"home_lat": LAT, "home_lon": LON}
    assert claims_on(outage("zomato"), "full_shield", "zomato", minutes - 0.001, **home) == set()


def test_a_disruption_belongs_to_the_version_in_force_at_its_start():
    telemetry = TelemetryTable.from_columns(worker=["w1"], event_time_ms=[at(-5)], lat=[LAT], lon=[LON])
    policy = {"product": "jugaad", "plan": "standard", "platform": "swiggy"}
    coverage = Coverage(JUGAAD, [subscription_record("activated", -100, -50, 10_000, **policy)])
    presence = Presence(ReportCells(telemetry), coverage.workers, RESOLUTION, JUGAAD.presence_margin_m)
    old, new = replace(JUGAAD, until_ms=at(0)), replace(JUGAAD, from_ms=at(0))
    before, after = outage("swiggy", -1), outage("swiggy", 0)
    judged = [(product, series) for product in (old, new) for series in (before, after)]
    found = [len(list(CandidateFinder(product, coverage, presence).disruptions(series))) for product, series in judged]
    assert found == [1, 0, 0, 1]
