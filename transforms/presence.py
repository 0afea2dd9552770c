"""Where the riders of one product are at a moment: a rider is in one place at a time.

The last report at or before the moment says where, if it is at most 90 minutes old; a rider without one is at the
home that the policy states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.trail import Trail

REPORT_HOLDS_MS = 90 * 60_000
"""How long a report says where its rider is (`products.md`, Presence)."""


@dataclass(frozen=True)
class Snapshot:
    """All riders at one moment: `by_cell` those with a report, by its cell; `silent` those without one."""

    by_cell: dict[int, list[str]]
    silent: list[str]


class Presence:
    """The whereabouts of some riders, in cells of one resolution."""

    def __init__(self, trail: Trail, workers: Sequence[str], resolution: int) -> None:
        self._trail = trail
        self._resolution = resolution
        self._workers = sorted(workers)
        code_of = {worker: code for code, worker in enumerate(trail.workers)}
        self._codes = np.array([code_of.get(worker, -1) for worker in self._workers], dtype=np.int64)
        self._stays = _stays(trail, self._codes[self._codes >= 0], resolution)

    @property
    def visited(self) -> npt.NDArray[np.uint64]:
        """Every cell from which one of the riders ever reported, sorted."""
        return np.unique(self._stays.cell)

    def reported_in(self, cell: int, at_ms: int) -> bool:
        """Whether a rider reported from the cell in the 90 minutes up to `at_ms`, both ends included."""
        low, high = np.searchsorted(self._stays.cell, np.array([cell, cell + 1], dtype=np.uint64))
        first, last = self._stays.first_ms[low:high], self._stays.last_ms[low:high]
        return bool(np.any((first <= at_ms) & (last >= at_ms - REPORT_HOLDS_MS)))

    def at(self, at_ms: int) -> Snapshot:
        """Where everybody is at `at_ms`."""
        known = np.flatnonzero(self._codes >= 0)
        rows = np.full(len(self._codes), -1, dtype=np.int64)
        rows[known] = self._trail.last_at_or_before(self._codes[known], np.full(len(known), at_ms, dtype=np.int64))
        seen = np.flatnonzero(rows >= 0)
        seen = seen[self._trail.event_time_ms[rows[seen]] >= at_ms - REPORT_HOLDS_MS]
        cells = cells_of(self._trail.lat[rows[seen]], self._trail.lon[rows[seen]], self._resolution)
        by_cell: dict[int, list[str]] = {}
        for rider, cell in zip(seen.tolist(), cells.tolist(), strict=True):
            by_cell.setdefault(cell, []).append(self._workers[rider])
        silent = np.ones(len(self._workers), dtype=bool)
        silent[seen] = False
        return Snapshot(by_cell, [self._workers[rider] for rider in np.flatnonzero(silent).tolist()])


@dataclass(frozen=True)
class _Stays:
    """Stretches of reports of one rider from one cell, none of their gaps over 90 minutes; sorted by cell.

    A window of 90 minutes that meets a stretch therefore holds one of its reports.
    """

    cell: npt.NDArray[np.uint64]
    first_ms: npt.NDArray[np.int64]
    last_ms: npt.NDArray[np.int64]


def _stays(trail: Trail, codes: npt.NDArray[np.int64], resolution: int) -> _Stays:
    starts, stops = trail.worker_starts[codes], trail.worker_starts[codes + 1]
    mine = np.zeros(len(trail.event_time_ms) + 1, dtype=np.int32)
    np.add.at(mine, starts, 1)
    np.add.at(mine, stops, -1)
    rows = np.flatnonzero(np.cumsum(mine[:-1]))
    if not len(rows):
        return _Stays(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))
    cell = cells_of(trail.lat[rows], trail.lon[rows], resolution)
    time_ms, worker = trail.event_time_ms[rows], trail.worker[rows]
    breaks = (cell[1:] != cell[:-1]) | (worker[1:] != worker[:-1]) | (time_ms[1:] - time_ms[:-1] > REPORT_HOLDS_MS)
    first = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    last = np.concatenate((first[1:] - 1, [len(rows) - 1]))
    order = np.argsort(cell[first], kind="stable")
    return _Stays(cell[first][order], time_ms[first][order], time_ms[last][order])
