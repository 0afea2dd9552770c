"""Presence: the zone in which each rider of one product is at a moment.

The last report at or before the moment decides, if it is at most 90 minutes old and was received within a quarter of an
hour after the moment; a rider without one is at the home that the policy states. A product may count a reporting rider
as in every zone within a margin of that position.

Interpretations of the specification: docs/interpretations.md#who-claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.arrival import PRESENCE_GRACE_MS, received_rows, rows_received_later
from monsoon.transforms.evidence.ragged import Ragged
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.geo.near import any_point_within, cells_around, cells_within
from monsoon.transforms.telemetry_table import TelemetryTable, bisect_right, slices_of

REPORT_HOLDS_MS = 90 * 60_000
"""How long a report establishes presence (`products.md`, Presence)."""


class ReportCells:
    """The cells of a telemetry table's reports: products whose zones have one resolution share them."""

    def __init__(self, telemetry: TelemetryTable, known: Callable[[int], npt.NDArray[np.uint64]] | None = None) -> None:
        """`known` gives the cells of a resolution, where the caller has computed them before."""
        self.telemetry = telemetry
        self._known = known
        self._cells: dict[int, npt.NDArray[np.uint64]] = {}

    def cells(self, resolution: int) -> npt.NDArray[np.uint64]:
        """The cell of every report, uint64, in the telemetry table's order."""
        if resolution not in self._cells:
            self._cells[resolution] = (
                cells_of(self.telemetry.lat, self.telemetry.lon, resolution)
                if self._known is None
                else self._known(resolution)
            )
        return self._cells[resolution]


@dataclass(frozen=True)
class PresenceSnapshot:
    """The riders with a report at one moment (`reporting`), under each cell in which they count (`by_cell`)."""

    by_cell: dict[int, list[str]]
    reporting: Set[str]


class Presence:
    """The presence of some riders, in cells of one resolution; a rider with a report counts as in every cell within
    `margin_m` of its position (`transforms.geo.near`)."""

    def __init__(self, places: ReportCells, workers: Iterable[str], resolution: int, margin_m: float = 0.0) -> None:
        self._telemetry = places.telemetry
        self.workers = workers if isinstance(workers, Set) else frozenset(workers)
        self._cells = places.cells(resolution)
        self.resolution, self._margin_m = resolution, margin_m
        mine = [code for code, worker in enumerate(self._telemetry.workers) if worker in self.workers]
        self._codes = np.array(mine, dtype=np.int64)
        """Of the riders with any report, in the order of their ids."""
        self._dwells = DwellIntervals.of(places, self._codes, resolution, REPORT_HOLDS_MS)
        self._named: dict[str, npt.NDArray[np.int64]] = {}

    @cached_property
    def _cells_of_reports(self) -> frozenset[int]:
        return frozenset(self._dwells.cell.tolist())

    @property
    def visited(self) -> npt.NDArray[np.uint64]:
        """Every cell from which one of the riders ever reported and, with a margin, those that may be within it of
        one of these; sorted."""
        visited = np.unique(self._dwells.cell)
        return cells_around(visited.tolist(), self._margin_m) if self._margin_m > 0 else visited

    def reported_in(self, cell: int, at_ms: int) -> bool:
        """Whether a rider reported from the cell, or the margin around it, in the 90 minutes up to `at_ms`, both ends
        included."""
        if self._has_reports_in(cell, at_ms):
            return True
        others = cells_around([cell], self._margin_m).tolist() if self._margin_m > 0 else []
        return any(self._has_reports_in(other, at_ms) and self._near(cell, other, at_ms) for other in others)

    def _has_reports_in(self, cell: int, at_ms: int) -> bool:
        if cell not in self._cells_of_reports:
            return False
        rows = self._dwells.among(np.array([cell], dtype=np.uint64)).rows
        first, last = self._dwells.first_ms[rows], self._dwells.last_ms[rows]
        meets = bool(np.any((first <= at_ms) & (last >= at_ms - REPORT_HOLDS_MS)))
        return meets and (not self._telemetry.states_received or len(self._reports_from(cell, at_ms)) > 0)

    def _near(self, cell: int, other: int, at_ms: int) -> bool:
        """Whether a report of these 90 minutes from another cell lies within the margin."""
        rows = self._reports_from(other, at_ms)
        return any_point_within(self._telemetry.lat[rows], self._telemetry.lon[rows], cell, self._margin_m)

    def _reports_from(self, cell: int, at_ms: int) -> npt.NDArray[np.int64]:
        """Rows of the reports from a cell in these 90 minutes."""
        dwells = self._dwells.among(np.array([cell], dtype=np.uint64)).rows
        rows = Ragged(self._dwells.first_row[dwells], self._dwells.last_row[dwells] + 1).rows
        time_ms = self._telemetry.event_time_ms[rows]
        near = (time_ms <= at_ms) & (time_ms >= at_ms - REPORT_HOLDS_MS)
        return rows[near & (self._telemetry.received_time_ms[rows] <= at_ms + PRESENCE_GRACE_MS)]

    def _last_rows(self, at_ms: int) -> npt.NDArray[np.int64]:
        """The row of each rider's last report of the 90 minutes up to `at_ms`, both ends included; -1 for none."""
        rows = self._telemetry.last_at_or_before(self._codes, np.full(len(self._codes), at_ms, dtype=np.int64))
        found = np.flatnonzero(rows >= 0)
        old = self._telemetry.event_time_ms[rows[found]] < at_ms - REPORT_HOLDS_MS
        rows[found[old]] = -1
        if self._telemetry.states_received:
            late = np.flatnonzero((rows >= 0) & (self._telemetry.received_time_ms[rows] > at_ms + PRESENCE_GRACE_MS))
            lo, hi = self._telemetry.rows_between(self._codes[late], at_ms - REPORT_HOLDS_MS - 1, at_ms)
            rows[late] = received_rows(self._telemetry, lo, hi, at_ms + PRESENCE_GRACE_MS).last
        return rows

    def at(self, at_ms: int) -> PresenceSnapshot:
        """The presence of all riders at `at_ms`."""
        rows = self._last_rows(at_ms)
        seen = np.flatnonzero(rows >= 0)
        last = rows[seen]
        riders, cells = seen, self._cells[last]
        if self._margin_m > 0:
            point, cells = cells_within(self._telemetry.lat[last], self._telemetry.lon[last], cells, self._margin_m)
            riders = seen[point]
        by_cell: dict[int, list[str]] = {}
        for rider, cell in zip(riders.tolist(), cells.tolist(), strict=True):
            by_cell.setdefault(cell, []).append(self._worker(rider))
        return PresenceSnapshot(by_cell, {self._worker(rider) for rider in seen.tolist()})

    def _worker(self, rider: int) -> str:
        return self._telemetry.workers[self._codes[rider]]

    def riders_naming(self, platform: str, at_ms: int) -> set[str]:
        """Riders whose reports named a platform in the 90 minutes up to `at_ms`, both ends included."""
        if platform not in self._named:
            code = self._telemetry.platforms.index(platform) if platform in self._telemetry.platforms else -2
            self._named[platform] = np.concatenate(([0], np.cumsum(self._telemetry.platform == code)))
        lo, hi = self._telemetry.rows_between(self._codes, at_ms - REPORT_HOLDS_MS - 1, at_ms)
        before = self._named[platform]
        named = before[hi] - before[lo]
        rider, row = rows_received_later(self._telemetry, lo, hi, at_ms + PRESENCE_GRACE_MS)
        np.subtract.at(named, rider, before[row + 1] - before[row])
        return {self._worker(rider) for rider in np.flatnonzero(named > 0).tolist()}


@dataclass(frozen=True, eq=False)
class DwellIntervals:
    """Intervals of reports of one rider from one cell, without a gap longer than `gap_ms`; sorted by cell.

    A window of that length that meets an interval therefore holds one of its reports. `rider` is a code in the
    telemetry table, rows are the telemetry table's.
    """

    cell: npt.NDArray[np.uint64]
    rider: npt.NDArray[np.int64]
    first_ms: npt.NDArray[np.int64]
    last_ms: npt.NDArray[np.int64]
    first_row: npt.NDArray[np.int64]
    last_row: npt.NDArray[np.int64]
    telemetry: TelemetryTable

    @staticmethod
    def of(places: ReportCells, riders: npt.NDArray[np.int64], resolution: int, gap_ms: int) -> DwellIntervals:
        """The intervals of these riders (codes in the telemetry table)."""
        telemetry = places.telemetry
        starts, stops = slices_of(telemetry.worker_starts, riders)
        mine = np.zeros(len(telemetry) + 1, dtype=np.int32)
        np.add.at(mine, starts, 1)
        np.add.at(mine, stops, -1)
        rows = np.flatnonzero(np.cumsum(mine[:-1]))
        cell, time_ms, rider = places.cells(resolution)[rows], telemetry.event_time_ms[rows], telemetry.worker[rows]
        breaks = np.ones(len(rows), dtype=bool)
        breaks[1:] = (cell[1:] != cell[:-1]) | (rider[1:] != rider[:-1]) | (time_ms[1:] - time_ms[:-1] > gap_ms)
        first = np.flatnonzero(breaks)
        last = np.append(first[1:], len(rows))[: len(first)] - 1
        order = np.argsort(cell[first], kind="stable")
        first, last = first[order], last[order]
        who = rider[first].astype(np.int64)
        return DwellIntervals(cell[first], who, time_ms[first], time_ms[last], rows[first], rows[last], telemetry)

    def among(self, cells: npt.NDArray[np.uint64]) -> Ragged:
        """The intervals in each of some cells."""
        return Ragged(np.searchsorted(self.cell, cells, "left"), np.searchsorted(self.cell, cells, "right"))

    def seen(
        self,
        cells: npt.NDArray[np.uint64],
        t_ms: npt.NDArray[np.int64],
        window_ms: int,
        received_by_ms: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Pairs of a query (index) and a rider of whom a report from its cell in (t - window, t] had been received by a
        moment, each once; the intervals must be without gaps longer than the window."""
        span = self.among(cells)
        query, rows = span.query, span.rows
        meets = (self.first_ms[rows] <= t_ms[query]) & (self.last_ms[rows] > t_ms[query] - window_ms)
        query, rows = query[meets], rows[meets]
        if self.telemetry.states_received:
            known = self._any_received(rows, t_ms[query] - window_ms, t_ms[query], received_by_ms[query])
            query, rows = query[known], rows[known]
        pairs = np.unique(np.stack([query, self.rider[rows]]), axis=1)
        return pairs[0], pairs[1]

    def _any_received(
        self,
        dwells: npt.NDArray[np.int64],
        start_ms: npt.NDArray[np.int64],
        end_ms: npt.NDArray[np.int64],
        by_ms: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.bool_]:
        """Whether a report of each interval with start < event_time <= end had been received by a moment."""
        time_ms, first, stop = self.telemetry.event_time_ms, self.first_row[dwells], self.last_row[dwells] + 1
        lo, hi = bisect_right(time_ms, first, stop, start_ms), bisect_right(time_ms, first, stop, end_ms)
        later, _ = rows_received_later(self.telemetry, lo, hi, by_ms)
        return hi - lo > np.bincount(later, minlength=len(lo))
