"""Riders' days as a model of premiums learns them: what replayed storms paid, by how probable such a day is.

A storm of `per_year` occurrences in its months strikes on one of their days with the probability per_year / days. Each
replayed rider stands for a day of each month: with that probability the storm's, else one without a storm.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from monsoon.models.evaluation.claims import HONEST
from monsoon.pipelines.evaluation.gather import ZONE_RESOLUTION, read_labels
from monsoon.pipelines.evaluation.play import play
from monsoon.pipelines.season.book import with_book
from monsoon.pipelines.season.drawing import number_of
from monsoon.pipelines.season.replays import replicate_intensity
from monsoon.sources.model_files import load_scorer
from monsoon.sources.simulator import Storm, simulate
from monsoon.sources.simulator.intensity import with_intensity
from monsoon.sources.simulator.terms import Frequency
from monsoon.transforms.calendar import MONTH_DAYS
from monsoon.transforms.geo.cells import cell_name, cell_of
from monsoon.transforms.pricing.premium_model import PLAN, ModelTerms
from monsoon.transforms.product import Product

_SMOOTHING = 20.0
"""So many riders' days of the city's average are added to those of a zone."""
_UNUSED_ZONE_BITS = 3 * (15 - ZONE_RESOLUTION)
"""The last bits of every H3 cell of the resolution are alike."""
_MONTHS = np.arange(1, 13)


@dataclass(frozen=True)
class RiderDays:
    """A row per replayed rider and month. `rows`: float32 (n, inputs) of a model's terms; `paise`: payouts of a day, on
    average; `weight`: how probable it is; `cell`: number of the combination of zone, plan and month."""

    rows: np.ndarray
    paise: np.ndarray
    weight: np.ndarray
    cell: np.ndarray


def replayed_riders(
    storm: Storm, product: Product, riders: int, replicate: int, replicates: int, seed: int
) -> pl.DataFrame:
    """The honest riders of a replay of the storm, one policy of the product each: storm, city, replicate, zone (an H3
    cell), plan, shift_hours of the day, daily_wage, paid_paise."""
    products = {product.name: product}
    struck = with_book(with_intensity(storm, replicate_intensity(storm, replicate, replicates)), products)
    with tempfile.TemporaryDirectory(prefix="monsoon-premium-") as name:
        folder = Path(name)
        simulate(struck, riders, number_of("premium", str(seed), storm.name, str(replicate)), folder)
        played = play(folder, products, [product.name], load_scorer())
        labels = read_labels(folder)
    paid: Counter[str] = Counter()
    for payout in played.outcome.payouts:
        paid[payout["worker_id"]] += payout["amount_paise"]
    policies = {event["worker_id"]: event for event in played.inputs.subscriptions}
    rows = [
        {
            "storm": storm.name,
            "city": storm.city,
            "replicate": replicate,
            "zone": cell_name(cell_of(policy["home_lat"], policy["home_lon"], ZONE_RESOLUTION)),
            PLAN: policy["plan"].split(":")[0],
            "shift_hours": labels[worker]["shift_hours"],
            "daily_wage": policy["daily_wage_inr"],
            "paid_paise": paid[worker],
        }
        for worker, policy in sorted(policies.items())
        if labels[worker]["kind"] == HONEST
    ]
    return pl.DataFrame(rows)


def zone_risks(riders: pl.DataFrame, storms: Sequence[Storm]) -> pl.DataFrame:
    """city, zone, month, zone_risk: expected payouts of a week to an average rider of the zone, in rupees, drawn
    towards those of the city."""
    struck, weight = _of_months(riders, storms)
    paid = struck * riders["paid_paise"].to_numpy()[:, None]
    months = riders.select("city", "zone", pl.Series("paid", paid), pl.Series("weight", weight)).with_columns(
        month=pl.lit(_MONTHS.tolist(), pl.List(pl.Int64)), paid=pl.col("paid").arr.to_list(),
        weight=pl.col("weight").arr.to_list(),
    ).explode("month", "paid", "weight")  # fmt: skip
    of_city = pl.col("paid").sum().over("city", "month") / pl.col("weight").sum().over("city", "month")
    zones = months.with_columns(of_city=of_city).group_by("city", "zone", "month")
    sums = zones.agg(pl.col("paid", "weight").sum(), pl.col("of_city").first())
    paise_a_day = (pl.col("paid") + _SMOOTHING * pl.col("of_city")) / (pl.col("weight") + _SMOOTHING)
    table = sums.select("city", "zone", "month", zone_risk=(paise_a_day * 7 / 100).round(2))
    return table.sort("city", "zone", "month")


def with_zone_risks(riders: pl.DataFrame, zones: pl.DataFrame) -> pl.DataFrame:
    """The riders with the `zone_risk` of the twelve months; of a zone that is not known, the mean of the city's."""
    by_month = pl.col("zone_risk").sort_by("month")
    of_city = zones.group_by("city", "month").agg(pl.col("zone_risk").mean()).group_by("city").agg(of_city=by_month)
    known = riders.join(
        zones.group_by("city", "zone").agg(by_month), on=["city", "zone"], how="left", maintain_order="left"
    )
    both = known.join(of_city, on="city", how="left", maintain_order="left")
    return both.with_columns(pl.coalesce("zone_risk", "of_city").alias("zone_risk")).drop("of_city")


def rider_days(riders: pl.DataFrame, storms: Sequence[Storm], terms: ModelTerms) -> RiderDays:
    """The days of riders with `zone_risk`. All of a city's storms are replayed equally often, for as many riders."""
    struck, weight = _of_months(riders, storms)
    paise = struck * riders["paid_paise"].to_numpy()[:, None] / weight
    plans, cities = list(terms.plans), list(terms.cities)
    columns: dict[str, Any] = {
        PLAN: [plans.index(plan) for plan in riders[PLAN]],
        "city": [cities.index(city) for city in riders["city"]],
        "weekly_hours": 7 * riders["shift_hours"].to_numpy(),
        "daily_wage": riders["daily_wage"].to_numpy(),
    }
    inputs = {name: np.repeat(values, 12) for name, values in columns.items()}
    inputs["zone_risk"] = np.array(riders["zone_risk"].to_list()).ravel()
    inputs["month"] = np.tile(_MONTHS, len(riders))
    rows = np.column_stack([inputs[name] for name in terms.inputs]).astype(np.float32)
    zones = np.array([int(zone, 16) >> _UNUSED_ZONE_BITS for zone in riders["zone"]])
    cell = (np.repeat(zones, 12) * 16 + np.repeat(columns[PLAN], 12)) * 16 + inputs["month"]
    return RiderDays(rows, paise.ravel(), weight.ravel(), cell)


def _of_months(riders: pl.DataFrame, storms: Sequence[Storm]) -> tuple[np.ndarray, np.ndarray]:
    """By rider and month, (n, 12): the probability of the rider's storm on a day, and of that or no storm at all, of
    which the riders of each of the city's storms have an equal part."""
    chance = {storm.name: daily_probability(storm) for storm in storms}
    of_city = {city: [chance[each.name] for each in storms if each.city == city] for city in {s.city for s in storms}}
    calm = {city: (1 - sum(chances)) / len(chances) for city, chances in of_city.items()}
    struck = np.stack([chance[name] for name in riders["storm"]])
    return struck, struck + np.stack([calm[city] for city in riders["city"]])


def daily_probability(storm: Storm) -> np.ndarray:
    """Of the storm on a day of each month, (12,)."""
    frequency = _frequency(storm)
    months = np.isin(_MONTHS, frequency.months)
    return np.where(months, frequency.per_year / np.array(MONTH_DAYS)[months].sum(), 0.0)


def _frequency(storm: Storm) -> Frequency:
    assert storm.frequency is not None
    return storm.frequency
