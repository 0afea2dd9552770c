"""Which stations there are, how far they are, and readings of some of them."""

import numpy as np
import pytest
from kit import reading_record

from monsoon.transforms.basis_risk import DISTANCE_BANDS, at_stations, distance_band, official_stations
from monsoon.transforms.triggers.readings import reading_from_record

PLACES = {"safdarjung": (28.5844, 77.2058), "ridge": (28.6810, 77.2110), "palam": (28.5670, 77.1170)}


def reading(provider, place, quality="official", **fields):
    lat, lon = PLACES[place]
    about = {"provider": provider, "quality": quality, "lat": lat, "lon": lon, "radius_km": 4}
    name = "-".join((provider, place, *map(str, fields.values())))
    return reading_from_record(reading_record("rain_mm_24h", 80.0, 0, reading_id=name, **(about | fields)))


READINGS = [
    *(reading("imd", place) for place in PLACES),
    reading("skymet", "ridge", "secondary", lat=28.69),
    reading("skymet", "palam", "secondary"),
    reading("imd", "palam", radius_km=40),
    reading("open_meteo", "palam", "fallback", radius_km=40),
]


def test_official_discs_of_a_place_are_stations():
    found = official_stations(READINGS)
    assert list(found) == ["rain_mm_24h"]
    stations = found["rain_mm_24h"]
    assert list(zip(stations.lat.tolist(), stations.lon.tolist(), strict=True)) == sorted(PLACES.values())


def test_the_nearest_and_its_distance():
    stations = official_stations(READINGS)["rain_mm_24h"]
    at, km = stations.nearest(np.array([28.5844, 28.70]), np.array([77.2058, 77.2110]))
    assert stations.lat[at].tolist() == [28.5844, 28.6810]
    assert km[0] == 0
    assert km[1] == pytest.approx(6371.0088 * np.radians(0.019))


@pytest.mark.parametrize(("km", "band"), [(0, 0), (0.999, 0), (1, 1), (2, 2), (3.9, 2), (4, 3), (8, 4), (900, 4)])
def test_a_band_has_its_lower_edge(km, band):
    assert distance_band(km) == DISTANCE_BANDS[band]
    assert distance_band(float("nan")) == "no station"


def test_the_station_of_most_riders_comes_first_and_takes_its_neighbors_readings_along():
    stations = official_stations(READINGS)
    lat, lon = np.array([28.68, 28.69, 28.5844]), np.array([77.21, 77.21, 77.2058])
    chosen = {metric: each.first(1, lat, lon) for metric, each in stations.items()}
    kept = {each.reading_id for each in at_stations(READINGS, stations, chosen)}
    assert kept == {"imd-ridge", "skymet-ridge-28.69", "imd-palam-40", "open_meteo-palam-40"}
    two = {metric: each.first(2, lat, lon) for metric, each in stations.items()}
    assert {each.reading_id for each in at_stations(READINGS, stations, two)} == kept | {"imd-safdarjung"}


def test_a_metric_without_a_station_is_left_alone():
    fallback = [READINGS[-1]]
    assert official_stations(fallback) == {}
    assert at_stations(fallback, {}, {}) == fallback
