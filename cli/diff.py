"""`monsoon diff`: two outputs compared decision by decision."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_EXAMPLE = """\
example:
  monsoon replay --input runs/delhi --output runs/a
  monsoon replay --input runs/delhi --output runs/b --model my-model
  monsoon diff runs/a runs/b --output runs/a-b

With --output the table of all claims that differ is written as diff.parquet, with the columns of docs/workbench.md.
"""

DIFF = "diff.parquet"
_SHOWN = 20


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "diff", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("a", type=Path, metavar="A", help="an output of replay, run or live")
    parser.add_argument("b", type=Path, metavar="B", help="another")
    parser.add_argument("--output", type=Path, metavar="DIR", help="new, empty or earlier folder of this command")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints who gained and who lost, by what, and the largest changes."""
    from monsoon.sinks.tables import refuse_other_files, write_table
    from monsoon.workbench import load
    from monsoon.workbench.diff import differences

    if args.output is not None:
        refuse_other_files(args.output, (DIFF,), "monsoon diff")
    a, b = load(args.a), load(args.b)
    table = differences(a, b)
    print("\n".join(report_lines(table)))
    if args.output is not None:
        write_table(args.output / DIFF, table)
        print(f"look into {args.output}: {DIFF} has every claim that differs")
    return 0


def report_lines(table: pl.DataFrame) -> list[str]:
    """Riders by what they gain, claims by the first input that differs, and the largest changes."""
    import polars as pl

    from monsoon.cli.result_tables import aligned
    from monsoon.workbench.diff import riders

    changes = riders(table)["change_inr"]
    gained, lost = changes.filter(changes > 0), changes.filter(changes < 0)
    lines = [
        f"{len(table):,} claims are decided or paid differently",
        f"{len(gained):,} riders gain Rs {gained.sum():,.2f}, {len(lost):,} lose Rs {-lost.sum():,.2f} with B",
    ]
    if table.is_empty():
        return lines[:1]
    causes = (
        table.group_by("first_difference")
        .agg(pl.len().alias("claims"), pl.col("change_inr").sum().round(2))
        .sort(["claims", "first_difference"], descending=[True, False])
    )
    lines += ["", *aligned(causes)]
    shown = table.head(_SHOWN).with_columns(pl.coalesce("claim_a", "claim_b").alias("claim")).drop("claim_a", "claim_b")
    lines += ["", *aligned(shown.select("claim", pl.exclude("claim")))]
    if len(table) > _SHOWN:
        lines.append(f"... and {len(table) - _SHOWN:,} more")
    return lines
