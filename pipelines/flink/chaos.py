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

_PATIENCE_S = 180.0
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
    """What was killed, and after how long (s) all tasks of the job ran again; None: none of them stopped."""

    part: str
    recovered_after_s: float | None


@dataclass
class RandomKills:
    """Kills parts one after another, each once the job has recovered from the last: of every four kills one of each
    part. Their order and the pauses follow from the seed; what the job is doing at a kill does not."""

    kills: int
    seed: int
    report: Callable[[Kill], None] = lambda kill: None
    done: list[Kill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._round: list[str] = []
        self._part: str | None = None
        self._killed_s, self._stopped = 0.0, False
        self._next_s: float | None = None

    def __call__(self, stack: Stack) -> None:
        """Called now and then. Raises ClusterError where the job does not run again."""
        now_s = time.monotonic()
        if not _runs(stack):
            self._stopped = True
            stack.mend()  # a TaskManager may end some seconds after its JobManager
            if self._part is not None and now_s - self._killed_s > _PATIENCE_S:
                raise ClusterError(f"the job does not run {_PATIENCE_S:g} s after the {self._part} was killed")
            return
        if self._part is not None and not self._stopped and now_s - self._killed_s < _NOTICED_S:
            return  # that it is gone has not been noticed yet
        if self._part is not None:
            kill = Kill(self._part, now_s - self._killed_s if self._stopped else None)
            self.done.append(kill)
            self.report(kill)
            self._part, self._next_s = None, None
        if self._next_s is None:
            self._next_s = now_s + self._chance.uniform(*_PAUSE_S)
        elif now_s >= self._next_s and len(self.done) < self.kills:
            if not self._round:
                self._round = self._chance.sample(sorted(_PARTS), len(_PARTS))
            self._part, self._stopped = self._round.pop(), False
            self._killed_s = time.monotonic()
            _PARTS[self._part](stack, self._chance)


def _runs(stack: Stack) -> bool:
    """Whether all tasks of the only job run."""
    with suppress(OSError, ValueError, LookupError):
        (job,) = [job for job in stack.cluster.get("/jobs/overview")["jobs"] if job["state"] == "RUNNING"]
        tasks: Mapping[str, int] = job["tasks"]
        return tasks["running"] == tasks["total"]
    return False


def _kill_task_manager(stack: Stack, chance: random.Random) -> None:
    crash(chance.choice(stack.cluster.task_managers))
    stack.mend()


def _kill_job_manager(stack: Stack, chance: random.Random) -> None:
    crash(stack.cluster.job_manager)
    stack.mend()


def _kill_worker(stack: Stack, chance: random.Random) -> None:
    workers = [
        pid
        for process in stack.cluster.task_managers
        for pid in process.pids()
        if _WORKER in _command_line(pid) and b"bash" not in _command_line(pid)[:16]
    ]
    if workers:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(sorted(workers)), signal.SIGKILL)


def _kill_broker(stack: Stack, chance: random.Random) -> None:
    crash(stack.broker.process)
    time.sleep(_BROKER_DOWN_S)
    stack.mend()


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


_PARTS: Mapping[str, Callable[[Stack, random.Random], None]] = {
    "TaskManager": _kill_task_manager,
    "JobManager": _kill_job_manager,
    "Python worker": _kill_worker,
    "broker": _kill_broker,
}
