"""What a job has committed to its output topics, read from their beginning by a consumer with read_committed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monsoon.sources.kafka.admin import partition_counts


class CommittedRecords:
    """The records of some topics (`topics`: name by stream), whole, each once."""

    def __init__(self, brokers: str, topics: Mapping[str, str], *, isolation: str = "read_committed") -> None:
        """With the isolation `read_uncommitted` also what may be aborted yet. Raises InputError for a topic that is not
        there."""
        from kafka import KafkaConsumer, TopicPartition

        counts = partition_counts(brokers, topics)
        self._streams = {topic: stream for stream, topic in topics.items()}
        self._consumer: Any = KafkaConsumer(
            bootstrap_servers=brokers.split(","),
            isolation_level=isolation,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=64 * 1024 * 1024,
        )
        self._consumer.assign(
            [TopicPartition(topic, number) for stream, topic in topics.items() for number in range(counts[stream])]
        )
        self._consumer.seek_to_beginning()

    def poll(self, timeout_ms: int) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        """What has been committed since the last call, for at most `timeout_ms`: stream, key, value."""
        for stream, record in self.poll_records(timeout_ms):
            yield stream, record.key, record.value

    def poll_records(self, timeout_ms: int) -> Iterator[tuple[str, Any]]:
        """The same, as the consumer has them: stream and record, with its timestamp."""
        for partition, records in self._consumer.poll(timeout_ms=timeout_ms, max_records=10_000).items():
            for record in records:
                yield self._streams[partition.topic], record

    def close(self) -> None:
        """Releases the connections."""
        self._consumer.close()
