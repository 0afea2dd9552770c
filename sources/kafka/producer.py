"""Sends a folder's history to the input topics, in event-time order, at a multiple of real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from monsoon.sources.files import InputError
from monsoon.sources.kafka.admin import refusals
from monsoon.sources.kafka.history import LONGEST_GAP_MS, PACED_STREAMS, TimedLine
from monsoon.sources.kafka.watermarks import END_OF_STREAM_MS
from monsoon.sources.topic_keys import line_key

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""Far above what validation takes: a line that is too long becomes a dead letter of the job."""
_PATIENCE_MS = 20 * 60_000
_BEAT_LINES = 5_000
_BEAT_S = 0.5
_END_AGAIN_S = 10.0
_STEP_S = 0.05
"""Lines of so short a time are sent at once: a pause for each would take longer than they do."""


def history_producer(brokers: str) -> Any:
    """A producer that survives a broker's restart, and writes each record once. Raises InputError where no broker
    answers."""
    from kafka import KafkaProducer

    with refusals(brokers):
        return KafkaProducer(
            bootstrap_servers=brokers.split(","),
            acks="all",
            enable_idempotence=True,
            linger_ms=20,
            batch_size=256 * 1024,
            max_request_size=MAX_RECORD_BYTES,
            delivery_timeout_ms=_PATIENCE_MS,
        )


class TimedLines(Protocol):
    """Lines in the order of their times, as `History` has them; `first_ms` is the earliest of these."""

    first_ms: int

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[TimedLine]: ...


@dataclass
class HistoryProducer:
    """Sends lines and heartbeats by `producer`, a kafka.KafkaProducer; `topics` and `partitions`: name and number of
    partitions by stream."""

    producer: Any
    topics: Mapping[str, str]
    partitions: Mapping[str, int]
    speed: float = 0.0
    """So many times as fast as real time; 0: as fast as it goes."""
    stopped: Callable[[], bool] = lambda: False
    """Asked now and then whether to give up."""
    hurried: Callable[[], bool] = lambda: False
    """Asked now and then whether to send the rest as fast as it goes."""
    progress: Callable[[], None] = lambda: None
    """Called now and then."""
    sent: int = 0
    played_ms: int = 0
    """How far it has come in `History.span_ms`, at a multiple of real time."""
    _beat_sent: int = 0
    _beat_s: float = 0.0
    """How much was sent, and when it was, at the last heartbeat."""
    _partition_of_key: dict[bytes, int] = field(default_factory=dict)
    _refused: list[tuple[str, BaseException]] = field(default_factory=list)
    """Topic and reason of each record that the brokers did not take."""

    def send(self, history: TimedLines) -> None:
        """Sends all of it. Raises InputError where the brokers have not taken a record."""
        clock = _Clock(self.speed)
        self._beat(history.first_ms)
        for line in history:
            self._wait_for(line, clock)
            if self.stopped():
                return
            self._send(line)
        self._beat(line.time_ms if len(history) else history.first_ms)
        self._flush()

    def _wait_for(self, line: TimedLine, clock: _Clock) -> None:
        """Returns when it is time for a line, or to give up; sends heartbeats every now and then."""
        if line.stream in PACED_STREAMS:
            clock.play_to(line.time_ms)
            self.played_ms = clock.played_ms
        while True:
            if self.sent - self._beat_sent >= _BEAT_LINES or time.monotonic() - self._beat_s >= _BEAT_S:
                self._beat(clock.event_time_ms(line.time_ms))
                self._require_taken()
                self.progress()
            left_s = clock.left_s
            if left_s < _STEP_S or self.stopped() or self.hurried():
                return
            time.sleep(min(left_s, _BEAT_S))

    def end(self) -> None:
        """Says, again if need be, that nothing follows in any partition: event time ends. Raises InputError."""
        self._beat(END_OF_STREAM_MS)
        self._flush()

    def end_again(self) -> None:
        """The same, unless it was said just now: a job that was restarted does not know any more which partitions had
        ended."""
        if time.monotonic() - self._beat_s >= _END_AGAIN_S:
            self.end()

    def _flush(self) -> None:
        """Returns when the brokers have all that was sent. Raises InputError where they have not taken a record."""
        self.producer.flush()
        self._require_taken()

    def _require_taken(self) -> None:
        if self._refused:
            topic, reason = self._refused[0]
            raise InputError(
                f"Kafka has not taken {len(self._refused)} records: {type(reason).__name__}",
                topic,
                "See the broker's log, and produce the folder again: records that are there already are duplicates",
            )

    def _send(self, line: TimedLine) -> None:
        name = line_key(line.stream, line.line)
        key = None if name is None else name.encode("utf-8", "surrogatepass")
        self._put(line.stream, self._partition(line.stream, key), line.line, line.stamp_ms, key)
        self.sent += 1

    def _partition(self, stream: str, key: bytes | None) -> int:
        count = self.partitions[stream]
        if count == 1 or key is None:
            return self.sent % count
        if key not in self._partition_of_key:
            from kafka.partitioner.default import murmur2

            self._partition_of_key[key] = murmur2(key) & 0x7FFFFFFF
        return self._partition_of_key[key] % count

    def _beat(self, stamp_ms: int) -> None:
        self._beat_sent, self._beat_s = self.sent, time.monotonic()
        for stream, partition in self._all():
            self._put(stream, partition, b"", stamp_ms)

    def _put(self, stream: str, partition: int, value: bytes, stamp_ms: int, key: bytes | None = None) -> None:
        topic = self.topics[stream]
        sent = self.producer.send(topic, value=value, key=key, partition=partition, timestamp_ms=stamp_ms)
        sent.add_errback(lambda reason: self._refused.append((topic, reason)))

    def _all(self) -> Iterable[tuple[str, int]]:
        return ((stream, number) for stream in self.topics for number in range(self.partitions[stream]))


class _Clock:
    """When a moment of history comes, by the wall clock; gaps of many hours are cut out."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._last_ms: int | None = None
        self._due_s = time.monotonic()
        self.played_ms = 0
        """All gaps so far."""

    def play_to(self, at_ms: int) -> None:
        """Goes on to a moment; moments never go back."""
        gap_ms = 0 if self._last_ms is None else at_ms - self._last_ms
        if self._speed and gap_ms <= LONGEST_GAP_MS:
            self._due_s += gap_ms / 1000 / self._speed
            self.played_ms += gap_ms
        self._last_ms = at_ms

    @property
    def left_s(self) -> float:
        """How long to wait for that moment (s)."""
        return self._due_s - time.monotonic() if self._speed else 0.0

    def event_time_ms(self, next_ms: int) -> int:
        """The moment of history that it is now, before a next record that is still to come."""
        return next_ms - max(0, int(self.left_s * 1000 * self._speed))
