"""Replay on Flink: the graph in batch on an embedded mini cluster, into the same output folder as the local engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monsoon.pipelines.flink.errors import error_in_words, logged_for_now
from monsoon.pipelines.flink.file_splits import FileSplit, in_any_order
from monsoon.pipelines.flink.job_record import Keying
from monsoon.pipelines.flink.keys import batch_buckets
from monsoon.pipelines.flink.local_cluster import batch_settings, environment
from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.flink.run import settings_of
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.results import write_results
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.sinks.folder import OutputFolder
from monsoon.sinks.record_files import Format
from monsoon.sources.files import INPUT_FOLDERS
from monsoon.sources.model_files import load_scorer
from monsoon.sources.reference import read_references
from monsoon.transforms.product import Product
from monsoon.transforms.validation.input_checks import RefusalLimit

PART_BYTES = 32 * 1024 * 1024


def replay(
    input_dir: Path,
    output_dir: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    model: Path | None = None,
    progress: Progress = no_progress,
    file_format: Format = "jsonl",
    *,
    limit: RefusalLimit | None = None,
    parallelism: int | None = None,
    buckets: int | None = None,
) -> dict[str, Any]:
    """Replays a folder of streams into a folder of results; returns the summary that it also wrote.

    `products` are all that a subscription may name, `selected` those to run; `limit` says how many records of a stream
    may be refused (None: all). `parallelism` is by default the number
    of cores, `buckets` follows from it, and the result depends on neither. Raises InputError, OutputError,
    ModelFolderError and ClusterError; a result that was there before stays whole until the new one is.
    """
    with OutputFolder(output_dir, (input_dir / name for name in INPUT_FOLDERS), file_format) as output:
        running = {name: products[name] for name in sorted(selected)}
        scorer = load_scorer(model)
        references = read_references(input_dir / "reference")
        slots = parallelism or os.cpu_count() or 1
        settings = settings_of(input_dir, products, running, model, Keying(buckets or batch_buckets(slots)))
        parts, ignored = in_any_order(input_dir, PART_BYTES)
        progress("running on Flink", None)
        with logged_for_now():
            collected = CollectedResults.of(_run(parts, settings, slots) if parts else ())
            collected.require_parts(len(parts))
            collected.require_within(limit, input_dir)
        collected.record_inputs(ignored, references)
        return write_results(output, collected, collected.outcome, running, {scorer.name: scorer.version}, progress)


def _run(parts: Sequence[FileSplit], settings: JobConfig, parallelism: int) -> Iterator[tuple[str, str]]:
    with error_in_words():
        env = environment(batch_settings(parallelism))
        from monsoon.pipelines.flink.graph import Config, build

        with build(env, Config(parts, settings)).execute_and_collect("monsoon replay") as rows:
            for _, kind, payload in rows:
                yield kind, payload
