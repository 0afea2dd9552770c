"""A phone's own baselines from its panes before the window, by prefix sums of integers.

A pane counts for a device if all of its reports name that device; a baseline is of one worker with one device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.limits import BATTERY_BLOCK_MS, HISTORY_MS, MIN_DRAIN_MS
from monsoon.transforms.evidence.ragged import Floats, Ints, over
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.panes import CENTI, PANE_MS, Panes
from monsoon.transforms.trail import Trail, bisect_right

_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, eq=False)
class _Owners:
    """A table sorted by (worker, device, time), and where each pair's rows begin."""

    pair: Ints
    starts: Ints
    time_ms: Ints
    trail: Trail

    @staticmethod
    def of(trail: Trail, pair: Ints, time_ms: Ints) -> _Owners:
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        return _Owners(pair[first], np.append(first, len(pair)), time_ms, trail)

    def before(self, queries: Queries, device: Ints, length_ms: int) -> tuple[Ints, Ints]:
        """Rows `lo:hi` of each query's worker and device that end before its window."""
        if not len(self.pair):
            return np.zeros_like(device), np.zeros_like(device)
        wanted = _pair(self.trail, queries.worker, device)
        place = np.minimum(np.searchsorted(self.pair, wanted), len(self.pair) - 1)
        known = (device >= 0) & (self.pair[place] == wanted)
        first = self.starts[place]
        stop = np.where(known, self.starts[place + 1], first)
        end_ms = queries.window_start_ms
        lo = bisect_right(self.time_ms, first, stop, end_ms - HISTORY_MS - 1)
        return lo, bisect_right(self.time_ms, lo, stop, end_ms - length_ms)


def _pair(trail: Trail, worker: npt.NDArray[np.integer], device: npt.NDArray[np.integer]) -> Ints:
    return worker.astype(np.int64) * max(len(trail.devices), 1) + device


def _by_owner(trail: Trail, panes: Panes) -> tuple[Ints, Ints]:
    """Panes of one device in the order (worker, device, time), and their pairs."""
    single = np.flatnonzero(panes["devices"] == 1)
    pair = _pair(trail, panes.worker[single], panes["device"][single])
    order = np.argsort(pair, kind="stable")
    return single[order], pair[order]


def _prefix(values: npt.NDArray[np.integer]) -> Ints:
    return np.concatenate(([0], np.cumsum(values, dtype=np.int64)))


@dataclass(frozen=True, eq=False)
class SignalBaseline:
    """Means of C/N0 and AGC level."""

    owners: _Owners
    sums: dict[str, Ints]

    @staticmethod
    def of(trail: Trail, panes: Panes) -> SignalBaseline:
        rows, pair = _by_owner(trail, panes)
        names = ("agc_reports", "agc_sum_cdb", "cn0_reports", "cn0_sum_cdbhz")
        sums = {name: _prefix(panes[name][rows]) for name in names}
        return SignalBaseline(_Owners.of(trail, pair, panes.pane_start_ms[rows]), sums)

    def before(self, queries: Queries, device: Ints) -> tuple[Ints, Floats, Floats]:
        """How many reports a baseline rests on (the fewer of both), mean AGC in dB, mean C/N0 in dB-Hz."""
        lo, hi = self.owners.before(queries, device, PANE_MS)
        total = {name: sums[hi] - sums[lo] for name, sums in self.sums.items()}
        agc = over(total["agc_sum_cdb"], total["agc_reports"] * CENTI)
        cn0 = over(total["cn0_sum_cdbhz"], total["cn0_reports"] * CENTI)
        return np.minimum(total["agc_reports"], total["cn0_reports"]), agc, cn0


@dataclass(frozen=True, eq=False)
class BatteryBaseline:
    """Drain rates of half hours without charging, in hundredths of a percent per hour."""

    owners: _Owners
    rates: Ints
    squares: Ints

    @staticmethod
    def of(trail: Trail, panes: Panes) -> BatteryBaseline:
        rows, pair = _by_owner(trail, panes)
        block = panes.pane_start_ms[rows] // BATTERY_BLOCK_MS
        first = np.flatnonzero((np.diff(pair, prepend=-1) != 0) | (np.diff(block, prepend=-1) != 0))
        if not len(first):
            return BatteryBaseline(_Owners.of(trail, pair, block), _prefix(block), _prefix(block))
        measured = panes["discharging_reports"][rows] > 0
        none = np.iinfo(np.int64)

        def least(name: str) -> Ints:
            return np.minimum.reduceat(np.where(measured, panes[name][rows], none.max), first)

        def most(name: str) -> Ints:
            return np.maximum.reduceat(np.where(measured, panes[name][rows], none.min), first)

        good = np.add.reduceat(measured.astype(np.int64), first) > 0
        good &= np.add.reduceat(panes["charging_reports"][rows], first) == 0
        duration_ms = np.where(good, most("discharging_last_ms") - least("discharging_first_ms"), 0)
        good &= duration_ms >= MIN_DRAIN_MS
        drop_cpct = np.where(good, most("battery_max_cpct") - least("battery_min_cpct"), 0)
        rate = drop_cpct[good] * _MS_PER_HOUR // duration_ms[good]
        kept = first[good]
        owners = _Owners.of(trail, pair[kept], block[kept] * BATTERY_BLOCK_MS)
        return BatteryBaseline(owners, _prefix(rate), _prefix(rate * rate))

    def before(self, queries: Queries, device: Ints) -> tuple[Ints, Floats, Floats]:
        """How many half hours, their mean rate and its standard deviation in percent per hour."""
        lo, hi = self.owners.before(queries, device, BATTERY_BLOCK_MS)
        blocks = hi - lo
        total, squares = self.rates[hi] - self.rates[lo], self.squares[hi] - self.squares[lo]
        mean = over(total, blocks)
        sd = np.sqrt(np.maximum(over(blocks * squares - total * total, blocks * blocks), 0.0))
        return blocks, mean / CENTI, sd / CENTI
