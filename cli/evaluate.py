"""`monsoon evaluate`: what a model does to honest riders and to attackers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import MAX_RIDERS, count_to, seed
from monsoon.cli.progress import ProgressLine

_EXAMPLE = """\
example:
  monsoon evaluate
  monsoon evaluate --model runs/model --riders 20000 --seed 5

Simulates storms that the model was not trained on, with one rider in ten an attacker, and scores everybody's claims.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "evaluate", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    parser.add_argument(
        "--riders", type=count_to(MAX_RIDERS), default=6_000, metavar="N", help="riders of each storm (default: 6000)"
    )
    parser.add_argument("--seed", type=seed, default=1_000, metavar="S", help="of the simulations (default: 1000)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints one table a storm."""
    from monsoon.pipelines.training.claim_anomaly import evaluation_text
    from monsoon.sources.model_files import load_scorer

    scorer = load_scorer(args.model)
    progress = ProgressLine()
    try:
        text = evaluation_text(scorer, args.riders, args.seed, progress)
    finally:
        progress.done()
    print(f"{scorer.version}\n\n{text}", end="")
    return 0
