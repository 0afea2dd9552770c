"""Access points, towers, pressure, and how the rider moves, by hand-computed values."""

import math

import numpy as np
import pytest
from evidence.conftest import CENTER, NOW_MS, north, reports

from monsoon.sources.reference import read_references
from monsoon.transforms.evidence.references import References

HALF_HOUR_MS = 30 * 60_000
FAR_LAT = north(5000)


def _access_points(**places: tuple[float, float]) -> References:
    """Code order is name order."""
    lat, lon = np.array([places[name] for name in sorted(places)]).T
    none = np.empty(0)
    return References(none, none, none, lat, lon)


def test_access_points_are_weighted_by_sightings_from_the_zone(one):
    references = _access_points(a=CENTER, b=(FAR_LAT, CENTER[1]), c=(math.nan, math.nan))
    rows = reports("w", 3, bssids=[["a", "b", "c"], ["a"], ["a", "c"]])
    # Seen while riding elsewhere: says nothing about the zone.
    rows += reports("w", 1, end_ms=NOW_MS - 60_000, lat=FAR_LAT, bssids=[["b"]])
    rows += reports("w", 1, end_ms=NOW_MS - 90_000, bssids=[["c"]])
    assert one(rows, "bssid_zone_match", references=references) == (0.75, 3)
    assert math.isnan(one(rows, "bssid_zone_match")[0])


def test_an_access_point_across_the_street_from_the_zone_is_in_it(one):
    for meters, expected in ((400, 1.0), (500, 0.0)):
        references = _access_points(a=(north(meters), CENTER[1]))
        assert one(reports("w", 1, bssids=[["a"]]), "bssid_zone_match", references=references)[0] == expected


@pytest.mark.parametrize(("meters", "match"), [(0, 1.0), (1009, 1.0), (2020, 0.5), (3031, 0.0), (9000, 0.0)])
def test_tower_match_falls_from_its_reach_to_three_times_that(one, meters, match):
    lat, lon, range_m = (np.array([value]) for value in (*CENTER, 1000.0))
    references = References(lat, lon, range_m, np.empty(0), np.empty(0))
    rows = reports("w", 3, lat=north(meters), accuracy_m=10.0, cell=["LTE-404-45-5-2", "LTE-404-45-5-2", None])
    value, count = one(rows, "cell_tower_zone_match", references=references)
    assert value == pytest.approx(match, abs=1e-6)
    assert count == 2
    assert math.isnan(one(rows, "cell_tower_zone_match", references=None)[0])


def _barometers(own_drop_pa: float, others: int = 3) -> list[dict]:
    """Others fall 1 Pa a report, each with its own offset; the rider's falls `own_drop_pa` more over 30 min."""
    rows = []
    for index in range(others):
        fall = [1000 + index * 7 - step / 100 for step in range(140)]
        rows += reports(f"other{index}", 140, pressure_hpa=fall)
    own = [990 - step / 100 - own_drop_pa / 100 * step / 120 for step in range(140)]
    return rows + reports("w", 140, pressure_hpa=own)


def test_pressure_change_is_compared_with_the_others(one):
    value, count = one(_barometers(0.0), "barometric_delta_match")
    assert value == pytest.approx(1.0, abs=1e-9)
    assert count == 120
    # Six steps of 5 min at 100 Pa in 30 min: 100 of the 200 Pa that are no agreement.
    assert one(_barometers(100.0), "barometric_delta_match")[0] == pytest.approx(0.5, abs=0.01)
    assert one(_barometers(500.0), "barometric_delta_match")[0] == 0.0


def test_pressure_needs_three_others_and_a_barometer(one):
    assert math.isnan(one(_barometers(0.0, others=2), "barometric_delta_match")[0])
    rows = [row | {"pressure_hpa": None} if row["worker"] == "w" else row for row in _barometers(0.0)]
    assert math.isnan(one(rows, "barometric_delta_match")[0])


def test_pressure_looks_at_nothing_after_the_decision(one):
    rows = _barometers(0.0)
    later = reports("w", 20, end_ms=NOW_MS + 300_000, pressure_hpa=500.0)
    assert one(rows + later, "barometric_delta_match") == one(rows, "barometric_delta_match")


def test_speed_variance(one):
    rows = reports("w", 4, speed_mps=[1.0, 3.0, 5.0, 7.0])
    assert one(rows, "speed_variance_30min") == (5.0, 4)
    assert math.isnan(one(rows[1:], "speed_variance_30min")[0])


def test_speeds_are_derived_from_fixes_where_absent(one):
    lat = [CENTER[0]]
    for meters in (15.0, 45.0, 15.0, 45.0):
        lat.append(north(meters, lat[-1]))
    value, count = one(reports("w", 5, lat=lat), "speed_variance_30min")
    assert value == pytest.approx(1.0, rel=1e-6)
    assert count == 4


def test_route_linearity(one):
    straight = [north(150 * index) for index in range(15)]
    value, count = one(reports("w", 15, lat=straight), "route_linearity")
    assert value == pytest.approx(1.0, abs=1e-9)
    assert value <= 1
    assert count == 15
    there_and_back = straight[:8] + straight[6::-1]
    assert one(reports("w", 15, lat=there_and_back), "route_linearity")[0] == pytest.approx(0.0, abs=1e-9)
    assert math.isnan(one(reports("w", 13, lat=straight[:13]), "route_linearity")[0])


def test_implied_speeds_beyond_the_accuracies(one):
    lat = [CENTER[0], CENTER[0], FAR_LAT, FAR_LAT, CENTER[0]]
    rows = reports("w", 5, lat=lat, accuracy_m=[10.0, 10.0, 30.0, 30.0, None])
    value, count = one(rows, "max_implied_speed_mps")
    assert value == pytest.approx((5000 - 40) / 15, rel=1e-6)
    assert count == 4
    assert one(rows, "second_implied_speed_mps")[0] == pytest.approx((5000 - 130) / 15, rel=1e-6)
    assert one(reports("w", 2, lat=[CENTER[0], north(20)]), "max_implied_speed_mps")[0] == 0.0
    assert math.isnan(one(reports("w", 1), "max_implied_speed_mps")[0])


def test_two_places_at_one_moment_is_a_finite_speed(one):
    rows = reports("w", 2, step_ms=0, lat=[CENTER[0], FAR_LAT], accuracy_m=0.0, event_id=["a", "b"])
    assert one(rows, "max_implied_speed_mps")[0] == pytest.approx(5000.0, rel=1e-6)


def test_jitter_while_stopped(one):
    lat = [CENTER[0] if index % 2 else north(4) for index in range(9)]
    value, count = one(reports("w", 9, lat=lat, speed_mps=0.1), "gps_jitter_m")
    assert value == pytest.approx(4 / math.sqrt(2), rel=1e-6)
    assert count == 8
    assert one(reports("w", 9, speed_mps=0.0), "gps_jitter_m")[0] == 0.0
    assert math.isnan(one(reports("w", 9, lat=lat, speed_mps=[5.0] + [0.1] * 8), "gps_jitter_m")[0])
    assert math.isnan(one(reports("w", 9, lat=lat, speed_mps=2.0), "gps_jitter_m")[0])


def test_opencellid_sample_places_indian_cells(shared, tmp_path):
    sample = shared / "data" / "cellwifi" / "india_opencellid_sample.csv"
    (tmp_path / "cell_towers.csv").write_bytes(sample.read_bytes())
    tables = read_references(tmp_path)
    assert len(tables.towers) == 49
    assert tables.faults == {}
