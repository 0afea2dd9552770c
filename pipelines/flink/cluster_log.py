"""Where Flink logs to: one file for all that a process runs, since its JVM is started once."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = "MONSOON_FLINK_LOG"
"""Read by log4j2.properties: the JVM's own arguments are cut at spaces."""


def log_to(file: Path) -> None:
    """Flink's log, and its Python workers', go to the end of `file`; a JVM that runs already keeps its own."""
    if getattr(sys.modules.get("pyflink.java_gateway"), "_gateway", None) is None:
        os.environ[_FILE] = str(file.absolute())
        os.environ["LOG4J_PROPERTIES"] = str(Path(__file__).with_name("log4j2.properties"))


@contextmanager
def logged_for_now() -> Iterator[None]:
    """A log that is kept if the job within fails, as the error's message says, and else is not."""
    from monsoon.pipelines.flink.faults import ClusterError

    descriptor, name = tempfile.mkstemp(prefix="monsoon-flink-", suffix=".log")
    os.close(descriptor)
    log_to(Path(name))
    keep = False
    try:
        yield
    except ClusterError:
        keep = True
        raise
    finally:
        if not keep or not Path(name).stat().st_size:
            Path(name).unlink()


def named_log() -> str:
    """Where the log is, to end a message with; empty where there is none."""
    name = os.environ.get(_FILE)
    return f"; Flink's log: {name}" if name and Path(name).exists() else ""
