"""Reads one output stream: committed records only, typed, each once, from where the service left off."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from monsoon.client.connection import (
    COMMIT_REFUSED,
    OFFSET_GONE,
    UNAVAILABLE,
    KafkaConsumerLike,
    OffsetAndMetadata,
    RebalanceListener,
    TopicPartition,
    connect,
    unavailable,
)
from monsoon.client.errors import ClientError, CommitRefusedError, ForeignRecordError, TopicNotFoundError
from monsoon.client.records import Record
from monsoon.contracts.topics import TOPICS, topic_name

R = TypeVar("R", bound=Record)

_POLL_MS = 200
"""Short, so that Ctrl-C and a new partition are noticed."""


@dataclass(frozen=True, slots=True)
class Received(Generic[R]):
    """A record and where it was read."""

    record: R
    key: str
    """The record's id; the same for all its revisions."""
    partition: int
    offset: int
    timestamp_ms: int
    """When the broker took it, ms since 1970-01-01T00:00:00Z; the record's own times are in the record."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """What lies in the topic and is no record of the stream; without a `value` (None, or empty, which is
    what a job can write): a tombstone, which deletes the key."""

    reason: str
    key: bytes | None
    value: bytes | None
    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        # Without the value, which may hold what belongs in no log.
        return f"{self.topic}, partition {self.partition}, offset {self.offset}: {self.reason}"

    def error(self) -> ForeignRecordError:
        """What is raised where nobody takes it."""
        return ForeignRecordError(f"{self}. Find who writes to this topic; on_foreign=... passes such records over")


class Consumer(Generic[R]):
    """Iterates over the records of one stream as `kind`, which is one of `records.RECORD_TYPES`.

    Where it begins, and what happens to a record whose processing was interrupted:

    - `group`: at the offsets that the group committed. `commit()` commits every record handed out so far, so a record
      is processed at least once. Members of a group share the partitions.
    - `positions`: at the next offset of each partition, as `positions` of an earlier consumer gave them, and at the
      beginning of any other partition. A service that stores them in the transaction of its own effects processes each
      record exactly once.

    A repeat of an id and revision is passed over as long as it is among the last `max_remembered` (some 300 bytes
    each); the memory is of this object alone, so effects are best stored by id and revision.

    `on_foreign` is called with what is no record of the stream, which is then passed over; without it
    ForeignRecordError is raised, again and again, since nothing is passed over unseen. `timeout_ms` is how long to
    wait for a broker that does not answer; one that goes away while records are awaited is waited for.
    `kafka_settings` are further ones of kafka-python, such as those of TLS.

    Raises BrokerUnavailableError, TopicNotFoundError, ValueError for positions that do not fit the topic.
    """

    def __init__(
        self,
        kind: type[R],
        servers: str,
        *,
        group: str | None = None,
        positions: Mapping[int, int] | None = None,
        prefix: str = "",
        on_foreign: Callable[[Foreign], None] | None = None,
        max_remembered: int = 100_000,
        timeout_ms: int = 30_000,
        kafka_settings: Mapping[str, Any] | None = None,
    ) -> None:
        if (group is None) == (positions is None):
            raise ValueError("either group or positions says where to begin; positions={} is the beginning")
        topic = TOPICS[kind.STREAM]
        self._topic = topic_name(kind.STREAM, prefix)
        self._key_fields, self._revision_field = topic.key_fields, topic.revision_field
        self._decoder = msgspec.json.Decoder(kind)
        self._on_foreign = on_foreign
        self._seen = _Seen(max_remembered)
        self._servers = [server.strip() for server in servers.split(",")]
        self._timeout_ms = timeout_ms
        self._group = group
        self._buffer: deque[Any] = deque()
        self._positions: dict[int, int] = {}
        self._assigned: list[Any] = []
        self._kafka: KafkaConsumerLike = connect(self._servers, group, timeout_ms, kafka_settings or {})
        try:
            self._begin(positions)
        except BaseException:
            self._kafka.close()
            raise

    def __iter__(self) -> Iterator[Received[R]]:
        """Every record, for ever: waits for those to come. May be left and begun anew, without losing any."""
        while True:
            yield from self._buffered()
            self._poll()

    def read_to_end(self) -> Iterator[Received[R]]:
        """The records up to the last that is committed when this is called; not of a group.

        Raises BrokerUnavailableError if nothing is heard of the broker for `timeout_ms`.
        """
        if self._group is not None:
            raise ClientError("read_to_end: a group's members each have some of the partitions; use positions")
        self._assign()
        ends = self._call(self._kafka.end_offsets, self._assigned)
        last_heard_s = time.monotonic()
        while True:
            for received in self._buffered():
                yield received
                last_heard_s = time.monotonic()
            # Not by the offsets of records: markers of transactions have offsets, too.
            if all((self._call(self._kafka.position, each) or 0) >= end for each, end in ends.items()):
                return
            self._poll()
            if not self._buffer and time.monotonic() - last_heard_s > self._timeout_ms / 1000:
                raise unavailable(self._servers, self._timeout_ms)

    @property
    def positions(self) -> dict[int, int]:
        """By partition, the offset after the last record that was handed out or passed over."""
        return dict(self._positions)

    def commit(self) -> None:
        """Commits the positions for the group: what was handed out so far is not handed out again after a restart.

        Raises CommitRefusedError if other members of the group have the partitions by now, which will process the
        records since the last commit again.
        """
        if self._group is None:
            raise ClientError("commit: without a group positions are the caller's to store")
        if not self._positions:
            return
        offsets = {
            TopicPartition(self._topic, each): OffsetAndMetadata(offset) for each, offset in self._positions.items()
        }
        try:
            self._call(self._kafka.commit, offsets)
        except COMMIT_REFUSED as error:
            raise CommitRefusedError(
                f"{self._topic}: group {self._group} was rebalanced before the commit; its members process the records "
                "since the last one again. Commit more often, or process fewer records between two"
            ) from error

    def close(self) -> None:
        """Leaves the group and closes the connections; commits nothing."""
        self._kafka.close()

    def __enter__(self) -> Consumer[R]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, positions: Mapping[int, int] | None) -> None:
        partitions = self._partitions()
        if not partitions:
            raise TopicNotFoundError(
                f"no topic {self._topic} at {', '.join(self._servers)}: is it created, and is the prefix right?"
            )
        if positions is None:
            self._kafka.subscribe([self._topic], listener=_Forget(self._positions))
            return
        unknown = sorted(positions.keys() - partitions)
        if unknown:
            raise ValueError(f"{self._topic} has no partition {unknown[0]}: are the positions another topic's?")
        self._positions.update(positions)
        self._assign()

    def _partitions(self) -> set[int]:
        return self._call_plain(self._kafka.partitions_for_topic, self._topic) or set()

    def _assign(self) -> None:
        """Reads every partition of the topic, those that were added since as well."""
        wanted = [TopicPartition(self._topic, each) for each in sorted(self._partitions())]
        new = [each for each in wanted if each not in self._assigned]
        if not new:
            return
        begins = self._call(self._kafka.beginning_offsets, new)
        self._kafka.assign(wanted)
        for each in new:
            self._kafka.seek(each, self._positions.setdefault(each.partition, begins[each]))
        self._assigned = wanted

    def _poll(self) -> None:
        if self._group is None:
            self._assign()
        for messages in self._call_plain(self._kafka.poll, timeout_ms=_POLL_MS).values():
            self._buffer.extend(messages)

    def _buffered(self) -> Iterator[Received[R]]:
        while self._buffer:
            message = self._buffer[0]
            # If this raises, the message stays.
            received = self._received(message)
            self._buffer.popleft()
            self._positions[message.partition] = message.offset + 1
            if received is not None:
                yield received

    def _received(self, message: Any) -> Received[R] | None:
        """None for a repeat, and for what `on_foreign` took."""
        try:
            key, record = self._decoded(message)
        except _NotOfStreamError as error:
            foreign = Foreign(str(error), message.key, message.value, self._topic, message.partition, message.offset)
            if self._on_foreign is None:
                raise foreign.error() from error
            self._on_foreign(foreign)
            return None
        revision = getattr(record, self._revision_field) if self._revision_field else 0
        if not self._seen.is_first((key, revision)):
            return None
        return Received(record, key, message.partition, message.offset, message.timestamp)

    def _decoded(self, message: Any) -> tuple[str, R]:
        if not message.value:
            raise _NotOfStreamError("a tombstone")
        try:
            key = (message.key or b"").decode()
            record = self._decoder.decode(message.value)
        except UnicodeDecodeError as error:
            raise _NotOfStreamError("a key that is not UTF-8") from error
        except msgspec.MsgspecError as error:
            raise _NotOfStreamError(f"not a record of the contract: {error}") from error
        # A dead letter's key is computed of its content, and is its id.
        if self._key_fields and key != "/".join(str(getattr(record, name)) for name in self._key_fields):
            raise _NotOfStreamError(f"a key that is not the record's {'/'.join(self._key_fields)}")
        if not key:
            raise _NotOfStreamError("no key")
        return key, record

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A call that the broker has to answer in time."""
        return self._call_plain(function, *arguments, timeout_ms=self._timeout_ms)

    def _call_plain(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except UNAVAILABLE as error:
            raise unavailable(self._servers, self._timeout_ms) from error
        except OFFSET_GONE as error:
            raise ClientError(
                f"{self._topic}: the broker does not have the offsets to begin at ({error}): records were deleted "
                "before they were read, or the topic was made anew. positions={} begins at the beginning"
            ) from error


class _Forget(RebalanceListener):
    """Forgets the positions of partitions that another member gets, since they are its to commit."""

    def __init__(self, positions: dict[int, int]) -> None:
        self._positions = positions

    def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        for each in revoked:
            self._positions.pop(each.partition, None)

    def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        """They begin at the offsets that the group committed."""


class _NotOfStreamError(Exception):
    """Why a message is no record of the stream."""


class _Seen:
    """The last ids with revision that were met, so many at most."""

    def __init__(self, max_remembered: int) -> None:
        self._max_remembered = max_remembered
        self._met: OrderedDict[tuple[str, int], None] = OrderedDict()

    def is_first(self, identity: tuple[str, int]) -> bool:
        """Whether it is not remembered; it is from now on."""
        if identity in self._met:
            return False
        self._met[identity] = None
        if len(self._met) > self._max_remembered:
            self._met.popitem(last=False)
        return True
