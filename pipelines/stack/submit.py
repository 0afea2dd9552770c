"""Submits the live job to the cluster of a stack, by Flink's own client."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import msgspec

from monsoon.pipelines.flink.errors import ClusterError, deepest_cause
from monsoon.pipelines.stack.jvm import flink_home
from monsoon.pipelines.stack.stack import Stack
from monsoon.sources.kafka.settings import LiveSettings

_SUBMITTED = re.compile(r"JobID ([0-9a-f]{32})")


def submit(stack: Stack, settings: LiveSettings, savepoint: str | None = None) -> str:
    """Submits the job with these settings, from a savepoint if one is given; returns its id.

    Raises ClusterError with what the client said.
    """
    file = stack.folder / "flink" / f"{settings.kafka.topic_prefix}live.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n")
    command = [
        *("bash", str(flink_home() / "bin" / "flink"), "run", "--detached"),
        *(() if savepoint is None else ("--fromSavepoint", savepoint)),
        *("-pyexec", sys.executable),
        *("-pyclientexec", sys.executable),
        *("-pym", "monsoon.pipelines.flink.live_job"),
        *("--settings", str(file.absolute())),
    ]
    done = subprocess.run(
        command,
        env={**os.environ, **stack.cluster.client_environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if (submitted := _SUBMITTED.search(done.stdout)) is None:
        raise ClusterError(f"the job was not submitted: {deepest_cause(done.stdout)}")
    return submitted[1]
