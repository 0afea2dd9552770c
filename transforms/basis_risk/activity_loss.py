"""What a rider loses where no truth is known: his orders against his own baseline of the same hours, as a proxy.

Time is cut into slots. In the hours that are judged, the rider's own pattern would have had him online for E hours, the
mean over the weeks of his baseline; he was online for O hours and completed n orders, where an hour online brings b of
them in his baseline. n orders are n / b hours of usual work, so that max(E, O) - n / b hours are lost, not below 0: the
hours in which he should have worked and was offline, and the orders that his hours online did not bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.panes import BASELINE_GRACE_MS
from monsoon.transforms.telemetry_table import ONLINE, TelemetryTable

SLOT_MS = 5 * 60_000
"""A slot with a report that says online or on a trip is one of work: reports of earlier weeks may be minutes apart."""
WEEKS = 4
"""Of a baseline, at most."""
_WEEK_MS = 7 * 24 * 3_600_000

Interval = tuple[int, int]
"""[start, end) in ms since the epoch."""


@dataclass(frozen=True)
class ActivityLoss:
    """By code of the telemetry table, float64 (workers,): hours of usual work in the hours judged (max(E, O)), and
    hours lost; NaN where the baseline is not measured."""

    usual_hours: npt.NDArray[np.float64]
    lost_hours: npt.NDArray[np.float64]


def activity_loss(telemetry: TelemetryTable, judged: Sequence[Interval]) -> ActivityLoss:
    """The hours lost by each rider in the judged intervals, which must be sorted and apart.

    A week before counts for a rider if it is not before his first report and the input has any report in its hours; one
    without a report of his is a week in which he did not work then. No such week, no hour online or no order in those
    that there are, or an app state or orders that are not reported: not measured, and missing is not zero.
    """
    workers = len(telemetry.workers)
    online, orders, stated = _work(telemetry, judged, 0)
    usual, delivered, weeks = np.zeros(workers), np.zeros(workers), np.zeros(workers)
    first_ms = np.full(workers, np.iinfo(np.int64).max)
    with_rows = np.flatnonzero(np.diff(telemetry.worker_starts))
    first_ms[with_rows] = telemetry.event_time_ms[telemetry.worker_starts[with_rows]]
    for week in range(1, WEEKS + 1):
        then = [(start - week * _WEEK_MS, end - week * _WEEK_MS) for start, end in judged]
        hours, completed, reported = _work(telemetry, then, week)
        if not reported.any():
            continue
        counts = first_ms < then[-1][1]
        weeks += counts
        usual += np.where(counts, hours, 0.0)
        delivered += np.where(counts, completed, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.maximum(usual / weeks, online)
        worked = orders / (delivered / usual)
        lost = np.maximum(expected - worked, 0.0)
    # Who reported in the hours judged, but neither state nor orders, withholds them.
    measured = (weeks > 0) & (usual > 0) & (delivered > 0) & ~np.isnan(stated)
    return ActivityLoss(np.where(measured, expected, np.nan), np.where(measured, lost, np.nan))


def _work(
    telemetry: TelemetryTable, intervals: Sequence[Interval], week: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """By worker, float64: hours online, orders, and reports that state both (NaN: reports, but none that does)."""
    workers, at_ms = len(telemetry.workers), telemetry.event_time_ms
    starts = np.array([start for start, _ in intervals], np.int64)
    ends = np.array([end for _, end in intervals], np.int64)
    place = np.searchsorted(starts, at_ms, side="right") - 1
    within = (place >= 0) & (at_ms < ends[np.maximum(place, 0)])
    if week:
        within &= telemetry.received_time_ms <= at_ms + BASELINE_GRACE_MS
    states = within & (telemetry.app_state >= 0) & (telemetry.orders_completed >= 0)
    stated = np.bincount(telemetry.worker[states], minlength=workers).astype(np.float64)
    reported = np.bincount(telemetry.worker[within], minlength=workers)
    rows = np.flatnonzero(states & (telemetry.app_state >= ONLINE))
    slots = np.unique((telemetry.worker[rows].astype(np.int64) << 32) | (at_ms[rows] // SLOT_MS))
    hours = np.bincount(slots >> 32, minlength=workers) * (SLOT_MS / 3_600_000)
    weights = telemetry.orders_completed[states].astype(np.float64)
    orders = np.bincount(telemetry.worker[states], weights, minlength=workers).astype(np.float64)
    return hours, orders, np.where((reported > 0) & (stated == 0), np.nan, stated)
