"""What contradicts a location, by hand-computed values: Wi-Fi beside the fix, rest while moving, excursions, wages."""

import math

import numpy as np
import pytest
from evidence.conftest import CENTER, NOW_MS, ZONE, north, reports, telemetry_table_of

from monsoon.transforms.evidence.access_points import located_by_cosightings
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.wages import AmountCounts, usual_amounts
from monsoon.transforms.geo.cells import cells_of

DAY_MS = 24 * 3_600_000


def _access_points(*meters_north: float) -> References:
    """a, b, c, ... so far north of the center of the zone."""
    none = np.empty(0)
    lat = np.array([math.nan if each is None else north(each) for each in meters_north])
    return References(none, none, none, lat, np.where(np.isnan(lat), np.nan, CENTER[1]))


@pytest.mark.parametrize(("meters", "match"), [(0, 1.0), (259, 1.0), (520, 0.5), (781, 0.0), (9000, 0.0)])
def test_access_points_match_a_fix_up_to_their_reach(one, meters, match):
    rows = reports("w", 3, lat=north(meters), accuracy_m=10.0, bssids=[["a", "b", "c"], ["a"], ["a", "b"]])
    value, count = one(rows, "bssid_fix_match", references=_access_points(0, 0, None))
    assert count == 2  # one located access point is none
    assert value == pytest.approx(match, abs=1e-6)
    assert math.isnan(one(rows, "bssid_fix_match", references=_access_points(0, None, None))[0])


def test_access_points_need_not_be_of_the_zone(one):
    """A rider who moves sees others; bssid_zone_match counts where the fixes claim to be in the zone alone."""
    rows = reports("w", 1, lat=north(5000), accuracy_m=10.0, bssids=[["a", "b"]])
    references = _access_points(5000, 5100)
    assert one(rows, "bssid_fix_match", references=references) == (1.0, 1)
    assert math.isnan(one(rows, "bssid_zone_match", references=references)[0])


def test_one_moved_access_point_among_three_says_nothing(one):
    rows = reports("w", 4, accuracy_m=10.0, bssids=["a", "b", "c"])
    assert one(rows, "bssid_fix_match", references=_access_points(0, 100, 90_000)) == (1.0, 4)


def test_an_access_point_without_a_place_gets_that_of_those_beside_it():
    rows = [
        *(row for phone in range(3) for row in reports(f"w{phone}", 4, lat=10.0, bssids=["a", "b", "new"])),
        *reports("w0", 9, bssids=["a", "b", "own"]),  # of one phone
        *(row for phone in range(5) for row in reports(f"v{phone}", 1, bssids=["a", "lone"])),  # beside a single one
        *(
            row
            for phone, seen in enumerate((["a", "b"], ["far", "farther"], ["a", "b"], ["far", "farther"]))
            for row in reports(f"u{phone}", 2, bssids=[*seen, "wheels"])
        ),
    ]
    telemetry = telemetry_table_of(rows)
    assert telemetry.bssids == ("a", "b", "far", "farther", "lone", "new", "own", "wheels")
    references = _access_points(0, 100, 9000, 9100, None, None, None, None)
    learnt = located_by_cosightings(telemetry, references, NOW_MS)
    assert np.flatnonzero(~np.isnan(learnt.bssid_lat)).tolist() == [0, 1, 2, 3, 5]
    assert learnt.bssid_lat[5] == pytest.approx(north(50))  # where the fixes say that they are does not matter
    assert learnt.bssid_lon[5] == CENTER[1]
    assert learnt.bssid_lat[:4].tolist() == references.bssid_lat[:4].tolist()
    for earlier_ms in (NOW_MS - DAY_MS, NOW_MS + 29 * DAY_MS):
        assert np.isnan(located_by_cosightings(telemetry, references, earlier_ms).bssid_lat[4:]).all()
    for row in rows:
        row["received_time_ms"] = row["event_time_ms"] + 6 * 3_600_000 + 1
    late = located_by_cosightings(telemetry_table_of(rows), references, NOW_MS + DAY_MS)
    assert np.isnan(late.bssid_lat[4:]).all()


def _ride(steps: int, meters: float, **columns) -> list[dict]:
    return reports("w", steps + 1, lat=[north(meters * index) for index in range(steps + 1)], **columns)


@pytest.mark.parametrize(("still", "share"), [(10, 1.0), (8, 0.8), (0, 0.0)])
def test_still_while_moving_is_a_share_of_the_path(one, still, share):
    accel_var = [None] + [1.9e-4] * still + [2e-4] * (10 - still)
    value, count = one(_ride(10, 60, accuracy_m=5.0, accel_var=accel_var), "still_while_moving")
    assert (value, count) == (pytest.approx(share), 10)


def test_a_phone_on_a_table_rides_nowhere(one):
    """Its fixes wander for a kilometer within their accuracies."""
    lat = [north(20 * (index % 2)) for index in range(60)]
    assert math.isnan(one(reports("w", 60, lat=lat, accuracy_m=11.0, accel_var=5e-5), "still_while_moving")[0])
    lat = [north(190 * (index % 2)) for index in range(60)]  # an accuracy that is not stated is 100 m
    assert math.isnan(one(reports("w", 60, lat=lat, accel_var=5e-5), "still_while_moving")[0])


@pytest.mark.parametrize(("gap_ms", "said"), [(60_000, True), (60_001, False)])
def test_who_rides_through_a_dead_zone_and_lays_the_phone_down_has_not_ridden_at_rest(one, gap_ms, said):
    before = reports("w", 1, end_ms=NOW_MS - 150_000 - gap_ms, lat=north(2000), accuracy_m=5.0, accel_var=3.0)
    rows = before + reports("w", 11, accuracy_m=5.0, accel_var=5e-5)
    assert math.isnan(one(rows, "still_while_moving")[0]) is not said


def test_under_half_a_kilometer_or_without_an_accelerometer_nothing_is_said(one):
    assert math.isnan(one(_ride(8, 62, accuracy_m=5.0, accel_var=0.0), "still_while_moving")[0])
    assert one(_ride(8, 63, accuracy_m=5.0, accel_var=0.0), "still_while_moving")[0] == pytest.approx(1.0)
    assert math.isnan(one(_ride(20, 63, accuracy_m=5.0), "still_while_moving")[0])


def test_the_steadier_of_stated_and_measured_speeds_counts(one):
    even = _ride(9, 90, speed_mps=[2.0, 10.0] * 5)
    assert one(even, "speed_cv")[0] == pytest.approx(0.0, abs=1e-9)
    uneven = reports("w", 4, lat=[north(each) for each in (0, 15, 60, 75)], speed_mps=5.0)
    assert one(uneven, "speed_cv") == (0.0, 4)
    assert math.isnan(one(reports("w", 4, speed_mps=0.0), "speed_cv")[0])


AT = {"a": 0.0, "A": 20.0, "b": 5_000.0, "c": 60_000.0, "d": 30_000.0}


@pytest.mark.parametrize(
    ("places", "excursions"),
    [
        ("aaaa", 0),
        ("aabb", 1),  # out, for good
        ("aabba", 1),  # out and back is one
        ("aabbA", 1),  # back is where a rider may be meanwhile
        ("aabaabaa", 2),  # out and back, twice: a switch that is turned on and off
        ("abab", 2),
        ("aabcaa", 1),  # a receiver that finds itself step by step
        ("aabbccaa", 3),  # elsewhere, from there elsewhere again, and not back to that
        ("bbaaccaadd", 3),
    ],
)
def test_out_and_back_is_one_excursion(one, places, excursions):
    rows = reports("w", len(places), lat=[north(AT[each]) for each in places], accuracy_m=10.0)
    assert one(rows, "fast_excursions") == (excursions, len(places) - 1)


def test_excursions_are_between_fixes_that_say_they_are_accurate(one):
    lat = [north(AT[each]) for each in "aabaabaa"]
    assert math.isnan(one(reports("w", 8, lat=lat), "fast_excursions")[0])
    assert math.isnan(one(reports("w", 8, lat=lat, accuracy_m=50.1), "fast_excursions")[0])
    assert one(reports("w", 8, lat=lat, accuracy_m=50.0), "fast_excursions") == (2.0, 7)
    vague_away = [10.0, 10.0, 51.0, 10.0, 10.0, 51.0, 10.0, 10.0]
    assert one(reports("w", 8, lat=lat, accuracy_m=vague_away), "fast_excursions") == (0.0, 5)


@pytest.mark.parametrize(("meters", "excursions"), [(1069, 0), (1071, 1)])
def test_an_excursion_is_faster_than_70_m_s_beyond_the_accuracies(one, meters, excursions):
    rows = reports("w", 2, lat=[CENTER[0], north(meters)], accuracy_m=10.0)
    assert one(rows, "fast_excursions") == (excursions, 1)


@pytest.mark.parametrize(("policies", "usual"), [(20, 900.0), (19, 600.0)])
def test_wages_are_compared_around_the_zone_if_twenty_state_one(policies, usual):
    homes = cells_of(np.array([CENTER[0], 13.0]), np.full(2, CENTER[1]), 5)
    stated = AmountCounts(homes, np.array([900.0, 600.0]), np.array([policies, 100]))
    assert usual_amounts(np.array([ZONE], dtype=np.uint64), stated).tolist() == [usual]


def test_stated_wage_ratio(one):
    stated = {"stated_inr": [1800.0], "usual_inr": [900.0]}
    assert one(reports("w", 1), "stated_wage_ratio", **stated) == (2.0, 0)
    assert math.isnan(one(reports("w", 1), "stated_wage_ratio", stated_inr=[1800.0])[0])
    assert math.isnan(one(reports("w", 1), "stated_wage_ratio", **(stated | {"usual_inr": [0.0]}))[0])


def test_mock_flags_are_two_features(one):
    rows = reports("w", 4, mock=[1, 0, None, 0], mock_setting=[None, 1, 1, None])
    assert one(rows, "mock_location_share") == (pytest.approx(1 / 3), 3)
    assert one(rows, "mock_setting_share") == (1.0, 2)
