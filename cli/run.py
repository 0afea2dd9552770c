"""`monsoon run`: the streaming job over a folder of streams, on an embedded Flink cluster."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import (
    add_product_options,
    add_refusal_option,
    chosen_products,
    count_to,
    product_words,
    refusal_limit,
)
from monsoon.cli.progress import ProgressLine
from monsoon.cli.result_summary import print_summary, warn_of_links

_EXAMPLE = """\
example:
  monsoon simulate --storm delhi-2024-06-28 --riders 500 --seed 1 --output runs/delhi
  monsoon run --input runs/delhi --output runs/delhi-live

Reads what `monsoon replay` reads and ends in the same records, but decides while event time goes on, and writes with
each checkpoint what it has decided since. Stopped, killed or failed, the same command with --resume goes on from the
last checkpoint. With --web-port 8081 Flink's web UI and REST API are at http://localhost:8081 while the job runs;
`curl -X POST localhost:8081/jobs/ID/stop -d '{}'` stops it with a savepoint.
"""

_MAX_PARALLELISM = 128
_MAX_PART_BYTES = 2**30


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "run", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder of input streams")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="new or empty output folder")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        metavar="DIR",
        help="new or empty folder of the job's state and log (default: --output with .checkpoints added)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run that these folders hold")
    parser.add_argument("--from-savepoint", metavar="PATH", help="go on with it from this savepoint, its newest state")
    add_product_options(parser)
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    parser.add_argument(
        "--parallelism",
        type=count_to(_MAX_PARALLELISM),
        metavar="N",
        help="how many slots; --resume may change it (default: one a core)",
    )
    parser.add_argument(
        "--buckets",
        type=count_to(_MAX_PARALLELISM),
        metavar="N",
        help="into how many keys riders, phones and places are hashed: a part of the state, and the highest "
        "parallelism that can be used (default: 8 times --parallelism; --resume: as begun)",
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
        default="hashmap",
        help="where Flink keeps state: in the JVM's heap, or on disk with incremental checkpoints; --resume: as begun "
        "(default: hashmap)",
    )
    parser.add_argument(
        "--part-bytes",
        type=count_to(_MAX_PART_BYTES),
        metavar="N",
        help="size of the parts in which files are read; --resume: as begun (default: 8 MiB)",
    )
    parser.add_argument("--web-port", type=count_to(65_535), metavar="PORT", help="Flink's web UI and REST API, here")
    add_refusal_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs to the end of the input, then prints a summary of three lines."""
    from monsoon.pipelines.flink.local_cluster import last_checkpoint
    from monsoon.pipelines.flink.run import PART_BYTES, RunOptions
    from monsoon.pipelines.flink.run import run as run_on_flink

    products, selected = chosen_products(args)
    checkpoints = args.checkpoints or Path(f"{os.path.abspath(args.output)}.checkpoints")
    running = RunOptions(
        checkpoints,
        parallelism=args.parallelism or os.cpu_count() or 1,
        buckets=args.buckets,
        checkpoint_interval_ms=args.checkpoint_interval_ms,
        state_backend=args.state_backend,
        resume=args.resume,
        web_port=args.web_port,
        part_bytes=args.part_bytes or PART_BYTES,
        savepoint=args.from_savepoint,
        limit=refusal_limit(args),
    )
    warn_of_links("monsoon run", args.input)
    progress = ProgressLine()
    try:
        summary = run_on_flink(
            args.input,
            args.output,
            products,
            selected,
            running,
            args.model,
            progress,
        )
    except KeyboardInterrupt:
        progress.done()
        if last_checkpoint(checkpoints) is None:
            raise KeyboardInterrupt("stopped before its first checkpoint; call the same command again") from None
        raise KeyboardInterrupt(f"stopped; to go on from its last checkpoint: {_resuming(args)}") from None
    finally:
        progress.done()
    print_summary("monsoon run", summary, args.output)
    return 0


def _resuming(args: argparse.Namespace) -> str:
    """The command that goes on with a run that was stopped."""
    words = ["./monsoon", "run", "--resume", "--input", str(args.input), "--output", str(args.output)]
    for option in ("checkpoints", "model", "part_bytes"):
        if (value := getattr(args, option)) is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    return shlex.join(words + product_words(args))
