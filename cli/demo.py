"""`monsoon demo`: a real storm, from raw telemetry to payout, told in the terminal."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import MAX_RIDERS, count_to, seed
from monsoon.cli.progress import ProgressLine

STORM = "delhi-2024-06-28"
RIDERS, SEED = 600, 20240628

_EXAMPLE = """\
example:
  monsoon demo
  monsoon demo --riders 2000 --seed 3

Writes its input to runs/demo/input and its output to runs/demo/output, for you to look into.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "demo", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--riders", type=count_to(MAX_RIDERS), default=RIDERS, metavar="N", help=f"riders (default: {RIDERS})"
    )
    parser.add_argument("--seed", type=seed, default=SEED, metavar="S", help="another seed, other riders")
    parser.add_argument("--folder", type=Path, default=Path("runs/demo"), metavar="DIR", help="where to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulates, replays, tells; then replays once more with the gridded product alone."""
    from monsoon.cli.story import tell, tell_without_stations
    from monsoon.pipelines.local.replay import open_book, read_inputs, run_products
    from monsoon.pipelines.results import write_results
    from monsoon.sinks.folder import OutputFolder
    from monsoon.sources.model_files import load_scorer
    from monsoon.sources.product_files import load_products
    from monsoon.sources.simulator import load_storm, simulate

    storm, products, progress = load_storm(STORM), load_products(["kawaach"]), ProgressLine()
    source = args.folder / "input"
    try:
        with OutputFolder(args.folder / "output") as output:
            progress(f"simulating {args.riders} riders", None)
            simulate(storm, riders=args.riders, seed=args.seed, output=source)
            inputs = read_inputs(source, products, progress)
            scorer = load_scorer()
            book = open_book(inputs, source, scorer)
            outcome = run_products(products, inputs, book, progress)
            summary = write_results(output, inputs, outcome, products, book.models, progress)
        grid = {feed.provider for feed in storm.modeled.feeds if feed.gridded}
        alone = replace(inputs, readings=[reading for reading in inputs.readings if reading.provider in grid])
        gridded = run_products(products, alone, book, progress)
    finally:
        progress.done()
    print(tell(storm, inputs, outcome, summary, source / "labels.csv"))
    print(tell_without_stations(storm, gridded))
    print(f"\nInput: {source}/  Output: {args.folder / 'output'}/  Next: monsoon replay --help")
    return 0
