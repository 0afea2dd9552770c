"""Quotes of a product for a table of riders, as records and as a table."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from monsoon.pipelines.pricing.riders import PLAN, PROBLEM, WORKER, Riders
from monsoon.sinks.durable import replace_file
from monsoon.sinks.tables import write_table
from monsoon.transforms.pricing import quote
from monsoon.transforms.pricing.premium_model import PremiumModel
from monsoon.transforms.product import Product, ProductError

QUOTES, QUOTES_PARQUET, REFUSED = "quotes.jsonl", "quotes.parquet", "refused.jsonl"
FILES = (QUOTES, QUOTES_PARQUET, REFUSED)
"""What `write_quotes` may write."""
_FACTORS = pl.List(pl.Struct({"name": pl.String, "value": pl.Float64}))


@dataclass(frozen=True)
class QuoteTables:
    """`quotes`: a row per rider and plan, with the columns of docs/pricing.md, sorted by (worker_id, plan). `refused`:
    worker_id, plan, problem."""

    quotes: pl.DataFrame
    refused: pl.DataFrame


def quote_riders(product: Product, riders: Riders, model: PremiumModel | None = None) -> QuoteTables:
    """The quotes of riders, by the product file or by a model, of whose inputs `riders` then are; a model's have a
    column `model_version`. Raises ProductError where the product has no premium."""
    terms = product.premium
    if terms is None:
        raise ProductError(f"{product.name} has no premium; docs/pricing.md says how a product file states one")
    price = quote if model is None else model.quote
    found = price(terms, riders.plans, riders.inputs)
    table = pl.DataFrame(
        {
            "product": pl.Series([product.name] * len(riders.workers), dtype=pl.String),
            "product_version": pl.Series([product.version] * len(riders.workers), dtype=pl.String),
            WORKER: pl.Series(riders.workers, dtype=pl.String),
            PLAN: pl.Series(riders.plans, dtype=pl.String),
            "premium_paise": found.premium_paise,
            **{f"{name}@": paise for name, paise in found.lines_paise.items()},
            **{f"{name}@missing": missing for name, missing in found.not_measured.items()},
            **{f"{name}@factor": pl.Series(values).fill_nan(None) for name, values in found.factors.items()},
            "bonus_hours": pl.Series(found.bonus_hours).fill_nan(None),
        }
    )
    lines = [
        pl.struct(pl.lit(name).alias("name"), pl.col(f"{name}@").alias("amount_paise")) for name in found.lines_paise
    ]
    missing = [
        pl.when(f"{name}@missing").then(pl.lit(name)).otherwise(pl.lit(None, pl.String)) for name in found.not_measured
    ]
    factors = [pl.struct(pl.lit(name).alias("name"), pl.col(f"{name}@factor").alias("value")) for name in found.factors]
    quotes = table.select(
        "product",
        "product_version",
        WORKER,
        PLAN,
        "premium_paise",
        pl.concat_list(lines).alias("lines"),
        pl.concat_list(missing).list.drop_nulls().alias("not_measured"),
        (pl.concat_list(factors) if factors else pl.lit([], _FACTORS)).alias("factors"),
        "bonus_hours",
        *([] if model is None else [pl.lit(model.version).alias("model_version")]),
    )
    beyond = np.asarray(found.refused, dtype=bool)
    problem = pl.lit("the premium cannot be computed from these inputs, or a line is beyond Rs 1,000,000")
    refused = quotes.filter(beyond).select(WORKER, PLAN, problem.alias(PROBLEM))
    return QuoteTables(quotes.filter(~beyond), pl.concat([riders.refused, refused]).sort(WORKER, PLAN, PROBLEM))


def write_quotes(folder: Path, tables: QuoteTables, *, parquet: bool) -> None:
    """Writes quotes and refused riders; equal riders give equal bytes. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in ((QUOTES, None if parquet else tables.quotes), (REFUSED, tables.refused)):
        if table is not None:
            content = io.BytesIO()
            table.write_ndjson(content)
            replace_file(folder / name, content.getvalue(), folder / f".{name}")
    if parquet:
        write_table(folder / QUOTES_PARQUET, tables.quotes)
    other = folder / (QUOTES if parquet else QUOTES_PARQUET)
    other.unlink(missing_ok=True)  # of an earlier call: it would be of other riders
