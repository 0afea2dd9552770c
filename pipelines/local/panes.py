"""Panes by Polars, generated from their definition."""

from __future__ import annotations

import numpy as np
import polars as pl

from monsoon.transforms.panes import AGGREGATES, LIMIT, PANE_MS, Aggregate, Panes
from monsoon.transforms.trail import DTYPES, Trail

_CODED_NULL = {name for name, dtype in DTYPES.items() if name != "event_time_ms" and dtype is not np.float64}


def panes_of(trail: Trail) -> Panes:
    """The panes of every report of the trail."""
    used = sorted({column for aggregate in AGGREGATES for column in _columns(aggregate)})
    rows = pl.DataFrame({name: getattr(trail, name) for name in sorted({*used, "worker", "event_time_ms"})})
    panes = (
        rows.lazy()
        .with_columns(pane_start_ms=pl.col("event_time_ms") // PANE_MS * PANE_MS)
        .group_by("worker", "pane_start_ms")
        .agg(aggregation(aggregate) for aggregate in AGGREGATES)
        .collect()
    )
    columns = {aggregate.name: panes[aggregate.name].to_numpy() for aggregate in AGGREGATES}
    return Panes.of(panes["worker"].to_numpy(), panes["pane_start_ms"].to_numpy(), columns, len(trail.workers))


def aggregation(aggregate: Aggregate) -> pl.Expr:
    """The aggregate as an expression over the rows of a trail, in the trail's order."""
    column = pl.col(aggregate.column)
    if DTYPES[aggregate.column] is np.float64:
        present = column.is_not_nan()
        term = (column * aggregate.scale + 0.5).floor().clip(-LIMIT, LIMIT)
    else:
        present = column >= 0 if aggregate.column in _CODED_NULL else column.is_not_null()
        term = (column.cast(pl.Int64) * aggregate.scale).clip(-LIMIT, LIMIT)
    for condition, value in aggregate.where:
        present = present & (pl.col(condition) == value)
    if aggregate.kind == "count":
        return present.sum().cast(pl.Int64).alias(aggregate.name)
    taken: pl.Expr = pl.when(present).then(term)
    if aggregate.kind in ("last", "distinct"):
        taken = taken.drop_nulls()
    reduced = {
        "sum": taken.sum,
        "min": taken.min,
        "max": taken.max,
        "last": taken.last,
        "distinct": taken.n_unique,
    }[aggregate.kind]()
    return reduced.cast(pl.Int64).fill_null(aggregate.empty).alias(aggregate.name)


def _columns(aggregate: Aggregate) -> tuple[str, ...]:
    return (aggregate.column, *(column for column, _ in aggregate.where))
