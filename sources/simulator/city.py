"""A city on a plane: districts, depots, cell towers and Wi-Fi access points, all fixed by the storm's city.

Positions are meters east (x) and north (y) of the districts' middle; good to 0.1% over a city. Towers and access
points stand on jittered lattices, so that what a phone sees at a place is arithmetic, not a search. Codes number
them; `Names` turns codes into the values of reports.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.simulator.identifiers import keyed_hashes, unit_hash
from monsoon.sources.simulator.storm import Storm

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

METERS_PER_DEGREE = 6_371_008.8 * np.pi / 180
TOWER_SPACING_M = 1_000.0
AP_SPACING_M = 120.0
MARGIN_M = 6_000.0
DEPOTS_PER_DISTRICT = 4
TOWERS_LISTED = 0.93
"""Share of towers that OpenCelliD knows; modeled."""
STREET_APS_LOCATED = 0.35
DEPOT_APS_LOCATED = 0.8

# Access point codes: the lattice's from 0, depots' and private ones from these on.
DEPOT_APS = 1 << 40
HOME_APS = 2 << 40
HOTSPOT_APS = 3 << 40


@dataclass(frozen=True)
class City:
    """Arrays by district (D), by depot (D x DEPOTS_PER_DISTRICT, flat) and the lattices' extents."""

    key: int
    lat0: float
    lon0: float
    district_x: Floats
    district_y: Floats
    district_radius_m: Floats
    depot_x: Floats
    depot_y: Floats
    carriers: tuple[str, ...]
    half_extent_m: float

    @property
    def tower_columns(self) -> int:
        """Towers along one side of a carrier's lattice."""
        return int(2 * self.half_extent_m // TOWER_SPACING_M) + 1

    @property
    def ap_columns(self) -> int:
        return int(2 * self.half_extent_m // AP_SPACING_M) + 1

    def to_degrees(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Latitudes and longitudes of positions in meters."""
        lat = self.lat0 + y / METERS_PER_DEGREE
        return lat, self.lon0 + x / (METERS_PER_DEGREE * np.cos(np.radians(self.lat0)))

    def tower_at(self, x: Floats, y: Floats, carrier: Codes) -> Codes:
        """The code of the carrier's tower whose lattice square holds the position."""
        columns = self.tower_columns
        i = np.clip(((x + self.half_extent_m) // TOWER_SPACING_M).astype(np.int64), 0, columns - 1)
        j = np.clip(((y + self.half_extent_m) // TOWER_SPACING_M).astype(np.int64), 0, columns - 1)
        return (carrier * columns + i) * columns + j

    def aps_around(self, x: Floats, y: Floats) -> Codes:
        """Codes of the four street access points around each position, shape (n, 4)."""
        columns = self.ap_columns
        i = np.clip(((x + self.half_extent_m) / AP_SPACING_M).astype(np.int64), 0, columns - 2)
        j = np.clip(((y + self.half_extent_m) / AP_SPACING_M).astype(np.int64), 0, columns - 2)
        corner = i * columns + j
        return np.stack([corner, corner + 1, corner + columns, corner + columns + 1], axis=1)

    def street_ap_position(self, codes: Codes) -> tuple[Floats, Floats]:
        """Positions (m) of street access points."""
        i, j = np.divmod(codes, self.ap_columns)
        x = (i + 0.6 * (unit_hash(self.key, codes, 1) - 0.5)) * AP_SPACING_M - self.half_extent_m
        y = (j + 0.6 * (unit_hash(self.key, codes, 2) - 0.5)) * AP_SPACING_M - self.half_extent_m
        return x, y


def build_city(storm: Storm) -> City:
    """The city of a storm: a function of its districts and name alone."""
    districts = storm.modeled.riders.districts
    lat = np.array([district.lat for district in districts])
    lon = np.array([district.lon for district in districts])
    radius_m = np.array([district.radius_km * 1000 for district in districts])
    lat0, lon0 = float(lat.mean()), float(lon.mean())
    y = (lat - lat0) * METERS_PER_DEGREE
    x = (lon - lon0) * METERS_PER_DEGREE * np.cos(np.radians(lat0))
    key = zlib.crc32(storm.city.encode())
    depots = np.arange(len(districts) * DEPOTS_PER_DISTRICT)
    of = depots // DEPOTS_PER_DISTRICT
    # Depots stand on a ring inside the district, one to a quadrant.
    angle = (depots % DEPOTS_PER_DISTRICT + 0.8 * unit_hash(key, depots, 3)) * 2 * np.pi / DEPOTS_PER_DISTRICT
    away = radius_m[of] * (0.25 + 0.4 * unit_hash(key, depots, 4))
    return City(
        key=key,
        lat0=lat0,
        lon0=lon0,
        district_x=x,
        district_y=y,
        district_radius_m=radius_m,
        depot_x=x[of] + away * np.cos(angle),
        depot_y=y[of] + away * np.sin(angle),
        carriers=storm.modeled.riders.carriers,
        half_extent_m=float(np.max(np.maximum(np.abs(x), np.abs(y)) + radius_m) + MARGIN_M),
    )


def tower_names(city: City) -> NDArray[np.str_]:
    """Every tower's cell id by code, radio-mcc-net-area-cell."""
    codes = np.arange(len(city.carriers) * city.tower_columns**2)
    carrier, square = np.divmod(codes, city.tower_columns**2)
    area = 5_000 + square // 64
    cell = 20_000 + square * 7 + carrier
    prefix = np.array([f"LTE-{network}-" for network in city.carriers])[carrier]
    return np.char.add(np.char.add(prefix, area.astype("U8")), np.char.add("-", cell.astype("U8")))


def ap_names(codes: Codes, city: City, seed: int) -> NDArray[np.str_]:
    """Keyed hashes of access points; private ones differ from seed to seed, the street's and depots' do not."""
    private = codes >= HOME_APS
    return np.where(private, keyed_hashes("a", city.key ^ (seed + 1), codes), keyed_hashes("a", city.key, codes))


def cell_towers(city: City, first_seen_s: int) -> pl.DataFrame:
    """The reference table of towers, in OpenCelliD's columns; `first_seen_s` in seconds since the epoch."""
    names = tower_names(city)
    codes = np.flatnonzero(unit_hash(city.key, np.arange(len(names)), 5) < TOWERS_LISTED)
    i, j = np.divmod(codes % city.tower_columns**2, city.tower_columns)
    x = (i + 0.5 + 0.5 * (unit_hash(city.key, codes, 6) - 0.5)) * TOWER_SPACING_M - city.half_extent_m
    y = (j + 0.5 + 0.5 * (unit_hash(city.key, codes, 7) - 0.5)) * TOWER_SPACING_M - city.half_extent_m
    lat, lon = city.to_degrees(x, y)
    parts = [name.split("-") for name in names[codes].tolist()]
    return pl.DataFrame(
        {
            "radio": [part[0] for part in parts],
            "mcc": [int(part[1]) for part in parts],
            "net": [int(part[2]) for part in parts],
            "area": [int(part[3]) for part in parts],
            "cell": [int(part[4]) for part in parts],
            "unit": np.zeros(len(codes), np.int64),
            "lon": np.round(lon, 6),
            "lat": np.round(lat, 6),
            "range": np.round(500 * 6 ** unit_hash(city.key, codes, 8)).astype(np.int64),
            "samples": 5 + (400 * unit_hash(city.key, codes, 9) ** 3).astype(np.int64),
            "changeable": np.ones(len(codes), np.int64),
            "created": np.full(len(codes), first_seen_s - 300 * 86_400),
            "updated": np.full(len(codes), first_seen_s),
            "averageSignal": np.zeros(len(codes), np.int64),
        }
    )


def access_points(city: City) -> pl.DataFrame:
    """The reference table of located access points: bssid, lat, lon. Nobody's home is in it."""
    # The lattice is city-wide; only points near a district can be seen by a rider on the road.
    lattice = np.arange(city.ap_columns**2)
    x, y = city.street_ap_position(lattice)
    near = np.zeros(len(lattice), bool)
    for cx, cy, radius_m in zip(city.district_x, city.district_y, city.district_radius_m, strict=True):
        near |= np.hypot(x - cx, y - cy) < radius_m + 1_500
    street = near & (unit_hash(city.key, lattice, 10) < STREET_APS_LOCATED)
    depots = np.arange(len(city.depot_x))
    located = unit_hash(city.key, depots, 11) < DEPOT_APS_LOCATED
    codes = np.concatenate([lattice[street], DEPOT_APS + depots[located]])
    lat, lon = city.to_degrees(
        np.concatenate([x[street], city.depot_x[located]]), np.concatenate([y[street], city.depot_y[located]])
    )
    names = ap_names(codes, city, 0)
    return pl.DataFrame({"bssid": names, "lat": np.round(lat, 6), "lon": np.round(lon, 6)}).sort("bssid")
