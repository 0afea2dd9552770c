"""Trains a product's model `premium` on replayed storms, and evaluates it on replays with other riders.

scikit-learn and onnx, which only training needs, are imported when a function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from monsoon.pipelines.season.book import plans_of
from monsoon.pipelines.training.claim_anomaly import refuse_what_is_no_model_folder
from monsoon.pipelines.training.premium_days import (
    RiderDays,
    replayed_riders,
    rider_days,
    with_zone_risks,
    zone_risks,
)
from monsoon.sources.simulator import Storm, available_storms, load_storm
from monsoon.transforms.pricing import quote
from monsoon.transforms.pricing.premium_model import LEAVES, NAME, PLAN, TERMS, ZONES, ModelTerms, PremiumModel
from monsoon.transforms.product import Product, ProductError
from monsoon.transforms.product.premium_terms import PremiumInput
from monsoon.transforms.scoring.folder import ModelFolder, build_manifest

Progress = Callable[[str, float | None], None]

RIDERS, REPLICATES, HELD_OUT_REPLICATES = 150, 8, 4
EXPENSE_SHARE = 0.1
"""Of a premium; as `monsoon season` has it."""
INPUTS = ("city", "month", "zone_risk", "weekly_hours", "daily_wage")
_WEEK_INR = 7 / 100
"""A paisa a day in rupees a week."""

_LIMITS = """\
## Limits

- What is learned is the simulator's: where its storms strike, how often the storm files say they do, and how its riders
  work. In a city without storms of a peril that peril costs nothing.
- How often a storm reaches a threshold is known to one of the intensities that are replayed, and no better.
- Caps hold within a replay; a period with two storms may pay less than the sum that is priced here.
- A replay has no past: claims, weeks of cover and squads are no inputs. The product file prices them.
- Held out are riders, their claims and the storms' intensities, not the storms: a city has one or two of each peril.
"""


def train(
    output: Path,
    product: Product,
    seed: int,
    progress: Progress,
    storms: Sequence[Storm] | None = None,
    riders: int = RIDERS,
    replicates: tuple[int, int] = (REPLICATES, HELD_OUT_REPLICATES),
) -> tuple[str, str]:
    """Replays the storms that state a frequency, trains, evaluates, and writes the model folder.

    Returns the model's version and the evaluation as text. The same arguments give the same bytes. `replicates` of each
    storm, to train and to evaluate. Raises OutputError where `output` holds something that is no model folder,
    ProductError for a product without a premium.
    """
    from monsoon.models.premium_trees import fit_premium_trees
    from monsoon.models.train import MODEL_CARD, write_files

    refuse_what_is_no_model_folder(output)
    if product.premium is None:
        raise ProductError(f"{product.name} has no premium, whose range a model needs; docs/pricing.md")
    if storms is None:
        storms = [storm for storm in map(load_storm, available_storms()) if storm.frequency is not None]
    plans = {plan: each.hours for plan, each in plans_of(product).items()}
    terms = ModelTerms(
        product=product.name,
        product_version=product.version,
        plans=plans,
        cities=tuple(sorted({storm.city for storm in storms})),
        inputs=(PLAN, *INPUTS) if len(plans) > 1 else INPUTS,
        expense_share=EXPENSE_SHARE,
    )
    known, other = _replays(storms, product, seed, riders, replicates, progress)
    progress("fitting", None)
    zones = zone_risks(known, storms)
    # A rider's own losses are not part of the risk that his zone is said to have.
    apart = [
        with_zone_risks(known.filter(mine), zone_risks(known.filter(~mine), storms))
        for mine in (pl.col("replicate") == replicate for replicate in range(replicates[0]))
    ]
    days = rider_days(pl.concat(apart), storms, terms)
    trees = fit_premium_trees(terms.inputs, days.rows, days.paise, days.weight)
    files = {
        f"{NAME}.onnx": trees.graph,
        LEAVES: trees.leaf_bytes(),
        TERMS: msgspec.json.format(msgspec.json.encode(terms), indent=1) + b"\n",
        ZONES: zones.write_csv().encode(),
    }
    model = PremiumModel(ModelFolder(output, NAME, build_manifest(NAME, files).version, files))
    evaluation = evaluation_text(model, product, days, rider_days(with_zone_risks(other, zones), storms, terms))
    card = _card(product, [storm.name for storm in storms], seed, riders, replicates, evaluation)
    return write_files(output, files | {MODEL_CARD: card.encode()}, NAME), evaluation


def _replays(
    storms: Sequence[Storm],
    product: Product,
    seed: int,
    riders: int,
    replicates: tuple[int, int],
    progress: Progress,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The riders to learn from, and others of other seeds and intensities."""
    found: list[list[pl.DataFrame]] = []
    total, done = len(storms) * sum(replicates), 0
    for group, count in enumerate(replicates):
        tables = []
        for storm in storms:
            for replicate in range(count):
                progress("replaying storms", done / total)
                tables.append(replayed_riders(storm, product, riders, replicate, count, 2 * seed + group))
                done += 1
        found.append(tables)
    learned, held_out = (pl.concat(tables) for tables in found)
    return learned, held_out


def evaluation_text(model: PremiumModel, product: Product, learned: RiderDays, held_out: RiderDays) -> str:
    """How far expected payouts of a week are from what held-out riders were paid, in the mean of groups; beside a
    constant, the product file's premium at the same total, and the means of training; and calibration by fifths."""
    average = np.average(learned.paise, weights=learned.weight)
    declared = _declared_paise(product, model.terms, learned)
    level = average / np.average(declared, weights=learned.weight)
    forecasts = {
        "model": model.payout_paise_a_day(held_out.rows),
        "table of training's means by zone and month": _means(learned, held_out, average),
        "product file's premium, at training's total": level * _declared_paise(product, model.terms, held_out),
        "constant": np.full(len(held_out.rows), average),
    }
    groupings = {name: np.unique(ids, return_inverse=True)[1] for name, ids in _groups(model.terms, held_out).items()}
    lines = [
        f"payouts of a week: {average * _WEEK_INR:.2f} rupees in training, "
        f"{np.average(held_out.paise, weights=held_out.weight) * _WEEK_INR:.2f} held out",
        "mean error of a group's mean, rupees a week, groups by city, plan, month and",
        f"{'':46}{'zone':>8}{'hours':>8}{'wage':>8}",
    ]
    for name, forecast in forecasts.items():
        errors = (_error(held_out, forecast, group) * _WEEK_INR for group in groupings.values())
        lines.append(f"  {name:44}" + "".join(f"{error:8.2f}" for error in errors))
    lines.append("fifths of held-out riders' days by the model: forecast and actual, rupees a week")
    order = np.argsort(forecasts["model"], kind="stable")
    fifth = np.empty(len(order), dtype=np.int64)
    fifth[order] = np.minimum(5 * np.cumsum(held_out.weight[order]) / held_out.weight.sum(), 4).astype(np.int64)
    both = (_group_means(held_out, values, fifth)[1] * _WEEK_INR for values in (forecasts["model"], held_out.paise))
    lines += [
        f"  {number + 1}{forecast:10.2f}{actual:10.2f}"
        for number, (forecast, actual) in enumerate(zip(*both, strict=True))
    ]
    return "\n".join(lines) + "\n"


def _groups(terms: ModelTerms, days: RiderDays) -> dict[str, np.ndarray]:
    """By grouping the number of each row's group: by zone; by hours of a week below 1, 28 and 42; by wage."""
    columns = dict(zip(terms.inputs, days.rows.T, strict=True))
    place = (columns["city"] * 64 + columns.get(PLAN, 0)) * 16 + columns["month"]
    return {
        "zone": days.cell,
        "hours": place * 4 + np.digitize(columns["weekly_hours"], (1, 28, 42)),
        "wage": place * 4 + np.digitize(columns["daily_wage"], (490, 625, 760)),
    }


def _error(days: RiderDays, forecast: np.ndarray, group: np.ndarray) -> float:
    """The weighted mean of groups' absolute errors."""
    weight, expected = _group_means(days, forecast, group)
    return float(np.average(np.abs(expected - _group_means(days, days.paise, group)[1]), weights=weight))


def _group_means(days: RiderDays, values: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By group, numbered from 0: the weight, and the weighted mean of values."""
    weight = np.bincount(group, days.weight)
    return weight, np.bincount(group, days.weight * values) / weight


def _means(learned: RiderDays, held_out: RiderDays, average: float) -> np.ndarray:
    cells, group = np.unique(learned.cell, return_inverse=True)
    means = dict(zip(cells.tolist(), _group_means(learned, learned.paise, group)[1].tolist(), strict=True))
    return np.array([means.get(cell, average) for cell in held_out.cell.tolist()])


def _declared_paise(product: Product, terms: ModelTerms, days: RiderDays) -> np.ndarray:
    """The premium of the product file in paise a day, where risks that it asks for are as the zone's."""
    assert product.premium is not None
    columns = dict(zip(terms.inputs, days.rows.astype(np.float64).T, strict=True))
    names = list(terms.plans)
    plans = [names[int(plan)] for plan in columns.get(PLAN, np.zeros(len(days.rows)))]
    columns["weekly_income"] = columns["daily_wage"] / 8 * columns["weekly_hours"]
    inputs = {name: _stated(each, columns) for name, each in product.premium.inputs.items()}
    hours = np.array([terms.plans[plan] for plan in plans])
    return quote(product.premium, plans, inputs).premium_paise / hours * 24


def _stated(each: PremiumInput, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a rider states of an input: what is simulated, of a zone's risk its place in the range, with the city's
    average in the middle; of the rest nothing, or what is ordinary."""
    rows = len(columns["month"])
    if each.name in ("zone_risk", "zone_multiplier", "pincode_risk_score"):
        cities, city = np.unique(columns["city"], return_inverse=True)
        average = np.bincount(city, columns["zone_risk"]) / np.bincount(city, minlength=len(cities))
        return each.min + (each.max - each.min) * np.clip(columns["zone_risk"] / (2 * average[city] + 1e-9), 0.0, 1.0)
    if each.name in columns:
        return np.clip(columns[each.name], each.min, each.max)
    if not each.required:
        return np.full(rows, np.nan)
    ordinary = (each.min + each.max) / 2 if each.choices is None else float(np.median(list(each.choices.values())))
    return np.full(rows, ordinary)


def _card(
    product: Product, storms: Sequence[str], seed: int, riders: int, replicates: tuple[int, int], evaluation: str
) -> str:
    return f"""\
# {NAME}, {product.name}

Expected payouts of a day, gradient-boosted trees by least squares, monotone in zone risk, hours and wage. Made by
`monsoon train --model premium --product {product.name}`; product version {product.version}, seed {seed}.

## Training

The honest of {riders} riders in each of {replicates[0]} replays of each storm, and in each of {replicates[1]} held
out, by the frequencies that the storm files state:

{chr(10).join(f"- {storm}" for storm in storms)}

## Evaluation

```
{evaluation}```

{_LIMITS}"""
