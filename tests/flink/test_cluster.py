"""The job on a real cluster: a JobManager and a TaskManager of their own, and the client that submits to them."""

import os
import subprocess
import sys

import pytest
from kit.streams import small_storm, write_streams

from monsoon.pipelines.stack.flink_cluster import FlinkCluster
from monsoon.pipelines.stack.jvm import flink_home
from monsoon.sinks.folder import STREAMS

pytestmark = [pytest.mark.flink, pytest.mark.slow]


@pytest.fixture
def cluster(tmp_path):
    """A standalone cluster of two slots; gives a function that calls Flink's client."""
    started = FlinkCluster(tmp_path / "cluster", slots=2)
    client = [
        "bash",
        str(flink_home() / "bin" / "flink"),
        "run",
        "-pyexec",
        sys.executable,
        "-pyclientexec",
        sys.executable,
    ]
    environment = os.environ | started.client_environment

    def run(*arguments, check=True):
        command = [*client, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    try:
        started.start(1)
        yield run
    finally:
        started.stop()


def lines(folder):
    return {
        stream: sorted(line for file in (folder / stream).glob("*.jsonl") for line in file.read_bytes().splitlines())
        for stream in STREAMS
    }


def test_a_cluster_writes_what_the_local_engine_writes(cluster, tmp_path):
    from monsoon.pipelines.local.replay import replay
    from monsoon.sources.model_files import load_scorer
    from monsoon.sources.product_files import load_products

    records = small_storm()
    source = write_streams(tmp_path / "in", records)
    (tmp_path / "in" / "telemetry" / "part-1.jsonl").write_text("this is no record\n")
    job = ("-pym", "monsoon.pipelines.flink.job", "--input", source, "--part-bytes", 50_000)
    cluster(*job, "--output", tmp_path / "out")
    replay(source, tmp_path / "local", load_products(), list(load_products()), load_scorer())
    expected = lines(tmp_path / "local")
    assert lines(tmp_path / "out") == expected
    assert len(expected["payouts"]) >= 5
    again = cluster(*job, "--output", tmp_path / "out", check=False)
    assert again.returncode != 0
    assert "holds something" in again.stdout + again.stderr
    (tmp_path / "in" / "telemetry" / "part-2.jsonl").write_text("{}\n")
    changed = cluster(
        "-s", (tmp_path / "cluster" / "flink" / "checkpoints").as_uri(), *job, "--output", tmp_path / "out", check=False
    )
    assert changed.returncode != 0
    assert "begun with another content of the input" in changed.stdout + changed.stderr
    assert lines(tmp_path / "out") == expected
    stuck = "-Dexecution.checkpointing.unaligned.enabled=true"
    refused = cluster(stuck, *job, "--output", tmp_path / "none", check=False)
    assert refused.returncode != 0
    assert "execution.checkpointing.unaligned.enabled is true" in refused.stdout + refused.stderr
    nowhere = ("-pym", "monsoon.pipelines.flink.job", "--input", tmp_path / "nowhere", "--output", tmp_path / "none")
    refused = cluster(*nowhere, check=False)
    assert refused.returncode != 0
    assert "nowhere: no such folder" in refused.stdout + refused.stderr
    assert not (tmp_path / "none").exists()
