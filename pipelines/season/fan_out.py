"""The replays of a season as elements of an Apache Beam pipeline, in a process of its own.

Run by `monsoon.pipelines.season.run`, which ends this process with all of Beam's workers: Beam's direct runner waits
for ever for the results of a worker process that was killed, and so this process ends itself when one was.

Each element writes its own file before it counts as done, so that what is finished does not depend on Beam's bundles.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import Pipeline
from apache_beam.pvalue import PCollection

from monsoon.pipelines.season.folder import SETTINGS, write_replay
from monsoon.pipelines.season.replays import Replayer
from monsoon.pipelines.season.settings import SeasonSettings

WORKER_DIED = 75
"""The exit status of this process where a worker process of Beam's did not end by itself."""
_DIED = "Worker subprocess exited"
_PARENT_POLL_S = 1.0


class ReplayStorm(beam.DoFn):
    """Replays one storm and writes its file; element (storm, replicate) in, the same out once the file is there."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def setup(self) -> None:
        """Once in each worker: what all replays share."""
        settings = msgspec.json.decode((Path(self._folder) / SETTINGS).read_bytes(), type=SeasonSettings)
        self._replayer = Replayer(settings)

    def process(self, element: tuple[str, int]) -> Iterator[tuple[str, int]]:
        """One replay."""
        write_replay(Path(self._folder), self._replayer.replay(*element))
        yield element


def build(pipeline: Pipeline, folder: Path, replays: list[tuple[str, int]]) -> PCollection:
    """The pipeline's graph: the replays, spread over the workers, each written to the season's folder."""
    spread = pipeline | "replays" >> beam.Create(replays) | "spread over workers" >> beam.Reshuffle()
    return spread | "replay a storm" >> beam.ParDo(ReplayStorm(str(folder)))


def options(workers: int) -> PipelineOptions:
    """The direct runner: with one worker in this process, else with so many processes of Beam's."""
    mode = "in_memory" if workers == 1 else "multi_processing"
    return PipelineOptions([f"--direct_running_mode={mode}", f"--direct_num_workers={workers}"])


def main() -> None:
    """Runs the pipeline: arguments are the season's folder and the number of workers, the replays come as JSON on
    standard input."""
    folder, workers = Path(sys.argv[1]), int(sys.argv[2])
    replays = msgspec.json.decode(sys.stdin.buffer.read(), type=list[tuple[str, int]])
    threading.excepthook = _end_if_a_worker_died
    threading.Thread(target=_end_with_the_parent, args=(os.getppid(),), daemon=True).start()
    with Pipeline(options=options(workers)) as pipeline:
        build(pipeline, folder, replays)


def _end_if_a_worker_died(hook: threading.ExceptHookArgs) -> None:
    print(hook.exc_value, file=sys.stderr, flush=True)
    if _DIED in str(hook.exc_value):
        os._exit(WORKER_DIED)


def _end_with_the_parent(parent: int) -> None:
    """Whoever started this process may be killed, too; then its workers must not go on."""
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os.killpg(os.getpgid(0), signal.SIGKILL)
