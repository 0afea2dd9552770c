"""What the brokers say of topics, and what they are asked to do with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from monsoon.sources.files import InputError

_BOOTSTRAP_MS = 10_000
_CREATE = "python -m monsoon.sources.kafka.create_topics"


def partition_counts(brokers: str, topics: Mapping[str, str]) -> dict[str, int]:
    """How many partitions the topic of each stream has (`topics`: name by stream). Raises InputError for a topic that
    is not there and for brokers that cannot be reached."""
    found = partitions_of(brokers, topics.values())
    counts = {}
    for stream, topic in topics.items():
        count = found[topic]
        if count is None:
            raise InputError(f"no topic {topic}", brokers, f"Create it: {_CREATE} --brokers {brokers}")
        counts[stream] = count
    return counts


def partitions_of(brokers: str, topics: Iterable[str]) -> dict[str, int | None]:
    """How many partitions each topic has; None for one that is not there. Raises InputError."""
    from kafka import KafkaConsumer

    with refusals(brokers):
        consumer = KafkaConsumer(bootstrap_servers=brokers.split(","), bootstrap_timeout_ms=_BOOTSTRAP_MS)
        try:
            return {topic: len(consumer.partitions_for_topic(topic) or ()) or None for topic in topics}
        finally:
            consumer.close()


def configuration(brokers: str, topic: str) -> dict[str, str]:
    """The configuration of a topic. Raises InputError."""
    return _described(brokers, "TOPIC", topic)


def max_transaction_ms(brokers: str) -> int:
    """The longest timeout of a transaction that the brokers allow (ms). Raises InputError."""
    from kafka import KafkaAdminClient

    with refusals(brokers), KafkaAdminClient(bootstrap_servers=brokers.split(",")) as admin:
        broker = str(admin.describe_cluster()["brokers"][0]["broker_id"])
    return int(_described(brokers, "BROKER", broker)["transaction.max.timeout.ms"])


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


def _described(brokers: str, kind: str, name: str) -> dict[str, str]:
    """The whole configuration of a topic or broker."""
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource, ConfigResourceType

    with refusals(brokers), KafkaAdminClient(bootstrap_servers=brokers.split(",")) as admin:
        resource = ConfigResource(ConfigResourceType[kind], name)
        ((found,),) = [names.values() for names in admin.describe_configs([resource], config_filter="all").values()]
    return {key: str(entry["value"]) for key, entry in found.items()}


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
