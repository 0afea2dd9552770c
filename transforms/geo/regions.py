"""Regions: H3 cells of resolution 3, of some 12,000 km2, by which the zones of a trigger are divided."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.areas import Area, may_meet
from monsoon.transforms.geo.sphere import distance_m

REGION_RESOLUTION = 3

_COMPARED_RESOLUTION = 5
"""Of the parts of a region, by which areas are compared with it: circles around them follow its border closely."""

_REACH = 1.1
"""The centers of a cell's descendants, of any resolution, lie within this many of its circumradii from its center: 1.04
at most over the globe, where those of children of children lie outside its border."""


@lru_cache(maxsize=65_536)
def region_of(zone: int) -> int:
    """The region of a zone: its parent; a zone that is not finer than a region is its own."""
    return h3.cell_to_parent(zone, min(REGION_RESOLUTION, h3.get_resolution(zone)))


@lru_cache(maxsize=16_384)
def regions_of(area: Area, zone_resolution: int) -> tuple[int, ...]:
    """The regions that may have a zone which the area covers (`Zones.covered_by`), ascending: all that do, and perhaps
    some beside them."""
    if area.kind == "cell":
        return _regions_of_cell(area.cell, min(REGION_RESOLUTION, zone_resolution))
    # From the largest cells down to parts of regions: where the area meets none of a cell's zones, none of its parts'.
    cells = _meeting(area, h3.get_res0_cells())
    for finer in range(1, min(_COMPARED_RESOLUTION, zone_resolution) + 1):
        cells = _meeting(area, [child for cell in cells for child in h3.cell_to_children(cell, finer)])
    return tuple(sorted({region_of(cell) for cell in cells}))


def _regions_of_cell(cell: int, resolution: int) -> tuple[int, ...]:
    if h3.get_resolution(cell) >= resolution:
        return (h3.cell_to_parent(cell, resolution),)
    return tuple(sorted(h3.cell_to_children(cell, resolution)))


def _meeting(area: Area, cells: Collection[int]) -> list[int]:
    """Those of some cells that may have a descendant whose center lies in a disc or polygon."""
    if not cells:
        return []
    lat, lon, reach_km = np.array([_reach_of(cell) for cell in cells]).T
    meets: npt.NDArray[np.bool_] = may_meet(area, lat, lon, reach_km)
    return [cell for cell, met in zip(cells, meets.tolist(), strict=True) if met]


@lru_cache(maxsize=65_536)
def _reach_of(cell: int) -> tuple[float, float, float]:
    """A cell's center (degrees), and how far from it the centers of descendants may lie (km)."""
    lat, lon = h3.cell_to_latlng(cell)
    corners = np.array(h3.cell_to_boundary(cell), dtype=np.float64)
    return lat, lon, _REACH * float(distance_m(lat, lon, corners[:, 0], corners[:, 1]).max()) / 1000.0
