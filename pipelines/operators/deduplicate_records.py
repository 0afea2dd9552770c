"""Records of few - readings, subscription events, reserves, answers: of each id one stays, and goes to where it is
needed.

They wait and are remembered as telemetry is (`duplicates.py`).
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.operators.validate import takes_effect_ms
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, bucket_of, pack, result, unpack
from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.sources.record_store import RecordStore, record_id, short_id
from monsoon.transforms.exposure import Reserve
from monsoon.transforms.provider_register import ProviderRegister, as_registered
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.raw_identifiers import masked
from monsoon.transforms.validation.record_validator import DeadLetter, ValidRecord, fingerprint


class DeduplicateRecords(KeyedOperator):
    """Records of few by id: of each id one stays; readings go to every trigger, subscription events to their policy,
    reserves to the payouts that they limit, answers to their rider."""

    uid: ClassVar = "deduplicate-records"
    label: ClassVar = "readings and events by id"
    to: ClassVar = (
        "account-dead-letters",
        "ask-witness",
        "judge-triggers",
        "route-policies",
        "adjudicate-claims",
        "control-exposure",
        RESULTS,
    )

    def __init__(self, key: int, state: StateWriter, config: JobConfig, register: ProviderRegister | None) -> None:
        """`register` says how good a provider's readings are, from when they are released here (None: they do)."""
        super().__init__(key, state)
        self._config, self._register = config, register
        self._waiting: dict[str, tuple[str, list[_Timed]]] = {}
        """By entry: the stream and its records that wait for their time, earliest first."""
        self._firsts: list[tuple[int, str]] = []
        """A heap of those entries by their earliest record: what waits costs nothing."""
        self._memory: dict[tuple[str, str], _Known] = {}
        """By stream and identity."""

    def process(self, message: Message) -> None:
        name = self._name(f"waiting/{message.kind}")
        self._wait(name, message.kind, _timed(message.kind, message.payload))
        self.state.put(name, message.payload)

    def _wait(self, name: str, stream: str, members: list[_Timed]) -> None:
        self._waiting[name] = (stream, members)
        heapq.heappush(self._firsts, (members[0].effective_ms, name))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        ready: dict[str, list[ValidRecord]] = defaultdict(list)
        while self._firsts and self._firsts[0][0] <= upto_ms:
            name = heapq.heappop(self._firsts)[1]
            stream, members = self._waiting.pop(name)
            due = bisect_right(members, upto_ms, key=lambda timed: timed.effective_ms)
            ready[stream].extend(timed.used for timed in members[:due])
            if due == len(members):
                self.state.drop(name)
            else:
                self._wait(name, stream, members[due:])
                self.state.put_packed(name, [timed.used for timed in members[due:]])
        for stream in sorted(ready):
            yield from self._release(stream, ready[stream], upto_ms)

    def _release(self, stream: str, ready: Iterable[ValidRecord], upto_ms: int) -> Iterator[Message]:
        counts = StreamCounts()
        store = RecordStore(counts)
        late = 0
        for used in ready:
            identity = self._known_as(stream, used.record)
            known = None if identity is None else self._memory[stream, identity]
            if identity is None or known is None:
                late += takes_effect_ms(stream, used.record) <= self.done_ms
                if self._is_too_old(stream, used.record):
                    store.dead.append(_too_old(used.record))
                else:
                    store.add(used)
            elif known.content == content_hash(canonical_json(used.record)):
                counts.duplicate += 1
                self._lose(stream, identity, used.nulled, counts)
            else:
                store.dead.append(conflict(canonical_json(used.record), used.record["event_time"]))
        stand = store.finish_used()
        records = [each.record for each in stand]
        counts.read = 0  # counted where they were read
        yield from account(stream, counts)
        if late:
            yield result("late", (stream, late))
        yield from to_dead_letters(stream, store.dead, self._config.buckets)
        if not records:
            return
        if self.state.durable:
            self._remember(stream, stand)
        if stream == "oracle_readings":
            records = [as_registered(record, self._register) for record in records]
            for key, metrics in self._config.metrics_of_key.items():
                # A correction may take a reading away from the metric that it spoke of.
                mine = [record for record in records if record["metric"] in metrics or record["revision"]]
                if mine:
                    yield Message(self._config.listening(key), key, "readings", upto_ms, pack(mine))
        elif stream == "subscriptions":
            running = (record for record in records if record["product"] in self._config.running)
            yield from self._by_bucket("route-policies", "events", running, _policy, upto_ms)
        elif stream == "reserves":
            running = (record for record in records if record["product"] in self._config.running)
            yield from self._by_bucket("control-exposure", "reserves", running, _limited, upto_ms)
        else:
            yield from self._by_bucket("adjudicate-claims", "confirmations", records, _worker, upto_ms)

    def _is_too_old(self, stream: str, record: dict[str, Any]) -> bool:
        """Whether it would change a past that is being forgotten; asked of what is late or corrects."""
        if not self.state.durable or stream != "oracle_readings":
            return False
        now_ms = max(takes_effect_ms(stream, record), self.done_ms)
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
        for bucket, members in by_key.items():
            yield Message(to, bucket, kind, due_ms, pack(members))

    def _known_as(self, stream: str, record: dict[str, Any]) -> str | None:
        """As what a record is remembered, if at all; what was remembered by its id alone still holds by that."""
        names = (repr(record_id(record)), repr(short_id(record)))
        return next((name for name in names if (stream, name) in self._memory), None)

    def _remember(self, stream: str, used: Sequence[ValidRecord]) -> None:
        for each in used:
            content = content_hash(canonical_json(each.record))
            identity, effective_ms = repr(record_id(each.record)), takes_effect_ms(stream, each.record)
            known = _Known(self._name(f"memory/{stream}"), content, effective_ms, each.nulled)
            self._memory[stream, identity] = known
            self._keep(identity, known)

    def _keep(self, identity: str, known: _Known) -> None:
        self.state.put_packed(known.name, Remembered(identity, known.content, known.effective_ms, list(known.nulled)))

    def _lose(self, stream: str, identity: str, nulled: Iterable[str], counts: StreamCounts) -> None:
        """Counts what a repeat lost and the record used did not."""
        known = self._memory[stream, identity]
        more = set(nulled).difference(known.nulled)
        if more:
            counts.count_nulled(more)
            self._memory[stream, identity] = known._replace(nulled=(*known.nulled, *sorted(more)))
            self._keep(identity, self._memory[stream, identity])

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._memory)

    def expire(self, upto_ms: int) -> None:
        before_ms = upto_ms - self._config.remembered_ms
        gone = [key for key, known in self._memory.items() if known.effective_ms < before_ms]
        for key in gone:
            self.state.drop(self._memory.pop(key).name)

    @property
    def next_work_ms(self) -> int | None:
        return max(self._firsts[0][0], self.done_ms) if self._firsts else None

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "waiting"):
            stream = name.split("/")[1]
            self._wait(name, stream, _timed(stream, payload))
        for name, payload in entries_of(entries, "memory"):
            kept: Remembered = unpack(payload, Remembered)
            known = _Known(name, kept.content, kept.effective_ms, tuple(kept.nulled))
            self._memory[name.split("/")[1], kept.identity] = known


class Remembered(msgspec.Struct, array_like=True):
    """The identity of a record used (up to version 2 of the state: its id alone), a hash of its content, when it took
    effect (ms), and the fields that it lost."""

    identity: str
    content: bytes
    effective_ms: int
    nulled: list[str] = []


class _Known(NamedTuple):
    """What is remembered of a record, and the entry; `effective_ms` is when it took effect."""

    name: str
    content: bytes
    effective_ms: int
    nulled: tuple[str, ...]


def content_hash(canonical: str) -> bytes:
    """What stands for a record's canonical JSON where only sameness is asked: 16 bytes of its SHA-256."""
    return fingerprint(canonical.encode())[:16]


def _policy(record: Mapping[str, Any]) -> str:
    return str(record["policy_id"])


def _worker(record: Mapping[str, Any]) -> str:
    return str(record["worker_id"])


def _limited(record: Mapping[str, Any]) -> str:
    return Reserve.of(record).pool.name


class _Timed(NamedTuple):
    """A record and when it takes effect (ms)."""

    effective_ms: int
    used: ValidRecord


def _timed(stream: str, payload: bytes) -> list[_Timed]:
    """The records of a payload, earliest first."""
    timed = [_Timed(takes_effect_ms(stream, used.record), used) for used in unpack(payload, list[ValidRecord])]
    return sorted(timed, key=lambda each: each.effective_ms)


def _too_old(record: dict[str, Any]) -> DeadLetter:
    """The dead letter of a reading that speaks of a moment before those that can still be judged again."""
    content = canonical_json(record)
    detail = "speaks of a moment too long ago to be judged again by a job that runs; replay that storm"
    return DeadLetter("too_late", detail, masked(content), record["event_time"], fingerprint(content.encode()))
