"""Duplicates out: of each id one record stays, and goes to where it is needed.

Records wait until the watermark has passed their time, so that whatever else comes by their id in that time is judged
with them. An id is remembered for a while longer: what repeats it later is a duplicate, or a conflict that came too
late to stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from monsoon.pipelines.steps.accounts import account, to_dead_letters
from monsoon.pipelines.steps.envelopes import (
    RESULTS,
    Envelope,
    Item,
    buckets_of,
    pack_frame,
    result,
    split,
    stacked,
    unpack,
    unpack_frame,
)
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.shelf import HOUR_MS, Shelf
from monsoon.pipelines.steps.step import Kept, Step, entries_of
from monsoon.pipelines.steps.told import ToldTriggers
from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.sources.line_blocks import Validated
from monsoon.sources.telemetry_store import TelemetryStore
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.panes import PANE_MS
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.fields import NO_CONTENT
from monsoon.transforms.validation.judge import Used

_MEMORY_SCHEMA: dict[str, Any] = {"id": pl.UInt64, "content": pl.UInt64, "event_time": pl.Int64}


@dataclass
class _Waiting:
    """Rows that wait for their time."""

    name: str
    rows: pl.DataFrame
    first_ms: int
    last_ms: int

    @staticmethod
    def of(name: str, rows: pl.DataFrame) -> _Waiting:
        times: Any = rows["event_time"]
        return _Waiting(name, rows, int(times.min()), int(times.max()))


class _Memory(Shelf):
    """The ids of rows that were used lately, with what they said, as hashes."""

    def find(self, hashes: pl.DataFrame) -> pl.DataFrame:
        """For each row (id, content): whether its id is known, and whether by the same content."""
        known = stacked(self.frames, _MEMORY_SCHEMA)
        ids = hashes["id"].is_in(known["id"].implode())
        return pl.DataFrame({"known": ids, "same": ids & hashes["content"].is_in(known["content"].implode())})


class DeduplicateTelemetry(Step):
    """Rows by event_id: of each id one stays, and goes to its rider; the cells it was seen in go to the triggers."""

    uid: ClassVar = "deduplicate-telemetry"
    label: ClassVar = "telemetry by event"
    to: ClassVar = (
        "account-dead-letters",
        "ask-witness",
        "witness-telemetry",
        "judge-triggers",
        "riders-evidence",
        RESULTS,
    )

    def __init__(self, key: int, kept: Kept, settings: Settings) -> None:
        super().__init__(key, kept)
        self._settings = settings
        self._waiting: list[_Waiting] = []
        self._late: list[_Waiting] = []
        self._nulled: list[tuple[str, list[Used]]] = []
        self._memory = _Memory(kept, "memory", "event_time", self._name, (HOUR_MS,))
        self._cells: dict[int, set[int]] = {resolution: set() for resolution in settings.resolutions}
        self._told = ToldTriggers(kept, settings)
        self._cells_told: list[tuple[str, int, int, list[int]]] = []
        """Entries of `_cells`: name, resolution, when the triggers were told (ms), cells."""

    def take(self, item: Item) -> None:
        if item.kind == "nulled":
            name = self._name("nulled")
            self._nulled.append((name, unpack(item.payload, list[Used])))
            self.kept.put(name, item.payload)
            return
        rows = unpack_frame(item.payload)
        late = rows["event_time"] <= self.done_ms
        if not late.any():
            self._hold("waiting", rows, item.payload)
            return
        self._hold("late", rows.filter(late))
        if not late.all():
            self._hold("waiting", rows.filter(~late))

    def _hold(self, kind: str, rows: pl.DataFrame, payload: bytes | None = None) -> None:
        name = self._name(kind)
        (self._late if kind == "late" else self._waiting).append(_Waiting.of(name, rows))
        if self.kept.keeps:
            self.kept.put(name, pack_frame(rows) if payload is None else payload)

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        yield from self._told.catch_up({each: sorted(cells) for each, cells in self._cells.items()}, upto_ms)
        counts = StreamCounts()
        store = TelemetryStore(counts)
        store.add(Validated(frames=list(self._ready(upto_ms)), nulled=list(self._ready_nulled(upto_ms))))
        for each in self._late:
            self.kept.drop(each.name)
        self._late.clear()
        frame, keep = store.settle()
        if not frame.height:
            return
        if self.kept.keeps:
            keep &= self._unheard(frame, counts, store)
        rows = frame if keep.all() else frame.filter(keep)
        yield from account("telemetry", counts)
        late = int((rows["event_time"] <= self.done_ms).sum())
        if late:
            yield result("late", ("telemetry", late))
        yield from to_dead_letters("telemetry", store.dead, self._settings.buckets)
        if not rows.height:
            return
        if self.kept.keeps:
            self._memory.put(_hashes(rows))
        yield from self._new_cells(rows, upto_ms)
        workers = rows["worker_id"].cast(pl.String).to_list()
        for bucket, part in split(rows, buckets_of(workers, self._settings.buckets)):
            first_ms: Any = part["event_time"].min()
            closes_ms = first_ms // PANE_MS * PANE_MS + PANE_MS
            payload = pack_frame(part)
            yield Envelope("riders-evidence", bucket, "rows", closes_ms, payload)
            if self._settings.witnessed:
                yield Envelope("witness-telemetry", bucket, "rows", closes_ms, payload)

    def _ready(self, upto_ms: int) -> Iterator[pl.DataFrame]:
        """Rows whose time has come, those that came late included."""
        yield from (each.rows for each in self._late)
        still = []
        for each in self._waiting:
            times = each.rows["event_time"]
            if each.last_ms <= upto_ms:
                self.kept.drop(each.name)
                ready = times > self.done_ms
            else:
                still.append(each)
                ready = (times > self.done_ms) & (times <= upto_ms)
            if ready.all():
                yield each.rows
            elif ready.any():
                yield each.rows.filter(ready)
        self._waiting = still

    def _ready_nulled(self, upto_ms: int) -> Iterator[Used]:
        still = []
        for name, members in self._nulled:
            due = [used for used in members if used.record["event_time"] <= upto_ms]
            yield from due
            if len(due) == len(members):
                self.kept.drop(name)
                continue
            rest = [used for used in members if used.record["event_time"] > upto_ms]
            still.append((name, rest))
            if due:
                self.kept.put_packed(name, rest)
        self._nulled = still

    def _unheard(self, frame: pl.DataFrame, counts: StreamCounts, store: TelemetryStore) -> Any:
        """Rows (bool) whose id was not used before; the others are counted as what they are."""
        found = self._memory.find(_hashes(frame))
        repeated = found["known"] & found["same"]
        conflicting = found["known"] & ~found["same"]
        if found["known"].any():
            known = int(found["known"].sum())
            counts.used -= known
            counts.duplicate += int(repeated.sum())
            for record in frame.filter(conflicting).iter_rows(named=True):
                store.dead.append(conflict(canonical_json(record), record["event_time"]))
        return (~found["known"]).to_numpy()

    def _new_cells(self, rows: pl.DataFrame, upto_ms: int) -> Iterator[Envelope]:
        lat, lon = rows["lat"].to_numpy(), rows["lon"].to_numpy()
        for resolution, known in self._cells.items():
            new = sorted(set(np.unique(cells_of(lat, lon, resolution)).tolist()) - known)
            if new:
                name = self._name(f"cells/{resolution}")
                self._tell(name, resolution, upto_ms, new)
                self.kept.put_packed(name, (upto_ms, new))
                yield from self._told.tell(resolution, new, upto_ms)

    def _tell(self, name: str, resolution: int, at_ms: int, cells: list[int]) -> None:
        self._cells.setdefault(resolution, set()).update(cells)
        self._cells_told.append((name, resolution, at_ms, cells))

    @property
    def ages(self) -> bool:
        return bool(self._memory or self._cells_told)

    def forget(self, upto_ms: int) -> None:
        self._memory.forget(upto_ms - self._settings.ids_remembered_ms)
        self._memory.join(upto_ms)
        # Cells that are seen again are told again, which the triggers take for nothing new.
        before_ms = upto_ms - self._settings.remembered_ms
        for name, resolution, at_ms, cells in self._cells_told:
            if at_ms < before_ms:
                self.kept.drop(name)
                self._cells[resolution].difference_update(cells)
        self._cells_told = [entry for entry in self._cells_told if entry[2] >= before_ms]

    @property
    def work_due_ms(self) -> int | None:
        if self._late or self._told.new:
            return self.done_ms
        return min((max(each.first_ms, self.done_ms + 1) for each in self._waiting), default=None)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for kind, held in (("late", self._late), ("waiting", self._waiting)):
            for name, payload in entries_of(entries, kind):
                held.append(_Waiting.of(name, unpack_frame(payload)))
        for name, payload in entries_of(entries, "nulled"):
            self._nulled.append((name, unpack(payload, list[Used])))
        self._memory.restore(entries)
        self._told.restore(entries)
        for name, payload in entries_of(entries, "cells"):
            self._tell(name, int(name.split("/")[1]), *unpack(payload, tuple[int, list[int]]))


def _hashes(frame: pl.DataFrame) -> pl.DataFrame:
    """What is remembered of each row. Texts are hashed as texts: codes differ from process to process."""
    texts = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
    return pl.DataFrame(
        {"id": texts["event_id"].hash(seed=0), "content": texts.drop(NO_CONTENT).hash_rows(seed=0)}
    ).with_columns(event_time=frame["event_time"])
