"""From replays and drawn years to the results of a season: tables, and a summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.pipelines.season.book import plans_of
from monsoon.pipelines.season.drawing import DrawnYears
from monsoon.pipelines.season.errors import SeasonError
from monsoon.pipelines.season.replays import Replay
from monsoon.pipelines.season.settings import SeasonSettings
from monsoon.pipelines.season.terms import Terms
from monsoon.sources.files import InputError
from monsoon.transforms.product import Product
from monsoon.transforms.season.coverage_periods import open_share
from monsoon.transforms.season.exceedance import exceedance_curve
from monsoon.transforms.season.layers import Layer, LayerPrice, price_layer, retained_by_line
from monsoon.transforms.season.occurrences import Ints, Occurrences
from monsoon.transforms.season.premiums import Line, Loadings, Premium, suggest_premiums
from monsoon.transforms.season.reserve import ReserveBreach, deepest_deficit_paise, reserve_breach

STATED_RATIO = Fraction(67, 100)
"""The benefit-cost ratio that the source of jugaad states for its own premiums (a stress test of 14 days)."""
CAPITAL_PERIOD_YEARS = 200
RESERVE_PERIOD_YEARS = 100
COVERAGE_PERIOD = "coverage_period"
ALL = "all"


@dataclass(frozen=True)
class SeasonResult:
    """Tables by name, as docs/season.md has their columns, and the summary."""

    tables: Mapping[str, pl.DataFrame]
    summary: Mapping[str, Any]


def book_of(products: Mapping[str, Product], insured: int, cities: int) -> list[Line]:
    """The lines of the book: `insured` riders in each city hold each product, its plans in equal parts (the first ones
    one more where they do not come out even)."""
    lines = []
    for name, product in sorted(products.items()):
        plans = plans_of(product)
        for number, (plan, listed) in enumerate(plans.items()):
            policies = cities * (insured // len(plans) + (number < insured % len(plans)))
            lines.append(Line(name, plan, policies, int(listed.hours), round((listed.premium_inr or 0) * 100)))
    return lines


def require_policies(products: Mapping[str, Product], insured: int) -> None:
    """Raises InputError where some plan would have no policy in the book."""
    for line in book_of(products, insured, 1):
        if line.policies == 0:
            most = max(len(plans_of(product)) for product in products.values())
            raise InputError(
                f"nobody of {insured} riders holds {line.product}, {line.plan}", "--insured", f"Give at least {most}."
            )


def season_result(
    settings: SeasonSettings,
    terms: Terms,
    products: Mapping[str, Product],
    drawn: DrawnYears,
    replays: Mapping[tuple[str, int], Replay],
) -> SeasonResult:
    """The results. Raises SeasonError where a replay has no policy of a plan that is in the book."""
    lines = book_of(products, terms.insured, len(settings.cities))
    names = [settings.storms[storm].name for storm in drawn.storm]
    mine = [replays[name, int(replicate)] for name, replicate in zip(names, drawn.replicate, strict=True)]
    still_open = _open_share(settings, lines, products, drawn, mine)
    losses, leaks = _scaled(lines, replays, len(settings.cities))
    loss_paise = _rows([losses[replay.storm, replay.replicate] for replay in mine], still_open)
    leak_paise = _rows([leaks[replay.storm, replay.replicate] for replay in mine], still_open)
    gross = Occurrences(settings.years, drawn.year, drawn.day, loss_paise)
    layers = [layer.ceded_paise(gross, gross.total_paise) for layer in terms.layers]
    by_occurrence = sum(layers, np.zeros(len(names), np.int64))
    if terms.stop_loss is not None:
        layers.append(terms.stop_loss.ceded_paise(gross, gross.total_paise - by_occurrence))
    ceded = sum(layers, np.zeros(len(names), np.int64))
    net = Occurrences(settings.years, drawn.year, drawn.day, retained_by_line(loss_paise, ceded))

    reinsurance: list[Layer] = [*terms.layers, *filter(None, [terms.stop_loss])]
    priced = [
        (layer, price_layer(layer, gross.annual_sum(paid))) for layer, paid in zip(reinsurance, layers, strict=True)
    ]
    expected_ceded = sum((price.expected_paise for _, price in priced), Fraction(0))
    loadings = Loadings(terms.expense_share, terms.capital_cost, max(1, min(CAPITAL_PERIOD_YEARS, settings.years // 5)))
    premiums = suggest_premiums(
        lines,
        gross.annual_paise(),
        Occurrences(settings.years, drawn.year, drawn.day, leak_paise).annual_paise(),
        net.annual_paise(),
        expected_ceded * terms.reinsurance_loading,
        loadings,
    )
    tables = {
        "occurrences": _occurrences(settings, lines, mine, gross, ceded),
        "exceedance": _exceedance(products, lines, gross, net, bool(layers)),
        "premiums": _premiums(premiums),
        "storms": _storms(settings, drawn, gross),
        "layers": _layers(priced, terms, settings.years),
    }
    summary = _summary(settings, terms, lines, premiums, gross, net, expected_ceded)
    return SeasonResult(tables, summary)


def _scaled(
    lines: list[Line], replays: Mapping[tuple[str, int], Replay], cities: int
) -> tuple[dict[tuple[str, int], list[int]], dict[tuple[str, int], list[int]]]:
    """By replay: what each line of one city's book would have paid, and what of it attackers would have got, in paise:
    the replay's amounts times policies in the book over policies replayed, half to even."""
    losses, leaks = {}, {}
    for key, replay in replays.items():
        paid, leaked = [], []
        for line, found in zip(lines, replay.lines, strict=True):
            if (found.product, found.plan) != (line.product, line.plan):
                raise SeasonError(f"a replay of {replay.storm} has other plans than the book; give a new --output")
            if found.policies == 0:
                raise SeasonError(
                    f"a replay of {replay.storm} has no policy of {line.product}, {line.plan}; give more --riders, and "
                    "a new --output"
                )
            scale = Fraction(line.policies, cities * found.policies)
            paid.append(round(found.paid_paise * scale))
            leaked.append(min(paid[-1], round(found.leaked_paise * scale)))
        losses[key], leaks[key] = paid, leaked
    return losses, leaks


def _rows(rows: list[list[int]], still_open: NDArray[np.float64]) -> Ints:
    return np.rint(np.array(rows, np.float64).reshape(still_open.shape) * still_open).astype(np.int64)


def _open_share(
    settings: SeasonSettings,
    lines: list[Line],
    products: Mapping[str, Product],
    drawn: DrawnYears,
    replays: list[Replay],
) -> NDArray[np.float64]:
    """`open_share` of each occurrence and line, for products with a cap of their coverage period."""
    capped = {name for name, each in products.items() if any(cap.per == COVERAGE_PERIOD for cap in each.caps)}
    days = [max(1, line.hours // 24) if line.product in capped else None for line in lines]
    shares = [[line.claims_paid / max(1, line.policies) for line in replay.lines] for replay in replays]
    paid = np.minimum(np.array(shares, np.float64).reshape(len(replays), len(lines)), 1.0)
    city = np.array([settings.cities.index(storm.city) for storm in settings.storms], np.int64)[drawn.storm]
    return open_share(drawn.year, drawn.day, city, paid, days)


def _inr(paise: int | Fraction) -> float:
    """Rupees, for tables: the paisa is the last digit that means something."""
    return round(paise) / 100


def _occurrences(
    settings: SeasonSettings, lines: list[Line], replays: list[Replay], gross: Occurrences, ceded: Ints
) -> pl.DataFrame:
    cities = {storm.name: storm.city for storm in settings.storms}
    columns: dict[str, Any] = {
        "year": gross.year,
        "day": gross.day,
        "storm": pl.Series([replay.storm for replay in replays], dtype=pl.String),
        "city": pl.Series([cities[replay.storm] for replay in replays], dtype=pl.String),
        "replicate": pl.Series([replay.replicate for replay in replays], dtype=pl.Int64),
        "intensity": pl.Series([replay.intensity for replay in replays], dtype=pl.Float64),
        "loss_paise": gross.total_paise,
        "ceded_paise": ceded,
    }
    for number, line in enumerate(lines):
        columns[f"{line.product}.{line.plan}_paise"] = gross.loss_paise[:, number]
    return pl.DataFrame(columns)


def _exceedance(
    products: Mapping[str, Product], lines: list[Line], gross: Occurrences, net: Occurrences, reinsured: bool
) -> pl.DataFrame:
    """Occurrence and aggregate curves: of the book, of it after reinsurance, of each product by itself."""
    parts = [(ALL, "gross", gross.total_paise)]
    if reinsured:
        parts.append((ALL, "net", net.total_paise))
    for name in sorted(products):
        own = [number for number, line in enumerate(lines) if line.product == name]
        parts.append((name, "gross", gross.loss_paise[:, own].sum(axis=1)))
    rows = []
    for product, basis, loss in parts:
        for curve, annual in (("occurrence", gross.annual_max(loss)), ("aggregate", gross.annual_sum(loss))):
            rows += [
                {
                    "product": product,
                    "basis": basis,
                    "curve": curve,
                    "return_period_years": point.return_period_years,
                    "loss_inr": _inr(point.loss_paise),
                    "low_inr": _inr(point.low_paise),
                    "high_inr": _inr(point.high_paise),
                    "tail_mean_inr": _inr(point.tail_mean_paise),
                }
                for point in exceedance_curve(annual)
            ]
    schema = {"product": pl.String, "basis": pl.String, "curve": pl.String, "return_period_years": pl.Int64}
    return pl.DataFrame(rows, schema=schema | dict.fromkeys(_LOSSES, pl.Float64))


_LOSSES = ("loss_inr", "low_inr", "high_inr", "tail_mean_inr")


def _premiums(premiums: list[Premium]) -> pl.DataFrame:
    """A row per plan, for one period of cover; the parts in paise add up to `premium_paise`."""
    return pl.DataFrame(
        [
            {
                "product": each.line.product,
                "plan": each.line.plan,
                "hours": each.line.hours,
                "policies": each.line.policies,
                "price_paise": each.line.price_paise,
                "burning_paise": each.burning_paise,
                "leakage_paise": each.leakage_paise,
                "reinsurance_paise": each.reinsurance_paise,
                "capital_paise": each.capital_paise,
                "expenses_paise": each.expenses_paise,
                "premium_paise": each.premium_paise,
                "benefit_cost_ratio": each.benefit_cost_ratio,
                "suggested_ratio": each.suggested_ratio,
                "price_at_stated_ratio_paise": round((each.burning_paise + each.leakage_paise) / STATED_RATIO),
            }
            for each in premiums
        ],
        schema_overrides={"benefit_cost_ratio": pl.Float64, "suggested_ratio": pl.Float64},
    )


def _storms(settings: SeasonSettings, drawn: DrawnYears, gross: Occurrences) -> pl.DataFrame:
    """A row per storm: how often it was drawn beside how often it should be, and its part of the losses."""
    total = int(gross.total_paise.sum())
    rows = []
    for index, storm in enumerate(settings.storms):
        mine = gross.total_paise[drawn.storm == index]
        expected = storm.per_year * settings.years
        rows.append(
            {
                "storm": storm.name,
                "city": storm.city,
                "per_year": storm.per_year,
                "occurrences": len(mine),
                "deviation": (len(mine) - expected) / (storm.dispersion * expected) ** 0.5,
                "mean_loss_inr": _inr(Fraction(int(mine.sum()), len(mine))) if len(mine) else None,
                "loss_share": int(mine.sum()) / total if total else None,
            }
        )
    return pl.DataFrame(rows, schema_overrides={"mean_loss_inr": pl.Float64, "loss_share": pl.Float64})


def _layers(priced: list[tuple[Layer, LayerPrice]], terms: Terms, years: int) -> pl.DataFrame:
    rows = [
        {
            "layer": "stop_loss" if layer is terms.stop_loss else "occurrence",
            "attachment_inr": _inr(layer.attachment_paise),
            "limit_inr": _inr(layer.limit_paise),
            "reinstatements": getattr(layer, "reinstatements", None),
            "expected_recovery_inr": _inr(price.expected_paise),
            "premium_inr": _inr(price.premium_paise * (1 + terms.reinsurance_loading)),
            "reinstatement_premium_inr": _inr(price.reinstatement_paise * (1 + terms.reinsurance_loading)),
            "rate_on_line_share": float(price.rate_on_line * (1 + terms.reinsurance_loading)),
            "attached_share": price.attached_years / years,
            "exhausted_share": price.exhausted_years / years,
        }
        for layer, price in priced
    ]
    schema: dict[str, Any] = {"layer": pl.String, "attachment_inr": pl.Float64, "limit_inr": pl.Float64}
    schema |= {"reinstatements": pl.Int64, "expected_recovery_inr": pl.Float64, "premium_inr": pl.Float64}
    schema |= {"reinstatement_premium_inr": pl.Float64, "rate_on_line_share": pl.Float64}
    return pl.DataFrame(rows, schema=schema | {"attached_share": pl.Float64, "exhausted_share": pl.Float64})


def _summary(
    settings: SeasonSettings,
    terms: Terms,
    lines: list[Line],
    premiums: list[Premium],
    gross: Occurrences,
    net: Occurrences,
    expected_ceded: Fraction,
) -> dict[str, Any]:
    annual = gross.annual_paise()
    reinsurance = expected_ceded * (1 + terms.reinsurance_loading)
    income = {
        "at_source_price": sum((line.annual_price_paise for line in lines), Fraction(0)) * (1 - terms.expense_share),
        "at_suggested_premium": sum(
            ((each.premium_paise - each.expenses_paise) * each.line.policies * each.line.periods_per_year)
            for each in premiums
        )
        + Fraction(0),
    }
    return {
        "years": settings.years,
        "occurrences": len(gross.year),
        "cities": list(settings.cities),
        "insured_per_city": terms.insured,
        "burning_cost": {name: _burning(annual, lines, name) for name in [*_products(lines), ALL]},
        "benefit_cost_ratio": {
            "stated_for_jugaad": float(STATED_RATIO),
            **{name: _ratio(annual, lines, name) for name in _products(lines)},
        },
        "reserve": {
            name: _reserve(net, terms.reserve_paise, int(max(Fraction(0), paise - reinsurance)))
            for name, paise in income.items()
        },
        "terms": {
            "expense_share": float(terms.expense_share),
            "capital_cost": float(terms.capital_cost),
            "reinsurance_loading": float(terms.reinsurance_loading),
        },
    }


def _products(lines: list[Line]) -> list[str]:
    return list(dict.fromkeys(line.product for line in lines))


def _own(lines: list[Line], product: str) -> list[int]:
    return [number for number, line in enumerate(lines) if product in (ALL, line.product)]


def _burning(annual: Ints, lines: list[Line], product: str) -> dict[str, float]:
    """The mean loss of a year, with the standard error that the number of years leaves."""
    own = _own(lines, product)
    losses = annual[:, own].sum(axis=1)
    error = float(losses.std(ddof=1)) / len(losses) ** 0.5 if len(losses) > 1 else 0.0
    policies = sum(lines[number].policies for number in own)
    mean = Fraction(int(losses.sum()), len(losses))
    return {
        "mean_annual_inr": _inr(mean),
        "standard_error_inr": round(error) / 100,
        "per_policy_year_inr": _inr(mean / policies),
    }


def _ratio(annual: Ints, lines: list[Line], product: str) -> float | None:
    own = _own(lines, product)
    price = sum((lines[number].annual_price_paise for number in own), Fraction(0))
    return round(float(Fraction(int(annual[:, own].sum()), len(annual)) / price), 4) if price else None


def _reserve(net: Occurrences, reserve_paise: int | None, income_paise: int) -> dict[str, Any]:
    """What comes in for claims in a year, the reserve that lasts in all but one of RESERVE_PERIOD_YEARS years, and how
    often the one that was given does not."""
    deficit = deepest_deficit_paise(net, net.total_paise, income_paise)
    found: dict[str, Any] = {"income_for_claims_inr": _inr(income_paise)}
    if net.years >= RESERVE_PERIOD_YEARS:
        rank = net.years - net.years // RESERVE_PERIOD_YEARS
        found[f"needed_for_1_in_{RESERVE_PERIOD_YEARS}_inr"] = _inr(int(np.sort(deficit)[rank - 1]))
    if reserve_paise is not None:
        breach: ReserveBreach = reserve_breach(deficit, reserve_paise)
        found |= {
            "reserve_inr": _inr(breach.reserve_paise),
            "breached_years": breach.breached_years,
            "breach_probability": round(breach.probability, 6),
            "breach_probability_low": round(breach.low, 6),
            "breach_probability_high": round(breach.high, 6),
        }
    return found
