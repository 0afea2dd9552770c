"""Deduplicates telemetry: of all reports with one id (worker_id, event_id) one is used.

Reports are held until the watermark has passed their event time, so that others with the same id are compared with
them; of several contents the earliest is used. Ids of used reports are remembered for a while: a later report with such
an id is a duplicate, or a conflict if its content differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import polars as pl

from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.operators.early_rows import EarlyRows
from monsoon.pipelines.operators.report_hashes import Hashes, report_hashes
from monsoon.pipelines.operators.seen_reports import SeenReports
from monsoon.pipelines.operators.zone_announcements import ZoneAnnouncements
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import (
    RESULTS,
    Message,
    buckets_of_texts,
    pack_frame,
    result,
    split,
    unpack,
    unpack_frame,
)
from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.sources.line_blocks import ValidatedBlock
from monsoon.sources.telemetry_columns import NULLED, nulled_names
from monsoon.sources.telemetry_store import TelemetryStore, joined
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.panes import PANE_MS
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.record_validator import DeadLetter


class DeduplicateTelemetry(KeyedOperator):
    """Reports by rider, deduplicated; the cells with reports are announced to the triggers."""

    uid: ClassVar = "deduplicate-telemetry"
    advances_by_interval: ClassVar = False
    label: ClassVar = "telemetry by rider"
    to: ClassVar = (
        "account-dead-letters",
        "ask-witness",
        "witness-telemetry",
        "judge-triggers",
        "riders-evidence",
        RESULTS,
    )

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._early = EarlyRows(state, self._new_entry)
        self._late: dict[str, pl.DataFrame] = {}
        """Late rows, by state entry."""
        self._seen = SeenReports(state, self._new_entry)
        self._cells: dict[int, set[int]] = {resolution: set() for resolution in config.resolutions}
        self._announcements = ZoneAnnouncements(state, config)
        self._announced_cells: list[tuple[str, int, int, list[int]]] = []
        """State entries of `_cells`: name, resolution, when they were announced to the triggers (ms), cells."""

    def process(self, message: Message) -> None:
        rows = unpack_frame(message.payload)
        late = rows["event_time"] <= self.done_ms
        if late.any():
            name = self._new_entry("late")
            self._late[name] = rows.filter(late)
            self.state.put(name, pack_frame(self._late[name]))
            rows = rows.filter(~late)
        if rows.height:
            # Before the first watermark, event time is taken from the first rows.
            first_ms: Any = rows["event_time"].min()
            now_ms = first_ms if self.done_ms == BEFORE_TIME_MS else self.done_ms
            self._early.put(rows, now_ms, None if late.any() else message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        yield from self._announcements.catch_up({each: sorted(cells) for each, cells in self._cells.items()}, upto_ms)
        ready = [*self._late.values(), *self._early.release(upto_ms)]
        for name in self._late:
            self.state.drop(name)
        self._late.clear()
        if not ready:
            return
        counts = StreamCounts()
        store = TelemetryStore(counts)
        rows = joined(ready)
        if self.state.durable:
            rows = self._not_seen(rows, counts, store.dead)
        else:
            store.add(ValidatedBlock(frames=[rows]))
            settled, keep = store.settle()
            rows = settled.filter(pl.Series(keep))
        yield from account("telemetry", counts)
        late = int((rows["event_time"] <= self.done_ms).sum())
        if late:
            yield result("late", ("telemetry", late))
        yield from to_dead_letters("telemetry", store.dead, self._config.buckets)
        if not rows.height:
            return
        yield from self._new_cells(rows, upto_ms)
        rows = rows.drop(NULLED)
        for bucket, part in split(rows, buckets_of_texts(rows["worker_id"], self._config.buckets)):
            first_ms: Any = part["event_time"].min()
            closes_ms = first_ms // PANE_MS * PANE_MS + PANE_MS
            payload = pack_frame(part)
            yield Message("riders-evidence", bucket, "rows", closes_ms, payload)
            if self._config.telemetry_triggers:
                yield Message("witness-telemetry", bucket, "rows", closes_ms, payload)

    def _not_seen(self, rows: pl.DataFrame, counts: StreamCounts, dead: list[DeadLetter]) -> pl.DataFrame:
        """One row for each report that was not used before, and remembers it; counts duplicates, and adds conflicts to
        `dead`."""
        reports, contents = report_hashes(rows)
        known, same_content = self._seen.find(reports, contents)
        if known.any():
            counts.duplicate += int(np.count_nonzero(same_content))
            self._count_lost(rows[NULLED].filter(pl.Series(same_content)), reports[same_content], counts)
            conflicting = rows.filter(pl.Series(known & ~same_content)).drop(NULLED).iter_rows(named=True)
            dead.extend(conflict(canonical_json(record), record["event_time"]) for record in conflicting)
            rows, reports, contents = rows.filter(pl.Series(~known)), reports[~known], contents[~known]
        store = TelemetryStore(counts, dead)
        store.add(ValidatedBlock(frames=[rows]))
        rows, keep = store.settle()
        rows, reports, contents = rows.filter(pl.Series(keep)), reports[keep], contents[keep]
        nulled = {
            report: nulled_names(text)
            for report, text in zip(reports.tolist(), rows[NULLED].cast(pl.String).to_list(), strict=True)
            if text is not None
        }
        if rows.height:
            last_ms: Any = rows["event_time"].max()
            self._seen.put(reports, contents, max(int(last_ms), self.done_ms), nulled)
        return rows

    def _count_lost(self, nulled: pl.Series, reports: Hashes, counts: StreamCounts) -> None:
        """Counts fields that were nulled in duplicates, but not in the reports that were used."""
        with_nulled = nulled.is_not_null().to_numpy()
        for report, text in zip(
            reports[with_nulled].tolist(), nulled.drop_nulls().cast(pl.String).to_list(), strict=True
        ):
            additional = nulled_names(text) - self._seen.nulled(report)
            if additional:
                counts.count_nulled(additional)
                self._seen.add_nulled({report: additional}, self.done_ms)

    def _new_cells(self, rows: pl.DataFrame, upto_ms: int) -> Iterator[Message]:
        lat, lon = rows["lat"].to_numpy(), rows["lon"].to_numpy()
        for resolution, known in self._cells.items():
            new = sorted(set(np.unique(cells_of(lat, lon, resolution)).tolist()) - known)
            if new:
                name = self._new_entry(f"cells/{resolution}")
                self._add_cells(name, resolution, upto_ms, new)
                self.state.put_packed(name, (upto_ms, new))
                yield from self._announcements.announce(resolution, new, upto_ms)

    def _add_cells(self, name: str, resolution: int, at_ms: int, cells: list[int]) -> None:
        self._cells.setdefault(resolution, set()).update(cells)
        self._announced_cells.append((name, resolution, at_ms, cells))

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._seen or self._announced_cells)

    def expire(self, upto_ms: int) -> None:
        self._seen.expire(upto_ms - self._config.ids_remembered_ms, upto_ms)
        # A cell that is seen again is announced again, which the triggers ignore.
        before_ms = upto_ms - self._config.remembered_ms
        for name, resolution, at_ms, cells in self._announced_cells:
            if at_ms < before_ms:
                self.state.drop(name)
                self._cells[resolution].difference_update(cells)
        self._announced_cells = [entry for entry in self._announced_cells if entry[2] >= before_ms]

    @property
    def next_work_ms(self) -> int | None:
        if self._late or self._announcements.new_triggers:
            return self.done_ms
        first_ms = self._early.first_ms
        return None if first_ms is None else max(first_ms, self.done_ms + 1)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._late.update((name, unpack_frame(payload)) for name, payload in entries_of(entries, "late"))
        self._early.restore(entries, self.done_ms)
        self._seen.restore(entries)
        self._announcements.restore(entries)
        for name, payload in entries_of(entries, "cells"):
            self._add_cells(name, int(name.split("/")[1]), *unpack(payload, tuple[int, list[int]]))
