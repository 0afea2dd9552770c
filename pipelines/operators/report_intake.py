"""Reports as they arrive at their rider's bucket: held until the watermark has passed their event time, deduplicated,
then stored.

Of all reports with one id (worker_id, event_id) one is used: others with the same id are compared with it, and of
several contents the earliest is used. Ids of used reports are remembered for a while (`SeenReports`): a later report
with such an id is a duplicate, or a conflict if its content differs.

A package of reports is one state entry from its arrival until its hour is over, and unpacked only when its first
report is due. Reports far ahead come from phones whose clocks are wrong, unless most of a package of many riders is;
they are kept packed in a hierarchical timing wheel: a slot holds reports from 2^k to 2^(k+1) hours ahead, and is
redistributed when its first report is due.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monsoon.pipelines.operators.consent_book import ConsentBook
from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.operators.report_hashes import Hashes, report_hashes
from monsoon.pipelines.operators.report_store import ReportStore, stored_reports
from monsoon.pipelines.operators.seen_reports import SeenReports
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import Message, result, unpack
from monsoon.pipelines.runtime.report_codec import pack_reports, span_ms
from monsoon.pipelines.runtime.time_partitioned_buffer import HOUR_MS
from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.sources.erased_workers import erased_letter
from monsoon.sources.line_blocks import ValidatedBlock
from monsoon.sources.report_batch import ReportBatch, Rows, concatenated
from monsoon.sources.telemetry_columns import NULLED, nulled_names
from monsoon.sources.telemetry_store import TelemetryStore
from monsoon.transforms.erasure import ErasedWorkers
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.record_validator import DeadLetter

INTAKE_KINDS = ("rows", "seen", "consents")
"""Kinds of messages that the intake takes."""

_NEAR_HOURS = 2
_ALIKE = 8
"""So many packages of one slot and of similar size are merged: a package of one report is mostly headers."""
_AGREEING = 8
"""The clocks of so many riders are not wrong together: their reports were read faster than event time advances, as
after an outage, and are not packed again."""

_Slot = tuple[int, int]
"""k, and the number of the span of 2^k hours since 1970."""


@dataclass
class Released:
    """What became of the reports that were due: how many were used, repeats and others, the dead letters, and how many
    of those used came late."""

    counts: StreamCounts = field(default_factory=StreamCounts)
    dead: list[DeadLetter] = field(default_factory=list)
    late: int = 0


@dataclass(frozen=True)
class _Package:
    """A state entry of a slot; `size` is its size class."""

    entry: str
    payload: bytes
    first_ms: int
    size: int


class _Due(NamedTuple):
    """Reports that are due, and their rows in their state entry; `joins`: all of the entry are of one hour."""

    entry: str
    reports: ReportBatch
    rows: Rows
    joins: bool

    @staticmethod
    def of(entry: str, batch: ReportBatch, rows: Rows) -> _Due:
        """Some rows of an entry's batch."""
        return _Due(entry, batch.take(rows), rows, batch.first_ms // HOUR_MS == batch.last_ms // HOUR_MS)


class ReportIntake:
    """Takes packed reports (`arrive`) and puts those that are due, each once, into a store (`release`)."""

    def __init__(self, state: StateWriter, store: ReportStore, new_name: Callable[[str], str]) -> None:
        """`new_name` names entries."""
        self._state, self._store, self._new_name = state, store, new_name
        self.seen = SeenReports(state, new_name)
        self.consents = ConsentBook(state, new_name)
        self._late: dict[str, bytes] = {}
        """By state entry: packages with reports that were late when they arrived."""
        self._waiting: list[tuple[int, str]] = []
        """A heap of state entries with reports that are not due, by the time of the first (ms)."""
        self._packages: dict[str, bytes | ReportBatch] = {}
        """By state entry: what is waiting, packed until its first report was due."""
        self._unused: dict[str, list[str]] = defaultdict(list)
        """By entry of a package: the entries that name reports of it that are not used."""
        self._slots: dict[_Slot, list[_Package]] = defaultdict(list)
        self._slots_due: list[tuple[int, _Slot]] = []
        """A heap by the time of the first report; one element for every package of a slot."""

    def __bool__(self) -> bool:
        return bool(self.seen) or self.consents.holds_expiring_state

    def next_ms(self, done_ms: int) -> int | None:
        """When a report is due next (ms), for an operator that has worked up to `done_ms`; None: none is here."""
        if self._late:
            return done_ms
        first_ms = min((heap[0][0] for heap in (self._waiting, self._slots_due) if heap), default=None)
        return None if first_ms is None else max(first_ms, done_ms + 1)

    def take(self, message: Message, done_ms: int) -> None:
        """Takes a message of one of INTAKE_KINDS, for an operator that has worked up to `done_ms`."""
        if message.kind == "rows":
            self.arrive(message.payload, done_ms)
        elif message.kind == "seen":
            self.seen.adopt(message.payload)
        else:
            self.consents.arrive(message.payload)

    def arrive(self, payload: bytes, done_ms: int, now_ms: int | None = None) -> None:
        """Takes packed reports, for an operator that has worked up to `done_ms`; `now_ms` is event time, if later."""
        first_ms, last_ms = span_ms(payload)
        is_new = now_ms is None
        if now_ms is None:
            # Before the first watermark, event time is taken from the first reports.
            now_ms = first_ms if done_ms == BEFORE_TIME_MS else done_ms
        if not self._state.durable or last_ms // HOUR_MS - now_ms // HOUR_MS < _NEAR_HOURS:
            self._put(payload, done_ms)
            return
        batch = stored_reports(payload)
        ahead = batch["event_time"] // HOUR_MS - now_ms // HOUR_MS
        far = ahead >= _NEAR_HOURS
        if is_new and 2 * np.count_nonzero(far) > len(far) and len(batch.words["worker_id"]) >= _AGREEING:
            self._put(payload, done_ms)
            return
        if not far.all():
            self._put(pack_reports(batch.where(~far)), done_ms)
        batch, ahead = batch.where(far), ahead[far]
        power = np.frexp(ahead.astype(np.float64))[1].astype(np.int64) - 1
        place = (ahead + now_ms // HOUR_MS) >> power
        for k, stretch in np.unique(np.column_stack((power, place)), axis=0).tolist():
            self._put_far((k, stretch), batch.where((power == k) & (place == stretch)))

    def _put(self, payload: bytes, done_ms: int) -> None:
        entry = self._new_name(f"arrived/{done_ms}")
        self._state.put(entry, payload)
        self._add(entry, payload, done_ms)

    def _add(self, entry: str, payload: bytes, done_ms: int) -> None:
        first_ms, last_ms = span_ms(payload)
        if first_ms <= done_ms:
            self._late[entry] = payload
        if last_ms > done_ms:
            self._packages[entry] = payload
            heapq.heappush(self._waiting, (max(first_ms, done_ms + 1), entry))

    def _put_far(self, slot: _Slot, batch: ReportBatch) -> None:
        first_ms, size = batch.first_ms, len(batch).bit_length() // 3
        payload = pack_reports(batch)
        entry = self._new_name(f"far/{slot[0]}/{slot[1]}/{first_ms}/{size}")
        self._state.put(entry, payload)
        self._add_package(slot, _Package(entry, payload, first_ms, size))
        alike = [each for each in self._slots[slot] if each.size == size]
        if len(alike) >= _ALIKE:
            self._slots[slot] = [each for each in self._slots[slot] if each.size != size]
            for each in alike:
                self._state.drop(each.entry)
            self._put_far(slot, concatenated([stored_reports(each.payload) for each in alike]))

    def _add_package(self, slot: _Slot, package: _Package) -> None:
        self._slots[slot].append(package)
        heapq.heappush(self._slots_due, (package.first_ms, slot))

    def release(self, upto_ms: int, done_ms: int, watermark_ms: int, erased: ErasedWorkers) -> Released | None:
        """Stores the reports that are due by `upto_ms`, each once; None where none is due. Their ids are remembered
        from the watermark on: a report whose clock is years behind is repeated today. Reports of erased riders that
        were on their way when it became known are refused."""
        ready = [*self._late_reports(done_ms), *self._due(upto_ms, done_ms)]
        if not ready:
            return None
        released = Released()
        batch = concatenated([due.reports for due in ready])
        refused = erased.refused(batch.words["worker_id"], batch["worker_id"], batch["event_time"])
        for record in batch.records(np.flatnonzero(refused)).drop(NULLED).iter_rows(named=True):
            released.dead.append(erased_letter(record))
        if refused.any():
            keep = ~refused
            keep[~refused] = self._used(batch.where(~refused), released, done_ms, watermark_ms)
        else:
            keep = self._used(batch, released, done_ms, watermark_ms)
        self._store_kept(ready, batch.without((NULLED,)), keep)
        return released

    def _used(self, batch: ReportBatch, released: Released, done_ms: int, watermark_ms: int) -> npt.NDArray[np.bool_]:
        """Which reports that are due are evidence (bool)."""
        reports, contents = report_hashes(batch)
        keep = self._deduplicate(batch, reports, contents, released, max(done_ms, watermark_ms))
        late = batch["event_time"] <= done_ms
        released.late = int(np.count_nonzero(late & keep))
        if released.late:
            # So late that its repeat may be forgotten: it counts as used, and is stored once.
            keep[late] &= ~self._store.contains(reports[late], batch["event_time"][late])
        if self.consents.withdrawals:
            keep &= ~self.consents.withheld(batch)
        return keep

    def _late_reports(self, done_ms: int) -> Iterator[_Due]:
        late, self._late = self._late, {}
        for entry, payload in late.items():
            batch = stored_reports(payload)
            yield _Due.of(entry, batch, np.flatnonzero(batch["event_time"] <= done_ms))

    def _due(self, upto_ms: int, done_ms: int) -> Iterator[_Due]:
        while self._slots_due and self._slots_due[0][0] <= upto_ms:
            packages = self._slots.pop(heapq.heappop(self._slots_due)[1], [])
            for package in packages:
                self._state.drop(package.entry)
            for package in packages:
                self.arrive(package.payload, done_ms, upto_ms)
        while self._waiting and self._waiting[0][0] <= upto_ms:
            after_ms, entry = heapq.heappop(self._waiting)
            content = self._packages.pop(entry)
            batch = stored_reports(content) if isinstance(content, bytes) else content
            times = batch["event_time"]
            rows = np.flatnonzero((times >= after_ms) & (times <= upto_ms))
            later = times > upto_ms
            if later.any():
                self._packages[entry] = batch
                heapq.heappush(self._waiting, (int(times[later].min()), entry))
            yield _Due.of(entry, batch, rows)

    def _deduplicate(
        self, batch: ReportBatch, reports: Hashes, contents: Hashes, released: Released, now_ms: int
    ) -> npt.NDArray[np.bool_]:
        """Which reports are used (bool): one of each that was not used before. They are remembered; the others are
        counted."""
        counts = released.counts
        known, same_content = self.seen.find(reports, contents)
        if known.any():
            counts.duplicate += int(np.count_nonzero(same_content))
            self._count_nulled(batch, same_content, reports, counts, now_ms)
            conflicting = batch.records(np.flatnonzero(known & ~same_content)).drop(NULLED)
            for record in conflicting.iter_rows(named=True):
                released.dead.append(conflict(canonical_json(record), record["event_time"]))
        keep = ~known
        nulled = self._settle_repeats(batch, reports, contents, keep, released)
        if keep.any() and self._state.durable:
            used_ms = max(int(batch["event_time"][keep].max()), now_ms)
            self.seen.put(reports[keep], contents[keep], used_ms, nulled)
        return keep

    def _settle_repeats(
        self,
        batch: ReportBatch,
        reports: Hashes,
        contents: Hashes,
        keep: npt.NDArray[np.bool_],
        released: Released,
    ) -> dict[int, set[str]]:
        """Keeps one of the reports with one id; gives the fields that validation nulled in those that are used."""
        new = np.flatnonzero(keep)
        # Of repeats the one that arrived first is used.
        order = new[np.lexsort((batch["received_time"][new], reports[new]))]
        starts = np.flatnonzero(np.diff(reports[order], prepend=~reports[order[:1]]))
        report = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
        codes = batch[NULLED]
        differs = (contents[order] != contents[order[starts]][report]) | (codes[order] >= 0)
        compared = np.bincount(report, differs)[report] > 0
        compared &= np.bincount(report)[report] > 1
        repeats = np.ones(len(order), dtype=np.bool_)
        repeats[starts] = False
        keep[order[repeats & ~compared]] = False
        released.counts.duplicate += int(np.count_nonzero(repeats & ~compared))
        suspects, single = np.sort(order[compared]), order[~repeats & ~compared]
        released.counts.used += len(single)
        nulled: dict[int, set[str]] = {}
        for row in single[codes[single] >= 0].tolist():
            nulled[int(reports[row])] = nulled_names(batch.words[NULLED][codes[row]])
        for names in nulled.values():
            released.counts.count_nulled(names)
        if len(suspects):
            # What differs, or lost fields, is compared field by field, as the local engine does.
            store = TelemetryStore(released.counts, released.dead)
            store.add(ValidatedBlock(frames=[batch.records(suspects)]))
            frame, stays = store.settle()
            keep[suspects[~stays]] = False
            texts = frame[NULLED].to_list()
            for row in np.flatnonzero(stays).tolist():
                if texts[row] is not None:
                    nulled[int(reports[suspects[row]])] = nulled_names(texts[row])
        return nulled

    def _count_nulled(
        self, batch: ReportBatch, rows: npt.NDArray[np.bool_], reports: Hashes, counts: StreamCounts, now_ms: int
    ) -> None:
        """Counts fields that were nulled in duplicates, but not in the reports that were used."""
        codes = batch[NULLED]
        for row in np.flatnonzero(rows & (codes >= 0)).tolist():
            report = int(reports[row])
            additional = nulled_names(batch.words[NULLED][codes[row]]) - self.seen.nulled(report)
            if additional:
                counts.count_nulled(additional)
                self.seen.add_nulled({report: additional}, now_ms)

    def _store_kept(self, ready: list[_Due], batch: ReportBatch, keep: npt.NDArray[np.bool_]) -> None:
        """Stores the used reports of each entry; names the others in an entry beside it."""
        start = 0
        for entry, part, rows, joins in ready:
            kept = keep[start : start + len(part)]
            places = np.arange(start, start + len(part))
            start += len(part)
            if not kept.all():
                unused = self._new_name(f"unused/{entry.rpartition('/')[2]}")
                self._unused[entry].append(unused)
                self._state.put_packed(unused, rows[~kept].tolist())
            if kept.any():
                self._store.add(entry, batch.take(places[kept]), joins=joins)
        # Only now: an entry comes twice where some of its reports were late.
        for entry in dict.fromkeys(due.entry for due in ready):
            if entry not in self._packages and not self._store.has(entry):
                self._forget(entry)

    def _forget(self, entry: str) -> None:
        self._state.drop(entry)
        for unused in self._unused.pop(entry, ()):
            self._state.drop(unused)

    def expire(self, ids_before_ms: int, upto_ms: int) -> None:
        """Forgets ids of reports that were used before a moment, and merges the entries of hours that are over."""
        self.seen.expire(ids_before_ms, upto_ms)
        self.consents.expire(upto_ms)
        for entry in sorted(self._store.compact(upto_ms, self._packages)):
            for unused in self._unused.pop(entry, ()):
                self._state.drop(unused)

    def restore(self, entries: Mapping[str, bytes], done_ms: int) -> None:
        """Restores from state entries; reports up to `done_ms` were released, but for those that were late then."""
        self.seen.restore(entries)
        self.consents.restore(entries)
        unused: dict[str, list[int]] = defaultdict(list)
        names: dict[str, list[str]] = defaultdict(list)
        for name, payload in entries_of(entries, "unused"):
            serial = name.split("/")[1]
            unused[serial] += unpack(payload, list[int])
            names[serial].append(name)
        for entry, payload in entries_of(entries, "arrived"):
            at_ms, serial = int(entry.split("/")[1]), entry.rpartition("/")[2]
            first_ms, last_ms = span_ms(payload)
            if serial in names:
                self._unused[entry] = names[serial]
            if at_ms == done_ms:
                self._add(entry, payload, done_ms)
                continue
            batch = stored_reports(payload)
            used = batch["event_time"] <= done_ms
            used[unused[serial]] = False
            if used.any():
                joins = first_ms // HOUR_MS == last_ms // HOUR_MS
                self._store.add(entry, batch.where(used).without((NULLED,)), joins=joins)
            if last_ms > done_ms:
                self._packages[entry] = payload
                after = batch["event_time"] > done_ms
                heapq.heappush(self._waiting, (int(batch["event_time"][after].min()), entry))
            elif not used.any():
                self._forget(entry)
        for entry, payload in entries_of(entries, "far"):
            k, place, first_ms, size = map(int, entry.split("/")[1:5])
            self._add_package((k, place), _Package(entry, payload, first_ms, size))


def account_for(released: Released | None, buckets: int) -> Iterator[Message]:
    """The messages that account for reports that were due."""
    if released is not None:
        yield from account("telemetry", released.counts)
        if released.late:
            yield result("late", ("telemetry", released.late))
        yield from to_dead_letters("telemetry", released.dead, buckets)
