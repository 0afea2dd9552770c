"""A live job's input and output on a stack, piece by piece."""

import time

from monsoon.contracts.topics import OUTPUT_TOPICS, topic_name
from monsoon.pipelines.runtime.messages import ACCOUNTS, STATISTICS, unpack_result
from monsoon.sources.kafka.committed import CommittedRecords

PATIENCE_S = 120


class Some:
    """Some lines of a history."""

    def __init__(self, lines, first_ms):
        self.lines, self.first_ms = lines, first_ms

    def __len__(self):
        return len(self.lines)

    def __iter__(self):
        return iter(self.lines)


class Committed:
    """What the job has committed so far."""

    def __init__(self, brokers, prefix):
        streams = [topic.stream for topic in OUTPUT_TOPICS] + [ACCOUNTS]
        self.records = CommittedRecords(brokers, {stream: topic_name(stream, prefix) for stream in streams})
        self.found = []

    def wait(self, enough):
        until_s = time.monotonic() + PATIENCE_S
        while not enough(self.found):
            assert time.monotonic() < until_s, f"after {len(self.found)} results"
            for stream, key, value in self.records.poll(500):
                self.found.append((key.decode(), value) if stream == ACCOUNTS else (stream, b"[" + value + b"]"))


def read(found):
    """How many lines the job says that it has read."""
    return sum(unpack_result(value)[1]["read"] for kind, value in found if kind == STATISTICS)
