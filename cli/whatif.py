"""`monsoon whatif`: numbers of product files varied over a grid, on one input that is read once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_files, add_refusal_option, refusal_limit
from monsoon.cli.printable import printable

if TYPE_CHECKING:
    import polars as pl

_EXAMPLE = """\
example:
  monsoon simulate --storm delhi-2024-06-28 --riders 500 --seed 1 --output runs/delhi
  monsoon whatif --input runs/delhi --vary kawaach.triggers.rain.full=80..140:20 --output runs/delhi-whatif

Each --vary names a number of a product file and its values, FIRST..LAST:STEP or VALUE,VALUE; several are combined. A
path has the file's names of fields; an item of a list goes by its name, part or per, else by its place from 0. With
--output the table is written as grid.parquet, and curves.html shows it: docs/workbench.md says what its columns are.
"""

GRID, CURVES = "grid.parquet", "curves.html"


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "whatif", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder of input streams")
    parser.add_argument(
        "--vary",
        action="append",
        required=True,
        metavar="PRODUCT.PATH=VALUES",
        help="a number of a product file and its values; may be repeated",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="new, empty or earlier folder of this command")
    add_product_files(parser)
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    add_refusal_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the grid and prints its table."""
    from monsoon.cli.progress import ProgressLine
    from monsoon.pipelines.evaluation.gather import LABELS, read_labels
    from monsoon.pipelines.whatif import WhatIf, grid_table, points_of
    from monsoon.sinks.durable import replace_file
    from monsoon.sinks.tables import refuse_other_files, write_table
    from monsoon.sources.model_files import load_scorer
    from monsoon.transforms.product.variations import parse_variation
    from monsoon.workbench.report.curves import curves_page

    variations = [parse_variation(text) for text in args.vary]
    points, faults = points_of(variations, args.product_file)
    if faults:
        print(printable(f"monsoon whatif: {_left_out(faults)}"), file=sys.stderr)
    if args.output is not None:
        refuse_other_files(args.output, (GRID, CURVES), "monsoon whatif")
    labels = read_labels(args.input) if (args.input / LABELS).is_file() else None
    progress = ProgressLine()
    try:
        what_if = WhatIf(args.input, load_scorer(args.model), args.product_file, progress, refusal_limit(args))
        table = grid_table(variations, points, what_if, labels, progress)
    finally:
        progress.done()
    print("\n".join(table_lines(table)))
    if args.output is not None:
        page = curves_page(table, [each.name for each in variations])
        write_table(args.output / GRID, table)
        replace_file(args.output / CURVES, page.encode(), args.output / f".{CURVES}")
        print(f"look into {args.output}: {CURVES} for any browser, {GRID} has the table")
    return 0


def _left_out(faults: list[str]) -> str:
    others = f" (and {len(faults) - 1} more points)" if len(faults) > 1 else ""
    return f"left out, since it makes no valid product: {faults[0]}{others}"


def table_lines(table: pl.DataFrame) -> list[str]:
    """The table for a terminal; columns of which nothing is known are left out."""
    from monsoon.cli.result_tables import aligned

    return aligned(table.select(each.name for each in table if each.null_count() < len(table)).drop("point"))
