"""Features that compare a claim with the other claims of its disruption, as a closed batch.

A batch is closed at its confirmation; what is measured here does not change with a re-score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.arrival import received_rows
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.limits import (
    ACTIVITY_MS,
    HISTORY_MS,
    MIN_BURST_RIDERS,
    MIN_DWELLS,
    MIN_PEERS,
    ORDERS_HOUR_MS,
    WINDOW_MS,
)
from monsoon.transforms.evidence.neighborhoods import Cells, PaneCells, neighborhoods_of
from monsoon.transforms.evidence.ragged import Floats, Ints, Ragged, medians_of_others
from monsoon.transforms.evidence.window import Queries, Window
from monsoon.transforms.evidence.zones import ZoneShapes
from monsoon.transforms.panes import PANE_MS, Panes
from monsoon.transforms.telemetry_table import TelemetryTable

_AGES = ACTIVITY_MS // PANE_MS + 1
"""A stay's age in panes at confirmation: 0 to 18."""


@dataclass(frozen=True, eq=False)
class DwellCounts:
    """How many panes of a time span, from its first to its last one (their starts, ms), were of each age (`count`, one
    column an age); one element per neighborhood and span, sorted by neighborhood."""

    neighborhood: Cells
    first_ms: Ints
    last_ms: Ints
    count: Ints

    @staticmethod
    def of(neighborhood: npt.ArrayLike, age: npt.ArrayLike, first_ms: int, last_ms: int) -> DwellCounts:
        """Counts the panes of one span."""
        cells, which = np.unique(np.asarray(neighborhood, dtype=np.uint64), return_inverse=True)
        places = which * _AGES + np.asarray(age, dtype=np.int64)
        count = np.bincount(places, minlength=len(cells) * _AGES)
        return DwellCounts.of_span(cells, count, first_ms, last_ms)

    @staticmethod
    def of_span(neighborhood: npt.ArrayLike, count: npt.ArrayLike, first_ms: int, last_ms: int) -> DwellCounts:
        """The counts of one span."""
        cells = np.asarray(neighborhood, dtype=np.uint64)
        first, last = (np.full(len(cells), each, dtype=np.int64) for each in (first_ms, last_ms))
        return DwellCounts(cells, first, last, np.asarray(count, dtype=np.int64).reshape(-1, _AGES))

    @staticmethod
    def join(parts: Sequence[DwellCounts]) -> DwellCounts:
        """The counts of several spans, at least one."""
        joined = DwellCounts(
            np.concatenate([part.neighborhood for part in parts]),
            np.concatenate([part.first_ms for part in parts]),
            np.concatenate([part.last_ms for part in parts]),
            np.concatenate([part.count for part in parts]),
        )
        return joined.where(np.argsort(joined.neighborhood, kind="stable"))

    def where(self, rows: Ints | npt.NDArray[np.bool_]) -> DwellCounts:
        """Some of the elements, in their order."""
        return DwellCounts(self.neighborhood[rows], self.first_ms[rows], self.last_ms[rows], self.count[rows])

    def of_neighborhoods(self, neighborhoods: Cells) -> DwellCounts:
        """The elements of some neighborhoods (distinct)."""
        wanted = np.sort(neighborhoods)
        span = Ragged(
            np.searchsorted(self.neighborhood, wanted, side="left"),
            np.searchsorted(self.neighborhood, wanted, side="right"),
        )
        return self.where(span.rows)

    def within(self, neighborhood: np.uint64, start_ms: int, stop_ms: int) -> Ints:
        """The counts of a neighborhood over all its spans that lie in [start, stop], by age."""
        lo = np.searchsorted(self.neighborhood, neighborhood, side="left")
        hi = np.searchsorted(self.neighborhood, neighborhood, side="right")
        inside = (self.first_ms[lo:hi] >= start_ms) & (self.last_ms[lo:hi] <= stop_ms)
        return np.asarray(self.count[lo:hi][inside].sum(axis=0))


@dataclass(frozen=True, eq=False)
class DwellIntervals:
    """How long riders had been in their zone, pane by pane, sorted by (neighborhood, time); of panes that were known as
    soon as they were over. Of some time spans there may be `counts` instead of panes, where no curve needs a part of
    such a span (`are_cut`)."""

    neighborhood: Cells
    pane_start_ms: Ints
    age: Ints
    resolution: int
    counts: DwellCounts | None = None

    @staticmethod
    def of(panes: Panes, cells: PaneCells, resolution: int) -> DwellIntervals:
        return DwellIntervals(cells.neighborhood, panes.pane_start_ms, dwell_ages(panes, cells), resolution).sorted()

    def sorted(self) -> DwellIntervals:
        """The same stays in their order; those of several groups of riders may be put together first."""
        order = np.lexsort((self.pane_start_ms, self.neighborhood))
        return DwellIntervals(
            self.neighborhood[order], self.pane_start_ms[order], self.age[order], self.resolution, self.counts
        )

    @staticmethod
    def are_cut(first_ms: Ints, last_ms: Ints, end_ms: Ints) -> npt.NDArray[np.bool_]:
        """Which time spans of panes (starts of the first and last one, ms) a curve before one of some moments (ms)
        needs a part of, but not all."""
        first, last = first_ms[:, None], last_ms[:, None]
        start, stop = end_ms - HISTORY_MS, end_ms - PANE_MS
        overlap = (last >= start) & (first <= stop)
        return np.any(overlap & ((first < start) | (last > stop)), axis=1)

    def curve(self, neighborhood: np.uint64, end_ms: int) -> Floats:
        """Shares of the ages 0..18 in the four weeks before `end_ms`; NaN where too few were seen."""
        lo = np.searchsorted(self.neighborhood, neighborhood, side="left")
        hi = np.searchsorted(self.neighborhood, neighborhood, side="right")
        times = self.pane_start_ms[lo:hi]
        start_ms, stop_ms = end_ms - HISTORY_MS, end_ms - PANE_MS
        first, stop = lo + np.searchsorted(times, start_ms), lo + np.searchsorted(times, stop_ms, side="right")
        count = np.bincount(self.age[first:stop], minlength=_AGES)
        if self.counts is not None:
            count += self.counts.within(neighborhood, start_ms, stop_ms)
        seen = count.sum()
        return np.full(_AGES, np.nan) if seen < MIN_DWELLS else count / seen


def dwell_ages(panes: Panes, cells: PaneCells) -> Ints:
    """How many panes each pane's rider had already been in its zone without a gap of 90 min, at most 18."""
    new = np.ones(len(panes), dtype=bool)
    new[1:] = np.diff(panes.worker) != 0
    new[1:] |= (cells.zone[1:] != cells.zone[:-1]) | (np.diff(panes.pane_start_ms) > ACTIVITY_MS)
    since = np.maximum.accumulate(np.where(new, np.arange(len(panes)), 0))
    return np.minimum((panes.pane_start_ms - panes.pane_start_ms[since]) // PANE_MS, _AGES - 1)


@dataclass(frozen=True, eq=False)
class Arrivals:
    """How long each query's rider had been in the zone at confirmation, in panes, and the reports of that stay
    (0 = not there). Like all that is compared in a closed batch, from what had been received by then."""

    age: Ints
    reports: Ints

    @staticmethod
    def of(telemetry: TelemetryTable, queries: Queries, zones: ZoneShapes) -> Arrivals:
        confirmed_ms = queries.confirmed_at_ms
        lo, hi = telemetry.rows_between(queries.worker, confirmed_ms - ACTIVITY_MS, confirmed_ms)
        known = received_rows(telemetry, lo, hi, confirmed_ms)
        arrival = _arrivals(telemetry, zones, known)
        there = np.flatnonzero(known.lengths > arrival)
        first = known.row(there, arrival[there])
        age = np.zeros(len(queries), dtype=np.int64)
        age[there] = confirmed_ms[there] // PANE_MS - telemetry.event_time_ms[first] // PANE_MS
        return Arrivals(age, known.lengths - arrival)


def claim_burst_rank(queries: Queries, arrivals: Arrivals, dwells: DwellIntervals) -> Measured:
    """How much steeper the disruption's arrival curve is at this claim than the zone's own curve, a difference of
    shares.

    A rider arrived with the first report of the unbroken stay in the zone up to confirmation, at most 90 min back. The
    share of the batch's other riders who arrived in the same 5-min pane or a neighboring one, less the share that the
    stays seen in the zone's neighborhood over the four weeks before would put there.

    Range: -1..1. Direction: high points to fraud: a crowd that turned up together. Missing input: null for a rider who
    was not there, with fewer than MIN_BURST_RIDERS riders in the batch, or fewer than MIN_DWELLS observations of the
    neighborhood. Rests on: the reports of the stay. Source: `fraud.md`, features.
    """
    n = len(queries)
    reports = arrivals.reports
    present = np.flatnonzero((reports > 0) & (queries.batch >= 0))
    age = arrivals.age[present]
    batches, batch = np.unique(queries.batch[present], return_inverse=True)
    table = np.bincount(batch * _AGES + age, minlength=len(batches) * _AGES).reshape(-1, _AGES)
    others = table.sum(axis=1)[batch] - 1
    share = (_around(table)[batch, age] - 1) / np.maximum(others, 1)
    where = neighborhoods_of(queries.zone[present], dwells.resolution)
    end_ms = curve_ends_ms(queries)[present]
    moments, moment = np.unique(np.stack([where.astype(np.int64), end_ms]), axis=1, return_inverse=True)
    curves = [dwells.curve(np.uint64(cell), end) for cell, end in moments.T.tolist()]
    own = _around(np.array(curves).reshape(-1, _AGES))[moment.reshape(-1), age]
    rank = np.full(n, np.nan)
    rank[present] = np.where(others + 1 >= MIN_BURST_RIDERS, share - own, np.nan)
    return rank, reports


def curve_ends_ms(queries: Queries) -> Ints:
    """Where the arrival curve of each query's zone ends (ms): WINDOW_MS before the batch is confirmed."""
    return queries.confirmed_at_ms - WINDOW_MS


@dataclass(frozen=True, eq=False)
class HourlyOrders:
    """Orders that each query's rider completed in the hour up to confirmation, how many reports stated them (0 =
    not measured), and the last platform named in that hour, -1 = none."""

    orders: Floats
    reports: Ints
    platform: Ints

    @staticmethod
    def of(telemetry: TelemetryTable, queries: Queries) -> HourlyOrders:
        start_ms = queries.confirmed_at_ms - ORDERS_HOUR_MS
        end_ms = queries.confirmed_at_ms
        window = Window.of(telemetry, queries.worker, start_ms, end_ms, received_by_ms=end_ms)
        stated = window["orders_completed"] >= 0
        named = window["platform"] >= 0
        platform = np.full(len(queries), -1, dtype=np.int64)
        platform[window.span.query[named]] = window["platform"][named]
        orders = window.span.total(window["orders_completed"], stated)
        return HourlyOrders(orders, window.span.count(stated), platform)

    @staticmethod
    def join(parts: Sequence[HourlyOrders]) -> HourlyOrders:
        """The work of several blocks of queries, in their order."""
        empty = HourlyOrders(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        parts = [empty, *parts]
        return HourlyOrders(
            np.concatenate([part.orders for part in parts]),
            np.concatenate([part.reports for part in parts]),
            np.concatenate([part.platform for part in parts]),
        )


def peer_divergence(queries: Queries, work: HourlyOrders) -> Measured:
    """The rider's activity drop less the median drop of same-platform peers in the batch, a difference of shares.

    A drop is clamp((mean - orders) / mean, 0, 1), the mean being the policy's orders per hour, the orders those of
    ORDERS_HOUR_MS up to the confirmation.

    Range: -1..1. Direction: high points to fraud: who stopped working while his peers went on. Missing input: null
    where orders, platform or mean are not stated (a rider without a platform is nobody's peer), or with fewer than
    MIN_PEERS peers. Rests on: the reports that state orders. Source: `fraud.md`, features; peers and drop as
    `products.md`, gic.

    >>> queries = Queries.of(7, [0] * 6, [0] * 6, [0] * 6, batch=[1] * 6, orders_per_hour=[4.0] * 6)
    >>> work = HourlyOrders(np.array([0.0, 3, 3, 3, 4, 4]), np.full(6, 9), np.zeros(6, dtype=np.int64))
    >>> float(peer_divergence(queries, work)[0][0])  # all of the own orders gone, a quarter of a peer's
    0.75
    """
    mean = queries.orders_per_hour
    used = np.flatnonzero((work.reports > 0) & (work.platform >= 0) & (queries.batch >= 0) & (mean > 0))
    drop = np.clip((mean[used] - work.orders[used]) / mean[used], 0.0, 1.0)
    platforms = work.platform.max(initial=0) + 1
    _, group = np.unique(queries.batch[used] * platforms + work.platform[used], return_inverse=True)
    median, peers = medians_of_others(drop, group.astype(np.int64))
    divergence = np.full(len(queries), np.nan)
    divergence[used] = np.where(peers >= MIN_PEERS, drop - median, np.nan)
    return divergence, work.reports


def _arrivals(telemetry: TelemetryTable, zones: ZoneShapes, known: Ragged) -> Ints:
    """Where, among each query's rows, the run of rows in its zone begins that ends them; else their number."""
    arrival = known.lengths.copy()
    # Most stays are short: look back a little, and twice as far only where that was all in the zone.
    look_back = 16
    unsettled = np.flatnonzero(arrival > 0)
    while len(unsettled):
        start = np.maximum(0, arrival[unsettled] - look_back)
        span = Ragged(start, arrival[unsettled])
        rows = known.row(unsettled[span.query], span.rows)
        inside = zones.contains(telemetry.lat[rows], telemetry.lon[rows], unsettled[span.query])
        outside = np.flatnonzero(~inside)
        first = start.copy()
        first[span.query[outside]] = span.rows[outside] + 1
        arrival[unsettled] = first
        unsettled = unsettled[(first == start) & (start > 0)]
        look_back *= 2
    return arrival


def _around(table: np.ndarray) -> np.ndarray:
    """Each column with its neighbors."""
    wide = np.pad(table, ((0, 0), (1, 1)))
    return wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
