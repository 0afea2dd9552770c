"""Replay on Flink: the graph in batch on an embedded mini cluster, into the same output folder as the local engine."""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monsoon.pipelines.flink.entrance import STREAMS
from monsoon.pipelines.flink.envelopes import unpack_result
from monsoon.pipelines.flink.java import use_java
from monsoon.pipelines.flink.settings import Settings
from monsoon.pipelines.flink.workers import hush_closed_channels
from monsoon.pipelines.results import Outcome, Progress, no_progress, write_results
from monsoon.sinks.folder import OutputFolder
from monsoon.sources.accounting import StreamCounts, dead_letters
from monsoon.sources.files import FilePart, InputError, find_files, parts_of
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.reference import read_references
from monsoon.transforms.product import Product
from monsoon.transforms.validation.judge import Dead

_QUICK_START = "-XX:TieredStopAtLevel=1"
"""The JVM moves bytes and is gone within minutes: the optimizing compiler would cost more than it gives."""


_BUCKETS_PER_SLOT = 4
"""Enough to even out; chunks between two steps grow in number with the square of the buckets, and each costs some
milliseconds."""


@dataclass
class Account:
    """What became of every line, put together from what the steps counted."""

    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)
    reference_rows_skipped: dict[str, int] = field(default_factory=dict)


def replay(
    input_dir: Path,
    output_dir: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    model: Path | None = None,
    progress: Progress = no_progress,
    *,
    parallelism: int | None = None,
    buckets: int | None = None,
) -> dict[str, Any]:
    """Replays a folder of streams into a folder of results; returns the summary that it also wrote.

    `products` are all that a subscription may name, `selected` those to run. `parallelism` is by default the number
    of cores, `buckets` follows from it, and the result depends on neither. Raises InputError, OutputError and
    ModelFolderError; a result that was there before stays whole until the new one is.
    """
    output = OutputFolder(output_dir)
    try:
        running = {name: products[name] for name in sorted(selected)}
        scorer = load_scorer(model)
        references = read_references(input_dir / "reference")
        slots = parallelism or os.cpu_count() or 1
        settings = Settings(products, running, input_dir / "reference", model, buckets or _BUCKETS_PER_SLOT * slots)
        parts = [(name, part) for name in STREAMS for part in _parts(input_dir / name, settings.part_bytes)]
        progress("running on Flink", None)
        found = _run(parts, settings, slots) if parts else []
        account, outcome = _sorted_out(found)
        account.reference_rows_skipped = {name: faults.rows for name, faults in sorted(references.faults.items())}
        return write_results(output, account, outcome, running, {scorer.name: scorer.version}, progress)
    except BaseException:
        output.abandon()
        raise


def _parts(folder: Path, part_bytes: int) -> Iterable[FilePart]:
    for file in find_files(folder).files:
        yield from parts_of(file, part_bytes)


def _run(parts: Sequence[tuple[str, FilePart]], settings: Settings, parallelism: int) -> Iterable[tuple[str, str]]:
    use_java()
    os.environ.setdefault("JVM_ARGS", _QUICK_START)
    from pyflink.common import Configuration
    from pyflink.datastream import RuntimeExecutionMode, StreamExecutionEnvironment

    from monsoon.pipelines.flink.graph import Config, build

    hush_closed_channels()
    configuration = Configuration()
    configuration.set_string("python.executable", sys.executable)
    configuration.set_string("python.client.executable", sys.executable)
    # In batch the JVM forgets a key's state when it turns to the next key, so Python may not lag behind.
    configuration.set_string("python.fn-execution.bundle.size", "1")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_runtime_mode(RuntimeExecutionMode.BATCH)
    env.set_parallelism(parallelism)
    with build(env, Config(parts, settings)).execute_and_collect("monsoon replay") as rows:
        for _, kind, payload in rows:
            yield kind, payload


def _sorted_out(results: Iterable[tuple[str, str]]) -> tuple[Account, Outcome]:
    """The account and the outcome. Raises InputError where a step met a file that cannot be read."""
    outcome, account = Outcome(), Account()
    counts = {stream: StreamCounts() for stream in STREAMS}
    dead: dict[str, list[Dead]] = defaultdict(list)
    for kind, payload in results:
        if kind == "counts":
            stream, counted = unpack_result(payload, tuple[str, dict[str, Any]])
            _add(counts[stream], counted)
        elif kind == "dead":
            stream, letters = unpack_result(payload, tuple[str, list[Dead]])
            dead[stream].extend(letters)
        elif kind == "fault":
            raise InputError(*unpack_result(payload, tuple[str, str, str]))
        else:
            getattr(outcome, kind).extend(unpack_result(payload, list[dict[str, Any]]))
    for stream in ("subscriptions", "oracle_readings", "telemetry"):
        account.dead_letters.extend(dead_letters(stream, dead[stream], counts[stream]))
        account.counts[stream] = counts[stream].as_dict()
    return account, outcome


def _add(total: StreamCounts, part: Mapping[str, Any]) -> None:
    total.read += part["read"]
    total.used += part["used"]
    total.duplicate += part["duplicate"]
    total.nulled.update(part["nulled"])


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m monsoon.pipelines.flink.replay`: the same for whoever submits the job; returns 0.

    Each worker reads its parts of the input itself, so the input folder must stand at the same path everywhere.
    """
    parser = argparse.ArgumentParser(prog="monsoon.pipelines.flink.replay", description=main.__doc__)
    parser.add_argument("--input", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--products", metavar="NAME,...", help="products to run (default: all)")
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    parser.add_argument("--parallelism", type=int, metavar="N", help="default: the number of cores")
    parser.add_argument("--buckets", type=int, metavar="N", help="keys of each step; the result does not depend on it")
    args = parser.parse_args(argv)
    products = load_products()
    selected = sorted(load_products(args.products.split(","))) if args.products else sorted(products)
    replay(
        args.input,
        args.output,
        products,
        selected,
        args.model,
        parallelism=args.parallelism,
        buckets=args.buckets,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
