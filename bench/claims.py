"""`monsoon bench claims`: the CPU time of the candidates of one storm, from the disruption to notifications."""

from __future__ import annotations

import argparse
import os
import platform
from typing import Any

from monsoon.bench import CountTo

TARGET_US, DEFAULT_CANDIDATES, MAX_CANDIDATES = 100, 100_000, 10_000_000

_EXAMPLE = """\
example:
  monsoon bench claims
  monsoon bench claims --candidates 20000 --products gic

One disruption of each product's first trigger, which is confirmed and ends, and so many riders in its zone with a
policy in force. Their evidence is the model's own parity rows, resampled. Timed, as CPU of one process:

  happens  candidates are found by policies and reports, and what each revision says to each of them
  scored   scores with their explanation
  decided  the riders' machines with all holds run out, the claims' records and what riders are told of these
  told     payout instructions, and what riders are told of these
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `claims` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "claims",
        help="the candidates of one storm, from the disruption to notifications",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--candidates", type=count_to(MAX_CANDIDATES), default=DEFAULT_CANDIDATES, metavar="N", help="default: 100000"
    )
    parser.add_argument("--products", metavar="NAME,...", help="default: all that come with Monsoon")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a product."""
    from monsoon.bench.candidates import STAGES, timed
    from monsoon.sources.model_files import load_scorer
    from monsoon.sources.product_files import load_products

    products = load_products(args.products.split(",") if args.products else None)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    stages = " ".join(f"{stage:>8}" for stage in STAGES)
    print(f"{'CPU s':<10} {stages} {'all':>7} {'us each':>8}  decisions")
    scorer = load_scorer()
    for product in products.values():
        print(timed(product, scorer, args.candidates), flush=True)
    print(f"target: {TARGET_US} us each")
    return 0
