"""Shapes of the zones of queries, for distances and containment."""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.ragged import Bools, Floats, Ints
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.geo.sphere import EARTH_RADIUS_M, distance_m

_SURELY_IN = 0.75
_SURELY_OUT = 1.05
# A hexagon's inner radius is 0.87 of the outer, H3's distortion takes some of it; the rest is for measuring flat.

_FLAT_BELOW_DEG = 70.0


@dataclass(frozen=True, eq=False)
class ZoneShapes:
    """One zone per query: its cell, center in degrees, and distances in meters from center to corners."""

    cell: npt.NDArray[np.uint64]
    lat: Floats
    lon: Floats
    near_corner_m: Floats
    far_corner_m: Floats
    resolution: int

    @staticmethod
    def of(cells: npt.NDArray[np.uint64], resolution: int) -> ZoneShapes:
        """Shapes of the zones in the order given; they may repeat. Raises ValueError for another resolution."""
        distinct, which = np.unique(np.asarray(cells, dtype=np.uint64), return_inverse=True)
        table = np.empty((4, len(distinct)))
        for column, cell in enumerate(distinct.tolist()):
            if h3.get_resolution(cell) != resolution:
                raise ValueError(f"zone {h3.int_to_str(cell)} is not of resolution {resolution}")
            lat, lon = h3.cell_to_latlng(cell)
            corners = np.array(h3.cell_to_boundary(cell))
            away_m = distance_m(lat, lon, corners[:, 0], corners[:, 1])
            table[:, column] = lat, lon, away_m.min(), away_m.max()
        lats, lons, near, far = table[:, which]
        return ZoneShapes(distinct[which], lats, lons, near, far, resolution)

    def take(self, queries: slice) -> ZoneShapes:
        """The zones of some queries."""
        return ZoneShapes(
            self.cell[queries],
            self.lat[queries],
            self.lon[queries],
            self.near_corner_m[queries],
            self.far_corner_m[queries],
            self.resolution,
        )

    def within(self, lat: Floats, lon: Floats, query: Ints, margin_m: float) -> Bools:
        """Whether each position lies in the circle through the far corner of its query's zone, or at most
        `margin_m` outside it."""
        away_m = distance_m(lat, lon, self.lat[query], self.lon[query])
        return away_m <= self.far_corner_m[query] + margin_m

    def contains(self, lat: Floats, lon: Floats, query: Ints) -> Bools:
        """Whether H3 puts each position into its query's zone. H3 is called only where distance does not decide."""
        center_lat = self.lat[query]
        north_m = np.radians(lat - center_lat) * EARTH_RADIUS_M
        east_deg = (lon - self.lon[query] + 180.0) % 360.0 - 180.0
        east_m = np.radians(east_deg) * EARTH_RADIUS_M * np.cos(np.radians(self.lat))[query]
        away_m = np.sqrt(north_m * north_m + east_m * east_m)
        flat = np.abs(center_lat) < _FLAT_BELOW_DEG
        result = flat & (away_m < _SURELY_IN * self.near_corner_m[query])
        undecided = ~result & ~(flat & (away_m > _SURELY_OUT * self.far_corner_m[query]))
        undecided = np.flatnonzero(undecided)
        result[undecided] = cells_of(lat[undecided], lon[undecided], self.resolution) == self.cell[query[undecided]]
        return result
