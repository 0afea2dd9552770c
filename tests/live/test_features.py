"""Features of a live job, through Kafka to Redis and Parquet, with Redis killed on the way."""

import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from features.test_operators import MEASURED, in_text, records_of
from kit.live_job import Committed, Some, read, settings, topics_for
from kit.needs import need
from kit.streams import write_streams
from msgspec.structs import replace as with_settings

from monsoon.cli.main import main
from monsoon.feature_store import OfflineStore
from monsoon.feature_store.online import OnlineStore, StoreUnavailableError
from monsoon.pipelines.features import feature_versions
from monsoon.pipelines.stack.ports import free_ports
from monsoon.pipelines.stack.redis_server import RedisServer
from monsoon.pipelines.stack.submit import submit
from monsoon.sources.kafka.history import History
from monsoon.sources.kafka.settings import FeatureSettings

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PREFIX = "features-"
PATIENCE_S = 120


@pytest.fixture
def redis_server(tmp_path):
    need(RedisServer.is_installed(), "no redis-server here: apt-get install redis-server")
    server = RedisServer(tmp_path / "redis", free_ports(1)[0])
    server.start()
    yield server
    server.stop(0)


@contextmanager
def consumer(words):
    """`monsoon features consume --follow` as a process of its own."""
    command = [sys.executable, "-m", "monsoon.cli.main", "features", "consume", *words, "--follow", "--report-s", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_job_that_is_restored_writes_each_version_once_and_redis_is_filled_again(stack, redis_server, tmp_path):
    source = write_streams(tmp_path / "in", records_of(1))
    expected = list(feature_versions(source, None))
    with History(source) as history:
        lines = list(history)
        first_ms = history.first_ms
    producer, middle = topics_for(stack, PREFIX), len(lines) * 4 // 5
    features = with_settings(settings(stack, PREFIX), features=FeatureSettings(enabled=True))
    job = submit(stack, features)
    committed = Committed(stack.broker.address, PREFIX, ["features"])
    words = ["--brokers", stack.broker.address, "--prefix", PREFIX, "--redis", redis_server.url]
    with consumer(words), OnlineStore(redis_server.url, timeout_s=0.5) as online:
        producer.send(Some(lines[:middle], first_ms))
        committed.wait(lambda found: read(found) >= middle)
        until(lambda: online.positions("monsoon-features"))
        redis_server.stop(0)
        savepoint = stack.cluster.stop_with_savepoint(job)
        job = submit(stack, with_settings(features, state=replace_parallelism(features)), savepoint)
        producer.send(Some(lines[middle:], lines[middle].time_ms))
        producer.end()
        collected = committed.wait_for_the_end()
        assert in_text(collected.features) == in_text(record for each in expected for record in each.records())
        redis_server.start()
        until(lambda: all(equal(online, each) for each in expected))
    assert {record["feature_set"] for record in collected.features} == MEASURED
    stack.cluster.cancel(job)
    assert main(["features", "consume", *words[:4], "--store", str(tmp_path / "store")]) == 0
    store = OfflineStore(tmp_path / "store")
    for each in expected:
        first, last = store.span_ms(each.feature_set)
        assert in_text(store.between(each.feature_set, first - 1, last).records()) == in_text(each.records())
    stack.broker.delete_topics(PREFIX)


def replace_parallelism(live):
    return with_settings(live.state, parallelism=1)


def equal(online, versions):
    """Whether the online store has the newest of all, as of the last of them."""
    about, at_ms = versions.feature_set, int(versions.received_time_ms.max())
    newest = {}
    for record in sorted(versions.records(), key=lambda record: (record["event_time"], record["received_time"])):
        newest[record["entity_id"]] = record
    try:
        read = online.get(about.entity, sorted(newest), about.names, at_ms)
    except StoreUnavailableError:
        return False
    return all(
        found.values == newest[found.entity_id]["values"]
        for found in read
        if at_ms - newest[found.entity_id]["event_time"] <= about.ttl_ms
    )


def until(condition):
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.2)
