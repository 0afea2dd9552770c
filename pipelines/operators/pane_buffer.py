"""A bucket's panes: reports reduced to windows of five minutes, which are kept longer than the reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.operators.report_store import ReportStore
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.pipelines.runtime.messages import stacked, unpack
from monsoon.pipelines.runtime.time_partitioned_buffer import TimePartitionedBuffer
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.panes import AGGREGATES, NULL, PANE_MS, Panes
from monsoon.transforms.rings.sightings import PhonePanes
from monsoon.transforms.telemetry_table import TelemetryTable

_NAMES = [aggregate.name for aggregate in AGGREGATES if aggregate.name != "device"]
SCHEMA: dict[str, Any] = {
    "worker_id": pl.String,
    "device_id": pl.String,
    "pane_start_ms": pl.Int64,
    "known_from_ms": pl.Int64,
    "history": pl.Boolean,
    **dict.fromkeys(_NAMES, pl.Int64),
}
"""A pane in messages and in state: with ids of riders and devices instead of codes."""


PANES_WAIT_MS = 3_600_000
"""Panes that no claim needs earlier are closed after an hour, unless features are measured of them."""


class PaneBuffer(TimePartitionedBuffer):
    """Closed panes (SCHEMA)."""

    def frame(self, after_ms: int | None = None) -> pl.DataFrame:
        """Panes that start after a moment (ms; None: all)."""
        return stacked(list(self.rows_after(after_ms)), SCHEMA)

    def of_workers(self, workers: Collection[str], columns: Sequence[str] = tuple(SCHEMA)) -> pl.DataFrame:
        """All panes of some riders, in these columns."""
        frames = []
        for part in self.parts:
            rows = [part.rows_of_worker[worker] for worker in workers if worker in part.rows_of_worker]
            if rows:
                frames.append(part.frame.select(columns)[np.sort(np.concatenate(rows))])
        return stacked(frames, {name: SCHEMA[name] for name in columns})

    def phones_of(self, workers: Collection[str]) -> pl.DataFrame:
        """Which phones some riders used, pane by pane."""
        frame = self.of_workers(workers, ("worker_id", "device_id", "pane_start_ms", "known_from_ms"))
        return frame.filter(frame["device_id"].is_not_null())


class PaneReducer:
    """Aggregates reports to panes, each pane once when it is closed; the operator decides when."""

    def __init__(
        self, state: StateWriter, reports: ReportStore, panes: PaneBuffer, wait_ms: int = PANES_WAIT_MS
    ) -> None:
        """Panes that no claim needs earlier are closed `wait_ms` after their start."""
        self._state, self._reports, self._panes, self._wait_ms = state, reports, panes, wait_ms
        self.closed_ms: int | None = None
        """Panes that start before it are closed (ms); None: none is."""

    @property
    def due_ms(self) -> int | None:
        """When open panes have to be closed (ms); None: there are none."""
        open_ms = self.open_ms
        return None if open_ms is None else open_ms + self._wait_ms

    @property
    def open_ms(self) -> int | None:
        """The start (ms) of the first open pane; None: there are none."""
        closed_ms = self.closed_ms
        first_ms = self._reports.first_ms if closed_ms is None else self._reports.first_after(closed_ms)
        return None if first_ms is None else pane_floor(first_ms)

    def close(self, upto_ms: int) -> int | None:
        """Closes panes that end by `upto_ms`; gives the start (ms) of the first of them, or None."""
        from_ms, last_ms = self.open_ms, self._reports.last_ms
        if from_ms is None or last_ms is None:
            return None
        to_ms = min(pane_floor(min(upto_ms, last_ms + PANE_MS)), pane_floor(last_ms) + PANE_MS)
        if to_ms <= from_ms:
            return None
        self._panes.put(closed_panes(self._reports.report_cells(from_ms - 1).telemetry, from_ms, to_ms))
        self.closed_ms = to_ms
        self._state.put_packed("paned", to_ms)
        return from_ms

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries."""
        if "paned" in entries:
            self.closed_ms = unpack(entries["paned"], int)


def closed_panes(telemetry: TelemetryTable, from_ms: int, to_ms: int) -> pl.DataFrame:
    """The panes (SCHEMA) that start in [from, to), both starts of panes; `telemetry` must have all their reports."""
    time_ms = telemetry.event_time_ms
    panes = panes_of(telemetry, np.flatnonzero((time_ms >= from_ms) & (time_ms < to_ms)))
    return pl.DataFrame(
        {
            "worker_id": decoded(telemetry.workers, panes.worker),
            "device_id": decoded(telemetry.devices, panes["device"]),
            "pane_start_ms": panes.pane_start_ms,
            "known_from_ms": panes.known_from_ms,
            "history": panes.history,
            **{name: panes[name] for name in _NAMES},
        },
        schema=SCHEMA,
    )


def to_panes(frame: pl.DataFrame, workers: Sequence[str], devices: Sequence[str]) -> Panes:
    """Panes with codes for their riders and devices: positions among those of a telemetry table that has them all
    (`TelemetryTable.with_codes_for`)."""
    columns = {name: frame[name].to_numpy() for name in _NAMES}
    columns["device"] = _codes(devices, frame["device_id"], NULL)
    worker = _codes(workers, frame["worker_id"], -1)
    start_ms, known_from_ms, history = (
        frame[name].to_numpy() for name in ("pane_start_ms", "known_from_ms", "history")
    )
    return Panes.of(worker, start_ms, known_from_ms, history, columns, len(workers))


def phones_of(frame: pl.DataFrame, telemetry: TelemetryTable) -> PhonePanes:
    """The same, with the codes of a telemetry table that has them all."""
    return PhonePanes.of(
        _codes(telemetry.workers, frame["worker_id"], -1),
        _codes(telemetry.devices, frame["device_id"], -1),
        frame["pane_start_ms"].to_numpy(),
        frame["known_from_ms"].to_numpy(),
        len(telemetry.workers),
    )


def pane_floor(at_ms: int) -> int:
    """The start of the pane in which a moment lies."""
    return at_ms // PANE_MS * PANE_MS


def decoded(values: Sequence[str], codes: Any) -> pl.Series:
    """Decodes codes, row by row."""
    return pl.Series(values, dtype=pl.String)[codes.astype(np.uint32)]


def _codes(values: Sequence[str], texts: pl.Series, null: int) -> npt.NDArray[np.int64]:
    """The code of each text."""
    code_of: dict[str | None, int] = {value: code for code, value in enumerate(values)}
    return np.array([code_of.get(text, null) for text in texts.to_list()], dtype=np.int64)
