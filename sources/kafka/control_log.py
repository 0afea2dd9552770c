"""The topic `control` as a log that is read from its beginning and added to."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from monsoon.sources.files import InputError
from monsoon.sources.kafka.admin import partition_counts, refusals
from monsoon.sources.kafka.producer import MAX_RECORD_BYTES

_POLL_MS = 100
_PATIENCE_S = 30.0


class LoggedRecord(NamedTuple):
    """A record and its place in the topic."""

    offset: int
    value: bytes | None


class ControlLog:
    """The control topic of an installation. Not for several threads at a time."""

    def __init__(self, brokers: str, topic: str) -> None:
        """Raises InputError where the topic is not there or has several partitions, between which there is no order."""
        from kafka import KafkaConsumer, TopicPartition

        if partition_counts(brokers, {"control": topic})["control"] != 1:
            raise InputError(
                f"topic {topic} has several partitions", brokers, "Create it anew with one: its records have an order."
            )
        self.brokers, self.topic = brokers, topic
        self._partition = TopicPartition(topic, 0)
        self._producer: Any = None
        with refusals(brokers):
            self._consumer: Any = KafkaConsumer(
                bootstrap_servers=brokers.split(","),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=_POLL_MS,
                max_partition_fetch_bytes=MAX_RECORD_BYTES,
            )
            self._consumer.assign([self._partition])
            self._consumer.seek_to_beginning()

    def read(self) -> list[LoggedRecord]:
        """The records that were added since the last call, up to the end that the topic has now.

        Raises InputError where the brokers do not answer in time.
        """
        found: list[LoggedRecord] = []
        until_s = time.monotonic() + _PATIENCE_S
        with refusals(self.brokers):
            end = self._consumer.end_offsets([self._partition])[self._partition]
            while self._consumer.position(self._partition) < end:
                if time.monotonic() > until_s:
                    raise InputError(
                        f"topic {self.topic} is not read to its end in {_PATIENCE_S:.0f} s", self.brokers, "Is it well?"
                    )
                for records in self._consumer.poll(timeout_ms=_POLL_MS).values():
                    found += (LoggedRecord(record.offset, record.value) for record in records)
        return found

    def append(self, key: str, value: bytes) -> int:
        """Adds a record; returns its offset once the brokers have it. Raises InputError."""
        from kafka import KafkaProducer

        with refusals(self.brokers):
            if self._producer is None:
                self._producer = KafkaProducer(
                    bootstrap_servers=self.brokers.split(","),
                    acks="all",
                    enable_idempotence=True,
                    compression_type="gzip",
                    max_request_size=MAX_RECORD_BYTES,
                )
            sent = self._producer.send(self.topic, key=key.encode(), value=value, partition=0)
            return int(sent.get(timeout=_PATIENCE_S).offset)

    def close(self) -> None:
        """Releases the connections."""
        self._consumer.close()
        if self._producer is not None:
            self._producer.close()
