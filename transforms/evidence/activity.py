"""Features of the rider's activity: recent work in the zone, and how usual it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monsoon.transforms.calendar import KOLKATA_OFFSET_MS
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.limits import ACTIVITY_MS, HISTORY_MS, MIN_HISTORY_DAYS
from monsoon.transforms.evidence.neighborhoods import Cells, PaneCells, neighborhoods_of
from monsoon.transforms.evidence.ragged import Bools, Floats, Ints, Ragged, ratio
from monsoon.transforms.evidence.window import Queries, Window
from monsoon.transforms.evidence.zones import ZoneShapes
from monsoon.transforms.panes import PANE_MS, Panes
from monsoon.transforms.telemetry_table import ON_TRIP, ONLINE, TelemetryTable, bisect_right, slices_of

_HOUR_MS = 60 * 60_000
_DAY_HOURS = 24


def recent_activity_in_zone(telemetry: TelemetryTable, queries: Queries, zones: ZoneShapes) -> Measured:
    """Orders plus on_trip reports in the zone in the ACTIVITY_MS (90 min) up to the end of the window, a count.

    Range: 0 and up. Direction: low points to fraud: telemetry without work. Missing input: null where no report, from
    wherever, states an app state or orders. Rests on: the reports that state one. Source: `fraud.md`, features.
    """
    window = Window.of_queries(telemetry, queries, ACTIVITY_MS)
    span = window.span
    # Doubles, exact up to 2^53 orders: a hostile count must not wrap around.
    orders = np.maximum(window["orders_completed"], 0).astype(np.float64)
    work = orders + (window["app_state"] == ON_TRIP)
    busy = np.flatnonzero(work)
    inside = zones.contains(window["lat"][busy], window["lon"][busy], span.query[busy])
    busy = busy[inside]
    stated = span.count((window["orders_completed"] >= 0) | (window["app_state"] >= 0))
    activity = np.bincount(span.query[busy], work[busy], len(window))
    return np.where(stated > 0, activity, np.nan), stated


def app_activity(window: Window) -> Measured:
    """Share of the window's reports that are online or on_trip, of those that state an app state.

    Range: 0..1. Direction: low points to fraud: a rider who does not ride. Missing input: null where no report states
    one. Rests on: the reports that do. Source: `products.md`, offshift, a part of its trust.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 15, 30, 45], app_state=["online", "on_trip", "offline", None])
    >>> share, reports = app_activity(window)
    >>> round(float(share[0]), 3), int(reports[0])
    (0.667, 3)
    """
    stated = window["app_state"] >= 0
    reports = window.span.count(stated)
    return ratio(window.span.count(window["app_state"] >= ONLINE), reports), reports


@dataclass(frozen=True, eq=False)
class ShiftHistory:
    """Hours in which each rider reported from each neighborhood, sorted by (worker, hour); local time. What was
    received later is an element of its own, as is each moment (ms) from which it is known; 0 for what was not."""

    worker_starts: Ints
    hour: Ints
    neighborhood: Cells
    known_from_ms: Ints
    reports: Ints
    resolution: int

    @staticmethod
    def of(panes: Panes, cells: PaneCells, resolution: int) -> ShiftHistory:
        used = np.flatnonzero(panes.history)
        hour = (panes.pane_start_ms[used] + KOLKATA_OFFSET_MS) // _HOUR_MS
        # What was received in time is known before the window in which its pane is history.
        over_ms = panes.pane_start_ms[used] + PANE_MS
        known_ms = np.where(panes.known_from_ms[used] > over_ms, panes.known_from_ms[used], 0)
        order = np.lexsort((known_ms, cells.neighborhood[used], hour, panes.worker[used]))
        used, hour, known_ms = used[order], hour[order], known_ms[order]
        worker, where = panes.worker[used], cells.neighborhood[used]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(worker) != 0) | (np.diff(hour) != 0) | (where[1:] != where[:-1]) | (np.diff(known_ms) != 0)
        first = np.flatnonzero(new)
        reports = np.add.reduceat(panes["reports"][used], first) if len(first) else first
        workers = len(panes.worker_starts) - 1
        starts = np.searchsorted(worker[first], np.arange(workers + 1)).astype(np.int64)
        return ShiftHistory(starts, hour[first], where[first], known_ms[first], reports, resolution)

    def shift_pattern(self, queries: Queries) -> Measured:
        """How usual this zone, hour and weekday are for the rider over the four weeks (HISTORY_MS) before the window.

        The mean of three shares: of the days worked, those with a report from the zone's neighborhood; of the days
        worked, those with a report within an hour of this hour of the day; of the past days of this weekday since the
        first day worked, those worked. Today does not count, nor what was received more than 6 h late.

        Range: 0..1. Direction: low points to fraud: an unusual place or time. Missing input: null below
        MIN_HISTORY_DAYS of history. Rests on: the reports of these weeks. Source: `fraud.md`, features; the three
        shares are this project's reading (docs/interpretations.md#evidence).
        """
        first, stop = slices_of(self.worker_starts, queries.worker)
        end = (queries.window_start_ms + KOLKATA_OFFSET_MS) // _HOUR_MS
        lo = bisect_right(self.hour, first, stop, end - HISTORY_MS // _HOUR_MS - 1)
        span = Ragged(lo, bisect_right(self.hour, lo, stop, end - 1))
        now = (queries.confirmed_at_ms + KOLKATA_OFFSET_MS) // _HOUR_MS
        hour, today = self.hour[span.rows], now // _DAY_HOURS
        days_ago = today[span.query] - hour // _DAY_HOURS
        hours_off = np.abs(hour % _DAY_HOURS - (now % _DAY_HOURS)[span.query])
        zone = neighborhoods_of(queries.zone, self.resolution)
        past = (days_ago > 0) & (self.known_from_ms[span.rows] <= queries.decided_at_ms[span.query])
        worked = _days(span, days_ago, past)
        here = _days(span, days_ago, past & (self.neighborhood[span.rows] == zone[span.query]))
        then = _days(span, days_ago, past & (np.minimum(hours_off, _DAY_HOURS - hours_off) <= 1))
        days = worked.sum(axis=1)
        oldest = np.where(days > 0, worked.shape[1] - 1 - np.argmax(worked[:, ::-1], axis=1), 0)
        weekday: Floats = ratio(worked[:, 7::7].sum(axis=1), oldest // 7)
        usual = (ratio(here.sum(axis=1), days) + ratio(then.sum(axis=1), days) + weekday) / 3
        reports = span.total(self.reports[span.rows], past).astype(np.int64)
        return np.where(oldest >= MIN_HISTORY_DAYS, usual, np.nan), reports


def _days(span: Ragged, days_ago: Ints, mask: Bools) -> Bools:
    """For each query and number of days ago, whether any of its masked rows lies there."""
    width = HISTORY_MS // (_DAY_HOURS * _HOUR_MS) + 2
    flags = np.zeros(len(span.lo) * width, dtype=bool)
    flags[span.query[mask] * width + days_ago[mask]] = True
    return flags.reshape(-1, width)
