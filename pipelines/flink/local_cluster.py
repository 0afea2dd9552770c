"""The embedded mini cluster: its settings, checked before anything starts.

Workers are processes: threads in the driver's own would share its interpreter lock, and block for good as soon as
onnxruntime is imported.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from monsoon.pipelines.flink.errors import ClusterError, without_py4j_log
from monsoon.pipelines.flink.java import use_java
from monsoon.pipelines.flink.keys import MAX_PARALLELISM
from monsoon.pipelines.stack.processes import MARK, marked

if TYPE_CHECKING:
    from pyflink.datastream import StreamExecutionEnvironment

_QUICK_START = "-XX:TieredStopAtLevel=1 -Xmx1500m"
"""The JVM moves bytes: its optimizing compiler would cost a run of minutes more than it gives."""
_OF_THIS_PROCESS = secrets.token_hex(16)
"""In the environment of the JVM and its children, to find them by."""


STATE_BACKENDS = ("hashmap", "rocksdb")
"""Flink's own names: state in the JVM's heap, or on disk with incremental checkpoints, for state that outgrows it."""

COMPACTION = {"state.backend.rocksdb.compaction.style": "UNIVERSAL"}
"""Each checkpoint adds a file to the state of each operator: compaction by level, RocksDB's default, would rewrite all
of the state at every fourth."""

_RESTARTS = {
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "1 s",
    "restart-strategy.exponential-delay.backoff-multiplier": "2.0",
    "restart-strategy.exponential-delay.max-backoff": "30 s",
    "restart-strategy.exponential-delay.jitter-factor": "0.1",
    "restart-strategy.exponential-delay.reset-backoff-threshold": "10 min",
    "restart-strategy.exponential-delay.attempts-before-reset-backoff": "8",
}
"""A disk that is full or a worker that was killed passes; what fails again and again is told after some two minutes.
What ran for ten minutes in between begins to count anew: weeks do not end with the ninth mishap."""


def batch_settings(parallelism: int) -> dict[str, str]:
    """For bounded input, read once and forgotten."""
    return {
        **_common(parallelism),
        "execution.runtime-mode": "BATCH",
        # All operators at once: an operator by itself would start Python workers of its own, some seconds each time.
        "execution.batch-shuffle-mode": "ALL_EXCHANGES_PIPELINED",
        "jobmanager.scheduler": "Default",
        # In batch the JVM forgets a key's state when it turns to the next key, so Python may not lag behind: with
        # larger bundles timers fire under the wrong key, and rows are lost without an error.
        "python.fn-execution.bundle.size": "1",
        "restart-strategy.type": "none",
    }


def streaming_settings(
    parallelism: int,
    *,
    checkpoints: Path,
    checkpoint_interval_ms: int,
    restore_from: str | None = None,
    state_backend: str = STATE_BACKENDS[0],
) -> dict[str, str]:
    """For a job that goes on: checkpoints on disk, kept when it is stopped. Raises ClusterError for settings that
    cannot work together."""
    if checkpoint_interval_ms < 200:
        raise ClusterError(
            f"--checkpoint-interval-ms {checkpoint_interval_ms}: a checkpoint ends every bundle of rows; "
            "give at least 200"
        )
    settings = {
        **_common(parallelism),
        "execution.runtime-mode": "STREAMING",
        "pipeline.auto-watermark-interval": "20 ms",
        # Elements are few and large: a buffer that waits for more would wait at each of seven hops.
        "execution.buffer-timeout.interval": "0 ms",
        "python.fn-execution.bundle.size": "16",
        "python.fn-execution.bundle.time": "20",
        "execution.checkpointing.interval": f"{checkpoint_interval_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "state.backend.type": state_backend,
        **COMPACTION,
        "execution.checkpointing.incremental": "true" if state_backend == "rocksdb" else "false",
        "execution.checkpointing.dir": checkpoints.absolute().as_uri(),
        "execution.checkpointing.savepoint-dir": (checkpoints / "savepoints").absolute().as_uri(),
        "execution.checkpointing.num-retained": "2",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.unaligned.enabled": "false",  # docs/adr/0050-checkpoints-are-aligned.md
        **_RESTARTS,
    }
    if restore_from is not None:
        settings["execution.state-recovery.path"] = restore_from
    return settings


def _common(parallelism: int) -> dict[str, str]:
    network_memory = f"{network_memory_mb(parallelism)} mb"
    return {
        "parallelism.default": str(parallelism),
        "pipeline.max-parallelism": str(MAX_PARALLELISM),
        "taskmanager.numberOfTaskSlots": str(parallelism),
        "taskmanager.memory.network.min": network_memory,
        "taskmanager.memory.network.max": network_memory,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }


def network_memory_mb(parallelism: int) -> int:
    """What the buffers between operators take: some sixty exchanges, each of p times p channels with two buffers of
    32 KiB, and eight more for each sender."""
    return min(1024, 64 + 32 * parallelism + 4 * parallelism * parallelism)


def environment(settings: Mapping[str, str]) -> StreamExecutionEnvironment:
    """A mini cluster's environment with these settings; starts a JVM where none runs yet."""
    use_java()
    without_py4j_log()
    os.environ.setdefault("JVM_ARGS", _QUICK_START)
    os.environ[MARK] = _OF_THIS_PROCESS
    # A worker for every core: more threads in each would only wait for one another.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112 - PyFlink reads it so
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    configuration = Configuration()
    for name, value in settings.items():
        configuration.set_string(name, value)
    return StreamExecutionEnvironment.get_execution_environment(configuration)


def kill_jvm() -> None:
    """Kills the JVM that `environment` started and its Python workers; returns when they are gone. What counts is on
    the disk: a killed job goes on from its last checkpoint.

    A job is not canceled instead: PyFlink answers its workers' requests for state while a task closes, and a closed
    RocksDB takes the JVM with it.
    """
    while pids := marked(_OF_THIS_PROCESS):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    from pyflink import java_gateway

    java_gateway._gateway = None  # the next environment starts another one


def last_checkpoint(checkpoints: Path) -> str | None:
    """The newest complete checkpoint or savepoint below a folder, as a URI; None where there is none."""
    found = [path.parent for path in checkpoints.glob("*/chk-*/_metadata")]
    found += [path.parent for path in checkpoints.glob("savepoints/*/_metadata")]
    newest = max(found, key=lambda folder: (folder / "_metadata").stat().st_mtime_ns, default=None)
    return None if newest is None else newest.absolute().as_uri()
