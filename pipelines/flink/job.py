"""The streaming job for a Flink cluster that is there already: `main(argv)` is what `flink run` calls.

    flink run -pyexec VENV/bin/python -pyclientexec VENV/bin/python -pym monsoon.pipelines.flink.job \\
        --input DIR --output DIR

The same environment must stand at the same path on every worker, and so must the input and the output. Where
checkpoints go, how often and at what parallelism the job runs is the cluster's configuration, or `flink run -D`;
restoring is `flink run -s`, with the input, products, model and output that the job was begun with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.flink.file_splits import intervals_of, plan
from monsoon.pipelines.flink.job_record import keying_of, recorded
from monsoon.pipelines.flink.keys import MAX_PARALLELISM
from monsoon.pipelines.flink.run import PART_BYTES, identity_of, keying_for, settings_of, sink
from monsoon.sinks.folder import OutputError
from monsoon.sources.files import InputError
from monsoon.sources.locations import require_local
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.transforms.product import ProductError
from monsoon.transforms.scoring import ModelFolderError

if TYPE_CHECKING:
    from pyflink.datastream import StreamExecutionEnvironment

_RESTORE_KEYS = ("execution.state-recovery.path", "execution.savepoint.path")
"""Flink 2's name, and that of before."""


def main(argv: Sequence[str] | None = None) -> int:
    """Builds the graph on the client's cluster and waits for its end; returns 0, or 1 for an error that was found, and
    printed, before the job was submitted.

    Writes the output's streams as `monsoon run` does, without `summary.json`.
    """
    args = _parser().parse_args(argv)
    try:
        _submit(args)
    except (ClusterError, InputError, ModelFolderError, OutputError, ProductError) as error:
        print(f"monsoon: {error}", file=sys.stderr)
        return 1
    return 0


def _submit(args: argparse.Namespace) -> None:
    require_local(vars(args))
    input_dir, output = args.input.absolute(), args.output.absolute()
    products = load_products(extra=args.product_file)
    chosen = load_products(args.products.split(","), args.product_file) if args.products else products
    scorer = load_scorer(args.model)
    parts, _ = plan(input_dir, args.part_bytes)
    if not parts:
        raise ClusterError(f"{args.input}: no input files; there is nothing to run")
    from pyflink.datastream import StreamExecutionEnvironment

    from monsoon.pipelines.flink.graph import Config, build

    env = StreamExecutionEnvironment.get_execution_environment()
    if env.get_checkpoint_config().get_checkpoint_interval() <= 0:
        raise ClusterError(
            "execution.checkpointing.interval is not set: files are written with checkpoints only. Set it in the "
            "cluster's configuration or by flink run -Dexecution.checkpointing.interval=10s"
        )
    if env.get_checkpoint_config().is_unaligned_checkpoints_enabled():
        raise ClusterError(
            "execution.checkpointing.unaligned.enabled is true: the job may stop for good at a checkpoint "
            "(docs/adr/0050-checkpoints-are-aligned.md). Submit it with "
            "flink run -Dexecution.checkpointing.unaligned.enabled=false"
        )
    restored_from = _restored_from(env)
    begun = None if restored_from is None else keying_of(output)
    keying = keying_for(args.buckets, begun, env.get_parallelism())
    intervals = intervals_of(parts, args.part_bytes)
    settings = settings_of(input_dir, products, chosen, args.model, keying, intervals)
    identity = identity_of(input_dir, parts, chosen, scorer, keying) | {"output": str(output)}
    with recorded(output, identity, restored_from):
        sink(build(env, Config(parts, settings, streaming=True)), output)
        env.execute("monsoon")


def _restored_from(env: StreamExecutionEnvironment) -> str | None:
    """The savepoint or checkpoint that `flink run -s` named."""
    configured = env._j_stream_execution_environment.getConfiguration().toMap()
    return next((configured[key] for key in _RESTORE_KEYS if configured.get(key)), None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="monsoon.pipelines.flink.job", description=main.__doc__)
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder of input streams")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="new or empty folder; restoring: the same"
    )
    parser.add_argument("--products", metavar="NAME,...", help="products to run (default: all)")
    parser.add_argument(
        "--product-file", type=Path, action="append", default=[], metavar="FILE", help="another product"
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    parser.add_argument(
        "--buckets",
        type=int,
        choices=range(1, MAX_PARALLELISM + 1),
        metavar="N",
        help="into how many keys riders, phones and places are hashed, 1 to 128: a part of the state, and the highest "
        "parallelism that can be used (default: 8 times the parallelism; restoring: as begun)",
    )
    parser.add_argument("--part-bytes", type=int, default=PART_BYTES, metavar="N", help="size of a part of a file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
