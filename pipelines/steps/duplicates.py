"""Duplicates out: of each id one record stays, and goes to where it is needed.

Records wait until the watermark has passed their time, so that whatever else comes by their id in that time is judged
with them. An id is remembered for a while longer: what repeats it later is a duplicate, or a conflict that came too
late to stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl

from monsoon.pipelines.steps.accounts import account, to_dead_letters
from monsoon.pipelines.steps.envelopes import (
    RESULTS,
    Envelope,
    Item,
    bucket_of,
    buckets_of,
    pack,
    pack_frame,
    result,
    split,
    unpack,
    unpack_frame,
)
from monsoon.pipelines.steps.reading import takes_effect_ms
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import Kept, Step, entries_of
from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.sources.line_blocks import Validated
from monsoon.sources.record_store import RecordStore, record_id
from monsoon.sources.telemetry_store import TelemetryStore
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.panes import PANE_MS
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.judge import Used

RECORDS_REMEMBERED_MS = 35 * 24 * 3_600_000
"""Readings and subscription events: four weeks of history and a week for their corrections."""
_MEMORY_SCHEMA: dict[str, Any] = {"id": pl.UInt64, "content": pl.UInt64, "event_time": pl.Int64}


@dataclass
class _Waiting:
    """Rows that wait for their time, and the last of it."""

    name: str
    rows: pl.DataFrame
    last_ms: int


@dataclass
class _Memory:
    """The ids of rows that were used lately, with what they said, as hashes."""

    parts: list[tuple[str, pl.DataFrame, int]] = field(default_factory=list)

    def find(self, hashes: pl.DataFrame) -> pl.DataFrame:
        """For each row (id, content): whether its id is known, and whether by the same content."""
        known = pl.concat([pl.DataFrame(schema=_MEMORY_SCHEMA), *(part for _, part, _ in self.parts)])
        ids = hashes["id"].is_in(known["id"].implode())
        return pl.DataFrame({"known": ids, "same": ids & hashes["content"].is_in(known["content"].implode())})


class DeduplicateTelemetry(Step):
    """Rows by event_id: of each id one stays, and goes to its rider; the cells it was seen in go to the triggers."""

    uid: ClassVar = "deduplicate-telemetry"
    label: ClassVar = "telemetry by event"
    to: ClassVar = ("account-dead-letters", "judge-triggers", "riders-evidence", RESULTS)

    def __init__(self, key: int, kept: Kept, settings: Settings) -> None:
        super().__init__(key, kept)
        self._settings = settings
        self._waiting: list[_Waiting] = []
        self._late: list[_Waiting] = []
        self._nulled: list[tuple[str, list[Used]]] = []
        self._memory = _Memory()
        self._cells: dict[int, set[int]] = {resolution: set() for resolution in settings.resolutions}

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
        name, last_ms = self._name(kind), int(rows["event_time"].max())  # type: ignore[arg-type]
        (self._late if kind == "late" else self._waiting).append(_Waiting(name, rows, last_ms))
        if self.kept.keeps:
            self.kept.put(name, pack_frame(rows) if payload is None else payload)

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        counts = StreamCounts()
        store = TelemetryStore(counts)
        store.add(Validated(frames=list(self._ready(upto_ms)), nulled=list(self._ready_nulled(upto_ms))))
        late = sum(each.rows.height for each in self._late)
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
        if late:
            yield result("late", ("telemetry", late))
        yield from to_dead_letters("telemetry", store.dead, self._settings.buckets)
        if not rows.height:
            return
        if self.kept.keeps:
            self._remember(rows, upto_ms)
        yield from self._new_cells(rows, upto_ms)
        workers = rows["worker_id"].cast(pl.String).to_list()
        for bucket, part in split(rows, buckets_of(workers, self._settings.buckets)):
            first_ms: Any = part["event_time"].min()
            closes_ms = first_ms // PANE_MS * PANE_MS + PANE_MS
            yield Envelope("riders-evidence", bucket, "rows", closes_ms, pack_frame(part))

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

    def _remember(self, rows: pl.DataFrame, upto_ms: int) -> None:
        memory, hashes = self._memory, _hashes(rows)
        last_ms = int(hashes["event_time"].max())  # type: ignore[arg-type]
        name = self._name("memory")
        memory.parts.append((name, hashes, last_ms))
        self.kept.put(name, pack_frame(hashes))
        forgotten_ms = upto_ms - self._settings.ids_remembered_ms
        for name, _, last_ms in memory.parts:
            if last_ms < forgotten_ms:
                self.kept.drop(name)
        memory.parts = [part for part in memory.parts if part[2] >= forgotten_ms]

    def _new_cells(self, rows: pl.DataFrame, upto_ms: int) -> Iterator[Envelope]:
        lat, lon = rows["lat"].to_numpy(), rows["lon"].to_numpy()
        for resolution, known in self._cells.items():
            new = set(np.unique(cells_of(lat, lon, resolution)).tolist()) - known
            if new:
                known |= new
                self.kept.put_packed(self._name(f"cells/{resolution}"), sorted(new))
                yield from to_triggers(self._settings, resolution, sorted(new), upto_ms)

    @property
    def due_ms(self) -> int | None:
        if self._late:
            return self.done_ms
        firsts = [int(each.rows["event_time"].min()) for each in self._waiting]  # type: ignore[arg-type]
        return min((max(first, self.done_ms + 1) for first in firsts), default=None)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for kind, held in (("late", self._late), ("waiting", self._waiting)):
            for name, payload in entries_of(entries, kind):
                rows = unpack_frame(payload)
                held.append(_Waiting(name, rows, int(rows["event_time"].max())))  # type: ignore[arg-type]
        for name, payload in entries_of(entries, "nulled"):
            self._nulled.append((name, unpack(payload, list[Used])))
        for name, payload in entries_of(entries, "memory"):
            part = unpack_frame(payload)
            self._memory.parts.append((name, part, int(part["event_time"].max())))  # type: ignore[arg-type]
        for name, payload in entries_of(entries, "cells"):
            self._cells.setdefault(int(name.split("/")[1]), set()).update(unpack(payload, list[int]))


def _hashes(frame: pl.DataFrame) -> pl.DataFrame:
    """What is remembered of each row. Texts are hashed as texts: codes differ from process to process."""
    texts = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
    return pl.DataFrame({"id": texts["event_id"].hash(seed=0), "content": texts.hash_rows(seed=0)}).with_columns(
        event_time=frame["event_time"]
    )


def to_triggers(settings: Settings, resolution: int, cells: Sequence[int], due_ms: int) -> Iterator[Envelope]:
    """Cells in which a product's disruptions may matter to somebody, for its triggers."""
    payload = pack(list(cells))
    for key, name in settings.trigger_of_key.items():
        if settings.triggers[name][0].zone_resolution == resolution:
            yield Envelope("judge-triggers", key, "cells", due_ms, payload)


class DeduplicateRecords(Step):
    """Readings and subscription events by id: of each id one stays; readings go to every trigger, events to their
    policy."""

    uid: ClassVar = "deduplicate-records"
    label: ClassVar = "readings and subscription events by id"
    to: ClassVar = ("account-dead-letters", "judge-triggers", "route-policies", RESULTS)

    def __init__(self, key: int, kept: Kept, settings: Settings) -> None:
        super().__init__(key, kept)
        self._settings = settings
        self._waiting: dict[str, tuple[str, list[Used]]] = {}
        """By entry: the stream and its records that wait for their time."""
        self._memory: dict[tuple[str, str], tuple[str, str, int]] = {}
        """By stream and id: the entry, the content as canonical JSON, and when it took effect (ms)."""

    def take(self, item: Item) -> None:
        name = self._name(f"waiting/{item.kind}")
        self._waiting[name] = (item.kind, unpack(item.payload, list[Used]))
        self.kept.put(name, item.payload)

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        ready: dict[str, list[Used]] = defaultdict(list)
        for name, (stream, members) in list(self._waiting.items()):
            due = [used for used in members if takes_effect_ms(stream, used.record) <= upto_ms]
            ready[stream].extend(due)
            if len(due) == len(members):
                self.kept.drop(name)
                del self._waiting[name]
            elif due:
                rest = [used for used in members if takes_effect_ms(stream, used.record) > upto_ms]
                self._waiting[name] = (stream, rest)
                self.kept.put_packed(name, rest)
        for stream in sorted(ready):
            yield from self._release(stream, ready[stream], upto_ms)
        if self.kept.keeps:
            self._forget(upto_ms)

    def _release(self, stream: str, ready: Iterable[Used], upto_ms: int) -> Iterator[Envelope]:
        counts = StreamCounts()
        store = RecordStore(counts)
        late = 0
        for used in ready:
            known = self._memory.get((stream, repr(record_id(used.record))))
            if known is None:
                late += takes_effect_ms(stream, used.record) <= self.done_ms
                store.add(used)
            elif known[1] == canonical_json(used.record):
                counts.duplicate += 1
            else:
                store.dead.append(conflict(canonical_json(used.record), used.record["event_time"]))
        records = store.finish()
        counts.read = 0  # counted where they were read
        yield from account(stream, counts)
        if late:
            yield result("late", (stream, late))
        yield from to_dead_letters(stream, store.dead, self._settings.buckets)
        if not records:
            return
        if self.kept.keeps:
            self._remember(stream, records)
        if stream == "oracle_readings":
            payload = pack(records)
            for key in self._settings.trigger_of_key:
                yield Envelope("judge-triggers", key, "readings", upto_ms, payload)
        else:
            yield from self._to_policies(records, upto_ms)

    def _to_policies(self, records: Sequence[dict[str, Any]], due_ms: int) -> Iterator[Envelope]:
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            if record["product"] in self._settings.running:
                by_key[bucket_of(record["policy_id"], self._settings.buckets)].append(record)
        for bucket, members in by_key.items():
            yield Envelope("route-policies", bucket, "events", due_ms, pack(members))

    def _remember(self, stream: str, records: Sequence[dict[str, Any]]) -> None:
        for record in records:
            name, content = self._name(f"memory/{stream}"), canonical_json(record)
            effective_ms, identity = takes_effect_ms(stream, record), repr(record_id(record))
            self._memory[stream, identity] = (name, content, effective_ms)
            self.kept.put_packed(name, (identity, content, effective_ms))

    def _forget(self, upto_ms: int) -> None:
        gone = [key for key, (_, _, at_ms) in self._memory.items() if at_ms < upto_ms - RECORDS_REMEMBERED_MS]
        for key in gone:
            self.kept.drop(self._memory.pop(key)[0])

    @property
    def due_ms(self) -> int | None:
        return min(
            (
                max(takes_effect_ms(stream, used.record), self.done_ms)
                for stream, members in self._waiting.values()
                for used in members
            ),
            default=None,
        )

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "waiting"):
            self._waiting[name] = (name.split("/")[1], unpack(payload, list[Used]))
        for name, payload in entries_of(entries, "memory"):
            identity, content, effective_ms = unpack(payload, tuple[str, str, int])
            self._memory[name.split("/")[1], identity] = (name, content, effective_ms)
