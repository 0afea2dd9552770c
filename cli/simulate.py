"""`monsoon simulate`: a historical storm with riders in it, as an input folder of `monsoon replay`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import MAX_RIDERS, MAX_ROWS, count_to, seed, share
from monsoon.cli.progress import ProgressLine

DEFAULT_RIDERS = 500

_EXAMPLE = """\
example:
  monsoon simulate --storm delhi-2024-06-28 --riders 500 --seed 1 --output runs/delhi
  monsoon simulate --storm delhi-2024-06-28 --rows 1000000 --seed 7 --output runs/million
  monsoon simulate --storm delhi-2024-06-28 --generator scenarios --riders 2000 --attackers 0.2 --output runs/odd

Writes telemetry/, oracle_readings/, subscriptions/ and reference/, reserves/ and a register of providers where the
storm has some, and the truth in labels.csv; docs/storms.md explains what a storm file may hold. The same storm, riders
and seed give the same bytes.
--generator scenarios has another model of motion and noise, and riders odd in one way each or attacking in one way
each; labels.csv names it in the column condition.
--feeds gridded leaves only the gridded product's readings, on which alone nobody may be paid. An output folder that has
no such labels.csv, or more than these files, is left alone.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "simulate", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storm", required=True, metavar="NAME", help="a storm of storms/, or the path of a .yaml")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--riders", type=count_to(MAX_RIDERS), metavar="N", help=f"how many riders (default: {DEFAULT_RIDERS})"
    )
    size.add_argument("--rows", type=count_to(MAX_ROWS), metavar="N", help="as many riders as report about N times")
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="of every random number (default: 1)")
    parser.add_argument("--attackers", type=share, metavar="SHARE", help="share of riders who attack (default: 0.04)")
    parser.add_argument("--feeds", choices=["all", "gridded"], default="all", help="whose readings (default: all)")
    parser.add_argument(
        "--generator",
        choices=["rides", "scenarios"],
        default="rides",
        help="who makes the riders: rides on a city's depots, or labeled oddities and attacks (default: rides)",
    )
    parser.add_argument("--gzip", action="store_true", help="write *.jsonl.gz")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="new or empty folder, or an earlier simulation"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulates, then prints in a few lines what was written."""
    from monsoon.sources.files import InputError
    from monsoon.sources.scenarios import generate
    from monsoon.sources.simulator import load_storm, refuse_what_was_not_simulated, riders_for_rows, simulate
    from monsoon.sources.simulator.frames import DEFAULT_ATTACKERS

    storm = load_storm(args.storm)
    refuse_what_was_not_simulated(args.output)
    if args.rows and args.generator != "rides":
        raise InputError("only the generator rides counts rows", "--rows", "Give --riders.")
    riders = riders_for_rows(storm, args.rows, args.seed) if args.rows else args.riders or DEFAULT_RIDERS
    progress = ProgressLine()
    try:
        summary = (simulate if args.generator == "rides" else generate)(
            storm,
            riders,
            args.seed,
            args.output,
            attackers=DEFAULT_ATTACKERS if args.attackers is None else args.attackers,
            gridded_only=args.feeds == "gridded",
            compress=args.gzip,
            progress=progress,
        )
    finally:
        progress.done()
    print(
        f"{storm.title}\n"
        f"{summary.riders:,} riders, {summary.attackers:,} of them attackers ({summary.rings:,} rings); "
        f"{summary.telemetry_rows:,} telemetry rows, {summary.readings:,} readings, "
        f"{summary.subscription_events:,} subscription events\n{args.output}"
    )
    return 0
