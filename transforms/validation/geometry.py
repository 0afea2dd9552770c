"""Faults of areas: a reading's polygon or H3 cell, a reserve's cell."""

from __future__ import annotations

import re
from typing import Any

import h3.api.basic_str as h3
import numpy as np
import shapely

from monsoon.transforms.geo.cells import RESERVE_RESOLUTION
from monsoon.transforms.geo.sphere import EARTH_RADIUS_KM
from monsoon.transforms.text_cache import cached_within_bytes

MAX_POLYGON_KM2 = 20_000.0
_CACHE_BYTES = 4 * 1024 * 1024
CELL_RESOLUTIONS = range(4, 10)

_CELL = re.compile(r"[0-9A-Fa-f]{15}")


def is_reading_cell(cell: str) -> bool:
    """Whether the text names an H3 cell of a resolution that readings may use."""
    return _is_cell(cell) and h3.get_resolution(cell) in CELL_RESOLUTIONS


def is_reserve_cell(cell: str) -> bool:
    """Whether the text names an H3 cell of the resolution at which reserves are kept."""
    return _is_cell(cell) and h3.get_resolution(cell) == RESERVE_RESOLUTION


def _is_cell(text: str) -> bool:
    return _CELL.fullmatch(text) is not None and h3.is_valid_cell(text)


@cached_within_bytes(_CACHE_BYTES)
def polygon_fault(wkt: str) -> str | None:
    """What is wrong with a polygon, or None: its form, validity, extent on the globe, antimeridian, area."""
    if "\x00" in wkt:
        return "not WKT"
    try:
        with np.errstate(all="ignore"):
            shape = shapely.from_wkt(wkt)
    except (shapely.errors.ShapelyError, NotImplementedError) as error:
        return _parser_fault(str(error))
    if shape.geom_type not in ("Polygon", "MultiPolygon"):
        return f"a {shape.geom_type}, not a POLYGON or MULTIPOLYGON"
    if shape.is_empty:
        return "empty"
    coordinates = shapely.get_coordinates(shape)
    if not np.isfinite(coordinates).all() or (np.abs(coordinates) > (180.0, 90.0)).any():
        return "a corner outside the globe"
    if not shape.is_valid:
        return "an invalid polygon: rings must close, and not cross or overlap"
    polygons = [part for part in shapely.get_parts(shape) if not part.is_empty]
    # An empty hole, which WKT allows, has no step at all.
    steps = [np.abs(np.diff(shapely.get_coordinates(ring)[:, 0])) for ring in shapely.get_rings(polygons)]
    if any(step.max(initial=0.0) > 180.0 for step in steps):
        return "crosses the antimeridian"
    area_km2 = sum(_polygon_km2(polygon) for polygon in polygons)
    if area_km2 > MAX_POLYGON_KM2:
        return f"{area_km2:.0f} km2, more than {MAX_POLYGON_KM2:.0f}"
    return None


def _parser_fault(message: str) -> str:
    """The parser's message in words of our own: it may quote the text, which may hold a raw identifier."""
    if "closed linestring" in message:
        return "a ring that is not closed: its last point must be its first"
    if "number of points in LinearRing" in message:
        return "a ring of too few points: three corners and the first again at least"
    return "not WKT: POLYGON((lon lat, lon lat, ...)) or MULTIPOLYGON(((lon lat, ...)))"


def _polygon_km2(polygon: Any) -> float:
    outer, *holes = (_ring_km2(ring) for ring in shapely.get_rings(polygon))
    return outer - sum(holes)


def _ring_km2(ring: Any) -> float:
    """Area on the sphere inside a ring whose edges are straight in longitude and latitude, as `wkt` areas
    are."""
    lon, lat = np.radians(shapely.get_coordinates(ring)).T
    width, rise = np.diff(lon), np.diff(lat)
    level = np.abs(rise) < 1e-12
    mean_sin = np.where(level, np.sin(lat[:-1]), (np.cos(lat[:-1]) - np.cos(lat[1:])) / np.where(level, 1.0, rise))
    return float(abs(np.sum(width * mean_sin)) * EARTH_RADIUS_KM**2)
