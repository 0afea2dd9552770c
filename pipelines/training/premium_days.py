"""Riders' days as a model of premiums learns them: what replayed storms paid, by how probable such a day is.

A storm of `per_year` occurrences in its months strikes on one of their days with the probability per_year / days. Each
replayed rider stands for a day of each month: with that probability the storm's, else one without a storm.
"""

from __future__ import annotations

import calendar
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
from monsoon.transforms.geo.cells import cell_name, cell_of
from monsoon.transforms.pricing.premium_model import PLAN, ModelTerms
from monsoon.transforms.product import Product

_SMOOTHING_HOURS = 200.0
"""So many hours of the city's average are added to those of a zone."""
_MONTHS = np.arange(1, 13)
_LENGTHS = np.array([calendar.monthrange(2001, month)[1] for month in _MONTHS])


@dataclass(frozen=True)
class RiderDays:
    """A row per replayed rider and month. `rows`: float32 (n, inputs) of a model's terms; `paise`: payouts of a day, on
    average; `weight`: how probable it is; `cell`: number of the combination of city, month, zone and plan."""

    rows: np.ndarray
    paise: np.ndarray
    weight: np.ndarray
    cell: np.ndarray


def replayed_riders(
    storm: Storm, product: Product, riders: int, replicate: int, replicates: int, seed: int
) -> pl.DataFrame:
    """The honest riders of a replay of the storm, one policy of the product each: storm, city, replicate, zone (an H3
    cell), plan, shift_hours and lost_hours of the day, daily_wage, paid_paise."""
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
            "lost_hours": labels[worker]["lost_hours"],
            "daily_wage": policy["daily_wage_inr"],
            "paid_paise": paid[worker],
        }
        for worker, policy in sorted(policies.items())
        if labels[worker]["kind"] == HONEST
    ]
    return pl.DataFrame(rows)


def zone_risks(riders: pl.DataFrame, storms: Sequence[Storm]) -> pl.DataFrame:
    """city, zone, zone_risk: hours that a year's storms take from those who work there over hours worked, as a multiple
    of the city's."""
    yearly = pl.DataFrame(
        {"storm": [storm.name for storm in storms], "per_year": [_frequency(storm).per_year for storm in storms]}
    )
    hours = riders.join(yearly, on="storm").with_columns(
        lost=pl.col("per_year") * pl.col("lost_hours"), worked=pl.col("per_year") * pl.col("shift_hours")
    )
    of_city = pl.col("lost").sum().over("city") / pl.col("worked").sum().over("city")
    smoothing = _SMOOTHING_HOURS * pl.col("per_year").mean().over("city")
    hours = hours.with_columns(of_city=of_city, smoothing=smoothing)
    zones = hours.group_by("city", "zone").agg(
        pl.col("lost", "worked").sum(), pl.col("of_city", "smoothing").first(), riders=pl.len()
    )
    share = (pl.col("lost") + pl.col("smoothing") * pl.col("of_city")) / (pl.col("worked") + pl.col("smoothing"))
    return zones.select("city", "zone", zone_risk=(share / pl.col("of_city")).round(3)).sort("city", "zone")


def with_zone_risks(riders: pl.DataFrame, zones: pl.DataFrame) -> pl.DataFrame:
    """The riders with the risk of their zone; 1, the city's average, of a zone that is not known."""
    return riders.join(zones, on=["city", "zone"], how="left").with_columns(pl.col("zone_risk").fill_null(1.0))


def rider_days(riders: pl.DataFrame, storms: Sequence[Storm], terms: ModelTerms) -> RiderDays:
    """The days of riders with `zone_risk`. All of a city's storms are replayed equally often, for as many riders."""
    chance = {storm.name: daily_probability(storm) for storm in storms}
    cities = [storm.city for storm in storms]
    calm = {
        city: (1 - sum(chance[storm.name] for storm in storms if storm.city == city)) / cities.count(city)
        for city in set(cities)
    }
    struck = np.stack([chance[name] for name in riders["storm"]])
    weight = (struck + np.stack([calm[city] for city in riders["city"]])).ravel()
    paise = struck.ravel() * np.repeat(riders["paid_paise"].to_numpy(), 12) / weight
    plans, cities = list(terms.plans), list(terms.cities)
    columns: dict[str, Any] = {
        PLAN: [plans.index(plan) for plan in riders[PLAN]],
        "city": [cities.index(city) for city in riders["city"]],
        "zone_risk": riders["zone_risk"].to_numpy(),
        "weekly_hours": 7 * riders["shift_hours"].to_numpy(),
        "daily_wage": riders["daily_wage"].to_numpy(),
    }
    inputs = {name: np.repeat(values, 12) for name, values in columns.items()}
    inputs["month"] = np.tile(_MONTHS, len(riders))
    rows = np.column_stack([inputs[name] for name in terms.inputs]).astype(np.float32)
    place = riders.select(pl.struct("city", "zone", PLAN).rank("dense").cast(pl.Int64)).to_series().to_numpy()
    return RiderDays(rows, paise, weight, np.repeat(place, 12) * 12 + np.tile(_MONTHS, len(riders)) - 1)


def daily_probability(storm: Storm) -> np.ndarray:
    """Of the storm on a day of each month, (12,)."""
    frequency = _frequency(storm)
    months = np.isin(_MONTHS, frequency.months)
    return np.where(months, frequency.per_year / _LENGTHS[months].sum(), 0.0)


def _frequency(storm: Storm) -> Frequency:
    assert storm.frequency is not None
    return storm.frequency
