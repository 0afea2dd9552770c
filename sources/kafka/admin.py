"""What the brokers say of topics, and what they are asked to do with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from monsoon.sources.files import InputError

_BOOTSTRAP_MS = 10_000


def partition_counts(brokers: str, topics: Mapping[str, str]) -> dict[str, int]:
    """How many partitions the topic of each stream has (`topics`: name by stream). Raises InputError for a topic that
    is not there and for brokers that cannot be reached."""
    from kafka import KafkaConsumer

    with refusals(brokers):
        consumer = KafkaConsumer(bootstrap_servers=brokers.split(","), bootstrap_timeout_ms=_BOOTSTRAP_MS)
        try:
            numbers = {stream: consumer.partitions_for_topic(topic) for stream, topic in topics.items()}
        finally:
            consumer.close()
    for stream, topic in topics.items():
        if not numbers[stream]:
            raise InputError(f"no topic {topic}", brokers, "Create it: monsoon up does, or kafka-topics --create")
    return {stream: len(found) for stream, found in numbers.items()}


def topics_at(brokers: str) -> set[str]:
    """The names of the topics that are there. Raises InputError."""
    from kafka import KafkaAdminClient

    with refusals(brokers), KafkaAdminClient(bootstrap_servers=brokers.split(",")) as admin:
        return set(admin.list_topics())


def delete_topics(brokers: str, prefix: str) -> None:
    """Deletes the topics whose names begin with `prefix`. Raises InputError."""
    from kafka import KafkaAdminClient

    with refusals(brokers), KafkaAdminClient(bootstrap_servers=brokers.split(",")) as admin:
        admin.delete_topics([name for name in admin.list_topics() if name.startswith(prefix)])


@contextmanager
def refusals(brokers: str) -> Iterator[None]:
    """Raises InputError for what the brokers refuse, and where none answers."""
    from kafka.errors import KafkaError

    try:
        yield
    except KafkaError as error:
        raise InputError(
            f"Kafka says: {_reason(error)}", brokers, "Is it running, and reached at that address?"
        ) from error


def _reason(error: Exception) -> str:
    """The text of an error, which may hold a whole request and its answer, without these."""
    return str(error).partition(": Request")[0].partition("\n")[0][:200] or type(error).__name__
