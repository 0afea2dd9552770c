"""A streaming run, watched while it runs: how many rows it has committed, and the CPU of all its processes."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from monsoon.bench.processes import BenchError

LOOK_S = 0.25
"""Between two looks: a look takes some milliseconds of one core."""
MARK = "MONSOON_BENCH_RUN"
"""An environment variable by which all processes of a run are known: the JVM and its workers are nobody's children for
whom a wait accounts."""


class Look(NamedTuple):
    """`rows` of telemetry were committed, and `cpu_s` spent by the JVM and by Python, at a time (s)."""

    at_s: float
    rows: int
    cpu_s: Mapping[str, float]


@dataclass(frozen=True)
class Streamed:
    """What a watched run did; rates without start-up and end, CPU a row by kind of process and in all."""

    rows: int
    first_rows_per_s: float
    last_rows_per_s: float
    cpu_us: Mapping[str, float]
    """From the first commit to the last but one."""
    whole_cpu_us: float
    """With start-up and end."""
    commit_s: float
    """From one commit to the next; longer than the interval where barriers wait for the rows before them."""


def watched(command: Sequence[str], output: Path) -> Streamed:
    """Runs `monsoon run`, which writes to `output`, to its end. Raises BenchError if it fails, or is too short."""
    mark = uuid.uuid4().hex
    looks: list[Look] = []
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {MARK: mark},
    )
    processes, accounts = MarkedProcesses(process.pid, mark), _Accounts(output)
    while process.poll() is None:
        looks.append(Look(time.monotonic(), accounts.rows(), processes.cpu_s()))
        time.sleep(LOOK_S)
    _, errors = process.communicate()
    if process.returncode:
        raise BenchError(f"{' '.join(command)} failed ({process.returncode}): {errors.strip()}")
    return streamed(looks)


def streamed(looks: Sequence[Look]) -> Streamed:
    """What looks say. The last commit is left out of the rates: with it the job decides all that is still open, when
    its input has ended. The first quarter ends with the first commit behind it, the last begins with the last commit
    before it; where a checkpoint takes long they overlap in a short run. Raises BenchError where there are too few."""
    rows = looks[-1].rows
    commits = [look for before, look in pairwise(looks) if before.rows < look.rows < rows]
    if len(commits) < 2:
        raise BenchError(f"{rows:,} rows: over after {len(commits) + 1} checkpoints; request more rows")
    began, ended = commits[0], commits[-1]
    first_end = next((look for look in commits[1:] if look.rows >= rows / 4), ended)
    last_begin = next((look for look in reversed(commits[:-1]) if look.rows <= rows * 3 / 4), began)
    kinds = looks[-1].cpu_s.keys()
    spent_s = {kind: ended.cpu_s.get(kind, 0.0) - began.cpu_s.get(kind, 0.0) for kind in sorted(kinds)}
    return Streamed(
        rows,
        _rate(began, first_end),
        _rate(last_begin, ended),
        {kind: each_s / (ended.rows - began.rows) * 1e6 for kind, each_s in spent_s.items()},
        sum(looks[-1].cpu_s.values()) / rows * 1e6,
        (ended.at_s - began.at_s) / (len(commits) - 1),
    )


def _rate(start: Look, end: Look) -> float:
    return (end.rows - start.rows) / (end.at_s - start.at_s)


class _Accounts:
    """Telemetry rows that a run's committed accounts say were read. A checkpoint is aligned: what had been read at its
    barrier, every operator has taken by the time it is complete."""

    def __init__(self, output: Path) -> None:
        self._folder = output / "accounts"
        self._counted: set[Path] = set()
        self._rows = 0

    def rows(self) -> int:
        from monsoon.pipelines.runtime.messages import STATISTICS, unpack_result
        from monsoon.transforms.validation.input_checks import InputStatistics

        # The run removes them at its end.
        for part in set(self._folder.glob("part*.jsonl")) - self._counted:
            try:
                lines = part.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            self._counted.add(part)
            for line in lines:
                kind, _, payload = line.partition(b" ")
                if kind.decode() == STATISTICS:
                    stream, statistics = unpack_result(payload, tuple[str, InputStatistics])
                    self._rows += statistics.read if stream == "telemetry" else 0
        return self._rows


class MarkedProcesses:
    """All processes with a run's mark, and the CPU that they have used, those that ended included."""

    def __init__(self, pid: int, mark: str) -> None:
        self._pid, self._mark = pid, f"{MARK}={mark}".encode()
        self._kinds: dict[tuple[str, str], str | None] = {}
        """By process id and start: `JVM` or `Python`; None for others."""
        self._cpu_s: dict[tuple[str, str], float] = {}

    def cpu_s(self) -> dict[str, float]:
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                process = folder.name, fields[19]
                if process not in self._kinds:
                    self._kinds[process] = self._kind(folder)
            except (OSError, IndexError):  # it has ended, or is somebody else's
                continue
            if self._kinds[process] is not None:
                self._cpu_s[process] = (int(fields[11]) + int(fields[12])) * tick_s
        found = {"JVM": 0.0, "Python": 0.0}
        for process, each_s in self._cpu_s.items():
            found[self._kinds[process] or ""] += each_s
        return found

    def _kind(self, folder: Path) -> str | None:
        if int(folder.name) != self._pid and self._mark not in (folder / "environ").read_bytes().split(b"\0"):
            return None
        return "JVM" if (folder / "exe").readlink().name == "java" else "Python"
