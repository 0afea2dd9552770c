"""Kills parts of a stack at random while the live job runs: its committed records must be those of a replay."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.stack.processes import StackProcess
from monsoon.pipelines.stack.stack import Stack

PATIENCE_S = 180.0
"""For a job to run again; a broker alone may take half a minute."""
_PAUSE_S = (2.0, 6.0)
"""From a recovery to the next kill, at random."""
_NOTICED_S = 12.0
"""After so long a JobManager knows that a TaskManager does not answer."""
_BROKER_DOWN_S = 2.0
_LOOK_S = 0.05
_WORKER = b"pyflink.fn_execution.beam"


@dataclass(frozen=True)
class Kill:
    """What was done, and after how long (s) all tasks of the job ran again; None: none of them stopped."""

    what: str
    recovered_after_s: float | None


@dataclass(frozen=True)
class Part:
    """What can be killed: `kill` does so, sees that it is started again, and returns in words what it did."""

    kill: Callable[[Stack, random.Random], str]
    noticed_s: float = _NOTICED_S
    """After so long a job that still runs will not stop because of it."""
    lasts_s: float = 60.0
    """From one kill to the next on a slow machine, with the recovery."""


@dataclass
class RandomKills:
    """Kills parts one after another, each once the job has recovered from the last, and in each round each part once.
    Their order and the pauses follow from the seed; what the job is doing at a kill does not."""

    kills: int
    seed: int
    parts: Mapping[str, Part]
    report: Callable[[Kill], None] = lambda kill: None
    done: list[Kill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._round: list[str] = []
        self._part: Part | None = None
        self._killed = ""
        self._killed_s, self._stopped = 0.0, False
        self._next_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether all are done."""
        return len(self.done) >= self.kills

    @property
    def duration_s(self) -> float:
        """How long all kills take on a slow machine."""
        return self.kills * sum(part.lasts_s for part in self.parts.values()) / len(self.parts)

    def __call__(self, stack: Stack) -> None:
        """Called now and then. Raises ClusterError where the job does not run again."""
        now_s = time.monotonic()
        if not _runs(stack):
            self._stopped = True
            stack.mend()  # a TaskManager may end some seconds after its JobManager
            if self._part is not None and now_s - self._killed_s > PATIENCE_S:
                raise ClusterError(f"the job does not run {PATIENCE_S:g} s after this: {self._killed}")
            return
        if self._part is not None and not self._stopped and now_s - self._killed_s < self._part.noticed_s:
            return  # that it is gone has not been noticed yet
        if self._part is not None:
            kill = Kill(self._killed, now_s - self._killed_s if self._stopped else None)
            self.done.append(kill)
            self.report(kill)
            self._part, self._next_s = None, None
        if self._next_s is None:
            self._next_s = now_s + self._chance.uniform(*_PAUSE_S)
        elif now_s >= self._next_s and len(self.done) < self.kills:
            if not self._round:
                self._round = self._chance.sample(sorted(self.parts), len(self.parts))
            self._part, self._stopped = self.parts[self._round.pop()], False
            self._killed_s = time.monotonic()
            self._killed = self._part.kill(stack, self._chance)


def _runs(stack: Stack) -> bool:
    """Whether all tasks of the only job run."""
    with suppress(OSError, ValueError, LookupError):
        (job,) = [job for job in stack.cluster.get("/jobs/overview")["jobs"] if job["state"] == "RUNNING"]
        tasks: Mapping[str, int] = job["tasks"]
        return tasks["running"] == tasks["total"]
    return False


def _kill_task_manager(stack: Stack, chance: random.Random) -> str:
    crash(chance.choice(stack.cluster.task_managers))
    stack.mend()
    return "TaskManager killed"


def _kill_job_manager(stack: Stack, chance: random.Random) -> str:
    crash(stack.cluster.job_manager)
    stack.mend()
    return "JobManager killed"


def _kill_worker(stack: Stack, chance: random.Random) -> str:
    workers = [
        pid
        for process in stack.cluster.task_managers
        for pid in process.pids()
        if _WORKER in _command_line(pid) and b"bash" not in _command_line(pid)[:16]
    ]
    if workers:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(sorted(workers)), signal.SIGKILL)
    return "Python worker killed"


def _kill_broker(stack: Stack, chance: random.Random) -> str:
    crash(stack.broker.process)
    time.sleep(_BROKER_DOWN_S)
    stack.mend()
    return "broker killed"


def crash(process: StackProcess) -> None:
    """Kills a process, and returns when it is gone; what it started is left behind, as by a crash."""
    pid = process.pid
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while process.pid is not None:
        time.sleep(_LOOK_S)


def _command_line(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


JOB_PARTS: Mapping[str, Part] = {
    "TaskManager": Part(_kill_task_manager),
    "JobManager": Part(_kill_job_manager),
    "Python worker": Part(_kill_worker),
    "broker": Part(_kill_broker),
}
"""Of what decides."""
