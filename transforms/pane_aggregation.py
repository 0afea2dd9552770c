"""Panes by numpy, generated from their definition: the telemetry table has the reports of a pane side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.transforms.panes import AGGREGATES, BASELINE_GRACE_MS, LIMIT, NULL, PANE_MS, Aggregate, Panes
from monsoon.transforms.telemetry_table import DTYPES, TelemetryTable

_CODED_NULL = {name for name, dtype in DTYPES.items() if name != "event_time_ms" and dtype is not np.float64}


def panes_of(telemetry: TelemetryTable, rows: npt.NDArray[np.int64] | None = None) -> Panes:
    """The panes of some reports of the telemetry table (ascending rows; None: of every report)."""

    def taken(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return column if rows is None else column[rows]

    time_ms, received_ms = taken(telemetry.event_time_ms), taken(telemetry.received_time_ms)
    start_ms = time_ms // PANE_MS * PANE_MS
    keys: list[npt.NDArray[Any]] = [taken(telemetry.worker), start_ms]
    if telemetry.states_received:
        known_ms = np.maximum(start_ms + PANE_MS, (received_ms + PANE_MS - 1) // PANE_MS * PANE_MS)
        keys += [known_ms, received_ms - time_ms <= BASELINE_GRACE_MS]
        order = np.lexsort(keys[::-1])
        keys = [key[order] for key in keys]
        rows = order if rows is None else rows[order]
    begins = np.ones(len(time_ms), dtype=np.bool_)
    begins[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    groups = _Groups(telemetry, rows, np.flatnonzero(begins), begins)
    keys = [key[groups.first] for key in keys]
    if not telemetry.states_received:
        keys += [keys[1] + PANE_MS, np.ones(len(groups.first), dtype=np.bool_)]
    columns = {aggregate.name: groups.aggregated(aggregate) for aggregate in AGGREGATES}
    worker_starts = np.searchsorted(keys[0], np.arange(len(telemetry.workers) + 1)).astype(np.int64)
    return Panes(keys[0], keys[1], keys[2], keys[3], columns, worker_starts)


@dataclass(frozen=True)
class _Groups:
    """Rows of a telemetry table (None: all), pane by pane; each pane begins at a place of `first`, where `begins`
    holds."""

    telemetry: TelemetryTable
    rows: npt.NDArray[np.int64] | None
    first: npt.NDArray[np.int64]
    begins: npt.NDArray[np.bool_]

    def _column(self, name: str) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = getattr(self.telemetry, name)
        return column if self.rows is None else column[self.rows]

    def aggregated(self, aggregate: Aggregate) -> npt.NDArray[np.int64]:
        """The aggregate of each pane."""
        column = self._column(aggregate.column)
        if column.dtype == np.float64:
            present = ~np.isnan(column)
        else:
            present = column >= 0 if aggregate.column in _CODED_NULL else np.ones(len(column), dtype=np.bool_)
        for condition, value in aggregate.where:
            present &= self._column(condition) == value
        if aggregate.kind == "count":
            return np.add.reduceat(present.astype(np.int64), self.first)
        if column.dtype == np.float64:
            with np.errstate(over="ignore"):
                scaled = np.floor(np.where(present, column, 0.0) * aggregate.scale + 0.5)
            term = np.clip(scaled, -LIMIT, LIMIT).astype(np.int64)
        else:
            term = np.clip(column.astype(np.int64) * aggregate.scale, -LIMIT, LIMIT)
        return self._reduced(aggregate.kind, term, present)

    def _reduced(self, kind: str, term: npt.NDArray[np.int64], present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        if kind == "sum":
            return np.add.reduceat(np.where(present, term, 0), self.first)
        if kind == "max":
            return np.maximum.reduceat(np.where(present, term, NULL), self.first)
        if kind == "min":  # -NULL is NULL
            return -np.maximum.reduceat(np.where(present, -term, NULL), self.first)
        if kind == "last":
            last = np.maximum.reduceat(np.where(present, np.arange(len(term)), -1), self.first)
            return np.where(last >= 0, term[last], NULL)
        pane = (np.cumsum(self.begins) - 1)[present]
        order = np.lexsort((term[present], pane))
        pane, term = pane[order], term[present][order]
        new = np.ones(len(pane), dtype=np.bool_)
        new[1:] = (pane[1:] != pane[:-1]) | (term[1:] != term[:-1])
        return np.bincount(pane[new], minlength=len(self.first))
