"""`monsoon forecast`: how probable a trigger's threshold is within 72 hours and 7 days."""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.printable import printable

if TYPE_CHECKING:
    from monsoon.transforms.pricing.disruption_probability import CrossValidation

_EXAMPLE = """\
example:
  monsoon forecast --storm delhi-2019-11-02-smog delhi-2024-06-28 --day 2026-11-03
  monsoon forecast --series aqi.csv --breach "> 300"

A series has a row per day of one zone: day, value (the day's most extreme) and perhaps forecast (the most extreme value
that was forecast on that day for the days ahead). Each year is forecast by models of the other years, and judged beside
climatology and persistence by the Brier score: docs/pricing.md.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "forecast", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--series", type=Path, metavar="FILE", help="days of one zone, .csv, .parquet or .jsonl")
    source.add_argument("--storm", nargs="+", metavar="NAME", help="storms, by the frequency that their files state")
    parser.add_argument("--breach", metavar="COMPARISON", help="the threshold, as in product files; with --series")
    parser.add_argument("--day", type=_day, metavar="DAY", help="the last day known; with --storm")
    parser.set_defaults(run=run, parser=parser)


def _day(text: str) -> date:
    """A day, with days after it."""
    from monsoon.transforms.pricing.disruption_probability import HORIZONS_DAYS

    try:
        day = date.fromisoformat(text)
        _ = day + timedelta(days=max(HORIZONS_DAYS))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no day like 2026-11-03") from None
    return day


def run(args: argparse.Namespace) -> int:
    """Prints the probabilities of the days ahead; of a series also how good such forecasts were."""
    from monsoon.pipelines.pricing.probabilities import (
        after_last_day,
        cross_validations,
        read_series,
        storm_probabilities,
    )
    from monsoon.sources.files import InputError
    from monsoon.transforms.product.quantities import comparison

    if args.storm is not None:
        if args.day is None or args.breach is not None:
            args.parser.error("--storm needs --day, and no --breach")
        for name, basis, ahead in storm_probabilities(args.storm, args.day):
            print(printable(f"{name}: {_ahead(ahead)} (frequency by {basis})"))
        return 0
    if args.breach is None or args.day is not None:
        args.parser.error("--series needs --breach, and no --day: its last day is the last day known")
    try:
        breach = comparison(args.breach)
    except ValueError as error:
        raise InputError(str(error), "--breach", "Give one like '> 300'") from error
    series = read_series(args.series, breach)
    lines = [line for each in cross_validations(series, args.series) for line in score_lines(each)]
    day, ahead = after_last_day(series)
    print("\n".join(map(printable, [*lines, f"after {day}: {_ahead(ahead)}"])))
    return 0


def _ahead(ahead: dict[int, float]) -> str:
    return ", ".join(f"{chance:.1%} within {days} days" for days, chance in ahead.items())


def score_lines(found: CrossValidation) -> list[str]:
    """Brier scores beside those of climatology and persistence, and the table of reliability."""
    model = found.brier_model
    references = (("climatology", found.brier_climatology), ("persistence", found.brier_persistence))
    beside = ", ".join(f"{name} {score:.4f} ({_skill(model, score)})" for name, score in references)
    lines = [
        f"within {found.horizon_days} days: {found.days:,} days held out, {found.frequency:.1%} with an event",
        f"Brier score {model:.4f}; {beside}",
        "forecast  happened  days",
    ]
    return lines + [f"{each.mean_probability:8.1%}  {each.frequency:8.1%}  {each.days:,}" for each in found.reliability]


def _skill(model: float, reference: float) -> str:
    return f"skill {1 - model / reference:+.1%}" if reference > 0 else "no skill possible"
