"""The area of an oracle reading (H3 cell, polygon, or disc around a point), and the zones that an area covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt
import shapely

from monsoon.transforms.geo.sphere import EARTH_RADIUS_KM, distance_m
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.text_cache import cached_within_bytes

_CACHE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Area:
    """An area with its center: of a cell H3's center, of a polygon the centroid, of a disc its point. Degrees, WGS84.

    `cell` is set for a cell only, `wkt` for a polygon only, `radius_km` for a disc only.
    """

    kind: Literal["cell", "polygon", "disc"]
    center_lat: float
    center_lon: float
    cell: int = 0
    radius_km: float = 0.0
    wkt: str = ""


def area_of(record: Mapping[str, Any]) -> Area:
    """The area of a validated oracle reading, by its field `h3`, else `wkt`, else `lat` and `lon`.

    A disc without `radius_km` has the default radius of the reading's metric.
    """
    if record.get("h3") is not None:
        cell = h3.str_to_int(record["h3"])
        lat, lon = h3.cell_to_latlng(cell)
        return Area("cell", lat, lon, cell=cell)
    if record.get("wkt") is not None:
        centroid = _polygon(record["wkt"]).centroid
        return Area("polygon", centroid.y, centroid.x, wkt=record["wkt"])
    radius_km = record.get("radius_km")
    if radius_km is None:
        radius_km = METRICS[record["metric"]].default_radius_km
    return Area("disc", float(record["lat"]), float(record["lon"]), radius_km=float(radius_km))


@dataclass(frozen=True)
class Zones:
    """Zones (H3 cells) of one resolution, sorted by the latitude of their centers.

    `cells` uint64 (n,), `lat` and `lon` float64 (n,) in degrees.
    """

    resolution: int
    cells: npt.NDArray[np.uint64]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    _by_resolution: dict[int, npt.NDArray[np.uint64]] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def from_cells(cells: npt.NDArray[np.uint64], resolution: int) -> Zones:
        """Zones of the distinct `cells`, which must all be of `resolution`."""
        distinct = np.unique(np.asarray(cells, dtype=np.uint64))
        centers = np.array([h3.cell_to_latlng(int(cell)) for cell in distinct], dtype=np.float64).reshape(-1, 2)
        order = np.argsort(centers[:, 0], kind="stable")
        return Zones(resolution, distinct[order], centers[order, 0].copy(), centers[order, 1].copy())

    def joined(self, others: Zones) -> Zones:
        """These and other zones of the resolution, none of which is among these."""
        at = np.searchsorted(self.lat, others.lat)
        return Zones(
            self.resolution,
            np.insert(self.cells, at, others.cells),
            np.insert(self.lat, at, others.lat),
            np.insert(self.lon, at, others.lon),
            {each: np.insert(known, at, others._cells_at(each)) for each, known in self._by_resolution.items()},
        )

    def covered_by(self, area: Area) -> npt.NDArray[np.intp]:
        """Indices of the zones that an area covers, int (k,), ascending.

        A polygon or disc covers the zones whose center lies in it, border included. A coarser cell covers its
        descendants; a finer cell covers the zone whose center it contains.
        """
        if area.kind == "cell":
            return self._in_cell(area.cell)
        if area.kind == "polygon":
            polygon = _polygon(area.wkt)
            _, south, _, north = polygon.bounds
            candidates = self._between_latitudes(south, north)
            return candidates[shapely.intersects_xy(polygon, self.lon[candidates], self.lat[candidates])]
        reach_deg = np.degrees(area.radius_km / EARTH_RADIUS_KM) * (1 + 1e-9) + 1e-9
        candidates = self._between_latitudes(area.center_lat - reach_deg, area.center_lat + reach_deg)
        return candidates[self.distance_m(area, candidates) <= area.radius_km * 1000.0]

    def distance_m(self, area: Area, zones: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Great-circle distance in meters from the area's center to each zone of these indices, float64 (k,)."""
        return distance_m(area.center_lat, area.center_lon, self.lat[zones], self.lon[zones])

    def _between_latitudes(self, south: float, north: float) -> npt.NDArray[np.intp]:
        low = np.searchsorted(self.lat, south, side="left")
        return np.arange(low, np.searchsorted(self.lat, north, side="right"))

    def _in_cell(self, cell: int) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self._cells_at(h3.get_resolution(cell)) == np.uint64(cell))

    def _cells_at(self, resolution: int) -> npt.NDArray[np.uint64]:
        """Each zone's parent at a coarser resolution, or its center child at a finer one, uint64 (n,)."""
        known = self._by_resolution.get(resolution)
        if known is None:
            relative = h3.cell_to_parent if resolution <= self.resolution else h3.cell_to_center_child
            known = np.array([relative(int(zone), resolution) for zone in self.cells], dtype=np.uint64)
            self._by_resolution[resolution] = known
        return known


def may_meet(
    area: Area, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64], radius_km: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Whether a polygon or disc may hold a point of each of these circles (centers in degrees), bool (n,).

    True wherever it does.
    """
    if area.kind == "disc":
        reach_m = (area.radius_km + radius_km) * 1000.0 + 1.0
        return np.asarray(distance_m(area.center_lat, area.center_lon, lat, lon) <= reach_m)
    angle = radius_km / EARTH_RADIUS_KM * (1 + 1e-9) + 1e-9
    north_or_south = np.radians(np.abs(lat)) + angle
    widest = np.sin(angle) / np.cos(np.radians(lat))
    width = np.where(north_or_south < np.pi / 2, np.degrees(np.arcsin(np.minimum(widest, 1.0))), 180.0) + 1e-6
    height = np.degrees(angle)
    polygon = _polygon(area.wkt)
    # A circle across the antimeridian goes on at the other end of the map.
    boxes = (shapely.box(lon - width + turn, lat - height, lon + width + turn, lat + height) for turn in (-360, 0, 360))
    return np.any([shapely.intersects(polygon, each) for each in boxes], axis=0)


@cached_within_bytes(_CACHE_BYTES)
def _polygon(wkt: str) -> Any:
    """Not prepared: threads share it, and the index of a prepared one is built on first use, by all of them at once."""
    return shapely.from_wkt(wkt)
