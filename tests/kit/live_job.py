"""The live job on a stack of the tests, fed line by line."""

import time

from monsoon.contracts.topics import INPUT_TOPICS, OUTPUT_TOPICS, TOPICS, topic_name
from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.results import write_results
from monsoon.pipelines.runtime.messages import ACCOUNTS, END, STATISTICS, unpack_result
from monsoon.sinks.folder import OutputFolder
from monsoon.sources.kafka.admin import partition_counts
from monsoon.sources.kafka.committed import CommittedRecords
from monsoon.sources.kafka.producer import HistoryProducer, history_producer
from monsoon.sources.kafka.settings import (
    EventTimeSettings,
    InsuranceSettings,
    KafkaSettings,
    LiveSettings,
    StateSettings,
)

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

    def __init__(self, brokers, prefix, others=()):
        streams = [*(topic.stream for topic in OUTPUT_TOPICS), *others, ACCOUNTS]
        self.records = CommittedRecords(brokers, {stream: topic_name(stream, prefix) for stream in streams})
        self.found = []

    def wait(self, enough):
        until_s = time.monotonic() + PATIENCE_S
        while not enough(self.found):
            assert time.monotonic() < until_s, f"after {len(self.found)} results"
            for stream, key, value in self.records.poll(500):
                self.found.append((key.decode(), value) if stream == ACCOUNTS else (stream, b"[" + value + b"]"))

    def wait_for_the_end(self):
        """All results, when event time has ended."""
        self.wait(lambda found: any(kind == END for kind, _ in found))
        self.wait(lambda found: not CollectedResults.of(found).missing)
        return CollectedResults.of(self.found)


def read(found):
    """How many lines the job says that it has read."""
    return sum(unpack_result(value)[1]["read"] for kind, value in found if kind == STATISTICS)


def settings(stack, prefix, parallelism=2, product_files=(), model=None):
    """Of a job without reserves whose topics and transactions have this prefix."""
    return LiveSettings(
        kafka=KafkaSettings(brokers=stack.broker.address, topic_prefix=prefix, group=prefix),
        event_time=EventTimeSettings(idle_after_s=None, interval_ms=600_000),
        state=StateSettings(parallelism=parallelism, buckets=4),
        insurance=InsuranceSettings(
            product_files=tuple(map(str, product_files)), model=model and str(model), reserves=False
        ),
    )


def topics_for(stack, prefix):
    """Creates all topics; a producer for those of the input."""
    stack.broker.create_topics(TOPICS.values(), prefix)
    brokers = stack.broker.address
    topics = {topic.stream: topic_name(topic.stream, prefix) for topic in INPUT_TOPICS if topic.stream != "reserves"}
    return HistoryProducer(history_producer(brokers), topics, partition_counts(brokers, topics))


def write(collected, folder, products):
    """In the layout of a replay."""
    with OutputFolder(folder) as output:
        write_results(output, collected, collected.outcome, products, {})
