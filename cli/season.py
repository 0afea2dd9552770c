"""`monsoon season`: thousands of storm-years replayed, and what they mean for premiums, reserves and reinsurance."""

from __future__ import annotations

import argparse
import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_options, chosen_products, count_to, seed, share, whole_number

if TYPE_CHECKING:
    from monsoon.pipelines.season.results import SeasonResult
    from monsoon.pipelines.season.terms import Terms

MAX_YEARS, MAX_WORKERS, MAX_REPLICATES = 100_000, 64, 1_000
MIN_RIDERS, MAX_RIDERS = 50, 5_000
MAX_INSURED = 10_000_000

_EXAMPLE = """\
example:
  monsoon season --storms all --city Delhi --years 1000 --seed 1 --output runs/season
  monsoon season --storms all --years 5000 --seed 7 --workers 2 --reserve 5e7 --layer 1e7:2e7:1 --output runs/year

Years are drawn from the frequencies of the storm files; each storm in them is one of its replays on the local engine,
which Apache Beam spreads over processes. A folder that has the replays of the same season goes on with it: what was
interrupted is not lost, and another reserve, layer or book takes a second. docs/season.md says what is simulated, what
is scaled, and what the tables' columns are.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "season", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--storms", default="all", metavar="all|NAME,...", help="storms of storms/, or paths of .yaml (default: all)")
    add("--city", metavar="NAME", help="the storms of this city alone")
    add("--years", type=count_to(MAX_YEARS), required=True, metavar="N", help="storm-years to draw")
    add("--seed", type=seed, default=1, metavar="S", help="of every random number (default: 1)")
    add("--workers", type=count_to(MAX_WORKERS), metavar="W", help="processes (default: one per processor)")
    add(
        "--riders",
        type=whole_number(MIN_RIDERS, MAX_RIDERS),
        default=150,
        metavar="N",
        help="riders in each replay (default: %(default)s)",
    )
    add(
        "--replicates",
        type=count_to(MAX_REPLICATES),
        default=10,
        metavar="N",
        help="different replays of each storm (default: %(default)s)",
    )
    add("--rate", action="append", default=[], metavar="STORM=N", help="so many a year, not as its file says")
    add_product_options(parser)
    book = parser.add_argument_group("what the results are reckoned with; nothing is replayed anew for it")
    add = book.add_argument
    add(
        "--insured",
        type=count_to(MAX_INSURED),
        default=10_000,
        metavar="N",
        help="riders of the book in each city (default: %(default)s)",
    )
    add("--reserve", metavar="INR", help="what a year begins with")
    add(
        "--layer",
        action="append",
        default=[],
        metavar="INR:INR[:N[@X]]",
        help="reinsurance of each occurrence: attachment, limit, reinstatements, their share of the premium (1)",
    )
    add("--stop-loss", metavar="INR:INR", help="reinsurance of a year's total: attachment, limit")
    add("--expenses", type=share, default=0.1, metavar="X", help="share of a premium (default: %(default)s)")
    add("--capital-cost", type=share, default=0.1, metavar="X", help="a year, of capital (default: %(default)s)")
    add("--reinsurance-loading", type=share, default=0.2, metavar="X", help="on a layer's price (default: %(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="new, empty, or of the same season")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draws, replays what is missing, and prints the results."""
    from monsoon.cli.progress import ProgressLine
    from monsoon.pipelines.season.drawing import draw_years
    from monsoon.pipelines.season.folder import SUMMARY, SeasonFolder
    from monsoon.pipelines.season.results import require_policies, season_result
    from monsoon.pipelines.season.run import run_replays
    from monsoon.pipelines.season.settings import (
        SeasonSettings,
        chosen_storms,
        models_of,
        refuse_unknown_rates,
        storm_files,
        storm_settings,
        versions_of,
    )
    from monsoon.sinks.tables import write_table
    from monsoon.sources.product_files import load_products

    _, selected = chosen_products(args)
    products = load_products(selected, args.product_file)
    require_policies(products, args.insured)
    storms = chosen_storms(args.storms, args.city)
    rates = _rates(args.rate)
    refuse_unknown_rates(rates, storms)
    files = storm_files(args.storms)
    settings = SeasonSettings(
        years=args.years,
        seed=args.seed,
        storms=tuple(storm_settings(storm, files.get(storm.name, storm.name), rates) for storm in storms),
        riders=args.riders,
        replicates=args.replicates,
        products=versions_of(products),
        product_files=tuple(str(path.resolve()) for path in args.product_file),
        models=models_of(),
    )
    terms = _terms(args)
    folder = SeasonFolder(args.output, settings)
    drawn = draw_years(settings)
    workers = args.workers or len(os.sched_getaffinity(0))
    progress = ProgressLine()
    with folder.locked():
        try:
            replays = run_replays(folder, drawn.replays(settings), workers, progress)
        finally:
            progress.done()
        result = season_result(settings, terms, products, drawn, replays)
        for name, table in result.tables.items():
            write_table(args.output / f"{name}.parquet", table)
        folder.write(SUMMARY, _json(result))
    print("\n".join(_report(result)))
    print(f"look into {args.output}: {SUMMARY}, and tables in Parquet, a file each")
    return 0


def _json(result: SeasonResult) -> bytes:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(result.summary), indent=2) + b"\n"


def _rates(texts: list[str]) -> dict[str, float]:
    """The frequencies of `--rate`, per year by storm. Raises InputError."""
    from monsoon.sources.files import InputError

    rates = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            rates[name] = float(number)
        except ValueError:
            rates[name] = -1.0
        if not 0 < rates[name] <= 60:
            raise InputError(f"{text!r} is no rate", "--rate", "Give STORM=N, with N above 0 and up to 60 a year.")
    return rates


def _terms(args: argparse.Namespace) -> Terms:
    from monsoon.pipelines.season.terms import Terms, occurrence_layers, rupees, stop_loss_layer
    from monsoon.sources.files import InputError

    if args.expenses >= 1:
        raise InputError("no premium is all expenses", "--expenses", "Give a share below 1.")
    return Terms(
        insured=args.insured,
        expense_share=Fraction(str(args.expenses)),
        capital_cost=Fraction(str(args.capital_cost)),
        reinsurance_loading=Fraction(str(args.reinsurance_loading)),
        layers=occurrence_layers(args.layer),
        stop_loss=stop_loss_layer(args.stop_loss),
        reserve_paise=None if args.reserve is None else rupees(args.reserve, "--reserve"),
    )


def _report(result: SeasonResult) -> list[str]:
    """The results in a terminal's lines."""
    import polars as pl

    from monsoon.cli.result_tables import aligned

    summary, tables = result.summary, result.tables
    book = summary["burning_cost"]["all"]
    lines = [
        f"{summary['years']:,} storm-years, {summary['occurrences']:,} occurrences, {summary['insured_per_city']:,} "
        f"insured riders in each of: {', '.join(summary['cities'])}",
        f"mean loss of a year: {book['mean_annual_inr']:,.0f} rupees "
        f"(standard error {book['standard_error_inr']:,.0f})",
        "",
        *aligned(tables["storms"]),
    ]
    curve = tables["exceedance"].filter(pl.col("product") == "all").drop("product")
    if curve.height:
        lines += ["", *aligned(curve)]
    rupees = [
        (pl.col(name) / 100).alias(name.replace("_paise", "_inr"))
        for name in tables["premiums"].columns
        if name.endswith("_paise")
    ]
    premiums = tables["premiums"].select("product", "plan", "hours", *rupees, pl.col("benefit_cost_ratio").round(3))
    lines += ["", "for one period of cover:", *aligned(premiums)]
    if tables["layers"].height:
        lines += ["", *aligned(tables["layers"])]
    for name, reserve in summary["reserve"].items():
        lines.append("")
        lines += [f"{name.replace('_', ' ')}: {key.replace('_', ' ')} {value:,}" for key, value in reserve.items()]
    return lines
