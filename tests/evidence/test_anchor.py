"""Where evidence is taken: the 30 min up to the anchor, up to the decision for a re-score, since the asking for a
re-read."""

import math

import numpy as np
import pytest
from evidence.conftest import CENTER, NOW_MS, ZONE, reports, telemetry_table_of
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.evidence.anchor import anchor_rows, anchored
from monsoon.transforms.evidence.window import Queries, Window
from monsoon.transforms.presence import Presence, ReportCells

MINUTE_MS = 60_000


@pytest.mark.parametrize(("minutes", "counts"), [(0, 2), (29, 2), (31, 2), (90, 2), (90.001, 0)])
def test_the_window_ends_with_the_anchor_however_old(one, minutes, counts):
    """One mock-flagged report from a zone, then silence until after the confirmation, is evidence."""
    end_ms = NOW_MS - round(minutes * MINUTE_MS)
    rows = reports("w", 2, end_ms=end_ms, step_ms=29 * MINUTE_MS, mock=[0, 1])
    rows += reports("w", 1, end_ms=end_ms - 30 * MINUTE_MS, mock=1)
    rows += reports("w", 1, end_ms=NOW_MS + 1, mock=0)
    value, count = one(rows, "mock_location_share")
    assert count == counts
    assert value == 0.5 if counts else math.isnan(value)
    assert one(rows, "mock_setting_share")[1] == 0


def test_ninety_minutes_of_activity_end_with_the_anchor_too(one):
    end_ms = NOW_MS - 80 * MINUTE_MS
    rows = reports("w", 2, end_ms=end_ms, step_ms=89 * MINUTE_MS, orders_completed=[1, 2])
    rows += reports("w", 1, end_ms=end_ms - 90 * MINUTE_MS, orders_completed=4)
    assert one(rows, "recent_activity_in_zone") == (3.0, 2)


def test_a_rider_without_a_report_has_no_sensor_evidence(one):
    rows = reports("w", 4, end_ms=NOW_MS - 91 * MINUTE_MS, mock=1, accel_var=1.0)
    assert one(rows, "mock_location_share")[1] == one(rows, "accelerometer_variance")[1] == 0
    assert math.isnan(one(rows, "riders_on_device_28d")[0])


def test_a_report_received_a_quarter_of_an_hour_after_the_confirmation_is_the_anchor(one):
    """It establishes presence, and so is evidence; others received after the decision are not."""
    rows = reports("w", 3, step_ms=MINUTE_MS, mock=[1, 0, 1])
    rows[1]["received_time_ms"] = NOW_MS + 1
    rows[2]["received_time_ms"] = NOW_MS + 15 * MINUTE_MS
    assert one(rows, "mock_location_share") == (1.0, 2)
    rows[2]["received_time_ms"] += 1
    assert one(rows, "mock_location_share") == (0.5, 2)


def test_a_rescore_takes_what_came_and_without_a_report_what_the_anchor_says(one):
    rows = reports("w", 2, end_ms=NOW_MS - 60 * MINUTE_MS, mock=1)
    rescored = {"decided_at_ms": [NOW_MS + 120 * MINUTE_MS], "rescored": [1]}
    assert one(rows, "mock_location_share", **rescored) == (1.0, 2)
    rows += reports("w", 1, end_ms=NOW_MS + 90 * MINUTE_MS, mock=0)
    assert one(rows, "mock_location_share", **rescored) == (1.0, 2)  # 30 min before the decision: not in its window
    rows += reports("w", 3, end_ms=NOW_MS + 120 * MINUTE_MS, mock=0)
    assert one(rows, "mock_location_share", **rescored) == (0.0, 3)
    rescored["rescored"] = [0]  # a first score, however late it is made, is that of the anchor
    assert one(rows, "mock_location_share", **rescored) == (1.0, 2)


def test_a_reread_has_the_reports_since_the_asking_and_no_others(one):
    rows = reports("w", 3, mock=1) + reports("w", 2, end_ms=NOW_MS + 45 * MINUTE_MS, mock=0)
    reread = {"decided_at_ms": [NOW_MS + 60 * MINUTE_MS]}
    assert one(rows, "mock_location_share", asked_at_ms=[NOW_MS], **reread) == (0.0, 2)
    assert one(rows, "mock_location_share", asked_at_ms=[NOW_MS + 50 * MINUTE_MS], **reread)[1] == 0


delays = st.none() | st.sampled_from([0, 60_000, 14 * MINUTE_MS, 16 * MINUTE_MS])


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 100), delays), min_size=1, max_size=20),
    st.integers(0, 100),
)
def test_the_anchor_is_the_report_that_establishes_presence(drawn, now):
    """Riders have an anchor exactly where presence knows of a report of theirs; it lies at or before the moment."""
    rows = []
    for number, (worker, minute, delay_ms) in enumerate(drawn):
        row = reports(worker, 1, end_ms=NOW_MS + minute * MINUTE_MS)[0]
        received_ms = None if delay_ms is None else row["event_time_ms"] + delay_ms
        rows.append(row | {"event_id": f"{number:03d}", "received_time_ms": received_ms, "lat": CENTER[0] + number})
    telemetry = telemetry_table_of(rows)
    at_ms = NOW_MS + now * MINUTE_MS
    found = anchor_rows(telemetry, np.arange(len(telemetry.workers)), np.full(len(telemetry.workers), at_ms))
    snapshot = Presence(ReportCells(telemetry), telemetry.workers, 9).at(at_ms)
    assert {telemetry.workers[code] for code in np.flatnonzero(found >= 0)} == snapshot.reporting
    cells = {worker: cell for cell, workers in snapshot.by_cell.items() for worker in workers}
    at_anchor = ReportCells(telemetry).cells(9)
    assert {telemetry.workers[telemetry.worker[row]]: at_anchor[row] for row in found[found >= 0]} == cells


def test_whoever_is_present_by_a_report_has_at_least_that_one():
    rows = reports("a", 1, end_ms=NOW_MS - 89 * MINUTE_MS) + reports("b", 5) + reports("c", 1, end_ms=NOW_MS + 1)
    telemetry = telemetry_table_of(rows)
    queries = anchored(telemetry, Queries.of(9, [0, 1, 2, -1], [ZONE] * 4, [NOW_MS] * 4))
    assert Window.of_queries(telemetry, queries).span.lengths.tolist() == [1, 5, 0, 0]
