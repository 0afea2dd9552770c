"""Buffers of a bucket's telemetry: recent reports as rows, older ones as panes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.pipelines.runtime.messages import stacked, unpack
from monsoon.pipelines.runtime.time_partitioned_buffer import TimePartitionedBuffer
from monsoon.sources.telemetry_store import in_order, joined
from monsoon.sources.telemetry_table import to_telemetry_table
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.panes import AGGREGATES, NULL, PANE_MS, Panes
from monsoon.transforms.presence import ReportCells
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


_PANES_WAIT_MS = 3_600_000
"""Panes that no claim needs earlier are closed after an hour."""

_IDENTITY = ("worker_id", "event_id")


class TelemetryBuffer(TimePartitionedBuffer):
    """Validated, deduplicated rows, in any order."""

    _laid_out: tuple[int, list[str], ReportCells] | None = None
    """The last result of `report_cells`: after which moment (ms), of which parts."""

    @property
    def first_ms(self) -> int | None:
        return min((part.first_ms for part in self.parts), default=None)

    @property
    def last_ms(self) -> int | None:
        return max((part.last_ms for part in self.parts), default=None)

    def first_after(self, at_ms: int) -> int | None:
        """The event time (ms) of the first report at or after a moment."""
        firsts = []
        for part in self.parts:
            if part.first_ms >= at_ms:
                firsts.append(part.first_ms)
            elif part.last_ms >= at_ms:
                times = part.frame["event_time"]
                firsts.append(int(times.filter(times >= at_ms).min()))  # type: ignore[arg-type]
        return min(firsts, default=None)

    def not_buffered(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows whose report (worker_id, event_id) is not in the buffer.

        Duplicates come here only when they are so late that `DeduplicateTelemetry` no longer remembers the report; so
        rows later than the buffer's last need no check.
        """
        if self.last_ms is None:
            return frame
        late = frame["event_time"] <= self.last_ms
        if not late.any():
            return frame
        times = frame["event_time"].filter(late)
        first_ms, last_ms = int(times.min()), int(times.max())  # type: ignore[arg-type]
        overlapping = [
            part.frame.select(*_IDENTITY)
            for part in self.parts
            if part.first_ms <= last_ms and part.last_ms >= first_ms
        ]
        if not overlapping:
            return frame
        numbered = frame.select(*_IDENTITY).with_row_index("row").filter(late)
        repeated = numbered.join(pl.concat(overlapping), on=_IDENTITY, how="semi")["row"].to_numpy()
        new = np.ones(frame.height, dtype=np.bool_)
        new[repeated] = False
        return frame.filter(pl.Series(new))

    def telemetry(self, after_ms: int | None = None, workers: Collection[str] | None = None) -> TelemetryTable:
        """The table of reports after a moment (ms; None: all), of some riders (None: of all)."""
        frames = list(self.rows_after(after_ms))
        if workers is not None:
            of_workers = pl.col("worker_id").cast(pl.String).is_in(sorted(workers))
            frames = [part for frame in frames if (part := frame.filter(of_workers)).height]
        return table_of(frames)

    def report_cells(self, after_ms: int) -> ReportCells:
        """The cells of at least the reports after a moment (ms): the same object as long as it serves."""
        if self._laid_out is not None:
            from_ms, parts, report_cells = self._laid_out
            if from_ms <= after_ms and parts == self._parts_after(from_ms):
                return report_cells
        report_cells = ReportCells(self.telemetry(after_ms))
        self._laid_out = (after_ms, self._parts_after(after_ms), report_cells)
        return report_cells

    def covers(self, after_ms: int) -> bool:
        """Whether `report_cells` has all the reports after a moment (ms) at hand."""
        return self._laid_out is not None and self._laid_out[0] <= after_ms

    def _parts_after(self, after_ms: int) -> list[str]:
        return [part.name for part in self.parts if part.last_ms > after_ms]


def table_of(frames: Sequence[pl.DataFrame]) -> TelemetryTable:
    """The table of all rows of some frames."""
    if not frames:
        return _no_reports()
    rows = joined(frames)
    return to_telemetry_table(in_order(rows, np.ones(rows.height, dtype=np.bool_)))


@cache
def _no_reports() -> TelemetryTable:
    return to_telemetry_table(joined(()))


class PaneBuffer(TimePartitionedBuffer):
    """Closed panes (SCHEMA)."""

    def frame(self, after_ms: int | None = None) -> pl.DataFrame:
        """Panes that start after a moment (ms; None: all)."""
        return stacked(list(self.rows_after(after_ms)), SCHEMA)

    def of_workers(self, workers: Collection[str]) -> pl.DataFrame:
        """All panes of some riders."""
        frames = []
        for part in self.parts:
            rows = [part.rows_of_worker[worker] for worker in workers if worker in part.rows_of_worker]
            if rows:
                frames.append(part.frame[np.sort(np.concatenate(rows))])
        return stacked(frames, SCHEMA)


class PaneReducer:
    """Aggregates reports to panes, each pane once when it is closed; the operator decides when."""

    def __init__(self, state: StateWriter, reports: TelemetryBuffer, panes: PaneBuffer) -> None:
        self._state, self._reports, self._panes = state, reports, panes
        self.closed_ms: int | None = None
        """Panes that start before it are closed (ms); None: none is."""

    @property
    def due_ms(self) -> int | None:
        """When open panes have to be closed (ms); None: there are none."""
        open_ms = self.open_ms
        return None if open_ms is None else open_ms + _PANES_WAIT_MS

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
