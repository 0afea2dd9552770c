"""Processes that outlive the command that started them.

Each runs in a session of its own, logs to a file, and is marked: its environment, which its children inherit, holds a
random word that is also in its pid file. Only a process with that mark is ever ended, whatever its pid was before.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from monsoon.pipelines.progress import Progress
from monsoon.pipelines.stack.errors import StackError

MARK = "MONSOON_STACK_PROCESS"
"""The environment variable by whose value processes are found."""
_LOOK_S = 0.1
_KILL_S = 10
_ERROR = re.compile(r"\b(ERROR|FATAL)\b|\b[A-Z]\w*(?:Error|Exception)\b")
_FATAL = re.compile(r"\bFATAL\b|\bRECEIVED SIGNAL\b|^# +SIG[A-Z]+ \(")


class _PidFile(NamedTuple):
    mark: str
    pid: int | None
    stop_signal: signal.Signals


class StackProcess:
    """One process of a stack, by name; the folder remembers it for later commands."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.log = folder / "logs" / f"{name}.log"
        self._file = folder / "pids" / f"{name}.json"
        self._popen: subprocess.Popen[bytes] | None = None
        """If this command started it."""

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Starts it, with `environment` added to this command's; the log of a former start gets `.1` added.

        `stop_signal` is what asks it to end in good order. Raises StackError if it runs, OSError if the program cannot
        be run.
        """
        if self.pids():
            raise StackError(f"{self.name} runs already (process {self.pids()[0]})")
        for file in (self.log, self._file):
            file.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(f"{self.log}.1")
        mark = secrets.token_hex(16)
        self._write(mark, None, stop_signal)  # first: whatever happens from here on, the process can be found and ended
        with open(self.log, "ab") as log:
            self._popen = subprocess.Popen(
                command,
                env={**os.environ, **(environment or {}), MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            while self._popen.poll() is None and not marked(mark):
                time.sleep(_LOOK_S / 100)  # the system is still handing it its environment
            self._write(mark, self._popen.pid, stop_signal)
        except BaseException:
            self._popen.kill()
            raise

    @property
    def pid(self) -> int | None:
        """The pid of the process that was started, while it runs; not of its children."""
        if self._popen is not None:  # then it is certain, and its exit code is known
            return self._popen.pid if self._popen.poll() is None else None
        state = self._read()
        return state.pid if state.mark and state.pid in marked(state.mark) else None

    def pids(self) -> list[int]:
        """All processes that are left of it, its children and theirs included."""
        if self._popen is not None:
            self._popen.poll()  # else it would stay as a zombie
        mark = self._read().mark
        return marked(mark) if mark else []

    @property
    def stop_signal(self) -> signal.Signals:
        """What asks it to end in good order."""
        return self._read().stop_signal

    def wait_until(self, ready: Callable[[], bool], patience_s: float, progress: Progress) -> None:
        """Returns when it is ready. Raises StackError if it ends, or is not ready in time."""
        end_s = time.monotonic() + patience_s
        while not ready():
            progress(f"starting {self.name}", None)
            if self.pid is None:
                raise StackError(f"{self.name} ended while it started: {self.exit_reason()}")
            if time.monotonic() > end_s:
                raise StackError(f"{self.name} was not ready after {patience_s:.0f} s; {self.exit_reason()}")
            time.sleep(_LOOK_S)

    def exit_reason(self) -> str:
        """Why it ended, as far as its exit code and its log say."""
        code = None if self._popen is None else self._popen.poll()
        told = "" if code is None else f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        cause = last_error(self.log) or ("" if told else "its log tells of no error, as if it had been killed")
        return "; ".join(filter(None, (told, cause, f"its log: {self.log}")))

    def forget(self) -> None:
        """Removes its pid file. Only of one that is ended."""
        self._file.unlink(missing_ok=True)

    def _write(self, mark: str, pid: int | None, stop_signal: signal.Signals) -> None:
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps({"mark": mark, "pid": pid, "stop_signal": stop_signal}))
        partial.replace(self._file)

    def _read(self) -> _PidFile:
        try:
            content = json.loads(self._file.read_text())
            return _PidFile(content["mark"], content["pid"], signal.Signals(content.get("stop_signal", signal.SIGTERM)))
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            # Broken as the machine's crash left it: then the process ended, too.
            return _PidFile("", None, signal.SIGTERM)


def monsoon_command(*words: str) -> list[str]:
    """A command of Monsoon, as a process of the same Python."""
    return [sys.executable, "-m", "monsoon.cli.main", *words]


def processes_of(folder: Path) -> list[StackProcess]:
    """Every process that was started in a folder and not stopped, in the order of names; they may have ended."""
    return [StackProcess(folder, file.stem) for file in sorted((folder / "pids").glob("*.json"))]


def stop(processes: Iterable[StackProcess], grace_s: float) -> None:
    """Ends processes and their children: asks each, all at once, and kills what is left after `grace_s` (0: at once).

    Returns when they have closed their files and ports. Raises StackError if one does not end even then.
    """
    stopping = list(processes)
    if grace_s:
        signals = {pid: process.stop_signal for process in stopping if (pid := process.pid) is not None}
        with _held(signals, stopping) as held:
            for pid, descriptor in held.items():
                _signal(descriptor, signals[pid])
            _wait_for(held.values(), grace_s)
    end_s = time.monotonic() + _KILL_S
    while left := [pid for process in stopping for pid in process.pids()]:
        with _held(left, stopping) as held:
            for descriptor in held.values():
                _signal(descriptor, signal.SIGKILL)
            _wait_for(held.values(), end_s - time.monotonic())
        if time.monotonic() > end_s:
            raise StackError(f"processes that do not end, although they were killed: {', '.join(map(str, left))}")
    for process in stopping:
        process.forget()


@contextmanager
def _held(pids: Iterable[int], owners: Sequence[StackProcess]) -> Iterator[dict[int, int]]:
    """By pid, descriptors of processes, which stay theirs whatever becomes of the pid; only of those of the owners."""
    with ExitStack() as opened:
        held = {}
        for pid in pids:
            with suppress(ProcessLookupError):
                held[pid] = os.pidfd_open(pid)
                opened.callback(os.close, held[pid])
        still = {pid for owner in owners for pid in owner.pids()}
        yield {pid: descriptor for pid, descriptor in held.items() if pid in still}


def _wait_for(held: Iterable[int], patience_s: float) -> None:
    """Returns when all have ended, or after `patience_s`."""
    waiting, end_s = set(held), time.monotonic() + patience_s
    ends = select.poll()
    for descriptor in waiting:
        ends.register(descriptor, select.POLLIN)
    while waiting and (left_s := end_s - time.monotonic()) > 0:
        for descriptor, _ in ends.poll(1_000 * left_s):
            ends.unregister(descriptor)
            waiting.discard(descriptor)


def marked(mark: str) -> list[int]:
    """The running processes whose environment holds the mark, in the order of their pids."""
    entry = f"{MARK}={mark}".encode()
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if entry in _environment(pid)]


def last_error(log: Path) -> str:
    """The last line of a log that tells of a fatal error or a signal, else of any error; else its last line, unless
    that tells of what went well."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    except FileNotFoundError:
        return ""
    fatal = [line for line in lines if _FATAL.search(line)]
    errors = [line for line in lines if _ERROR.search(line) and not line.startswith("at ")]
    told = [line for line in lines if line and " INFO " not in line and " WARN " not in line]
    return (fatal or errors or told or [""])[-1]


def _environment(pid: int) -> list[bytes]:
    """Empty for a process that has ended, or is another user's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _signal(descriptor: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)
