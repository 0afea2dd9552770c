"""The proxy of a loss, on telemetry of a few riders whose weeks are written down."""

import math

import pytest

from monsoon.transforms.basis_risk import activity_loss
from monsoon.transforms.telemetry_table import TelemetryTable

HOUR, WEEK, SLOT = 3_600_000, 7 * 24 * 3_600_000, 300_000
NOW = 30 * WEEK
JUDGED = [(NOW, NOW + 2 * HOUR)]


def hours(worker, week, online_h, orders, *, state="online", late_ms=0):
    """A report every five minutes of so many hours from the beginning of the judged ones, `week` weeks before, with the
    orders in the last."""
    count = round(online_h * 12)
    return [
        {
            "worker": worker,
            "event_time_ms": NOW - week * WEEK + number * SLOT,
            "received_time_ms": NOW - week * WEEK + number * SLOT + late_ms if late_ms else None,
            "app_state": state,
            "orders_completed": None if state is None else orders if number == count - 1 else 0,
        }
        for number in range(count)
    ]


def losses(*parts):
    rows = [row for part in parts for row in part]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = TelemetryTable.from_columns(**columns, lat=[28.6] * len(rows), lon=[77.2] * len(rows))
    found = activity_loss(table, JUDGED)
    return {
        worker: (float(found.usual_hours[code]), float(found.lost_hours[code]))
        for code, worker in enumerate(table.workers)
    }


def usual(worker):
    """2 h online and 6 orders in each of the two weeks before: 3 an hour."""
    return [*hours(worker, 1, 2, 6), *hours(worker, 2, 2, 6)]


def test_orders_that_his_hours_online_did_not_bring():
    """Online all 2 h, 3 orders instead of 6: an hour is lost."""
    assert losses(usual("w"), hours("w", 0, 2, 3))["w"] == (2.0, pytest.approx(1.0))


def test_hours_in_which_his_pattern_had_him_online():
    """Online for half an hour of two, at the usual rate: 1.5 h are lost; who is silent throughout loses both."""
    found = losses(usual("w"), hours("w", 0, 0.5, 1), usual("silent"))
    assert found["w"] == (2.0, pytest.approx(2 - 1 / 3))
    assert found["silent"] == (2.0, 2.0)


def test_more_than_usual_is_no_loss():
    assert losses(usual("w"), hours("w", 0, 2, 9))["w"] == (2.0, 0.0)


def test_a_week_without_work_is_part_of_the_pattern():
    """Three weeks back he worked, two and one back he did not: he is expected for a third of his hours."""
    found = losses(hours("w", 3, 2, 6), usual("other"))
    assert found["w"] == (pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_who_began_later_is_judged_by_the_weeks_since():
    found = losses(hours("new", 1, 2, 6), usual("other"), hours("other", 3, 2, 6))
    assert found["new"] == (2.0, 2.0)


def test_missing_is_not_zero():
    found = losses(
        hours("no_weeks_before", 0, 2, 1),
        hours("no_orders_ever", 1, 2, 0),
        usual("withheld"),
        hours("withheld", 0, 2, 0, state=None),
        hours("in_one_evening", 1, 2, 6, late_ms=7 * HOUR),
        hours("five_weeks_back", 5, 2, 6),
    )
    measured = {worker for worker, (_, lost) in found.items() if not math.isnan(lost)}
    assert measured == set()


def test_offline_reports_are_no_hours():
    found = losses(usual("w"), hours("w", 0, 2, 0, state="offline"))
    assert found["w"] == (2.0, 2.0)
