"""Panes by Polars, generated from their definition."""

from __future__ import annotations

import numpy as np
import polars as pl

from monsoon.transforms.panes import AGGREGATES, BASELINE_GRACE_MS, LIMIT, PANE_MS, Aggregate, Panes
from monsoon.transforms.telemetry_table import DTYPES, TelemetryTable

_CODED_NULL = {name for name, dtype in DTYPES.items() if name != "event_time_ms" and dtype is not np.float64}


def panes_of(telemetry: TelemetryTable) -> Panes:
    """The panes of every report of the telemetry table."""
    used = {column for aggregate in AGGREGATES for column in _columns(aggregate)} | {"worker", "event_time_ms"}
    if telemetry.states_received:
        used.add("received_time_ms")
    rows = pl.DataFrame({name: getattr(telemetry, name) for name in sorted(used)}).lazy()
    rows = rows.with_columns(pane_start_ms=pl.col("event_time_ms") // PANE_MS * PANE_MS)
    by = ["worker", "pane_start_ms"]
    if telemetry.states_received:
        rows, by = rows.with_columns(**_RECEIVED), [*by, *_RECEIVED]
    panes = rows.group_by(by).agg(aggregation(aggregate) for aggregate in AGGREGATES).collect()
    if not telemetry.states_received:
        panes = panes.with_columns(known_from_ms=_OVER_MS, history=pl.lit(True))
    columns = {aggregate.name: panes[aggregate.name].to_numpy() for aggregate in AGGREGATES}
    worker, start_ms, known_from_ms, history = (
        panes[name].to_numpy() for name in ("worker", "pane_start_ms", *_RECEIVED)
    )
    return Panes.of(worker, start_ms, known_from_ms, history, columns, len(telemetry.workers))


_OVER_MS = pl.col("pane_start_ms") + PANE_MS
_RECEIVED = {
    "known_from_ms": pl.max_horizontal(_OVER_MS, (pl.col("received_time_ms") + PANE_MS - 1) // PANE_MS * PANE_MS),
    "history": pl.col("received_time_ms") - pl.col("event_time_ms") <= BASELINE_GRACE_MS,
}
"""What panes are grouped by, besides rider and time, where reports state when they were received."""


def aggregation(aggregate: Aggregate) -> pl.Expr:
    """The aggregate as an expression over the rows of a telemetry table, in the telemetry table's order."""
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
