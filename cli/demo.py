"""`monsoon demo`: real storms, from raw telemetry to payout, reported in the terminal and on a page."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import MAX_RIDERS, add_product_files, count_to, seed
from monsoon.cli.progress import ProgressLine

if TYPE_CHECKING:
    from monsoon.cli.demo_report import DemoRun
    from monsoon.pipelines.local.evidence import ClaimEvidence
    from monsoon.sources.simulator import Storm
    from monsoon.transforms.product import Product
    from monsoon.transforms.scoring import Scorer

STORM, PRODUCT = "delhi-2024-06-28", "kawaach"
RIDERS, SEED = 600, 20240628

_EXAMPLE = """\
example:
  monsoon demo
  monsoon demo --riders 2000 --seed 3
  monsoon demo --product jugaad
  monsoon demo --product nexora --storm delhi-2023-07-13-flood

Writes its input to runs/demo/input and its output to runs/demo/output, with a page to look at, report.html. With
--product it plays the storms of storms/ that were written to show that product's triggers, each in
runs/demo/PRODUCT/STORM.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "demo", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--product", metavar="NAME", help="a product of products/: its own storms, under it alone")
    add_product_files(parser)
    parser.add_argument("--storm", metavar="NAME", help="with --product: this storm only, by name or path of a .yaml")
    parser.add_argument(
        "--riders",
        type=count_to(MAX_RIDERS),
        metavar="N",
        help=f"riders (default: {RIDERS}; with --product as many as the storm is meant for)",
    )
    parser.add_argument("--seed", type=seed, default=SEED, metavar="S", help="another seed, other riders")
    parser.add_argument("--folder", type=Path, default=Path("runs/demo"), metavar="DIR", help="where to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulates, replays and reports: the Delhi rain under kawaach, or a product's own storms."""
    from monsoon.sources.files import InputError

    if args.product is not None:
        return _play_product(args)
    for option, value in (("--storm", args.storm), ("--product-file", args.product_file)):
        if value:
            raise InputError("has no effect without --product", option, "Add --product NAME, or leave it out.")
    return _play_delhi(args)


def _play_product(args: argparse.Namespace) -> int:
    """Each storm by itself, the earliest first."""
    from monsoon.cli.demo_report import report
    from monsoon.sinks.folder import REPORT, refuse_what_is_not_ours
    from monsoon.sinks.writable import require_writable
    from monsoon.sources.files import InputError
    from monsoon.sources.model_files import load_scorer
    from monsoon.sources.product_files import load_products
    from monsoon.sources.simulator import load_storm, refuse_what_was_not_simulated, storms_that_show

    products, product = load_products(extra=args.product_file), args.product
    load_products([product], args.product_file)  # its error lists the products there are
    storms = [load_storm(args.storm)] if args.storm else storms_that_show(product)
    if not storms:
        raise InputError(f"no storm of storms/ shows {product}", "--product", "Name one with --storm.")
    for storm in storms:
        folder = args.folder / product / storm.name
        require_writable(folder, "--folder")
        refuse_what_was_not_simulated(folder / "input")
        refuse_what_is_not_ours(folder / "output")
    scorer = load_scorer()
    for storm in storms:
        riders = args.riders or storm.modeled.riders.count
        demo_run, _ = _play(storm, riders, args.seed, args.folder / product / storm.name, products, product, scorer)
        print(report(demo_run) + "\n")
    print(
        f"Inputs and outputs: {args.folder / product}/STORM/, to look at: output/{REPORT}  "
        "Next: ./monsoon whatif --help"
    )
    return 0


def _play_delhi(args: argparse.Namespace) -> int:
    """The storm, then once more with the gridded product alone."""
    from monsoon.cli.demo_report import gridded_only_report, report
    from monsoon.pipelines.local.replay import run_products
    from monsoon.sinks.folder import REPORT
    from monsoon.sources.model_files import load_scorer
    from monsoon.sources.product_files import load_products
    from monsoon.sources.simulator import load_storm

    storm, products = load_storm(STORM), load_products([PRODUCT])
    demo_run, book = _play(storm, args.riders or RIDERS, args.seed, args.folder, products, PRODUCT, load_scorer())
    print(report(demo_run))
    grid = {feed.provider for feed in storm.modeled.feeds if feed.gridded}
    gridded_readings = [reading for reading in demo_run.inputs.readings if reading.provider in grid]
    print(gridded_only_report(storm, run_products(products, replace(demo_run.inputs, readings=gridded_readings), book)))
    folder = args.folder
    print(f"\nInput: {folder / 'input'}/  Output: {folder / 'output'}/")
    print(f"Look into {folder / 'output' / REPORT}  Next: ./monsoon whatif --help")
    return 0


def _play(
    storm: Storm,
    riders: int,
    seed: int,
    folder: Path,
    products: Mapping[str, Product],
    product: str,
    scorer: Scorer,
) -> tuple[DemoRun, ClaimEvidence]:
    """Simulates the storm into input/, replays it under one product into output/; returns the run, and the evidence
    and scores of its inputs. `products` are all that policies may name."""
    from monsoon.cli.demo_report import DemoRun
    from monsoon.cli.report import write_page
    from monsoon.pipelines.local.collector import collector_paused
    from monsoon.pipelines.local.replay import claim_evidence, read_inputs, run_products
    from monsoon.pipelines.results import write_results
    from monsoon.sinks.folder import OutputFolder
    from monsoon.sources.files import INPUT_FOLDERS
    from monsoon.sources.simulator import simulate

    source, running, progress = folder / "input", {product: products[product]}, ProgressLine()
    try:
        with OutputFolder(folder / "output", [source / name for name in INPUT_FOLDERS]) as output:
            progress(f"simulating {storm.name}, {riders:,} riders", None)
            simulate(storm, riders, seed, source)
            inputs = read_inputs(source, products, progress)
            book = claim_evidence(inputs, source, scorer)
            with collector_paused():
                outcome = run_products(running, inputs, book, progress)
            summary = write_results(output, inputs, outcome, running, book.models, progress)
        progress("drawing the page", None)
        write_page(folder / "output", source, products)
    finally:
        progress.done()
    return DemoRun(storm, products[product], inputs, outcome, summary, source / "labels.csv"), book
