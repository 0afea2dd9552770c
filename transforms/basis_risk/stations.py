"""Official stations: where a metric is measured, how far a rider is from the nearest, and readings of some stations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.sphere import distance_m
from monsoon.transforms.triggers.readings import Reading

MAX_STATION_KM = 20.0
"""A disc that is larger states something of a whole city, and is no station; nor is a cell or a polygon."""
_EDGES_KM = (1.0, 2.0, 4.0, 8.0)
DISTANCE_BANDS = ("0-1 km", "1-2 km", "2-4 km", "4-8 km", "8 km or more", "no station")
"""A band has its lower edge, and not its upper one."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stations:
    """Stations of one metric, float64 (s,) each in degrees, sorted by latitude and longitude."""

    lat: Floats
    lon: Floats

    def __len__(self) -> int:
        return len(self.lat)

    def nearest(self, lat: Floats, lon: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
        """The nearest station of each place (n,) and its distance in km; NaN, and station -1, where there is none."""
        if not len(self):
            return np.full(len(lat), -1, np.intp), np.full(len(lat), np.nan)
        away = np.stack([distance_m(x, y, lat, lon) for x, y in zip(self.lat, self.lon, strict=True)], axis=1)
        at = np.argmin(away, axis=1)
        return at, away[np.arange(len(lat)), at] / 1000.0

    def first(self, count: int, lat: Floats, lon: Floats) -> Stations:
        """Of these the `count` to which most of the places (n,) are nearest; ties go to the station sorted first."""
        at, _ = self.nearest(lat, lon)
        places = np.bincount(at[at >= 0], minlength=len(self))
        chosen = np.sort(np.argsort(-places, kind="stable")[:count])
        return Stations(self.lat[chosen], self.lon[chosen])


def distance_band(km: float) -> str:
    """The band of DISTANCE_BANDS that a distance is in; NaN is no station."""
    if np.isnan(km):
        return DISTANCE_BANDS[-1]
    return DISTANCE_BANDS[int(np.searchsorted(_EDGES_KM, km, side="right"))]


def is_station(reading: Reading) -> bool:
    """Whether a reading is of a station, whoever's."""
    return reading.area.kind == "disc" and reading.area.radius_km <= MAX_STATION_KM


def official_stations(readings: Iterable[Reading]) -> dict[str, Stations]:
    """The stations at which an official provider reports, by metric."""
    places: dict[str, set[tuple[float, float]]] = {}
    for reading in readings:
        if reading.quality == "official" and is_station(reading):
            places.setdefault(reading.metric, set()).add((reading.area.center_lat, reading.area.center_lon))
    found = {}
    for metric, known in sorted(places.items()):
        both = np.array(sorted(known), np.float64)
        found[metric] = Stations(both[:, 0].copy(), both[:, 1].copy())
    return found


def at_stations(
    readings: Sequence[Reading], stations: Mapping[str, Stations], chosen: Mapping[str, Stations]
) -> list[Reading]:
    """The readings without those of stations that are not among the `chosen` of their metric.

    A station of another provider goes with the official one nearest to it. What no station reports stays, and so does
    a metric that has no official station.
    """
    kept_places: dict[tuple[str, float, float], bool] = {}

    def kept(reading: Reading) -> bool:
        known = stations.get(reading.metric)
        if known is None or not is_station(reading):
            return True
        place = (reading.metric, reading.area.center_lat, reading.area.center_lon)
        if place not in kept_places:
            (at,), _ = known.nearest(np.array([place[1]]), np.array([place[2]]))
            few = chosen[reading.metric]
            kept_places[place] = bool(np.any((few.lat == known.lat[at]) & (few.lon == known.lon[at])))
        return kept_places[place]

    return [reading for reading in readings if kept(reading)]
