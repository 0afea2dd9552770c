"""What telemetry says at a moment, by reports that had been received by then."""

import random

import numpy as np
import pytest
from telemetry_conditions.conftest import MINUTE, PLACE, T, ask, center, holders, report, tallied, telemetry_table_of

from monsoon.transforms.product import SilentQuorum
from monsoon.transforms.telemetry_conditions.order_drop import order_drop, order_tallies
from monsoon.transforms.telemetry_conditions.silent_quorum import TALLIES

WEEK_MIN = 7 * 24 * 60
DELAYS_MIN = (None, 0, 0.05, 3, 20, 40, 200)


def received(worker, minutes, delay, **fields):
    """A report `minutes` before T, received so many minutes after its time."""
    when = None if delay is None else T - round((minutes - delay) * MINUTE)
    return report(worker, minutes, received_time_ms=when, **fields)


def riders(seed):
    chance = random.Random(seed)
    reports = []
    for rider in range(12):
        for _ in range(chance.randint(1, 25)):
            fields = {
                "state": chance.choice(["online", "on_trip", "offline", None]),
                "orders": chance.choice([0, 1, None]),
            }
            fields |= {"device": f"phone{chance.choice((rider, rider % 5))}", "accel_var": chance.random()}
            week = chance.choice((0, 0, 0, 1, 2))
            minutes = week * WEEK_MIN + chance.random() * 120
            reports.append(received(f"w{rider:02}", minutes, chance.choice(DELAYS_MIN), **fields))
    return reports


def known_by(reports, at_ms):
    return [each for each in reports if each["received_time_ms"] is None or each["received_time_ms"] <= at_ms]


@pytest.mark.parametrize("seed", range(8))
def test_a_quorum_is_as_if_what_came_later_had_never_come(outage, products, seed):
    assert isinstance(outage, SilentQuorum)
    reports, held = riders(seed), holders(*((f"p{rider}", f"w{rider:02}", {}) for rider in range(10)))
    for minutes in (0, 5, 25):
        at_ms = T - minutes * MINUTE // 5 * 5
        both = [
            tallied(outage, products["offshift"], some, ask(at_ms), held)
            for some in (reports, known_by(reports, at_ms))
        ]
        assert both[0].tolist() == both[1].tolist()
    assert both[0][0, TALLIES.index("worked")] > 0


@pytest.mark.parametrize("seed", range(8))
def test_orders_of_a_zone_are_as_if_what_came_later_had_never_come(bandh, seed):
    reports = riders(seed)
    usual = holders(*((f"p{rider}", f"w{rider:02}", {"orders_per_hour": 3.0}) for rider in range(12)))
    for minutes in (0, 30):
        at_ms = T - minutes * MINUTE
        zone_queries = ask(at_ms, platform=None, resolution=8)
        both = [
            order_tallies(bandh, telemetry_table_of(some), zone_queries, usual, 500.0)
            for some in (reports, known_by(reports, at_ms))
        ]
        assert both[0].tolist() == both[1].tolist()


def test_a_rider_whose_reports_are_under_way_is_silent(outage, products):
    away = {"place": PLACE}
    worked = [received("w", 40, 0, **away), received("x", 40, 0, **away)]
    later = [received("w", 10, 10, **away), received("x", 10, 10.001, **away)]
    tallies = tallied(outage, products["offshift"], worked + later, ask(T))
    assert tallies[0, TALLIES.index("worked")] == 2
    assert tallies[0, TALLIES.index("silent")] == 1


@pytest.mark.parametrize(("delay_min", "counts"), [(360, True), (360.001, False)])
def test_a_week_of_orders_that_came_more_than_six_hours_late_is_no_history(bandh, delay_min, counts):
    here = {"place": center(resolution=8)}
    weeks = [received("w", week * WEEK_MIN + 30, delay_min, orders=20, **here) for week in (1, 2)]
    now = received("w", 10, 0, orders=5, **here)
    tallies = order_tallies(
        bandh, telemetry_table_of([now, *weeks]), ask(T, platform=None, resolution=8), holders(), 500.0
    )
    drop = order_drop(bandh, tallies)
    assert drop.tolist() == [0.75] if counts else np.isnan(drop).all()
