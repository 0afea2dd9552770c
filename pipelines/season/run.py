"""Running the replays of a season: Beam in a process of its own, watched, and begun again where a worker was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from importlib.util import find_spec
from typing import BinaryIO

import msgspec

from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.season.errors import SeasonError
from monsoon.pipelines.season.folder import SeasonFolder, replay_path
from monsoon.pipelines.season.replays import Replay

MAX_FRUITLESS_RUNS = 3
"""Runs in a row that ended with a killed process and without one more replay finished."""
_POLL_S = 0.2
_PROGRAM = "from monsoon.pipelines.season.fan_out import main; main()"
_DIED = (75, -signal.SIGKILL)
"""Exit statuses of a run in which a process was killed: fan_out.WORKER_DIED, or the run's own process was."""


def run_replays(
    folder: SeasonFolder, replays: Collection[tuple[str, int]], workers: int, progress: Progress = no_progress
) -> dict[tuple[str, int], Replay]:
    """All these replays, those that are finished already read from the folder, the others made by `workers` processes.

    A process that is killed loses only what it was about to finish: the others go on, and what is missing is begun
    again. Raises SeasonError where replays fail, or processes are killed again and again.
    """
    finished = folder.finished(replays)
    fruitless = 0
    while missing := sorted(set(replays) - finished.keys()):
        for storm, replicate in missing:  # a file that is not a whole replay would count as progress
            replay_path(folder.path, storm, replicate).unlink(missing_ok=True)
        status, errors = _run(folder, missing, len(replays), workers, progress)
        before, finished = len(finished), folder.finished(replays)
        kept = f"{len(finished):,} of {len(replays):,} replays are kept: run the same command again to go on"
        if len(finished) == len(replays):
            break
        if status not in _DIED:
            raise SeasonError(f"a replay failed: {_last_line(errors)}; {kept}")
        fruitless = 0 if len(finished) > before else fruitless + 1
        if fruitless == MAX_FRUITLESS_RUNS:
            raise SeasonError(
                f"its processes were killed {fruitless} times in a row, as the system does when memory runs out; "
                f"{kept}, with fewer --workers or --riders"
            )
    return finished


def _run(
    folder: SeasonFolder, missing: list[tuple[str, int]], total: int, workers: int, progress: Progress
) -> tuple[int, str]:
    """Runs the pipeline over the missing replays; returns its exit status and what it wrote to standard error."""
    if find_spec("apache_beam") is None:
        raise SeasonError("Apache Beam is not installed in this environment; run ./monsoon season, which installs it")
    workers = min(workers, len(missing))
    threads = max(1, (os.cpu_count() or 1) // workers)
    paths = [replay_path(folder.path, storm, replicate) for storm, replicate in missing]
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory(prefix="monsoon-season-") as scratch:
        # what a process that is killed leaves behind is in `scratch`
        environment = os.environ | {"POLARS_MAX_THREADS": str(threads), "TMPDIR": scratch}
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(folder.path.resolve()), str(workers)],
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as replays:  # its exit status says why it ended
                replays.write(msgspec.json.encode(missing))
            while process.poll() is None:
                done = total - len(missing) + sum(path.exists() for path in paths)
                progress(f"replaying storms, {done:,} of {total:,}", done / total)
                time.sleep(_POLL_S)
        finally:
            _kill_group(process.pid)  # Beam's workers, which outlive it where it was killed
            process.wait()
        return process.returncode, _text(errors)


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _last_line(errors: str) -> str:
    """The last line that says something: of a traceback, the exception."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    of_errors = [line for line in lines if ("Error" in line or "error" in line) and not line.startswith("File ")]
    return (of_errors or lines or ["it gave no reason"])[-1][:500]
