"""The job on a real cluster: a JobManager and a TaskManager of their own, and the client that submits to them."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from kit.streams import small_storm, write_streams

from monsoon.sinks.folder import STREAMS

pytestmark = [pytest.mark.flink, pytest.mark.slow]


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture
def cluster(tmp_path):
    """A standalone cluster of two slots; gives a function that calls Flink's client."""
    import pyflink

    from monsoon.pipelines.flink.java import use_java

    home = Path(pyflink.__file__).parent
    conf = tmp_path / "conf"
    conf.mkdir()
    for file in (home / "conf").iterdir():
        (conf / file.name).write_bytes(file.read_bytes())
    # Java's modules are opened in the configuration that comes along; all else is set here.
    opened = re.search(r"^env:\n(?:  .*\n)+", (home / "conf" / "config.yaml").read_text(), re.MULTILINE)
    rest, rpc = free_port(), free_port()
    settings = {
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": rpc,
        "jobmanager.memory.process.size": "1g",
        "taskmanager.memory.process.size": "2g",
        "taskmanager.numberOfTaskSlots": 2,
        "rest.address": "localhost",
        "rest.port": rest,
        "parallelism.default": 2,
        "pipeline.max-parallelism": 128,
        "execution.checkpointing.interval": "1s",
        "execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri(),
        "python.fn-execution.bundle.size": 16,
        "python.fn-execution.bundle.time": 20,
    }
    lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
    (conf / "config.yaml").write_text(opened[0] + lines)
    log = tmp_path / "log"
    log.mkdir()
    env = os.environ | {
        "FLINK_CONF_DIR": str(conf),
        "FLINK_LOG_DIR": str(log),
        "FLINK_PID_DIR": str(tmp_path),
        "JAVA_HOME": str(use_java()),
    }

    def call(script, *arguments, check=True):
        command = ["bash", str(home / "bin" / script), *map(str, arguments)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    call("jobmanager.sh", "start")
    call("taskmanager.sh", "start")
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://localhost:{rest}/overview") as answer:
                    if b'"slots-available":2' in answer.read():
                        break
            except OSError:
                pass
            time.sleep(0.5)
        else:
            pytest.fail("no cluster after a minute: " + "".join(file.read_text()[-2000:] for file in log.glob("*.log")))
        yield lambda *arguments, check=True: call(
            "flink", "run", "-m", f"localhost:{rest}", "-pyexec", sys.executable, "-pyclientexec", sys.executable,
            *arguments, check=check,
        )  # fmt: skip
    finally:
        call("taskmanager.sh", "stop", check=False)
        call("jobmanager.sh", "stop", check=False)


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
    changed = cluster("-s", (tmp_path / "checkpoints").as_uri(), *job, "--output", tmp_path / "out", check=False)
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
