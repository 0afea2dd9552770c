"""`monsoon basis-risk`: what riders lost beside what they were paid, and what other stations or zones would pay."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import (
    add_product_files,
    add_refusal_option,
    count_to,
    moment_ms,
    refusal_limit,
    seed,
    share,
    whole_number,
)

if TYPE_CHECKING:
    import polars as pl

    from monsoon.pipelines.local.replay import Inputs
    from monsoon.transforms.product import Product
    from monsoon.workbench.output import Output

_EXAMPLE = """\
example:
  monsoon simulate --storm delhi-2024-06-28 --riders 2000 --seed 1 --output runs/delhi
  monsoon replay --input runs/delhi --output runs/delhi-out
  monsoon basis-risk --input runs/delhi --results runs/delhi-out --output runs/delhi-basis
  monsoon basis-risk --input runs/delhi --results runs/delhi-out --stations 1,3 --resolution 6..9 \\
      --providers imd,skymet --providers open_meteo

The loss of a simulated rider is what the simulation truly took (labels.csv); else a proxy, of his orders against his
own baseline. --stations, --providers and --resolution are tried one by one on streams that are read once. With --output
basis_risk.html shows it, and riders.parquet, basis_risk.parquet and, of what was tried, comparison.parquet have it:
docs/basis-risk.md says what their columns are.
"""

RIDERS, TABLE, COMPARISON = "riders.parquet", "basis_risk.parquet", "comparison.parquet"
PAGE = "basis_risk.html"
_OF_LOSS = {"simulated": "what the simulation took of it", "activity": "orders against the rider's own baseline"}
_MAX_RESAMPLES = 100_000
_MAX_GROUPS = 20
_OF_BOOTSTRAP = "of the bootstrap (default: %(default)s)"
_SHOWN = {
    "riders": "riders",
    "paid_without_loss": "paid, no loss",
    "paid_without_loss_inr": "paid, no loss_inr",
    "loss_without_payment": "loss, unpaid",
    "loss_without_payment_inr": "loss, unpaid_inr",
    "shortfall_per_rider_inr": "shortfall_inr",
    "bounds": "95%",
    "excess_per_rider_inr": "excess_inr",
    "correlation": "correlation",
}
"""The columns of a terminal's table, and their names there."""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "basis-risk", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder of input streams")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="what replay or run made of them")
    parser.add_argument("--output", type=Path, metavar="DIR", help="new, empty or earlier folder of this command")
    parser.add_argument(
        "--threshold",
        type=share,
        default=0.2,
        metavar="X",
        help="a loss is at least this share of the shift's income (0 to 1, default: %(default)s)",
    )
    parser.add_argument(
        "--loss",
        choices=("simulated", "activity"),
        help="the loss: what the simulation took, or the proxy (default: the first, where the input has labels.csv)",
    )
    parser.add_argument("--from", dest="since", type=moment_ms, metavar="TIME", help="beginning of the period")
    parser.add_argument("--until", type=moment_ms, metavar="TIME", help="its end (default: as the readings have it)")
    parser.add_argument("--stations", type=_counts, default=(), metavar="N,...", help="try so many official stations")
    parser.add_argument(
        "--providers", action="append", default=[], metavar="NAME,...", help="try these alone; may be repeated"
    )
    parser.add_argument("--resolution", type=_range(0, 15), default=(), metavar="A..B", help="try zones of H3 A to B")
    parser.add_argument("--resamples", type=count_to(_MAX_RESAMPLES), default=1_000, metavar="N", help=_OF_BOOTSTRAP)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help=_OF_BOOTSTRAP)
    add_product_files(parser)
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    add_refusal_option(parser)
    parser.set_defaults(run=run)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(count_to(10_000)(each.strip()) for each in text.split(","))


def _range(low: int, high: int) -> Callable[[str], tuple[int, ...]]:
    """The type of A..B, or A,B,C, within bounds."""
    number = whole_number(low, high)

    def values(text: str) -> tuple[int, ...]:
        first, dots, last = text.partition("..")
        if not dots:
            return tuple(number(each.strip()) for each in text.split(","))
        if number(first) > number(last):
            raise argparse.ArgumentTypeError(f"the range {text} is empty")
        return tuple(range(number(first), number(last) + 1))

    return values


def run(args: argparse.Namespace) -> int:
    """Prints the tables and writes them."""
    from monsoon.cli.progress import ProgressLine
    from monsoon.pipelines.basis_risk import riders as of_riders
    from monsoon.pipelines.basis_risk.table import basis_risk_table, metrics_of
    from monsoon.pipelines.basis_risk.variants import Observations, comparison_table, variants_of
    from monsoon.pipelines.local.replay import read_inputs
    from monsoon.sinks.durable import replace_file
    from monsoon.sinks.tables import refuse_other_files, write_table
    from monsoon.sources.model_files import load_scorer
    from monsoon.sources.product_files import load_products
    from monsoon.workbench import load
    from monsoon.workbench.payments import paid_by_rider, standing_disruptions
    from monsoon.workbench.report.basis_risk import basis_risk_page

    if args.output is not None:
        refuse_other_files(args.output, (RIDERS, TABLE, COMPARISON, PAGE), "monsoon basis-risk")
    output = load(args.results)
    everything = load_products(extra=args.product_file)
    products = _products(output, everything)
    progress = ProgressLine()
    comparison = None
    try:
        inputs = read_inputs(args.input, everything, progress, refusal_limit(args))
        loss, disruptions = _loss_of(args), standing_disruptions(output)
        paid = paid_by_rider(output)
        of_riders.refuse_other_results(output.summary, inputs, paid, args.results, args.input)
        intervals = list(disruptions.select("start_ms", "end_ms").iter_rows())
        period = of_riders.period_of(inputs, intervals, (args.since, args.until))
        losses = _losses(loss, args.input, inputs, period)
        # A simulated loss is the whole shift's, whatever the period, and so is what was paid for it.
        within = None if loss == "simulated" else (period.start_ms, period.end_ms)
        if within is not None:
            paid = paid_by_rider(output, within)
        triggers = disruptions.select("product", "trigger").iter_rows()
        metrics = metrics_of(products, triggers, inputs.readings)
        insured = of_riders.insured_riders(inputs, products, metrics, period, losses)
        riders = of_riders.with_payments(insured, paid, args.threshold)
        table = basis_risk_table(riders, args.seed, args.resamples)
        variants = variants_of(args.stations, args.providers, args.resolution)
        if len(variants) > 1:
            observed = Observations(inputs, args.input, load_scorer(args.model), products, args.product_file)
            observed.check(variants)
            resampling = (args.seed, args.resamples)
            comparison = comparison_table(observed, variants, insured, within, args.threshold, *resampling, progress)
    finally:
        progress.done()
    print("\n".join(report_lines(table, loss, args.threshold, args.resamples)))
    if comparison is not None:
        print("\n".join(["", *comparison_lines(comparison, table)]))
    if args.output is not None:
        page = basis_risk_page(table, riders, comparison, args.threshold, _OF_LOSS[loss])
        write_table(args.output / RIDERS, riders)
        write_table(args.output / TABLE, table)
        if comparison is None:
            (args.output / COMPARISON).unlink(missing_ok=True)
        else:
            write_table(args.output / COMPARISON, comparison)
        replace_file(args.output / PAGE, page.encode(), args.output / f".{PAGE}")
        print(f"look into {args.output}: {PAGE} for any browser, {TABLE} has every group with its bounds")
    return 0


def _products(output: Output, known: Mapping[str, Product]) -> dict[str, Product]:
    """The products that the results are of."""
    from monsoon.sources.files import InputError

    names = output.summary.get("products")
    if not isinstance(names, dict):
        raise InputError(
            "does not say which products were run, so that it is of another version",
            str(output.folder),
            "Replay the input again",
        )
    if unknown := sorted(set(names) - set(known)):
        raise InputError(
            f"are of a product {unknown[0]!r} that is not there", str(output.folder), "Give its file: --product-file"
        )
    return {name: known[name] for name in sorted(names)}


def _loss_of(args: argparse.Namespace) -> str:
    from monsoon.pipelines.basis_risk.riders import has_truth

    return args.loss or ("simulated" if has_truth(args.input) else "activity")


def _losses(loss: str, folder: Path, inputs: Inputs, period: Any) -> pl.DataFrame:
    from monsoon.pipelines.basis_risk.riders import activity_losses, device_tiers, simulated_losses

    if loss == "simulated":
        return simulated_losses(folder)
    return activity_losses(inputs, period, device_tiers(folder))


def report_lines(table: pl.DataFrame, loss: str, threshold: float, resamples: int) -> list[str]:
    """The measures of every product by dimension; of zones the first, those with the largest shortfall."""
    import polars as pl

    from monsoon.cli.result_tables import aligned

    if table.is_empty():
        return ["nobody has a policy of these products in the period"]
    lines = [
        f"a loss is {threshold:.0%} of the shift's income or more: {_OF_LOSS[loss]}",
        f"95%: of the mean shortfall, by {resamples:,} resamples of zones (of riders where there is one zone)",
    ]
    for (product, dimension), rows in table.group_by(["product", "dimension"], maintain_order=True):
        shown = rows.sort("shortfall_per_rider_inr", descending=True, nulls_last=True, maintain_order=True)
        shown = (shown if dimension == "zone" else rows).filter(pl.col("riders") > 0).head(_MAX_GROUPS)
        about = pl.col("group").alias(str(product) if dimension == "all" else f"{product}, by {dimension}")
        lines += ["", *aligned(_for_terminal(shown, [about]))]
        if (more := (rows["riders"] > 0).sum() - len(shown)) > 0:
            lines.append(f"... and {more:,} more")
        if dimension == "all" and (missing := rows["not_measured"].sum()):
            lines.append(f"not counted, since their loss is not measured or they attack: {missing:,} riders")
    return lines


def comparison_lines(comparison: pl.DataFrame, table: pl.DataFrame) -> list[str]:
    """What was tried, and whether the results were made on the terms that it was tried with."""
    import polars as pl

    from monsoon.cli.result_tables import aligned

    tried = (pl.col("variant") + " " + pl.col("value")).str.strip_chars().alias("variant")
    lines = aligned(_for_terminal(comparison, [tried, "product", "disruptions"]))
    results = dict(table.filter(pl.col("dimension") == "all").select("product", "paid_inr").iter_rows())
    given = comparison.filter(pl.col("variant") == "as given").select("product", "paid_inr")
    others = [product for product, paid in given.iter_rows() if paid != results.get(product)]
    if others:
        lines.append(f"the results pay otherwise than these product files and this model do: {', '.join(others)}")
    return lines


def _for_terminal(table: pl.DataFrame, first: list[Any]) -> pl.DataFrame:
    import polars as pl

    def bound(end: str) -> pl.Expr:
        return pl.col(f"shortfall_per_rider_{end}_inr").map_elements(lambda inr: f"{inr:,.2f}", pl.String)

    bounds = pl.concat_str([bound("low"), bound("high")], separator=" .. ").alias("bounds")
    shown = table.with_columns(bounds, pl.col("correlation").round(2))
    return shown.select(*first, *(pl.col(name).alias(word) for name, word in _SHOWN.items()))
