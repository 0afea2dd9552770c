"""The live job stopped in the middle of a storm and restored with something else, while reports keep coming."""

import filecmp
import json
import shutil

import pytest
from kit.live_job import Committed, Some, read, settings, topics_for, write
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.stack.submit import submit
from monsoon.sinks.folder import STREAMS
from monsoon.sources.kafka.history import History
from monsoon.sources.product_files import load_products

pytestmark = [pytest.mark.flink, pytest.mark.slow]


def restored(stack, source, before, after):
    """What a job commits that is stopped in the middle of a storm, and restored with the other settings."""
    prefix = before.kafka.topic_prefix
    with History(source) as history:
        lines, first_ms = list(history), history.first_ms
    producer = topics_for(stack, prefix)
    middle = next(n for n, line in enumerate(lines) if line.stream == "oracle_readings") + len(lines) // 20
    job = submit(stack, before)
    producer.send(Some(lines[:middle], first_ms))
    committed = Committed(stack.broker.address, prefix)
    committed.wait(lambda found: read(found) >= middle)
    savepoint = stack.cluster.stop_with_savepoint(job)
    producer.send(Some(lines[middle:], lines[middle].time_ms))
    job = submit(stack, after, savepoint)
    producer.end()
    collected = committed.wait_for_the_end()
    assert read(committed.found) == len(lines)
    stack.cluster.cancel(job)
    stack.broker.delete_topics(prefix)
    return collected


def test_a_restored_job_goes_on(stack, tmp_path, root):
    """At another parallelism, with a product that nobody holds."""
    source, product = write_streams(tmp_path / "in", small_storm()), tmp_path / "cyclone.yaml"
    shutil.copy(root / "tests" / "products" / "cyclone.yaml", product)
    replayed = ["--output", str(tmp_path / "replay"), "--product-file", str(product)]
    assert main(["replay", "--input", str(source), *replayed]) == 0
    prefix = "savepoint-"
    collected = restored(stack, source, settings(stack, prefix), settings(stack, prefix, 1, [product]))
    write(collected, tmp_path / "live", load_products(extra=[product]))
    for stream in STREAMS:
        for expected in (tmp_path / "replay" / stream).iterdir():
            assert filecmp.cmp(expected, tmp_path / "live" / stream / expected.name, shallow=False), stream
    assert json.loads((tmp_path / "live" / "summary.json").read_text())["records"]["payouts"]
