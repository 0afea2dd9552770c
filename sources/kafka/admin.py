"""What the brokers say of topics."""

from __future__ import annotations

from collections.abc import Mapping

from monsoon.sources.files import InputError


def partition_counts(brokers: str, topics: Mapping[str, str]) -> dict[str, int]:
    """How many partitions the topic of each stream has (`topics`: name by stream). Raises InputError for a topic that
    is not there and for brokers that cannot be reached."""
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    try:
        consumer = KafkaConsumer(bootstrap_servers=brokers.split(","), bootstrap_timeout_ms=10_000)
    except KafkaError as error:
        raise InputError(f"no broker answers ({error})", brokers, "Start it, or mend kafka.brokers") from error
    try:
        counts = {}
        for stream, topic in topics.items():
            numbers = consumer.partitions_for_topic(topic)
            if not numbers:
                raise InputError(f"no topic {topic}", brokers, "Create it: monsoon up does, or kafka-topics --create")
            counts[stream] = len(numbers)
        return counts
    finally:
        consumer.close()
