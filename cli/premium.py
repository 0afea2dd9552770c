"""`monsoon premium`: what a product costs each rider, line by line."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_files, moment_ms
from monsoon.cli.printable import printable

if TYPE_CHECKING:
    import polars as pl

    from monsoon.pipelines.pricing.quotes import QuoteTables
    from monsoon.transforms.pricing.premium_model import PremiumModel
    from monsoon.transforms.product import Product
    from monsoon.transforms.product.premium_terms import PremiumLine, PremiumTerms

_EXAMPLE = """\
example:
  monsoon premium --product kawaach --describe
  monsoon premium --product kawaach --riders riders.csv
  monsoon premium --product kawaach --riders riders.csv --explain w1
  monsoon premium --product kawaach --riders zones.csv --input runs/delhi --results runs/delhi-out \\
      --at 2024-06-29T00:00:00+05:30 --output runs/quotes
  monsoon premium --product kawaach --model runs/premium-kawaach --riders riders.csv

A file of riders has a column worker_id, one per input of the product, and plan where the product has several. --input
takes riders, plans and what can be counted of their history from the policies of a folder of streams, --results the
claims of its replay; what the file states goes first. --model prices what a model of `monsoon train --model premium`
expects to be paid, which has inputs of its own. docs/pricing.md says what the inputs are.
"""

_SHOWN = 20


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "premium", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--product", required=True, metavar="NAME", help="the product")
    parser.add_argument("--riders", type=Path, metavar="FILE", help="riders, .csv, .parquet or .jsonl")
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder of streams: riders with a policy in force")
    parser.add_argument("--results", type=Path, metavar="DIR", help="output of its replay: their claims")
    parser.add_argument("--refuted-claims", type=Path, metavar="FILE", help="ids of claims found fraudulent, by line")
    parser.add_argument("--at", type=moment_ms, metavar="MOMENT", help="when the cover begins; with --input")
    parser.add_argument("--plan", metavar="NAME", help="the plan of riders for whom none is stated")
    parser.add_argument("--model", type=Path, metavar="DIR", help="price by this model, not by the product file")
    parser.add_argument("--explain", metavar="RIDER", help="print the breakdown of one rider")
    parser.add_argument("--describe", action="store_true", help="print what the product's premium depends on")
    parser.add_argument("--output", type=Path, metavar="DIR", help="new, empty or earlier folder of this command")
    parser.add_argument("--format", choices=["jsonl", "parquet"], default="jsonl", help="of the quotes (%(default)s)")
    add_product_files(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Quotes the riders; prints a table or one breakdown."""
    from monsoon.pipelines.pricing.quotes import FILES, quote_riders, write_quotes
    from monsoon.pipelines.pricing.riders import checked_riders, history_rows, joined, read_riders
    from monsoon.sinks.tables import refuse_other_files
    from monsoon.sources.premium_model_files import load_premium_model
    from monsoon.sources.product_files import load_products
    from monsoon.transforms.product import ProductError, did_you_mean

    product = load_products([args.product], args.product_file)[args.product]
    terms = product.premium
    if terms is None:
        raise ProductError(f"{product.name} has no premium; docs/pricing.md says how a product file states one")
    if args.plan is not None and args.plan not in product.plans:
        raise ProductError(
            f"{product.name} has no plan {args.plan!r}{did_you_mean(args.plan, product.plans)}; "
            f"there are: {', '.join(product.plans)}"
        )
    model = None if args.model is None else load_premium_model(args.model, product)
    if model is not None:
        terms = replace(terms, inputs=model.inputs, plan_terms={plan: {} for plan in model.terms.plans})
    if args.describe:
        print("\n".join(map(printable, input_lines(terms))))
        return 0
    if args.riders is None and args.input is None:
        args.parser.error("give --riders or --input, or --describe to see what the premium depends on")
    if args.input is not None and args.at is None:
        args.parser.error("--input needs --at, the moment at which policies are in force")
    if args.input is None and not (args.results is None and args.refuted_claims is None and args.at is None):
        args.parser.error("--results, --refuted-claims and --at are for the policies of --input")
    if args.output is not None:
        refuse_other_files(args.output, FILES, "monsoon premium")
    history = None
    if args.input is not None:
        history = history_rows(product, args.input, args.results, args.refuted_claims, args.at)
    rows = None if args.riders is None else read_riders(args.riders, terms)
    tables = quote_riders(product, checked_riders(joined(rows, history, terms), terms, args.plan), model)
    lines = report_lines(tables) if args.explain is None else breakdown_lines(product, tables, args.explain, model)
    print("\n".join(map(printable, lines)))
    if args.output is not None:
        write_quotes(args.output, tables, parquet=args.format == "parquet")
        print(f"look into {args.output}: quotes.{args.format} has every line, refused.jsonl who got no quote, and why")
    return 1 if tables.quotes.is_empty() else 0


def input_lines(terms: PremiumTerms) -> list[str]:
    """Each input with its range, and what it is."""
    lines = []
    for each in terms.inputs.values():
        allowed = f"{each.min:g} to {each.max:g}" if each.choices is None else ", ".join(each.choices)
        unit = "" if each.unit == "1" or each.choices is not None else f" {each.unit}"
        need = "needed" if each.required else "optional" if each.optional else f"default {_default(each)}"
        lines.append(f"{each.name}: {each.meaning} ({allowed}{unit}; {need})")
    return lines


def _default(each: Any) -> str:
    if each.choices is None:
        return f"{each.default:g}"
    return next(name for name, value in each.choices.items() if value == each.default)


def report_lines(tables: QuoteTables) -> list[str]:
    """The first quotes in a table, their sum, and who was refused."""
    import polars as pl

    from monsoon.cli.result_tables import aligned

    quotes = tables.quotes
    lines = []
    if not quotes.is_empty():
        shown = quotes.head(_SHOWN).with_columns((pl.col("premium_paise") / 100).alias("premium_inr"))
        amounts = [
            pl.col("lines").list.get(number).struct.field("amount_paise").truediv(100).alias(f"{name}_inr")
            for number, name in enumerate(_line_names(quotes))
        ]
        bonus = [] if shown["bonus_hours"].null_count() == len(shown) else ["bonus_hours"]
        lines += aligned(shown.select("worker_id", "plan", "premium_inr", *amounts, *bonus))
        if len(quotes) > _SHOWN:
            lines.append(f"... and {len(quotes) - _SHOWN:,} more")
    total = int(quotes["premium_paise"].sum())
    lines.append(f"{len(quotes):,} quotes, Rs {_inr(total)} together")
    if not tables.refused.is_empty():
        first = tables.refused.row(0, named=True)
        lines.append(f"{len(tables.refused):,} without a quote, the first {first['worker_id']}: {first['problem']}")
    return lines


def breakdown_lines(product: Product, tables: QuoteTables, worker: str, model: PremiumModel | None = None) -> list[str]:
    """A rider's quotes, line by line, with the formula of each or the meaning of a model's.

    Raises InputError for a rider who is not there.
    """
    import polars as pl

    from monsoon.sources.files import InputError
    from monsoon.transforms.product import did_you_mean

    assert product.premium is not None
    of_refused = tables.refused.filter(pl.col("worker_id") == worker)
    quotes = tables.quotes.filter(pl.col("worker_id") == worker)
    if quotes.is_empty() and of_refused.is_empty():
        hint = did_you_mean(worker, tables.quotes["worker_id"].head(10_000).to_list())
        raise InputError(f"no rider {worker!r}{hint}", "--explain", "Name a rider of --riders or --input")
    formulas = {line.name: _formula(line) for line in product.premium.lines}
    if model is not None:
        formulas = model.line_meanings
    lines = [f"{worker}: no quote: {each['problem']}" for each in of_refused.iter_rows(named=True)]
    for each in quotes.iter_rows(named=True):
        by = "" if model is None else f", by {model.version}"
        lines.append(f"{worker}, {product.name} {each['plan']}, version {product.version}{by}")
        lines += [f"{factor['name']} is {_factor(factor['value'])}" for factor in each["factors"]]
        for line in each["lines"]:
            lines.append(f"{line['name']:<18}{_inr(line['amount_paise']):>10}  {_why(formulas, product, line, each)}")
        lines.append(f"{'premium':<18}{_inr(each['premium_paise']):>10}")
        if each["bonus_hours"]:
            lines.append(f"{each['bonus_hours']:g} hours of cover more at this premium")
    return lines


def _inr(paise: int) -> str:
    sign, size = ("-" if paise < 0 else ""), abs(paise)
    return f"{sign}{size // 100:,}.{size % 100:02d}"


def _factor(value: float | None) -> str:
    return "not known" if value is None else f"{value:g}"


def _why(formulas: Any, product: Product, line: dict[str, Any], quote: dict[str, Any]) -> str:
    terms = product.premium
    assert terms is not None
    if line["name"] == "range":
        low, high = terms.min_paise[quote["plan"]], terms.max_paise[quote["plan"]]
        return f"from Rs {_inr(low)} to Rs {_inr(high)}"
    if line["name"] == "change_limit":
        return f"at most {100 * (terms.max_change or 0):g}% from the premium before"
    if line["name"] in quote["not_measured"]:
        return "not known, hence 0"
    return str(formulas[line["name"]])


def _formula(line: PremiumLine) -> str:
    when = "" if line.when is None else f", when {' '.join(line.when.text.split())}"
    return f"{' '.join(line.amount.text.split())}{when}"


def _line_names(quotes: pl.DataFrame) -> list[str]:
    return [line["name"] for line in quotes["lines"][0]]
