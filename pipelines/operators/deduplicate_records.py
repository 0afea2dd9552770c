"""Deduplicates and routes the small streams: readings, subscription events, reserves, answers.

Records are held until the watermark, and remembered, as reports are in `deduplicate_telemetry.py`.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.runtime.job_config import JobConfig, Target
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, bucket_of, pack, result, unpack
from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.sources.record_store import RecordStore, record_id, short_id, takes_effect_ms
from monsoon.transforms.consents import ConsentEvent, consent_events
from monsoon.transforms.exposure import Reserve
from monsoon.transforms.panes import PANE_MS
from monsoon.transforms.provider_register import ProviderRegister, as_registered
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.raw_identifiers import masked
from monsoon.transforms.validation.record_validator import DeadLetter, ValidRecord, fingerprint


class DeduplicateRecords(KeyedOperator):
    """Records by id, deduplicated; readings go to every trigger of their metric in the regions that they touch,
    subscription events to their policy, reserves to the payouts that they limit, answers to their rider."""

    uid: ClassVar = "deduplicate-records"
    label: ClassVar = "readings and events by id"
    to: ClassVar = (
        "account-dead-letters",
        "ask-witness",
        "judge-triggers",
        "route-policies",
        "riders-evidence",
        "witness-telemetry",
        "adjudicate-claims",
        "control-exposure",
        RESULTS,
    )

    def __init__(self, key: int, state: StateWriter, config: JobConfig, register: ProviderRegister | None) -> None:
        """`register` sets the quality of readings by their provider when they are released (None: as the readings
        state it)."""
        super().__init__(key, state)
        self._config, self._register = config, register
        self._held: dict[str, tuple[str, list[_TimedRecord]]] = {}
        """By state entry: the stream and its records that are not due yet, earliest first."""
        self._held_heap: list[tuple[int, str]] = []
        """A heap of those entries by the time of their earliest record (ms)."""
        self._remembered: dict[tuple[str, str], _RememberedRecord] = {}
        """Used records by stream and identity."""
        self._readings: dict[str, _KnownReading] = {}
        """What is remembered of readings, by their identity without the revision."""
        self._told_pane: int | None = None
        """The pane (number) in which all buckets of riders were last told of answers; told again nothing changes."""

    def process(self, message: Message) -> None:
        name = self._new_entry(f"waiting/{message.kind}")
        self._hold(name, message.kind, _timed(message.payload))
        self.state.put(name, message.payload)

    def _hold(self, name: str, stream: str, timed_records: list[_TimedRecord]) -> None:
        self._held[name] = (stream, timed_records)
        heapq.heappush(self._held_heap, (timed_records[0].effective_ms, name))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        ready: dict[str, list[ValidRecord]] = defaultdict(list)
        while self._held_heap and self._held_heap[0][0] <= upto_ms:
            name = heapq.heappop(self._held_heap)[1]
            stream, timed_records = self._held.pop(name)
            due = bisect_right(timed_records, upto_ms, key=lambda timed: timed.effective_ms)
            ready[stream].extend(timed.used for timed in timed_records[:due])
            if due == len(timed_records):
                self.state.drop(name)
            else:
                self._hold(name, stream, timed_records[due:])
                self.state.put_packed(name, [timed.used for timed in timed_records[due:]])
        for stream in sorted(ready):
            yield from self._release(stream, ready[stream], upto_ms)

    def _release(self, stream: str, ready: Iterable[ValidRecord], upto_ms: int) -> Iterator[Message]:
        counts = StreamCounts()
        store = RecordStore(counts)
        late = 0
        for used in ready:
            identity = self._remembered_identity(stream, used.record)
            known = None if identity is None else self._remembered[stream, identity]
            if identity is None or known is None:
                late += takes_effect_ms(used.record) <= self.done_ms
                if self._is_too_old(stream, used.record):
                    store.dead.append(_too_old(used.record))
                else:
                    store.add(used)
            elif known.content == content_hash(canonical_json(used.record)):
                counts.duplicate += 1
                self._count_nulled(stream, identity, used.nulled, counts)
            else:
                store.dead.append(conflict(canonical_json(used.record), used.record["event_time"]))
        used_records = store.finish_used()
        records = [each.record for each in used_records]
        counts.read = 0  # `Validate` has counted them
        yield from account(stream, counts)
        if late:
            yield result("late", (stream, late))
        yield from to_dead_letters(stream, store.dead, self._config.buckets)
        if not records:
            return
        routed = self._routed(records) if stream == "oracle_readings" else []
        if self.state.durable:
            self._remember(stream, used_records)
        if stream == "oracle_readings":
            by_target: dict[Target, list[dict[str, Any]]] = defaultdict(list)
            for record, targets in routed:
                for target in targets:
                    by_target[target].append(as_registered(record, self._register))
            for (to, key), mine in sorted(by_target.items(), key=lambda entry: entry[0]):
                yield Message(to, key, "readings", upto_ms, pack(mine))
        elif stream == "subscriptions":
            running = (record for record in records if record["product"] in self._config.running)
            yield from self._by_bucket("route-policies", "events", running, _policy_of, upto_ms)
            yield from self._consents_to_evidence(records, upto_ms)
        elif stream == "reserves":
            running = (record for record in records if record["product"] in self._config.running)
            yield from self._by_bucket("control-exposure", "reserves", running, _reserve_bucket_of, upto_ms)
        else:
            yield from self._by_bucket("adjudicate-claims", "confirmations", records, _worker_of, upto_ms)
            yield from self._answers_to_evidence(records, upto_ms)

    def _routed(self, readings: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], set[Target]]]:
        """Readings and where each goes, in the order in which they take effect.

        A correction also goes where earlier revisions went, since it may move the reading; where they went is not known
        of one whose memory has expired, nor before they come: then it goes everywhere. A revision that takes effect
        after a later one replaces nothing, and goes nowhere.
        """
        if not self._config.by_region:
            return [(record, self._config.targets_of(record)) for record in readings]
        routed = []
        for record in sorted(readings, key=_in_effect_order):
            reading, revision = _reading_of(repr(record_id(record)))
            known = self._readings.get(reading)
            if known is not None and revision < known.newest:
                routed.append((record, set[Target]()))
                continue
            targets = self._config.targets_of(record)
            if revision:
                every = self._config.all_targets
                targets |= every if known is None else {target for target in every if target[1] in known.keys}
            self._readings[reading] = _KnownReading(revision, tuple(sorted({key for _, key in targets})))
            routed.append((record, targets))
        return routed

    def _is_too_old(self, stream: str, record: dict[str, Any]) -> bool:
        """Whether a late reading or a correction is older than what state still covers."""
        if not self.state.durable or stream != "oracle_readings":
            return False
        now_ms = max(takes_effect_ms(record), self.done_ms)
        return bool(record["event_time"] < now_ms - self._config.corrected_ms)

    def _by_bucket(
        self,
        to: str,
        kind: str,
        records: Iterable[dict[str, Any]],
        name: Callable[[dict[str, Any]], str],
        due_ms: int,
    ) -> Iterator[Message]:
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            by_key[bucket_of(name(record), self._config.buckets)].append(record)
        for bucket, timed_records in by_key.items():
            yield Message(to, bucket, kind, due_ms, pack(timed_records))

    def _consents_to_evidence(self, records: Iterable[dict[str, Any]], due_ms: int) -> Iterator[Message]:
        """What events of all products, also of those that do not run, state on the use of locations, to where their
        riders' reports are kept."""
        by_key: dict[int, list[ConsentEvent]] = defaultdict(list)
        for event in consent_events(records):
            by_key[bucket_of(event.worker_id, self._config.buckets)].append(event)
        asks = self._config.telemetry_triggers or self._config.takes_changes
        for bucket, events in sorted(by_key.items()):
            for to in ("riders-evidence", *(("witness-telemetry",) if asks else ())):
                yield Message(to, bucket, "consents", due_ms, pack(events))

    def _answers_to_evidence(self, records: Iterable[dict[str, Any]], due_ms: int) -> Iterator[Message]:
        """Answers to where the phones of their riders are read again. Every bucket is told that there are some, once in
        the length of a pane: who uses the same phones has to be known, from the panes that are over by then."""
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            by_key[bucket_of(_worker_of(record), self._config.buckets)].append(record)
        pane = due_ms // PANE_MS
        told, self._told_pane = pane == self._told_pane, pane
        for bucket in sorted(by_key) if told else range(self._config.buckets):
            yield Message("riders-evidence", bucket, "confirmations", due_ms, pack(by_key[bucket]))

    def _remembered_identity(self, stream: str, record: dict[str, Any]) -> str | None:
        """The identity under which a record is remembered, if any; older state has identities of the id alone."""
        names = (repr(record_id(record)), repr(short_id(record)))
        return next((name for name in names if (stream, name) in self._remembered), None)

    def _remember(self, stream: str, used: Sequence[ValidRecord]) -> None:
        for each in used:
            content = content_hash(canonical_json(each.record))
            identity, effective_ms = repr(record_id(each.record)), takes_effect_ms(each.record)
            keys = self._keys_of(identity) if stream == "oracle_readings" else ()
            known = _RememberedRecord(self._new_entry(f"memory/{stream}"), content, effective_ms, each.nulled, keys)
            self._remembered[stream, identity] = known
            self._keep(identity, known)

    def _keys_of(self, identity: str) -> tuple[int, ...]:
        """The keys of triggers to which a reading and its earlier revisions went; none for one that went nowhere."""
        reading, revision = _reading_of(identity)
        known = self._readings.get(reading)
        return () if known is None or known.newest != revision else known.keys

    def _keep(self, identity: str, known: _RememberedRecord) -> None:
        entry = Remembered(identity, known.content, known.effective_ms, list(known.nulled), list(known.keys))
        self.state.put_packed(known.name, entry)

    def _count_nulled(self, stream: str, identity: str, nulled: Iterable[str], counts: StreamCounts) -> None:
        """Counts fields that were nulled in a duplicate, but not in the record that was used."""
        known = self._remembered[stream, identity]
        additional = set(nulled).difference(known.nulled)
        if additional:
            counts.count_nulled(additional)
            self._remembered[stream, identity] = known._replace(nulled=(*known.nulled, *sorted(additional)))
            self._keep(identity, self._remembered[stream, identity])

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._remembered)

    def expire(self, upto_ms: int) -> None:
        before_ms = upto_ms - self._config.remembered_ms
        expired = [key for key, known in self._remembered.items() if known.effective_ms < before_ms]
        for stream, identity in expired:
            self.state.drop(self._remembered.pop((stream, identity)).name)
            if stream == "oracle_readings":
                reading, revision = _reading_of(identity)
                if reading in self._readings and self._readings[reading].newest == revision:
                    del self._readings[reading]

    @property
    def next_work_ms(self) -> int | None:
        return max(self._held_heap[0][0], self.done_ms) if self._held_heap else None

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "waiting"):
            stream = name.split("/")[1]
            self._hold(name, stream, _timed(payload))
        for name, payload in entries_of(entries, "memory"):
            entry: Remembered = unpack(payload, Remembered)
            known = _RememberedRecord(name, entry.content, entry.effective_ms, tuple(entry.nulled), tuple(entry.keys))
            stream = name.split("/")[1]
            self._remembered[stream, entry.identity] = known
            if stream == "oracle_readings" and self._config.by_region:
                reading, revision = _reading_of(entry.identity)
                if reading not in self._readings or revision > self._readings[reading].newest:
                    self._readings[reading] = _KnownReading(revision, known.keys)


class Remembered(msgspec.Struct, array_like=True):
    """State entry of a used record: its identity (up to version 2 of the state: its id alone), a hash of its content,
    when it took effect (ms), the fields that validation nulled, and of a reading the keys of triggers to which it and
    earlier revisions of it went."""

    identity: str
    content: bytes
    effective_ms: int
    nulled: list[str] = []
    keys: list[int] = []


class _RememberedRecord(NamedTuple):
    """A used record and the name of its state entry; `effective_ms` is when it took effect."""

    name: str
    content: bytes
    effective_ms: int
    nulled: tuple[str, ...]
    keys: tuple[int, ...]


class _KnownReading(NamedTuple):
    """The newest revision that a reading has, and the keys of triggers to which it and earlier ones went."""

    newest: int
    keys: tuple[int, ...]


def _reading_of(identity: str) -> tuple[str, int]:
    """A reading's identity without the revision (as text), and the revision."""
    reading, _, revision = identity.rpartition(", ")
    return reading, int(revision.removesuffix(")"))


def _in_effect_order(record: dict[str, Any]) -> tuple[int, int]:
    return takes_effect_ms(record), record["revision"] or 0


def content_hash(canonical: str) -> bytes:
    """A hash of a record's canonical JSON, to compare contents: 16 bytes of its SHA-256."""
    return fingerprint(canonical.encode())[:16]


def _policy_of(record: Mapping[str, Any]) -> str:
    return str(record["policy_id"])


def _worker_of(record: Mapping[str, Any]) -> str:
    return str(record["worker_id"])


def _reserve_bucket_of(record: Mapping[str, Any]) -> str:
    return Reserve.of(record).pool.name


class _TimedRecord(NamedTuple):
    """A record and when it takes effect (ms)."""

    effective_ms: int
    used: ValidRecord


def _timed(payload: bytes) -> list[_TimedRecord]:
    """The records of a payload, earliest first."""
    timed = [_TimedRecord(takes_effect_ms(used.record), used) for used in unpack(payload, list[ValidRecord])]
    return sorted(timed, key=lambda each: each.effective_ms)


def _too_old(record: dict[str, Any]) -> DeadLetter:
    """The dead letter of a late reading or correction whose moment can no longer be re-evaluated."""
    content = canonical_json(record)
    detail = "speaks of a moment too long ago to be judged again by a job that runs; replay that storm"
    return DeadLetter("too_late", detail, masked(content), record["event_time"], fingerprint(content.encode()))
