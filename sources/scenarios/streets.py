"""A city of square blocks on a turned grid, with cell towers on a staggered lattice and access points at junctions.

Positions are meters along (u) and across (v) the city's streets, from the middle of the storm's districts. What
stands where is a hash of the city's name, so the same in every run.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.simulator.identifiers import keyed_hashes, unit_hash
from monsoon.sources.simulator.storm import Storm

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

BLOCK_M = 170.0
METERS_PER_DEGREE = 111_195.08
MARGIN_M = 7_000.0
APS_PER_JUNCTION = 3
APS_STANDING = 0.6
APS_LOCATED = 0.4
AP_OFFSET_M = 65.0
TOWER_ROW_M = 850.0
TOWER_SPACING_M = 980.0
TOWERS_LISTED = 0.9
SHADOWING_M = 350.0
"""How much farther a tower may seem than it is, for what stands between."""

PLACE_APS = 1 << 40
"""Codes of access points of homes and depots; those of junctions are below."""


def junction(x: Floats) -> Floats:
    """The nearest junction's coordinate, along or across."""
    return np.asarray(np.round(x / BLOCK_M) * BLOCK_M)


@dataclass(frozen=True)
class Streets:
    """The plan of a city; arrays by district."""

    key: int
    lat0: float
    lon0: float
    turned: float
    district_u: Floats
    district_v: Floats
    radius_m: Floats
    carriers: tuple[str, ...]
    half_m: float

    def to_degrees(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        """Latitudes and longitudes of positions."""
        east = u * np.cos(self.turned) - v * np.sin(self.turned)
        north = u * np.sin(self.turned) + v * np.cos(self.turned)
        lat = self.lat0 + north / METERS_PER_DEGREE
        return lat, self.lon0 + east / (METERS_PER_DEGREE * np.cos(np.radians(self.lat0)))

    def from_degrees(self, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
        """Positions of latitudes and longitudes."""
        north = (lat - self.lat0) * METERS_PER_DEGREE
        east = (lon - self.lon0) * METERS_PER_DEGREE * np.cos(np.radians(self.lat0))
        u = east * np.cos(self.turned) + north * np.sin(self.turned)
        return u, north * np.cos(self.turned) - east * np.sin(self.turned)

    @property
    def _junctions(self) -> int:
        return int(2 * self.half_m // BLOCK_M) + 1

    def access_points_near(self, u: Floats, v: Floats) -> tuple[Codes, Floats]:
        """Codes of those at the four junctions around each position, (n, 12), and their distances (m).

        The distance is infinite where none stands.
        """
        i = np.clip(((u + self.half_m) // BLOCK_M).astype(np.int64), 0, self._junctions - 2)
        j = np.clip(((v + self.half_m) // BLOCK_M).astype(np.int64), 0, self._junctions - 2)
        corner = i * self._junctions + j
        around = np.stack([corner, corner + 1, corner + self._junctions, corner + self._junctions + 1], axis=1)
        codes = (around[:, :, None] * APS_PER_JUNCTION + np.arange(APS_PER_JUNCTION)).reshape(len(u), -1)
        x, y = self._access_point_place(codes)
        distance = np.hypot(x - u[:, None], y - v[:, None])
        return codes, np.where(unit_hash(self.key, codes, 1) < APS_STANDING, distance, np.inf)

    def _access_point_place(self, codes: Codes) -> tuple[Floats, Floats]:
        i, j = np.divmod(codes // APS_PER_JUNCTION, self._junctions)
        u = i * BLOCK_M - self.half_m + AP_OFFSET_M * (2 * unit_hash(self.key, codes, 2) - 1)
        return u, j * BLOCK_M - self.half_m + AP_OFFSET_M * (2 * unit_hash(self.key, codes, 3) - 1)

    @property
    def _tower_shape(self) -> tuple[int, int]:
        return int(2 * self.half_m // TOWER_ROW_M) + 1, int(2 * self.half_m // TOWER_SPACING_M) + 1

    def tower_place(self, codes: Codes) -> tuple[Floats, Floats]:
        """Positions of towers; every other row is shifted by half a spacing, every carrier by its own third."""
        rows, columns = self._tower_shape
        carrier, square = np.divmod(codes, rows * columns)
        row, column = np.divmod(square, columns)
        u = (column + 0.5 * (row % 2) + carrier / 3 + 0.4 * unit_hash(self.key, codes, 4)) * TOWER_SPACING_M
        v = (row + 0.4 * unit_hash(self.key, codes, 5)) * TOWER_ROW_M
        return u - self.half_m, v - self.half_m

    def serving_tower(self, u: Floats, v: Floats, carrier: Codes, epoch: Codes) -> Codes:
        """The code of the tower that seems nearest, of nine around; what stands between changes by `epoch`."""
        rows, columns = self._tower_shape
        row = np.clip(np.round((v + self.half_m) / TOWER_ROW_M).astype(np.int64), 1, rows - 2)
        column = np.clip(np.round((u + self.half_m) / TOWER_SPACING_M).astype(np.int64), 2, columns - 2)
        near = [(row + down) * columns + column + right for down in (-1, 0, 1) for right in (-2, -1, 0, 1)]
        codes = carrier[:, None] * rows * columns + np.stack(near, axis=1)
        x, y = self.tower_place(codes)
        shadow = SHADOWING_M * unit_hash(self.key, codes + (epoch[:, None] << 24), 6)
        best = np.argmin(np.hypot(x - u[:, None], y - v[:, None]) + shadow, axis=1)
        return np.asarray(codes[np.arange(len(u)), best])

    def tower_names(self) -> NDArray[np.str_]:
        """Cell ids by code, radio-mcc-net-area-cell."""
        rows, columns = self._tower_shape
        codes = np.arange(len(self.carriers) * rows * columns)
        carrier, square = np.divmod(codes, rows * columns)
        return np.array(
            [
                f"LTE-{self.carriers[net]}-{7_000 + at // 50}-{90_000 + at * 11 + net}"
                for net, at in zip(carrier.tolist(), square.tolist(), strict=True)
            ]
        )

    def access_point_names(self, codes: Codes, seed: int) -> NDArray[np.str_]:
        """Keyed hashes; those of homes and depots differ from seed to seed."""
        private = keyed_hashes("b", self.key ^ (seed + 1), codes)
        return np.where(codes >= PLACE_APS, private, keyed_hashes("b", self.key, codes))

    def cell_towers(self, first_seen_s: int) -> pl.DataFrame:
        """The reference table of towers, in OpenCelliD's columns; `first_seen_s` in seconds since the epoch."""
        names = self.tower_names()
        codes = np.flatnonzero(unit_hash(self.key, np.arange(len(names)), 7) < TOWERS_LISTED)
        lat, lon = self.to_degrees(*self.tower_place(codes))
        parts = [name.split("-") for name in names[codes].tolist()]
        ids: dict[str, Any] = {"radio": [part[0] for part in parts]}
        ids |= {name: [int(part[at]) for part in parts] for at, name in enumerate(("mcc", "net", "area", "cell"), 1)}
        return pl.DataFrame(
            {
                **ids,
                "unit": np.zeros(len(codes), np.int64),
                "lon": np.round(lon, 6),
                "lat": np.round(lat, 6),
                "range": np.round(700 + 1_800 * unit_hash(self.key, codes, 8)).astype(np.int64),
                "samples": np.round(10 + 300 * unit_hash(self.key, codes, 9)).astype(np.int64),
                "changeable": np.ones(len(codes), np.int64),
                "created": np.full(len(codes), first_seen_s - 400 * 86_400),
                "updated": np.full(len(codes), first_seen_s),
                "averageSignal": np.zeros(len(codes), np.int64),
            }
        )

    def access_points(self) -> pl.DataFrame:
        """The reference table of located access points near the districts: bssid, lat, lon. No home is in it."""
        codes = np.arange(self._junctions**2 * APS_PER_JUNCTION)
        u, v = self._access_point_place(codes)
        near = np.zeros(len(codes), bool)
        for du, dv, radius in zip(self.district_u, self.district_v, self.radius_m, strict=True):
            near |= np.hypot(u - du, v - dv) < radius + 2_000
        known = near & (unit_hash(self.key, codes, 1) < APS_STANDING) & (unit_hash(self.key, codes, 10) < APS_LOCATED)
        lat, lon = self.to_degrees(u[known], v[known])
        names = self.access_point_names(codes[known], 0)
        return pl.DataFrame({"bssid": names, "lat": np.round(lat, 6), "lon": np.round(lon, 6)}).sort("bssid")


def build_streets(storm: Storm) -> Streets:
    """The city of a storm: a function of its name, districts and carriers."""
    terms = storm.modeled.riders
    key = zlib.crc32(f"streets of {storm.city}".encode())
    lat = np.array([district.lat for district in terms.districts])
    lon = np.array([district.lon for district in terms.districts])
    nothing = np.zeros(0)
    plan = Streets(key, float(lat.mean()), float(lon.mean()), key % 90 / 90, nothing, nothing, nothing, (), 0.0)
    u, v = plan.from_degrees(lat, lon)
    radius = np.array([district.radius_km * 1000 for district in terms.districts])
    half = float(np.max(np.maximum(np.abs(u), np.abs(v)) + radius) + MARGIN_M)
    return Streets(key, plan.lat0, plan.lon0, plan.turned, u, v, radius, terms.carriers, half)
