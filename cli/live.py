"""`monsoon live`: a folder's streams through Kafka and the live job on a Flink cluster, all on this machine."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import (
    add_product_options,
    add_refusal_option,
    chosen_products,
    count_to,
    refusal_limit,
)
from monsoon.cli.progress import ProgressLine
from monsoon.cli.result_summary import print_summary, warn_of_links
from monsoon.cli.stack_options import prepare_kafka

_EXAMPLE = """\
example:
  monsoon simulate --storm delhi-2024-06-28 --riders 500 --seed 1 --output runs/delhi
  monsoon live --input runs/delhi --output runs/delhi-live

Brings up a Kafka broker and a Flink cluster on free ports, submits the live job, produces the folder's streams in
event-time order, waits until everything is decided, writes what a consumer of committed records saw in the layout of
`monsoon replay`, and takes the stack down. The records are those of a replay, to the byte; summary.json lacks nothing.
"""

_MAX_PARALLELISM = 128
_DEFAULT_SLOTS = 4
"""As many as telemetry has partitions."""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "live", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder of input streams")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="new, empty or earlier output folder")
    parser.add_argument(
        "--speed",
        type=speed,
        default=0.0,
        metavar="N",
        help="so many times as fast as real time; 0: as fast as it goes (default: 0)",
    )
    add_product_options(parser)
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    parser.add_argument(
        "--parallelism",
        type=count_to(_MAX_PARALLELISM),
        metavar="N",
        help="how many slots of the cluster the job takes (default: one a core, at most 4)",
    )
    parser.add_argument(
        "--buckets",
        type=count_to(_MAX_PARALLELISM),
        metavar="N",
        help="into how many keys riders, phones and places are hashed (default: 8 times --parallelism)",
    )
    parser.add_argument(
        "--taskmanagers",
        type=count_to(_MAX_PARALLELISM),
        default=1,
        metavar="N",
        help="among how many processes the slots are divided (default: 1)",
    )
    parser.add_argument(
        "--checkpoint-interval-ms",
        type=count_to(3_600_000),
        default=1_000,
        metavar="N",
        help="how often results are committed, at least 200 (default: 1000)",
    )
    parser.add_argument(
        "--state-backend",
        choices=("hashmap", "rocksdb"),
        default="rocksdb",
        help="where Flink keeps state (default: rocksdb, with incremental checkpoints)",
    )
    parser.add_argument(
        "--stack",
        type=Path,
        metavar="DIR",
        help="new or empty folder for the stack, whose logs stay there (default: a temporary one, kept if it fails)",
    )
    parser.add_argument(
        "--format", choices=["jsonl", "parquet"], default="jsonl", help="of the output's streams (default: jsonl)"
    )
    add_refusal_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs to the end of the input, then prints a summary of three lines."""
    from monsoon.pipelines.flink.live import LiveOptions, live

    products, selected = chosen_products(args)
    warn_of_links("monsoon live", args.input)
    options = LiveOptions(
        args.stack or Path(tempfile.mkdtemp(prefix="monsoon-live-")),
        product_files=tuple(args.product_file),
        speed=args.speed,
        parallelism=args.parallelism or min(os.cpu_count() or 1, _DEFAULT_SLOTS),
        buckets=args.buckets,
        task_managers=args.taskmanagers,
        checkpoint_interval_ms=args.checkpoint_interval_ms,
        state_backend=args.state_backend,
        limit=refusal_limit(args),
    )
    progress = ProgressLine()
    try:
        prepare_kafka(progress)
        summary = live(args.input, args.output, products, selected, options, args.model, progress, args.format)
    finally:
        progress.done()
        with suppress(OSError):  # logs of a failure are in it, or it was removed
            options.stack.rmdir()
    print_summary("monsoon live", summary, args.output)
    return 0


def speed(text: str) -> float:
    """A multiple of real time, of the command line."""
    try:
        multiple = float(text)
    except ValueError:
        multiple = math.nan
    if not 0 <= multiple <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no multiple of real time; give 0 to 1000000")
    return multiple
