"""`monsoon bench products`: all products together on one telemetry, against kawaach alone."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.bench import CountTo
from monsoon.bench.processes import measure
from monsoon.bench.replay import MAX_ROWS, MAX_RUNS, folder_for, monsoon, simulated

if TYPE_CHECKING:
    from monsoon.transforms.product import Product

TARGET, DEFAULT_ROWS = 1.5, 1_000_000
ALONE = "kawaach"

_EXAMPLE = """\
example:
  monsoon bench products
  monsoon bench products --rows 250000 --runs 1

Simulates the storm, gives every rider a policy of each product beside the one of kawaach, and replays the same folder
with kawaach alone, with each product alone, and with all of them: whole processes, medians.
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `products` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "products",
        help="all products on one telemetry, against one alone",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=count_to(MAX_ROWS), default=DEFAULT_ROWS, metavar="N", help="telemetry rows")
    parser.add_argument("--runs", type=count_to(MAX_RUNS), default=3, metavar="N", help="runs of each (default: 3)")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep inputs here and use them again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a set of products."""
    from monsoon.sources.product_files import load_products

    products = load_products()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, medians of {args.runs}")
    print(f"{'products':<10} {'replay s':>9} {'ratio':>6} {'peak MB':>8} {'claims':>8}")
    with folder_for(args.folder) as folder:
        source = folder / f"{args.rows}-of-all"
        if not source.exists():
            with_every_product(simulated(folder, args.rows), source, products)
        alone_s = None
        for names in (ALONE, *(name for name in products if name != ALONE), ",".join(products)):
            output = folder / "products-out"
            taken = measure(monsoon("replay", "--input", source, "--output", output, "--products", names), args.runs)
            alone_s = alone_s or taken.wall_s
            claims = json.loads((output / "summary.json").read_bytes())["records"]["claims"]
            label = "all" if "," in names else names
            print(
                f"{label:<10} {taken.wall_s:>9.2f} {taken.wall_s / alone_s:>6.2f} {taken.peak_mb:>8,.0f} {claims:>8,}"
            )
    print(f"target: {TARGET:g} x {ALONE} alone")
    return 0


def with_every_product(source: Path, target: Path, products: Mapping[str, Product]) -> None:
    """A copy of a simulated folder in which every policy stands once for each product, in its last plan."""
    shutil.copytree(source, target)
    folder = target / "subscriptions"
    events = [json.loads(line) for file in sorted(folder.iterdir()) for line in file.read_text().splitlines()]
    for file in folder.iterdir():
        file.unlink()
    lines = (json.dumps(event) for event in _for_every_product(events, products))
    (folder / "all.jsonl").write_text("\n".join(lines) + "\n")


def _for_every_product(events: list[dict[str, Any]], products: Mapping[str, Product]) -> Iterator[dict[str, Any]]:
    for event in events:
        for name, product in products.items():
            of_product = {"product": name, "plan": list(product.plans)[-1]}
            ids = {key: f"{event[key]}-{name}" for key in ("event_id", "policy_id")}
            yield {**event, **of_product, **ids}
