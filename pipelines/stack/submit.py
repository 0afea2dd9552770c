"""Submits the live job to the cluster of a stack, by Flink's own client."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from monsoon.pipelines.flink.errors import ClusterError, deepest_cause
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.jvm import flink_home
from monsoon.pipelines.stack.stack import Stack
from monsoon.sources.kafka.settings import LiveSettings, parse_settings
from monsoon.sources.plain_yaml import read_file

_SUBMITTED = re.compile(r"JobID ([0-9a-f]{32})")


def submit(stack: Stack, settings: LiveSettings, savepoint: str | None = None) -> str:
    """Submits the job with these settings, from a savepoint if one is given; returns its id.

    Raises ClusterError with what the client said.
    """
    file = _settings_file(stack, settings.kafka.topic_prefix)
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


def require_measuring(stack: Stack) -> None:
    """Raises StackError where the data of a stack hold a job that measures no features: it goes on as it was."""
    file = _settings_file(stack)
    if file.is_file() and not parse_settings(read_file(file), where=str(file)).features.enabled:
        raise StackError(
            f"{stack.folder}: the job in its data was submitted without features, and goes on so; give another "
            f"--stack, or: ./monsoon down --stack {stack.folder}, then up --features"
        )


def _settings_file(stack: Stack, prefix: str = "") -> Path:
    return stack.folder / "flink" / f"{prefix}live.json"
