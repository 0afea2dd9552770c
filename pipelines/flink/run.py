"""The streaming job over a folder of streams: it decides as event time goes on, keeps checkpoints, and writes what it
has decided with each of them.

The output is one folder a stream, as a replay's, in as many parts as there were checkpoints; `summary.json` is written
when the input has ended. A run that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from monsoon.pipelines.flink.local_cluster import (
    environment,
    last_checkpoint,
    streaming_settings,
    told_in_words,
)
from monsoon.pipelines.flink.outcome import Collected
from monsoon.pipelines.flink.plan import plan
from monsoon.pipelines.results import Progress, no_progress, summarized
from monsoon.pipelines.steps.settings import Settings
from monsoon.sinks.folder import STREAMS, SUMMARY, OutputError
from monsoon.sources.model_files import load_scorer
from monsoon.sources.reference import read_references
from monsoon.transforms.product import Product

if TYPE_CHECKING:
    from pyflink.datastream import DataStream

PART_BYTES = 1024 * 1024
"""Small parts: event time goes on with each of them."""
ACCOUNTS = "accounts"
"""What the job says of the lines that it read, for the summary; beside the streams of the contract."""
_BUCKETS = 16
"""Fixed: state is kept under buckets, so their number may not follow the machine."""


@dataclass(frozen=True)
class Running:
    """How to run: all but the input and the products."""

    checkpoints: Path
    parallelism: int = 1
    checkpoint_interval_ms: int = 1_000
    resume: bool = False
    web_port: int | None = None
    part_bytes: int = PART_BYTES
    savepoint: str | None = None
    """A savepoint to start from, in the place of the last checkpoint."""


def run(
    input_dir: Path,
    output_dir: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    running: Running,
    model: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Runs the job to the end of its input; returns the summary that it also wrote.

    Raises InputError, OutputError, ModelFolderError and ClusterError.
    """
    chosen = {name: products[name] for name in sorted(selected)}
    scorer = load_scorer(model)
    references = read_references(input_dir / "reference")
    progress("looking through the input", None)
    parts, overlooked = plan(input_dir, running.part_bytes)
    restore_from = running.savepoint or (last_checkpoint(running.checkpoints) if running.resume else None)
    _prepare(output_dir, running)
    if parts:
        settings = Settings(products, chosen, input_dir / "reference", model, _BUCKETS)
        _execute(parts, settings, output_dir, running, restore_from, progress)
    collected = Collected.of(_written(output_dir))
    collected.overlooked(overlooked)
    collected.reference_rows_skipped = {name: faults.rows for name, faults in sorted(references.faults.items())}
    summary = summarized(collected, collected.outcome, chosen, {scorer.name: scorer.version})
    (output_dir / SUMMARY).write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    return summary


def _prepare(output_dir: Path, running: Running) -> None:
    """Makes the output folder; refuses one that holds anything, unless it is to be gone on with."""
    if running.resume:
        return
    for folder, option in ((output_dir, "--output"), (running.checkpoints, "--checkpoints")):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(
                f"{folder}: holds something; give {option} a new or empty folder, or --resume to go on with a run"
            )
        folder.mkdir(parents=True, exist_ok=True)


def _execute(
    parts: Sequence[Any],
    settings: Settings,
    output_dir: Path,
    running: Running,
    restore_from: str | None,
    progress: Progress,
) -> None:
    configuration = streaming_settings(
        running.parallelism,
        checkpoints=running.checkpoints,
        checkpoint_interval_ms=running.checkpoint_interval_ms,
        restore_from=restore_from,
        web_port=running.web_port,
    )
    with told_in_words():
        env = environment(configuration)
        from monsoon.pipelines.flink.graph import Config, build

        sink(build(env, Config(parts, settings, streaming=True)), output_dir)
        progress("running on Flink", None)
        env.execute("monsoon run")


def sink(results: DataStream, output_dir: Path) -> None:
    """Writes results as lines below a folder, one folder a stream; a line counts once its checkpoint is complete."""
    from pyflink.common import Encoder, Types
    from pyflink.datastream import OutputTag
    from pyflink.datastream.connectors.file_system import BucketAssigner, FileSink, OutputFileConfig, RollingPolicy

    from monsoon.pipelines.flink.writing import ToLines

    streams = (*STREAMS, ACCOUNTS)
    lines = results.process(ToLines(streams), Types.STRING()).name("write-results: lines").uid("write-results")
    for stream in streams:
        to = (
            FileSink.for_row_format(str(output_dir.absolute() / stream), Encoder.simple_string_encoder("UTF-8"))
            .with_bucket_assigner(BucketAssigner.base_path_bucket_assigner())
            .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
            .with_output_file_config(
                OutputFileConfig.builder().with_part_prefix("part").with_part_suffix(".jsonl").build()
            )
            .build()
        )
        lines.get_side_output(OutputTag(stream, Types.STRING())).sink_to(to).name(f"write-{stream}").uid(
            f"write-{stream}"
        )


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
