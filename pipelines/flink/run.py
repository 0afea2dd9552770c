"""The streaming job over a folder of streams: it decides as event time goes on, durable checkpoints, and writes what it
has decided with each of them.

The output is one folder a stream, as a replay's, in as many parts as there were checkpoints; `summary.json` is written
when the input has ended. A run that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.pipelines.flink.dead_letter_limit import DeadLetterLimit
from monsoon.pipelines.flink.errors import ClusterError, error_in_words, log_to
from monsoon.pipelines.flink.file_splits import FileSplit, intervals_of, plan
from monsoon.pipelines.flink.job_record import Keying
from monsoon.pipelines.flink.keys import streaming_buckets
from monsoon.pipelines.flink.local_cluster import STATE_BACKENDS, environment, streaming_settings
from monsoon.pipelines.flink.rest_api import RestApi
from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.flink.run_folders import RunFolders
from monsoon.pipelines.flink.running_job import EventTimeShare, wait_for
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.results import summarized
from monsoon.pipelines.runtime.intervals import LIVE_INTERVALS, Intervals
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.messages import ACCOUNTS
from monsoon.sinks.folder import STREAMS, OutputError
from monsoon.sources.files import streams_in
from monsoon.sources.model_files import load_scorer
from monsoon.sources.reference import read_references
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.validation.input_checks import RefusalLimit

if TYPE_CHECKING:
    from pyflink.datastream import DataStream

PART_BYTES = 8 * 1024 * 1024
"""Event time goes on with each of them; every one costs a message to each bucket, and from each to each."""


@dataclass(frozen=True)
class RunOptions:
    """How to run: all but the input and the products."""

    checkpoints: Path
    parallelism: int = 1
    buckets: int | None = None
    """Into how many keys riders, phones and places are hashed: a part of the state, and the highest parallelism that
    can be used. None: enough for SCALE_OUT times the slots; with `resume` what the run began with."""
    checkpoint_interval_ms: int = 1_000
    state_backend: str = STATE_BACKENDS[0]
    """Of STATE_BACKENDS; with `resume` as begun, since checkpoints of one cannot be read by another."""
    resume: bool = False
    web_port: int | None = None
    part_bytes: int = PART_BYTES
    savepoint: str | None = None
    """A savepoint to go on from, in the place of the last checkpoint."""
    limit: RefusalLimit | None = None
    """How many records of a stream may be refused (None: all), of those between two looks at them."""


class StoppedError(ClusterError):
    """The job was stopped from outside, with a savepoint."""


def run(
    input_dir: Path,
    output_dir: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    running: RunOptions,
    model: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Runs the job to the end of its input; returns the summary that it also wrote.

    Raises InputError, OutputError, ModelFolderError and ClusterError, StoppedError if somebody stopped the job.
    """
    input_dir = input_dir.absolute()  # parts in state name their files
    resume = running.resume or running.savepoint is not None
    folders = RunFolders(output_dir, running.checkpoints, input_dir)
    folders.require_usable(resume)
    chosen = {name: products[name] for name in sorted(selected)}
    scorer = load_scorer(model)
    references = read_references(input_dir / "reference")
    progress("looking through the input", None)
    parts, ignored = plan(input_dir, running.part_bytes)
    keying = keying_for(running.buckets, folders.keying if resume else None, running.parallelism)
    identity = identity_of(input_dir, parts, chosen, scorer, keying) | {"state backend": running.state_backend}
    with folders.resumed_run(identity) if resume else folders.new_run(identity):
        intervals = intervals_of(parts, running.part_bytes)
        settings = settings_of(input_dir, products, chosen, model, keying, intervals)
        collected = _collect(parts, settings, folders, running, resume, progress)
        collected.record_inputs(ignored, references)
        summary = summarized(collected, collected.outcome, chosen, {scorer.name: scorer.version})
        folders.finish(summary, STREAMS, ACCOUNTS)
        return summary


def keying_for(buckets: int | None, begun: Keying | None, slots: int) -> Keying:
    """How state is keyed: as the job was begun, or as new ones are; with another number of buckets if that is told.
    Raises ClusterError where there are more slots than buckets."""
    keying = begun or Keying(streaming_buckets(slots))
    keying = keying if buckets is None else replace(keying, buckets=buckets)
    if slots > keying.buckets:
        raise ClusterError(
            f"parallelism {slots}: more slots than the job has buckets ({keying.buckets}), so that some would have no "
            f"work; give at most {keying.buckets}, or more --buckets to a new job"
        )
    return keying


def identity_of(
    input_dir: Path, parts: Sequence[FileSplit], chosen: Mapping[str, Product], scorer: Scorer, keying: Keying
) -> dict[str, Any]:
    """What a job's state belongs to: with anything else it would skip parts, read others twice, or not fit."""
    return {
        "input": str(input_dir),
        "content of the input": _fingerprint(parts),
        "products": {name: product.version for name, product in chosen.items()},
        "model": {scorer.name: scorer.version},
        **keying.identity,
    }


def settings_of(
    input_dir: Path,
    products: Mapping[str, Product],
    chosen: Mapping[str, Product],
    model: Path | None,
    keying: Keying,
    intervals: Intervals = LIVE_INTERVALS,
) -> JobConfig:
    """The configuration of a run."""
    return JobConfig(
        products,
        chosen,
        input_dir / "reference",
        model,
        keying.buckets,
        reserves="reserves" in streams_in(input_dir),
        intervals=intervals,
        by_region=keying.by_region,
    )


def _collect(
    parts: Sequence[FileSplit],
    settings: JobConfig,
    folders: RunFolders,
    running: RunOptions,
    resume: bool,
    progress: Progress,
) -> CollectedResults:
    if resume and folders.has_ended:
        raise OutputError(f"{folders.output}: this run has ended, its summary.json is there; nothing is left to resume")
    restore_from = folders.restore_from(running.savepoint) if resume else None
    # A job that came to its end leaves no checkpoint, but the word that it did, should it be killed before the summary.
    if parts and (not resume or restore_from is not None):
        _execute(parts, settings, folders, running, restore_from, progress)
    progress("summing up", None)
    collected = CollectedResults.of(_written(folders.output))
    if parts and not collected.ended:
        if resume and restore_from is None:
            raise OutputError(
                f"{folders.checkpoints}: no complete checkpoint to go on from; start anew: the same command "
                "without --resume"
            )
        raise StoppedError("the job was stopped with a savepoint; to go on: the same command with --resume")
    collected.require_parts(len(parts))
    collected.require_records()
    return collected


def _execute(
    parts: Sequence[FileSplit],
    settings: JobConfig,
    folders: RunFolders,
    running: RunOptions,
    restore_from: str | None,
    progress: Progress,
) -> None:
    api = RestApi.at(running.web_port)
    configuration = streaming_settings(
        running.parallelism,
        checkpoints=folders.checkpoints,
        checkpoint_interval_ms=running.checkpoint_interval_ms,
        state_backend=running.state_backend,
        restore_from=restore_from,
    )
    log_to(folders.log)
    progress("starting Flink", None)
    with error_in_words():
        env = environment({**configuration, **api.settings})
        from monsoon.pipelines.flink.graph import Config, build

        sink(build(env, Config(parts, settings, streaming=True)), folders.output)
        job = env.execute_async("monsoon run")
        lows_ms = [planned.low_ms for planned in parts]
        watch = DeadLetterLimit(folders.output / ACCOUNTS, running.limit, folders.input)
        wait_for(job, EventTimeShare(api, str(job.get_job_id()), lows_ms), progress, watch)


def sink(results: DataStream, output_dir: Path) -> None:
    """Writes results as lines below a folder, one folder a stream; a line counts once its checkpoint is complete."""
    from pyflink.common import Encoder, Types
    from pyflink.datastream import OutputTag
    from pyflink.datastream.connectors.file_system import BucketAssigner, FileSink, OutputFileConfig, RollingPolicy

    from monsoon.pipelines.flink.result_lines import ToResultLines, UpToTheEnd

    lines = results.process(ToResultLines((*STREAMS, ACCOUNTS)), Types.STRING()).name("write-results: lines")
    lines.uid("write-results")
    streams = {stream: lines.get_side_output(OutputTag(stream, Types.STRING())) for stream in STREAMS}
    accounts = lines.get_side_output(OutputTag(ACCOUNTS, Types.STRING()))
    closed = accounts.key_by(lambda line: 0, Types.INT()).process(UpToTheEnd(), Types.STRING())
    closed.name("close-accounts: up to the end").uid("close-accounts").set_parallelism(1)
    for stream, records in (*streams.items(), (ACCOUNTS, closed)):
        to = (
            FileSink.for_row_format(str(output_dir.absolute() / stream), Encoder.simple_string_encoder("UTF-8"))
            .with_bucket_assigner(BucketAssigner.base_path_bucket_assigner())
            .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
            .with_output_file_config(
                OutputFileConfig.builder().with_part_prefix("part").with_part_suffix(".jsonl").build()
            )
            .build()
        )
        written = records.sink_to(to).name(f"write-{stream}").uid(f"write-{stream}")
        if stream == ACCOUNTS:
            # As its input: chained at one parallelism and not at another, it could not be restored.
            written.set_parallelism(1)


def _written(output_dir: Path) -> Iterator[tuple[str, bytes]]:
    """What a finished job wrote, as (kind, JSON)."""
    for stream in (*STREAMS, ACCOUNTS):
        for part in sorted((output_dir / stream).glob("part*.jsonl")):
            for line in part.read_bytes().splitlines():
                if stream == ACCOUNTS:
                    kind, _, payload = line.partition(b" ")
                    yield kind.decode(), payload
                else:
                    yield stream, b"[" + line + b"]"


def _fingerprint(parts: Sequence[FileSplit]) -> str:
    """Of the plan: places in it are what a checkpoint knows."""
    return f"{len(parts)} parts, {zlib.crc32(repr(list(parts)).encode()):08x}"
