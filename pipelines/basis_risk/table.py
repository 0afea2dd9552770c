"""The measures of basis risk as a table: a row per product, dimension and group."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from monsoon.transforms.basis_risk import (
    DEFAULT_RESAMPLES,
    DISTANCE_BANDS,
    MEASURES,
    GroupMeasures,
    LossAndPayment,
    group_measures,
    official_stations,
)
from monsoon.transforms.product import Product
from monsoon.transforms.triggers.readings import Reading

DIMENSIONS = ("all", "zone", "distance", "device_tier", "platform", "shift")
COUNTS = ("riders", "not_measured", "riders_paid", "riders_with_loss", "lost_inr", "paid_inr")


def bound_names(measure: str) -> tuple[str, str]:
    """The columns of a measure's bounds: the unit stays at the end."""
    stem, unit = (measure.removesuffix("_inr"), "_inr") if measure.endswith("_inr") else (measure, "")
    return f"{stem}_low{unit}", f"{stem}_high{unit}"


def measured(riders: pl.DataFrame, name: str, seed: int = 0, resamples: int = DEFAULT_RESAMPLES) -> dict[str, Any]:
    """The measures of some rows of RIDER_SCHEMA, of one product: COUNTS, MEASURES and their bounds, and what was
    resampled. Riders whose loss is not measured are counted and nothing else. The draws depend on the seed and `name`,
    which is the group's, so that its bounds do not depend on other groups."""
    known = riders.filter(pl.col("lost_inr").is_not_null())
    _, code = np.unique(known["zone"].to_numpy(), return_inverse=True)
    group = LossAndPayment(
        lost_paise=_paise(known["lost_inr"]),
        paid_paise=_paise(known["paid_inr"]),
        is_loss=known["is_loss"].to_numpy(),
        zone=code.reshape(-1).astype(np.int64),
    )
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return _row(group_measures(group, rng, resamples), len(riders) - len(known))


def basis_risk_table(riders: pl.DataFrame, seed: int = 0, resamples: int = DEFAULT_RESAMPLES) -> pl.DataFrame:
    """A row per product, dimension of DIMENSIONS and group; groups of a dimension are disjoint and together all.

    `riders` has RIDER_SCHEMA. Zones and platforms are in the order of their names, distances from near to far.
    """
    rows = []
    for (product,), of_product in riders.group_by("product", maintain_order=True):
        for dimension in DIMENSIONS:
            groups = {"all": of_product} if dimension == "all" else _groups(of_product, dimension)
            for group, members in groups.items():
                about = {"product": product, "dimension": dimension, "group": group}
                name = f"{product}|{dimension}|{group}"
                rows.append({**about, **measured(members, name, seed, resamples)})
    return pl.DataFrame(rows, schema=TABLE_SCHEMA, orient="row")


def _groups(riders: pl.DataFrame, dimension: str) -> dict[str, pl.DataFrame]:
    found = {str(group): members for (group,), members in riders.group_by(dimension, maintain_order=True)}
    order = DISTANCE_BANDS if dimension == "distance" else sorted(found)
    return {group: found[group] for group in order if group in found}


def _paise(rupees: pl.Series) -> Any:
    return (rupees * 100).round().cast(pl.Int64).to_numpy()


def _row(group: GroupMeasures, not_measured: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "riders": group.riders,
        "not_measured": not_measured,
        "riders_paid": group.riders_paid,
        "riders_with_loss": group.riders_with_loss,
        "lost_inr": group.lost_paise / 100,
        "paid_inr": group.paid_paise / 100,
    }
    for measure, estimate in group.measures.items():
        for name, value in zip((measure, *bound_names(measure)), estimate, strict=True):
            row[name] = None if math.isnan(value) else round(value, 6)
    return {**row, "resampled": group.resampled, "clusters": group.clusters}


MEASURE_SCHEMA: Mapping[str, pl.DataType] = {
    **{name: pl.Float64() if name.endswith("_inr") else pl.Int64() for name in COUNTS},
    **{name: pl.Float64() for measure in MEASURES for name in (measure, *bound_names(measure))},
    "resampled": pl.String(),
    "clusters": pl.Int64(),
}
TABLE_SCHEMA: Mapping[str, pl.DataType] = {
    "product": pl.String(),
    "dimension": pl.String(),
    "group": pl.String(),
    **MEASURE_SCHEMA,
}


def metrics_of(
    products: Mapping[str, Product], disruptions: Iterable[tuple[str, str]], readings: Iterable[Reading]
) -> dict[str, str | None]:
    """By product the metric whose stations count: of the trigger that confirmed most of the `disruptions` (product and
    trigger), else the first of its triggers' that an official station reports; None: there is none."""
    confirmed = Counter(disruptions)
    stations = official_stations(readings)
    found: dict[str, str | None] = {}
    for name, product in products.items():
        metric_of = {each.name: each.metric for version in product.versions for each in version.triggers}
        counts = Counter({trigger: confirmed[name, trigger] for trigger in metric_of if confirmed[name, trigger]})
        if counts:
            found[name] = metric_of[max(sorted(counts), key=counts.__getitem__)]
        else:
            found[name] = next((metric for metric in metric_of.values() if metric in stations), None)
    return found
