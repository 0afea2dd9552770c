"""`monsoon replay`: a folder of streams into a folder of results."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_options, add_refusal_option, chosen_products, refusal_limit
from monsoon.cli.progress import ProgressLine
from monsoon.cli.result_summary import print_summary, warn_of_links

if TYPE_CHECKING:
    from monsoon.pipelines.progress import Progress
    from monsoon.transforms.product import Product

_EXAMPLE = """\
example:
  monsoon simulate --storm delhi-2024-06-28 --riders 500 --seed 1 --output runs/delhi
  monsoon replay --input runs/delhi --output runs/delhi-out

DIR of --input holds telemetry/, oracle_readings/ and subscriptions/, each any number of *.jsonl, *.ndjson or *.json
(each also with .gz) or *.parquet, at any depth and in any order, and optionally reserves/ and confirmations/ of the
same kind, reference/cell_towers.csv and reference/access_points.csv. The output is the same to the byte for the same
records, however they are ordered, split, compressed or repeated. --format parquet writes the same records as Parquet,
a typed column a field: docs/output.md.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "replay", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder of input streams")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="new, empty or earlier output folder")
    add_product_options(parser)
    parser.add_argument("--engine", choices=["local", "flink"], default="local", help="what runs it (default: local)")
    parser.add_argument(
        "--format", choices=["jsonl", "parquet"], default="jsonl", help="of the output's streams (default: jsonl)"
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    parser.add_argument(
        "--drift", action="store_true", help="also write drift_reports/, as monsoon drift does (see its help)"
    )
    parser.add_argument(
        "--feature-store", type=Path, metavar="DIR", help="also add to a feature store, as monsoon features build does"
    )
    add_refusal_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replays, then prints a summary of three lines."""
    products, selected = chosen_products(args)
    if args.drift:
        from monsoon.pipelines.drift import drift_model

        drift_model(args.model)  # what is wrong with it is said before the work
    if args.feature_store is not None:
        from monsoon.sinks.writable import require_writable

        require_writable(args.feature_store, "--feature-store")
    warn_of_links("monsoon replay", args.input)
    progress = ProgressLine()
    try:
        summary = _replay(args, products, selected, progress)
    finally:
        progress.done()
    print_summary("monsoon replay", summary, args.output)
    if args.drift:
        from monsoon.cli.drift import write_and_print

        write_and_print(args.output, args.model)
    if args.feature_store is not None:
        from monsoon.cli.features import build_and_print

        build_and_print(args.input, args.output, args.feature_store)
    return 0


def _replay(
    args: argparse.Namespace, products: Mapping[str, Product], selected: Sequence[str], progress: Progress
) -> Mapping[str, Any]:
    if args.engine == "flink":
        from monsoon.pipelines.flink.replay import replay as replay_on_flink

        return replay_on_flink(
            args.input, args.output, products, selected, args.model, progress, args.format, limit=refusal_limit(args)
        )
    from monsoon.pipelines.local.replay import replay
    from monsoon.sources.model_files import load_scorer

    scorer = load_scorer(args.model)
    limit = refusal_limit(args)
    return replay(args.input, args.output, products, selected, scorer, progress, args.format, limit)
