"""What was worked of the week: carried figures, telemetry since, minutes of the clock."""

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON, MINUTE_MS, at, subscription_record

from monsoon.sources.product_files import load_products
from monsoon.transforms.activity.orders import Orders
from monsoon.transforms.activity.week_to_date import WorkedMinutes, week_to_date_results
from monsoon.transforms.adjudication.candidates import CandidateFinder
from monsoon.transforms.calendar import iso_week, iso_week_start_ms
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.presence import Presence, ReportCells
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.event_detector import EventState
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

JUGAAD = load_products(["jugaad"])["jugaad"]
MONDAY = (iso_week_start_ms(at(0)) - at(0)) / MINUTE_MS
"""When the week of minute 0 begins, in minutes."""


def telemetry(*reports):
    """(minute, app state, orders)"""
    return TelemetryTable.from_columns(
        worker=["w1"] * len(reports),
        event_time_ms=[at(minute) for minute, *_ in reports],
        lat=[LAT] * len(reports),
        lon=[LON] * len(reports),
        app_state=[state for _, state, _ in reports],
        orders_completed=[orders for *_, orders in reports],
    )


def found(*reports, plan="standard", stated=-600.0, confirmed=0.0, trigger="rain", **fields):
    """(orders, hours) so far of a claim confirmed at minute 0 on a disruption that began an hour before; None: not
    asked."""
    carried = {"week_orders_carried": 50.0, "week_hours_carried": 20.0}
    policy = subscription_record(
        "activated", stated, -100_000, 100_000, product="jugaad", plan=plan, **(carried | fields)
    )  # fmt: skip
    rows = telemetry(*reports)
    coverage, places = Coverage(JUGAAD, [policy]), ReportCells(rows)
    zones = np.array([h3.latlng_to_cell(LAT, LON, 8)], dtype=np.uint64)
    event = EventState(at(confirmed - 60), at(confirmed), 30.0, None, ("a", "b"), ("r",), at(confirmed))
    series = Series(JUGAAD.trigger(trigger), None, zones, (Revision(at(confirmed), 0, "confirmed", event),))
    disruptions = CandidateFinder(JUGAAD, coverage, Presence(places, ["w1"], 8)).disruptions(series)
    codes = {worker: code for code, worker in enumerate(rows.workers)}
    activity_results = week_to_date_results(disruptions, Orders(rows), WorkedMinutes(rows), codes)
    if not activity_results:
        return None
    (activity_result,) = activity_results["w1"]
    assert (activity_result.kind, activity_result.at_ms) == ("work", at(confirmed))
    return activity_result.values["orders_so_far"], activity_result.values["hours_so_far"]


def test_telemetry_since_the_last_event_is_added_to_what_it_carried():
    reports = [
        (-601, "on_trip", 9),
        (-600, "on_trip", 1),
        (-599, "online", 2),
        (0, "on_trip", 4),
        (0.001, "on_trip", 8),
    ]
    assert found(*reports) == (57.0, 20.0 + 3 / 60)


def test_hours_are_minutes_of_the_clock_online_or_on_trip():
    reports = [(-9.9, "online", 0), (-9.5, "on_trip", 0), (-8, "offline", 0), (-7, None, 0), (-6.5, "online", None)]
    assert found(*reports) == (50.0, 20.0 + 2 / 60)


def test_what_was_carried_in_an_earlier_week_counts_as_0():
    reports = [(MONDAY - 1, "on_trip", 9), (MONDAY, "on_trip", 1), (-5, "on_trip", 2)]
    assert found(*reports, stated=MONDAY) == (53.0, 20.0 + 2 / 60)
    assert found(*reports, stated=MONDAY - 0.001) == (3.0, 2 / 60)


@pytest.mark.parametrize("absent", ["week_orders_carried", "week_hours_carried"])
def test_what_is_not_carried_is_not_known(absent):
    orders, hours = found((-5, "on_trip", 1), **{absent: None})
    assert (orders is None, hours is None) == (absent == "week_orders_carried", absent == "week_hours_carried")


def test_a_rider_without_reports_has_what_was_carried():
    assert found(home_lat=LAT, home_lon=LON) == (50.0, 20.0)


def test_only_claims_with_a_supplement_are_asked():
    assert found((-5, "on_trip", 1), plan="basic") is None
    assert found((-5, "on_trip", 1), trigger="heat") is None
    assert found((-5, "on_trip", 1), plan="full_shield") is not None


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["online", "on_trip", "offline", None])), max_size=12),
       st.integers(0, 400), st.integers(0, 400))  # fmt: skip
def test_minutes_agree_with_counting_them(reports, first, last):
    """Reports and bounds in quarters of a minute."""
    rows = telemetry(*((quarter / 4, state, None) for quarter, state in reports))
    expected = {
        (at(quarter / 4)) // MINUTE_MS
        for quarter, state in reports
        if first <= quarter <= last and state in ("online", "on_trip")
    }
    bounds = (np.array([at(first / 4)]), np.array([at(last / 4)]))
    rider = np.array([0 if reports else -1])
    assert WorkedMinutes(rows).between(rider, *bounds, bounds[1]).tolist() == [len(expected)]


@given(st.integers(0, 4_000_000_000_000))
def test_a_week_begins_where_the_name_of_the_week_changes(at_ms):
    start_ms = iso_week_start_ms(at_ms)
    assert start_ms <= at_ms < start_ms + 7 * 24 * 3_600_000
    assert iso_week(start_ms) == iso_week(at_ms) != iso_week(start_ms - 1)
