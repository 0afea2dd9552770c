"""The live job stopped in the middle of a storm and restored with another product and at another parallelism, while
reports keep coming."""

import filecmp
import json
import shutil

import pytest
from kit.live_job import Committed, Some, read
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.contracts.topics import TOPICS, topic_name
from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.results import write_results
from monsoon.pipelines.runtime.messages import END
from monsoon.pipelines.stack.submit import submit
from monsoon.sinks.folder import STREAMS, OutputFolder
from monsoon.sources.kafka.admin import partition_counts
from monsoon.sources.kafka.history import History
from monsoon.sources.kafka.producer import HistoryProducer, history_producer
from monsoon.sources.kafka.settings import (
    EventTimeSettings,
    InsuranceSettings,
    KafkaSettings,
    LiveSettings,
    StateSettings,
)
from monsoon.sources.product_files import load_products

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PREFIX = "savepoint-"


def with_one_more_product(tmp_path, root):
    """A product that nobody holds."""
    file = tmp_path / "cyclone.yaml"
    shutil.copy(root / "tests" / "products" / "cyclone.yaml", file)
    return file


def settings(stack, parallelism, *products):
    return LiveSettings(
        kafka=KafkaSettings(brokers=stack.broker.address, topic_prefix=PREFIX, group=PREFIX),
        event_time=EventTimeSettings(idle_after_s=None, interval_ms=600_000),
        state=StateSettings(parallelism=parallelism, buckets=4),
        insurance=InsuranceSettings(product_files=tuple(map(str, products)), reserves=False),
    )


def test_a_restored_job_goes_on(stack, tmp_path, root):
    source = write_streams(tmp_path / "in", small_storm())
    product = with_one_more_product(tmp_path, root)
    replayed = ["--output", str(tmp_path / "replay"), "--product-file", str(product)]
    assert main(["replay", "--input", str(source), *replayed]) == 0
    brokers = stack.broker.address
    stack.broker.create_topics(TOPICS.values(), PREFIX)
    with History(source) as history:
        lines, first_ms = list(history), history.first_ms
    topics = {stream: topic_name(stream, PREFIX) for stream in ("telemetry", "oracle_readings", "subscriptions")}
    topics["confirmations"] = topic_name("confirmations", PREFIX)
    producer = HistoryProducer(history_producer(brokers), topics, partition_counts(brokers, topics))
    middle = next(n for n, line in enumerate(lines) if line.stream == "oracle_readings") + len(lines) // 20
    job = submit(stack, settings(stack, 2))
    producer.send(Some(lines[:middle], first_ms))
    committed = Committed(brokers, PREFIX)
    committed.wait(lambda found: read(found) >= middle)
    savepoint = stack.cluster.stop_with_savepoint(job)
    producer.send(Some(lines[middle:], lines[middle].time_ms))
    job = submit(stack, settings(stack, 1, product), savepoint)
    producer.end()
    committed.wait(lambda found: any(kind == END for kind, _ in found))
    committed.wait(lambda found: not CollectedResults.of(found).missing)
    stack.cluster.cancel(job)
    stack.broker.delete_topics(PREFIX)
    collected = CollectedResults.of(committed.found)
    with OutputFolder(tmp_path / "live") as output:
        write_results(output, collected, collected.outcome, load_products(extra=[product]), {})
    for stream in STREAMS:
        for expected in (tmp_path / "replay" / stream).iterdir():
            assert filecmp.cmp(expected, tmp_path / "live" / stream / expected.name, shallow=False), stream
    assert json.loads((tmp_path / "live" / "summary.json").read_text())["records"]["payouts"]
