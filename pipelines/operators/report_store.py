"""A bucket's deduplicated reports. Recent ones are in memory as columns, somewhat older ones packed by the hour. Those
that only corrections and long holds ask for are cold: in the state backend alone, and read when they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monsoon.pipelines.operators.report_hashes import Hashes, report_hashes
from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.messages import unpack_frame
from monsoon.pipelines.runtime.report_codec import (
    is_packed,
    is_reference,
    pack_reports,
    reference_to,
    span_ms,
    unpack_reports,
)
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS, HOUR_MS
from monsoon.sources.report_batch import ReportBatch, concatenated, from_frame, ordered_table, to_table
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.presence import ReportCells
from monsoon.transforms.telemetry_table import TelemetryTable

UNPACKED_MS = 2 * HOUR_MS
"""So long reports are columns in memory: the 100 minutes that evidence mostly looks back, and what arrives late."""
_ALIKE = 8
"""So many parts of similar size are joined in memory."""
WARM_MS = 6 * HOUR_MS
"""So long they stay in memory, packed: evidence of claims that were held for some hours."""


def stored_reports(payload: bytes) -> ReportBatch:
    """The reports of a state entry; up to version 3 of the state they were Arrow streams."""
    return unpack_reports(payload) if is_packed(payload) else from_frame(unpack_frame(payload))


@dataclass(frozen=True)
class _Part:
    """Reports of some state entries, and their first and last time (ms): as columns, `packed` or both, and neither
    while they are cold. `workers` is None as long as their riders are not known."""

    entries: frozenset[str]
    first_ms: int
    last_ms: int
    batch: ReportBatch | None = None
    packed: bytes | None = None
    workers: frozenset[str] | None = None
    joins: bool = False
    """Whether it may be joined with others of its hour: all reports of its entries are of this hour."""
    cells: dict[int, npt.NDArray[np.uint64]] = field(default_factory=dict, compare=False)
    """Of reports that are columns, by resolution: computed once, since tables are made at each confirmation."""

    @property
    def is_cold(self) -> bool:
        """Whether the reports are in the state backend alone."""
        return self.batch is None and self.packed is None

    def may_concern(self, workers: Collection[str] | None) -> bool:
        """Whether some of these riders (None: of all) may have reports here."""
        return workers is None or self.workers is None or not self.workers.isdisjoint(workers)


class ReportStore:
    """Reports of one kind of state entry; `new_name` names entries."""

    def __init__(
        self,
        state: StateWriter,
        kind: str,
        new_name: Callable[[str], str],
        unused: Sequence[str] = (),
        span_ms: int = HOUR_MS,
    ) -> None:
        """The fields `unused` are left out; the parts of each time span of `span_ms` are merged once it is over."""
        self._state, self._kind, self._new_name = state, kind, new_name
        self._unused, self._span_ms = unused, span_ms
        self._parts: list[_Part] = []
        self._table: tuple[int, list[_Part], ReportCells] | None = None
        """The last result of `report_cells`: after which moment (ms), of which parts."""

    def __bool__(self) -> bool:
        return bool(self._parts)

    def __len__(self) -> int:
        return sum(len(self._batch(part)) for part in self._parts)

    @property
    def first_ms(self) -> int | None:
        return min((part.first_ms for part in self._parts), default=None)

    @property
    def last_ms(self) -> int | None:
        return max((part.last_ms for part in self._parts), default=None)

    def first_after(self, at_ms: int) -> int | None:
        """The event time (ms) of the first report at or after a moment."""
        firsts = []
        for part in self._parts:
            if part.first_ms >= at_ms:
                firsts.append(part.first_ms)
            elif part.last_ms >= at_ms:
                times = self._batch(part)["event_time"]
                firsts.append(int(times[times >= at_ms].min()))
        return min(firsts, default=None)

    def put(self, batch: ReportBatch) -> None:
        """Stores reports, at least one, in an entry of their own."""
        entry, packed = self._new_name(self._kind), None
        if self._state.durable:
            packed = pack_reports(batch)
            self._state.put(entry, packed)
        self.add(entry, batch, packed)

    def add(self, entry: str, batch: ReportBatch, packed: bytes | None = None, joins: bool = False) -> None:
        """Adds reports, at least one, that a state entry already has; `packed` is all of it. `joins`: all reports of
        the entry are of one hour."""
        batch = batch.without(self._unused).with_words_in_use()
        self._parts.append(_Part(frozenset({entry}), batch.first_ms, batch.last_ms, batch, packed, None, joins))
        while joins:
            joins = self._join_alike()

    def _join_alike(self) -> bool:
        """Joins the parts of the last one's hour that are of its size, where they are many: the arrays of a few
        reports are mostly headers. Whether it did."""
        last = self._parts[-1]
        alike = [part for part in self._parts if part.joins and _kind_of(part) == _kind_of(last)]
        if len(alike) < _ALIKE:
            return False
        batch = concatenated([part.batch for part in alike if part.batch is not None]).with_words_in_use()
        known = set.intersection(*(set(part.cells) for part in alike))
        cells = {each: np.concatenate([part.cells[each] for part in alike]) for each in sorted(known)}
        entries = frozenset().union(*(part.entries for part in alike))
        joined = _Part(entries, batch.first_ms, batch.last_ms, batch, None, None, True, cells)
        self._parts = [part for part in self._parts if not any(part is each for each in alike)] + [joined]
        return True

    def has(self, entry: str) -> bool:
        """Whether reports of a state entry are stored."""
        return any(entry in part.entries for part in self._parts)

    def contains(self, reports: Hashes, times_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which reports (hashes of their ids), of these event times, are stored (bool)."""
        known = [
            report_hashes(self._batch(part))[0]
            for part in self._parts
            if np.any((part.first_ms <= times_ms) & (part.last_ms >= times_ms))
        ]
        return np.isin(reports, np.concatenate(known)) if known else np.zeros(len(reports), dtype=np.bool_)

    def between(self, spans: Sequence[tuple[int, int]]) -> list[ReportBatch]:
        """The reports of some time spans (start, end] (ms)."""
        batches = []
        for part in self._parts:
            if any(part.last_ms > start_ms and part.first_ms <= end_ms for start_ms, end_ms in spans):
                batch = self._batch(part)
                times = batch["event_time"]
                wanted = [(times > start_ms) & (times <= end_ms) for start_ms, end_ms in spans]
                batches.append(batch.where(np.any(wanted, axis=0)))
        return batches

    def telemetry(self, after_ms: int | None = None, workers: Collection[str] | None = None) -> TelemetryTable:
        """The table of reports after a moment (ms; None: all), of some riders (None: of all)."""
        batches = list(self._after(after_ms, workers))
        if workers is not None:
            batches = [_of_workers(batch, workers) for batch in batches]
        return to_table(concatenated(batches))

    def report_cells(self, after_ms: int) -> ReportCells:
        """The cells of at least the reports after a moment (ms): the same object as long as it serves."""
        if self._table is not None:
            from_ms, parts, report_cells = self._table
            if from_ms <= after_ms and parts == self._parts_after(from_ms):
                return report_cells
        parts = self._parts_after(after_ms)
        batches = [self._batch(part) for part in parts]
        later = [batch["event_time"] > after_ms for batch in batches]
        chosen = [batch.where(rows) for batch, rows in zip(batches, later, strict=True)]
        table, order = ordered_table(concatenated(chosen))

        def cells(resolution: int) -> npt.NDArray[np.uint64]:
            found = [
                _cells(part, batch, resolution)[rows] for part, batch, rows in zip(parts, batches, later, strict=True)
            ]
            return np.concatenate(found)[order] if found else np.empty(0, dtype=np.uint64)

        self._table = (after_ms, parts, ReportCells(table, cells))
        return self._table[2]

    def covers(self, after_ms: int) -> bool:
        """Whether `report_cells` has all the reports after a moment (ms) at hand."""
        return self._table is not None and self._table[0] <= after_ms

    def take_before(self, before_ms: int) -> list[ReportBatch]:
        """Removes the parts of which the last report is older, and gives their reports."""
        old = self._parts_before(before_ms)
        batches = [self._batch(part) for part in old]
        self._remove(old)
        return batches

    def expire(self, before_ms: int) -> None:
        """Drops parts of which the last report is older."""
        self._remove(self._parts_before(before_ms))

    def compact(self, upto_ms: int, arriving: Collection[str] = ()) -> set[str]:
        """Merges the parts of each time span that is over at `upto_ms`, but for those of entries that are still
        `arriving`; removes from memory what is no longer recent. Gives the entries that are gone."""
        last_ms: dict[str, int] = {}
        for part in self._parts:
            for entry in part.entries:
                last_ms[entry] = max(part.last_ms, last_ms.get(entry, part.last_ms))
        spans: dict[int, list[_Part]] = defaultdict(list)
        for part in self._parts:
            ends_ms = max(last_ms[entry] for entry in part.entries)
            over = ends_ms < upto_ms // self._span_ms * self._span_ms and part.entries.isdisjoint(arriving)
            if over and (not part.is_cold or self._span_ms > HOUR_MS):
                spans[ends_ms // self._span_ms].append(part)
        gone: set[str] = set()
        for parts in spans.values():
            if len(parts) > 1 or not self._is_whole(parts[0]):
                batches = [self._batch(part) for part in parts]
                self._remove(parts)
                gone.update(*(part.entries for part in parts))
                for batch in self._by_age(concatenated(batches)):
                    self.put(batch)
        if self._state.durable:
            self._parts = [self._aged(part, upto_ms) if self._is_whole(part) else part for part in self._parts]
        return gone

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries; what is packed is not unpacked before somebody asks, cold reports stay where
        they are."""
        for entry, payload in entries_of(entries, self._kind):
            if is_reference(payload):
                self._parts.append(_Part(frozenset({entry}), *span_ms(payload)))
            elif is_packed(payload):
                self._parts.append(_Part(frozenset({entry}), *span_ms(payload), packed=payload))
            else:
                self.add(entry, stored_reports(payload))

    def _batch(self, part: _Part) -> ReportBatch:
        if part.batch is not None:
            return part.batch
        packed = self._state.read_cold(min(part.entries)) if part.packed is None else part.packed
        return stored_reports(packed).without(self._unused)

    def _by_age(self, batch: ReportBatch) -> Iterator[ReportBatch]:
        """The recent reports together, those much older than the last one by the day: a clock that is a year behind
        must not make a part reach over a year, or each of its reports would be looked up in every part."""
        old = batch["event_time"] <= batch.last_ms - max(WARM_MS, self._span_ms)
        days = np.where(old, batch["event_time"] // DAY_MS, -1)
        for day in np.unique(days).tolist():
            yield batch.where(days == day)

    def _aged(self, part: _Part, now_ms: int) -> _Part:
        """The part as it is kept at its age."""
        if part.is_cold or part.last_ms >= now_ms - UNPACKED_MS:
            return part
        packed = pack_reports(self._batch(part)) if part.packed is None else part.packed
        workers = part.workers if part.batch is None else frozenset(part.batch.words["worker_id"])
        if part.last_ms >= now_ms - WARM_MS:
            return _Part(part.entries, part.first_ms, part.last_ms, None, packed, workers)
        (entry,) = part.entries
        self._state.put(entry, reference_to(packed))
        self._state.put_cold(entry, packed)
        return _Part(part.entries, part.first_ms, part.last_ms, None, None, workers)

    def _after(self, at_ms: int | None, workers: Collection[str] | None) -> Iterator[ReportBatch]:
        for part in self._parts if at_ms is None else self._parts_after(at_ms):
            if part.may_concern(workers):
                batch = self._batch(part)
                yield batch if at_ms is None or part.first_ms > at_ms else batch.where(batch["event_time"] > at_ms)

    def _parts_after(self, at_ms: int) -> list[_Part]:
        return [part for part in self._parts if part.last_ms > at_ms]

    def _parts_before(self, before_ms: int) -> list[_Part]:
        return [part for part in self._parts if part.last_ms < before_ms and self._is_whole(part)]

    def _is_whole(self, part: _Part) -> bool:
        """Whether this is all of its entry. Of a package that arrived, reports that are years behind are a part beside
        those of now: it is removed from state by `compact`, which merges all its parts."""
        return all(entry.startswith(f"{self._kind}/") for entry in part.entries)

    def _remove(self, parts: Collection[_Part]) -> None:
        gone = {entry: part.is_cold for part in parts for entry in part.entries}
        for entry, is_cold in sorted(gone.items()):
            self._state.drop(entry)
            if is_cold:
                self._state.drop_cold(entry)
        self._parts = [part for part in self._parts if part.entries.isdisjoint(gone)]


def _kind_of(part: _Part) -> tuple[int, int]:
    """The hour and the size class of a part: of parts with similar numbers of reports it is the same."""
    return part.last_ms // HOUR_MS, len(part.batch or ()).bit_length() // 2


def _cells(part: _Part, batch: ReportBatch, resolution: int) -> npt.NDArray[np.uint64]:
    if resolution not in part.cells:
        cells = cells_of(batch["lat"], batch["lon"], resolution)
        if part.batch is None:
            return cells
        part.cells[resolution] = cells
    return part.cells[resolution]


def _of_workers(batch: ReportBatch, workers: Collection[str]) -> ReportBatch:
    wanted = np.array([*(word in workers for word in batch.words["worker_id"]), False], dtype=np.bool_)
    return batch.where(wanted[batch["worker_id"]])
