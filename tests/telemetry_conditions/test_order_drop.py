"""A zone's orders against its own mean for the hour of the week, or what its riders usually do."""

from datetime import timedelta

import numpy as np
import pytest
from telemetry_conditions.conftest import MINUTE, T, ask, center, holders, report, telemetry_table_of

from monsoon.transforms.geo.sphere import EARTH_RADIUS_M
from monsoon.transforms.telemetry_conditions.order_drop import order_drop, order_tallies

MS = 1 / MINUTE
WEEK = timedelta(weeks=1) / timedelta(minutes=1)
HERE = center(resolution=8)


def tallies_of(bandh, reports, held=None, moments=(T,), margin_m=500.0):
    zone_queries = ask(*moments, platform=None, resolution=8)
    return order_tallies(bandh, telemetry_table_of(reports), zone_queries, held or holders(), margin_m)


def drop(bandh, reports, held=None, **others):
    return order_drop(bandh, tallies_of(bandh, reports, held, **others)).tolist()[0]


def sent(minutes, orders, worker="w", place=HERE):
    return report(worker, minutes, orders=orders, place=place)


def weeks(*orders):
    """So many orders in the same hour one, two, ... weeks before."""
    return [sent(WEEK * number + 30, each) for number, each in enumerate(orders, 1)]


def test_a_drop_of_exactly_the_threshold_holds(bandh):
    assert drop(bandh, [sent(10, 7), *weeks(20, 20)]) == 0.65
    assert bandh.min_drop == 0.65
    assert drop(bandh, [sent(10, 8), *weeks(20, 20)]) == 0.60
    thirds = drop(bandh, [sent(10, 7), *weeks(19, 20, 21)])
    assert thirds == 0.65
    assert drop(bandh, [sent(10, 7), *weeks(19, 19, 21)]) < 0.65


@pytest.mark.parametrize(("minutes", "orders"), [(60 + MS, 0), (60, 0), (60 - MS, 5), (0, 5), (-MS, 0)])
def test_the_hour_excludes_its_start_and_includes_its_end(bandh, minutes, orders):
    assert drop(bandh, [sent(minutes, 5), *weeks(10, 10)]) == 1 - orders / 10
    then = tallies_of(bandh, [sent(WEEK + minutes, 5)])
    assert then[0, 2:4].tolist() == [bool(orders), orders]


def test_orders_of_all_riders_from_the_zone_count_and_no_others(bandh):
    away = (HERE[0] + 0.05, HERE[1])
    reports = [sent(5, 2, "a"), sent(4, 1, "b"), sent(3, 9, "c", away), report("d", 3, place=HERE)]
    assert drop(bandh, [*reports, *weeks(10, 10)]) == 0.7


def test_a_report_that_states_a_mock_location_is_no_witness(bandh):
    mocked = report("b", 4, orders=9, place=HERE, mock=1)
    assert drop(bandh, [sent(5, 3, "a"), mocked, *weeks(10, 10)]) == 0.7
    assert drop(bandh, [sent(5, 3, "a"), mocked | {"mock": 0}, *weeks(10, 10)]) == -0.2


def test_the_mean_is_over_weeks_with_stated_orders_and_needs_two(bandh):
    usual = holders(("p", "w", {"orders_per_hour": 40.0}))
    now = sent(10, 4)
    assert drop(bandh, [now, *weeks(10, 30)], usual) == 0.8
    assert drop(bandh, [now, *weeks(10, 30, 0, 0)], usual) == 0.6
    assert drop(bandh, [now, *weeks(10)], usual) == 0.9
    unstated = [now, *weeks(10, None)]
    assert drop(bandh, unstated, usual) == 0.9
    assert drop(bandh, [now, *weeks(0, 0, 0, 0, 8)], usual) != 0.9
    assert np.isnan(drop(bandh, [now, *weeks(0, 0)], usual))


def test_no_orders_are_a_whole_drop_and_more_than_usual_is_none(bandh):
    assert drop(bandh, weeks(10, 10)) == 1.0
    assert drop(bandh, [report("w", 5, place=HERE), *weeks(10, 10)]) == 1.0
    assert drop(bandh, [sent(5, 30), *weeks(10, 10)]) == -2.0


def test_without_weeks_it_is_what_the_riders_seen_usually_do(bandh):
    held = holders(
        ("p1", "seen", {"orders_per_hour": 2.5}),
        ("p2", "seen", {"orders_per_hour": 1.5}),
        ("p3", "gone", {"orders_per_hour": 100.0}),
        ("p4", "mute", {"orders_per_hour": None}),
        ("p5", "absent", {"orders_per_hour": 100.0}),
    )
    reports = [sent(89, 0, "seen"), sent(30, 1, "mute"), sent(90, 0, "gone"), sent(1, 0, "stranger")]
    assert drop(bandh, reports, held) == 0.75
    assert np.isnan(drop(bandh, [sent(1, 0, "stranger")], held))
    assert np.isnan(drop(bandh, [], held))


def test_a_rider_seen_within_the_margin_counts_and_his_orders_do_not(bandh):
    held = holders(("p", "near", {"orders_per_hour": 2.0}), ("q", "here", {"orders_per_hour": 8.0}))
    # The zone's corner is about 0.55 km from its center, its side 0.47 km.
    north = lambda meters: (HERE[0] + np.degrees(meters / EARTH_RADIUS_M), HERE[1])  # noqa: E731
    for meters, expected in ((900, 10.0), (1200, 8.0)):
        reports = [sent(5, 4, "near", north(meters)), sent(5, 1, "here")]
        assert drop(bandh, reports, held) == 1 - 1 / expected
    assert drop(bandh, [sent(5, 4, "near", north(900)), sent(5, 1, "here")], held, margin_m=0.0) == 1 - 1 / 8


def test_cover_does_not_matter_to_what_a_rider_usually_does_but_a_later_event_is_not_known(bandh):
    reports = [sent(5, 1, "w")]
    over = holders(("p", "w", {"orders_per_hour": 4.0, "coverage_end": T - MINUTE}))
    assert drop(bandh, reports, over) == 0.75
    later = holders(("p", "w", {"orders_per_hour": 4.0, "event_time": T + 1}))
    assert np.isnan(drop(bandh, reports, later))


def test_hostile_numbers_are_no_orders(bandh):
    assert drop(bandh, [sent(5, 2**62), sent(4, 2**62), *weeks(10, 10)]) == 1 - 2e6 / 10
    for stated in (-5.0, 0.0):
        assert np.isnan(drop(bandh, [sent(5, 0)], holders(("p", "w", {"orders_per_hour": stated}))))
    assert drop(bandh, [sent(5, 0)], holders(("p", "w", {"orders_per_hour": 1e308}))) == 1.0


def test_tallies_of_parts_of_the_riders_add_up_whatever_the_order(bandh):
    rng = np.random.default_rng(6)
    held = holders(*((f"p{n}", f"w{n}", {"orders_per_hour": 0.1 * n}) for n in range(0, 30, 2)))
    reports = [
        sent(
            float(rng.integers(0, 4)) * WEEK + float(rng.integers(0, 130)),
            None if rng.random() < 0.2 else int(rng.integers(0, 4)),
            f"w{rng.integers(30)}",
            (HERE[0] + rng.normal(0, 0.005), HERE[1] + rng.normal(0, 0.005)),
        )
        for _ in range(500)
    ]
    moments = (T, T - 20 * MINUTE, T - 60 * MINUTE)
    whole = tallies_of(bandh, reports, held, moments)
    parts = [[each for each in reports if int(each["worker"][1:]) % 3 == part] for part in range(3)]
    assert (sum(tallies_of(bandh, part, held, moments) for part in parts) == whole).all()
    shuffled = [reports[place] for place in rng.permutation(len(reports))]
    assert (tallies_of(bandh, shuffled, held, moments) == whole).all()
    assert (whole[:, 0] > 0).all()
    assert (whole[:, 1] > 0).all()
