"""What a consuming service can meet. Each message says what was wrong, where, and what to do."""

from __future__ import annotations


class ClientError(Exception):
    """Any fault that this package reports."""


class BrokerUnavailableError(ClientError):
    """No broker answered in time."""


class TopicNotFoundError(ClientError):
    """The broker has no topic of that name."""


class ForeignRecordError(ClientError):
    """A record that is not one of the stream's contract, where the consumer has no `on_foreign`."""


class CommitRefusedError(ClientError):
    """The group gave the partitions to another member before their offsets were committed."""
