"""Times a command as a whole process: wall clock, CPU, peak memory, as the operating system accounts for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


class BenchError(ChildProcessError):
    """A measured command failed, or did nothing that could be measured; the message holds its standard error."""


@dataclass(frozen=True)
class Measured:
    """Medians over the runs. `peak_mb` is the largest of them, in units of 10^6 bytes."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(command: Sequence[str], runs: int, environment: Mapping[str, str] | None = None) -> Measured:
    """Runs the command `runs` times, one after another, with this process's environment or another. Raises BenchError
    if one fails."""
    taken = [_once(command, environment) for _ in range(runs)]
    return Measured(
        wall_s=median(run.wall_s for run in taken),
        cpu_s=median(run.cpu_s for run in taken),
        peak_mb=max(run.peak_mb for run in taken),
    )


def python(*arguments: str) -> list[str]:
    """A command of this very interpreter."""
    return [sys.executable, *arguments]


def _once(command: Sequence[str], environment: Mapping[str, str] | None) -> Measured:
    began_s = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchError(
            f"{' '.join(command)} failed ({process.returncode}): {errors.decode(errors='replace').strip()}"
        )
    kilobytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss / 1024
    return Measured(wall_s, usage.ru_utime + usage.ru_stime, kilobytes * 1024 / 1e6)
