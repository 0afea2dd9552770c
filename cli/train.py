"""`monsoon train`: simulated honest riders into a calibrated model folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import add_product_files, seed
from monsoon.cli.progress import ProgressLine

_EXAMPLE = """\
example:
  monsoon train --output runs/model
  monsoon replay --input runs/delhi --output runs/delhi-out --model runs/model
  monsoon train --model premium --product kawaach --output runs/premium-kawaach

Takes a few minutes. Simulates honest riders of several storms by two generators, measures their evidence as a replay
would, fits and calibrates the forest, and evaluates it on other storms with attackers. A model of premiums is trained
on replays of all storms that state a frequency, and evaluated on others. The same seed and rows give the same bytes.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "train", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="new, empty or earlier model folder")
    parser.add_argument(
        "--model",
        choices=("claim_anomaly", "outage", "syndicate", "premium"),
        default="claim_anomaly",
        help="claim_anomaly scores claims, outage finds outages among silent riders, syndicate ranks rings, premium "
        "prices a product's riders (default: claim_anomaly)",
    )
    parser.add_argument("--product", metavar="NAME", help="the product of the model premium")
    add_product_files(parser)
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="of everything that is drawn (default: 1)")
    parser.add_argument(
        "--rows",
        type=_rows,
        metavar="N",
        help="claims or outages to train and calibrate on, about (default: 50,000 or 15,000)",
    )
    parser.add_argument(
        "--drift-only",
        action="store_true",
        help="leave the model in --output as it is, and measure anew what its training claims look like, for "
        "monsoon drift",
    )
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Trains, then prints the evaluation and where the model is."""
    from monsoon.pipelines.training import claim_anomaly, outage, premium, syndicate
    from monsoon.sources.product_files import load_products

    if args.drift_only:
        return _measure_drift_reference(args)
    if args.model in ("syndicate", "premium") and args.rows:
        args.parser.error(f"--rows is not of the model {args.model}: its rows are as many as its simulations have")
    if (args.model == "premium") != (args.product is not None):
        args.parser.error("--product is of the model premium, which needs it")
    training = outage if args.model == "outage" else claim_anomaly
    progress = ProgressLine()
    try:
        if args.model == "premium":
            product = load_products([args.product], args.product_file)[args.product]
            version, evaluation = premium.train(args.output, product, args.seed, progress)
        elif args.model == "syndicate":
            version, evaluation = syndicate.train(args.output, args.seed, progress)
        else:
            version, evaluation = training.train(args.output, args.seed, args.rows or training.DEFAULT_ROWS, progress)
    finally:
        progress.done()
    print(evaluation)
    print(f"{version}: {args.output}")
    return 0


def _measure_drift_reference(args: argparse.Namespace) -> int:
    from monsoon.pipelines.training import claim_anomaly

    if args.model != "claim_anomaly":
        args.parser.error("--drift-only is of the model claim_anomaly: the others score no claims")
    progress = ProgressLine()
    try:
        version = claim_anomaly.add_drift_reference(
            args.output, args.seed, args.rows or claim_anomaly.DEFAULT_ROWS, progress
        )
    finally:
        progress.done()
    print(f"{version}: {args.output}")
    return 0


def _rows(text: str) -> int:
    count = int(text)
    if count < 20_000:
        raise argparse.ArgumentTypeError(f"{count}; a calibration that reaches 1 in 10,000 needs 20000")
    return count
