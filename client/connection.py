"""A kafka-python consumer, and the part of its interface that is used here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from monsoon.client.errors import BrokerUnavailableError

try:
    import kafka
except ImportError as error:
    raise ImportError("monsoon.client needs kafka-python: pip install 'monsoon[kafka]'") from error

OffsetAndMetadata = kafka.OffsetAndMetadata
TopicPartition = kafka.TopicPartition
RebalanceListener = kafka.ConsumerRebalanceListener
OFFSET_GONE = kafka.errors.OffsetOutOfRangeError
UNAVAILABLE = (kafka.errors.KafkaTimeoutError, kafka.errors.KafkaConnectionError)
COMMIT_REFUSED = (
    kafka.errors.CommitFailedError,
    kafka.errors.IllegalGenerationError,
    kafka.errors.RebalanceInProgressError,
    kafka.errors.UnknownMemberIdError,
)


class KafkaConsumerLike(Protocol):
    """What `Consumer` calls of `kafka.KafkaConsumer`; tests have one without a broker."""

    def partitions_for_topic(self, topic: str) -> set[int]: ...

    def assign(self, partitions: Sequence[Any]) -> None: ...

    def seek(self, partition: Any, offset: int) -> None: ...

    def subscribe(self, topics: Sequence[str], listener: Any) -> None: ...

    def poll(self, timeout_ms: int) -> Mapping[Any, Sequence[Any]]: ...

    def position(self, partition: Any, timeout_ms: int) -> int | None: ...

    def beginning_offsets(self, partitions: Sequence[Any], timeout_ms: int) -> Mapping[Any, int]: ...

    def end_offsets(self, partitions: Sequence[Any], timeout_ms: int) -> Mapping[Any, int]: ...

    def commit(self, offsets: Mapping[Any, Any], timeout_ms: int) -> None: ...

    def close(self) -> None: ...


def connect(servers: Sequence[str], group: str | None, timeout_ms: int, settings: Mapping[str, Any]) -> Any:
    """A `kafka.KafkaConsumer` that reads committed records only and commits nothing by itself.

    A group without committed offsets begins at the beginning. `settings` are further ones of kafka-python, such as
    those of TLS. Raises BrokerUnavailableError if no server answers within `timeout_ms`.
    """
    ours = {
        "bootstrap_servers": list(servers),
        "group_id": group,
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        # Where positions are the caller's, offsets that are gone are to be told, not passed over.
        "auto_offset_reset": "none" if group is None else "earliest",
        "allow_auto_create_topics": False,
        "bootstrap_timeout_ms": timeout_ms,
    }
    fixed = sorted(ours.keys() & settings.keys())
    if fixed:
        raise ValueError(f"{', '.join(fixed)}: set by Consumer, and not to be set otherwise")
    try:
        return kafka.KafkaConsumer(**ours, **settings)
    except UNAVAILABLE as error:
        raise unavailable(servers, timeout_ms) from error


def unavailable(servers: Sequence[str], timeout_ms: int) -> BrokerUnavailableError:
    """The error for brokers that do not answer."""
    return BrokerUnavailableError(
        f"no broker answered at {', '.join(servers)} within {timeout_ms / 1000:g} s: "
        "is it running, and can this machine reach the address that it advertises?"
    )
