"""Baselines of a device from its panes before the window, by prefix sums of integers.

A pane counts for a device if all of its reports name that device; a baseline is of one worker with one device. It rests
on reports received by the decision, and on none that came too late to be history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.limits import BATTERY_BLOCK_MS, HISTORY_MS, MIN_DRAIN_MS, WINDOW_MS
from monsoon.transforms.evidence.ragged import Floats, Ints, Ragged, ratio
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.panes import BASELINE_GRACE_MS, CENTI, PANE_MS, Panes
from monsoon.transforms.telemetry_table import TelemetryTable, bisect_right

_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, eq=False)
class _DeviceRows:
    """A table sorted by (worker, device, time), and where each pair's rows begin.

    Rows end `length_ms` after their time, and count for decisions in [known_from, known_until): what came later may
    make another row of one. Columns are prefix sums over the rows that are not superseded.
    """

    pair: Ints
    starts: Ints
    time_ms: Ints
    known_from_ms: Ints
    known_until_ms: Ints
    length_ms: int
    telemetry: TelemetryTable

    @staticmethod
    def of(
        telemetry: TelemetryTable, pair: Ints, time_ms: Ints, known_ms: tuple[Ints, Ints], length_ms: int
    ) -> _DeviceRows:
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        return _DeviceRows(pair[first], np.append(first, len(pair)), time_ms, *known_ms, length_ms, telemetry)

    def prefix(self, values: Ints) -> tuple[Ints, Ints]:
        """A column, and its prefix sums over the rows that are not superseded."""
        kept = np.where(self.known_until_ms == _FOR_EVER_MS, values, 0)
        return values, np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))

    def sums(self, columns: Sequence[tuple[Ints, Ints]], queries: Queries, device: Ints) -> list[Ints]:
        """Of each column (`prefix`) the total over the rows of each query's worker and device that end before its
        window, as they are known at its decision."""
        lo, hi = self._before(queries, device)
        query, row, times = self._corrections(queries, lo, hi)
        totals = []
        for values, prefix in columns:
            total = prefix[hi] - prefix[lo]
            np.add.at(total, query, times * values[row])
            totals.append(total)
        return totals

    def _before(self, queries: Queries, device: Ints) -> tuple[Ints, Ints]:
        """Rows `lo:hi` of each query's worker and device that end before its window."""
        if not len(self.pair):
            return np.zeros_like(device), np.zeros_like(device)
        wanted = _pair(self.telemetry, queries.worker, device)
        place = np.minimum(np.searchsorted(self.pair, wanted), len(self.pair) - 1)
        known = (device >= 0) & (self.pair[place] == wanted)
        first = self.starts[place]
        stop = np.where(known, self.starts[place + 1], first)
        end_ms = queries.window_start_ms
        lo = bisect_right(self.time_ms, first, stop, end_ms - HISTORY_MS - 1)
        return lo, bisect_right(self.time_ms, lo, stop, end_ms - self.length_ms)

    def _corrections(self, queries: Queries, lo: Ints, hi: Ints) -> tuple[Ints, Ints, Ints]:
        """Where the prefix sums over `lo:hi` are wrong for a query's decision: query, row, and 1 for a row that counts
        though it is superseded, -1 for one that was not known yet."""
        # What ended before the window, and was known within a window's length, was known by the decision.
        if not np.any(self.known_from_ms > self.time_ms + self.length_ms + WINDOW_MS):
            none = np.empty(0, dtype=np.int64)
            return none, none, none
        # Of history nothing comes later than BASELINE_GRACE_MS, and it is known when the pane in which it came is over.
        known_ms = queries.decided_at_ms - self.length_ms - BASELINE_GRACE_MS - PANE_MS
        rows = Ragged(bisect_right(self.time_ms, lo, hi, known_ms), hi)
        decided_ms = queries.decided_at_ms[rows.query]
        counts = (self.known_from_ms[rows.rows] <= decided_ms) & (decided_ms < self.known_until_ms[rows.rows])
        times = counts.astype(np.int64) - (self.known_until_ms[rows.rows] == _FOR_EVER_MS)
        wrong = times != 0
        return rows.query[wrong], rows.rows[wrong], times[wrong]


def _pair(telemetry: TelemetryTable, worker: npt.NDArray[np.integer], device: npt.NDArray[np.integer]) -> Ints:
    return worker.astype(np.int64) * max(len(telemetry.devices), 1) + device


def _by_device(telemetry: TelemetryTable, panes: Panes) -> tuple[Ints, Ints]:
    """Panes of one device in the order (worker, device, time), and their pairs."""
    single = np.flatnonzero(panes["devices"] == 1)
    pair = _pair(telemetry, panes.worker[single], panes["device"][single])
    order = np.argsort(pair, kind="stable")
    return single[order], pair[order]


_FOR_EVER_MS = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class SignalBaseline:
    """Means of C/N0 and AGC level."""

    device_rows: _DeviceRows
    sums: tuple[tuple[Ints, Ints], ...]

    @staticmethod
    def of(telemetry: TelemetryTable, panes: Panes) -> SignalBaseline:
        panes = panes.of_history
        rows, pair = _by_device(telemetry, panes)
        known_ms = panes.known_from_ms[rows], np.full(len(rows), _FOR_EVER_MS)
        device_rows = _DeviceRows.of(telemetry, pair, panes.pane_start_ms[rows], known_ms, PANE_MS)
        names = ("agc_reports", "agc_sum_cdb", "cn0_reports", "cn0_sum_cdbhz")
        return SignalBaseline(device_rows, tuple(device_rows.prefix(panes[name][rows]) for name in names))

    def before(self, queries: Queries, device: Ints) -> tuple[Ints, Floats, Floats]:
        """How many reports a baseline rests on (the fewer of both), mean AGC in dB, mean C/N0 in dB-Hz."""
        agc_reports, agc_sum, cn0_reports, cn0_sum = self.device_rows.sums(self.sums, queries, device)
        agc, cn0 = ratio(agc_sum, agc_reports * CENTI), ratio(cn0_sum, cn0_reports * CENTI)
        return np.minimum(agc_reports, cn0_reports), agc, cn0


@dataclass(frozen=True, eq=False)
class BatteryBaseline:
    """Drain rates of half hours without charging, in hundredths of a percent per hour."""

    device_rows: _DeviceRows
    sums: tuple[tuple[Ints, Ints], ...]

    @staticmethod
    def of(telemetry: TelemetryTable, panes: Panes) -> BatteryBaseline:
        panes = panes.of_history
        rows, pair = _by_device(telemetry, panes)
        block = panes.pane_start_ms[rows] // BATTERY_BLOCK_MS
        known_ms = np.maximum(panes.known_from_ms[rows], (block + 1) * BATTERY_BLOCK_MS)
        order = np.lexsort((known_ms, block, pair))
        rows, pair, block, known_ms = rows[order], pair[order], block[order], known_ms[order]
        # A half hour of which panes came later is one as it was known before, and another as it was known then.
        other = np.ones(len(rows), dtype=bool)
        other[1:] = (np.diff(pair) != 0) | (np.diff(block) != 0)
        first = np.flatnonzero(other | (np.diff(known_ms, prepend=-1) != 0))
        begins = np.maximum.accumulate(np.where(other, np.arange(len(rows)), 0))[first]
        made = Ragged(begins, np.append(first[1:], len(rows))[: len(first)])
        superseded = np.append(~other[first[1:]], False)[: len(first)]
        until_ms = np.where(superseded, np.append(known_ms[first[1:]], 0)[: len(first)], _FOR_EVER_MS)
        device_rows = _DeviceRows.of(
            telemetry, pair[first], block[first] * BATTERY_BLOCK_MS, (known_ms[first], until_ms), BATTERY_BLOCK_MS
        )
        good, rate = _drain_rates(panes, rows[made.rows], made.offsets[:-1])
        return BatteryBaseline(device_rows, tuple(device_rows.prefix(each) for each in (good, rate, rate * rate)))

    def before(self, queries: Queries, device: Ints) -> tuple[Ints, Floats, Floats]:
        """How many half hours, their mean rate and its standard deviation in percent per hour."""
        blocks, total, squares = self.device_rows.sums(self.sums, queries, device)
        mean = ratio(total, blocks)
        sd = np.sqrt(np.maximum(ratio(blocks * squares - total * total, blocks * blocks), 0.0))
        return blocks, mean / CENTI, sd / CENTI


def _drain_rates(panes: Panes, rows: Ints, first: Ints) -> tuple[Ints, Ints]:
    """For each stretch of panes (from each of `first` on) whether it has a rate, 1 or 0, and the rate or 0."""
    none = np.iinfo(np.int64)
    if not len(first):
        return first, first
    measured = panes["discharging_reports"][rows] > 0

    def lowest(name: str) -> Ints:
        return np.minimum.reduceat(np.where(measured, panes[name][rows], none.max), first)

    def highest(name: str) -> Ints:
        return np.maximum.reduceat(np.where(measured, panes[name][rows], none.min), first)

    good = np.add.reduceat(measured.astype(np.int64), first) > 0
    good &= np.add.reduceat(panes["charging_reports"][rows], first) == 0
    duration_ms = np.where(good, highest("discharging_last_ms") - lowest("discharging_first_ms"), 0)
    good &= duration_ms >= MIN_DRAIN_MS
    drop_cpct = np.where(good, highest("battery_max_cpct") - lowest("battery_min_cpct"), 0)
    return good.astype(np.int64), drop_cpct * _MS_PER_HOUR // np.maximum(duration_ms, 1) * good
