"""Kafka topics in memory, and a consumer of them with the part of kafka-python's interface that the client uses."""

from collections import defaultdict
from types import SimpleNamespace

import msgspec
from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.errors import CommitFailedError, KafkaTimeoutError, OffsetOutOfRangeError

from monsoon.contracts.topics import key_of

MARKER = object()
"""Takes an offset, as the end of a transaction does, and is delivered to nobody."""


class FakeBroker:
    """Topics, and what groups committed."""

    def __init__(self):
        self.topics = {}
        self.committed = defaultdict(dict)
        self.deleted_before = defaultdict(int)
        self.answers = True
        self.connections = []

    def create(self, topic, partitions=1):
        self.topics[topic] = [[] for _ in range(partitions)]

    def put(self, topic, record, partition=0, stream=None):
        stream = stream or topic
        self.put_bytes(topic, key_of(stream, record).encode(), msgspec.json.encode(record), partition)

    def put_bytes(self, topic, key, value, partition=0):
        log = self.topics[topic][partition]
        log.append(
            SimpleNamespace(key=key, value=value, partition=partition, offset=len(log), timestamp=1_000 + len(log))
        )

    def end_transaction(self, topic, partition=0):
        self.topics[topic][partition].append(MARKER)

    def connect(self, servers, group, timeout_ms, settings):
        connection = FakeConsumer(self, group)
        self.connections.append(connection)
        return connection


class FakeConsumer:
    """One connection."""

    def __init__(self, broker, group, max_poll_records=3):
        self.broker, self.group, self.max_poll_records = broker, group, max_poll_records
        self.at = {}
        self.listener = None
        self.rebalanced = False
        self.closed = False

    def partitions_for_topic(self, topic):
        return set(range(len(self.broker.topics.get(topic, ()))))

    def assign(self, partitions):
        self.at = {each: self.at.get(each) for each in partitions}

    def seek(self, partition, offset):
        self.at[partition] = offset

    def subscribe(self, topics, listener):
        (topic,) = topics
        assert isinstance(listener, ConsumerRebalanceListener)
        self.listener = listener
        committed = self.broker.committed[self.group]
        for partition in self.partitions_for_topic(topic):
            each = TopicPartition(topic, partition)
            self.at[each] = committed.get(each, 0)

    def revoke(self, partition):
        """The group gives one to another member."""
        (lost,) = (each for each in self.at if each.partition == partition)
        del self.at[lost]
        self.listener.on_partitions_revoked([lost])

    def poll(self, timeout_ms):
        if not self.broker.answers:
            return {}
        for each, offset in self.at.items():
            log = self.broker.topics[each.topic][each.partition]
            if offset < self.broker.deleted_before[each] or offset > len(log):
                raise OffsetOutOfRangeError({each: offset})
            fetched = log[offset : offset + self.max_poll_records]
            self.at[each] = offset + len(fetched)
            messages = [message for message in fetched if message is not MARKER]
            if messages:
                return {each: messages}
        return {}

    def position(self, partition, timeout_ms):
        return self.at[partition]

    def beginning_offsets(self, partitions, timeout_ms):
        self._need_answer()
        return {each: self.broker.deleted_before[each] for each in partitions}

    def end_offsets(self, partitions, timeout_ms):
        self._need_answer()
        return {each: len(self.broker.topics[each.topic][each.partition]) for each in partitions}

    def commit(self, offsets, timeout_ms):
        self._need_answer()
        if self.rebalanced:
            raise CommitFailedError
        self.broker.committed[self.group].update({each: offset.offset for each, offset in offsets.items()})

    def close(self):
        self.closed = True

    def _need_answer(self):
        if not self.broker.answers:
            raise KafkaTimeoutError
