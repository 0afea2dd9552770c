"""Telemetry as Polars columns: parsed, compact, and the checks of range as column expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, reduce
from operator import and_
from typing import Any

import polars as pl

from monsoon.transforms.validation.fields import INT64_MAX, INT64_MIN, MAX_LEAD_MS, Field, stream_fields
from monsoon.transforms.validation.raw_identifiers import BARE_MAC, CLEAN_HASH, is_raw_identifier
from monsoon.transforms.validation.record_validator import ValidRecord

TYPES: Mapping[str, Any] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "strings": pl.List(pl.String),
}
_MAX_TEXT_BYTES = 1024
"""Longer text is legal where the schema bounds no length, but rare: the reference validator checks the whole record.
Shorter texts leave a record within its 64 KiB, even with every character escaped."""


def parse_schema(fields: Sequence[Field]) -> dict[str, Any]:
    """Polars types of the fields as they are parsed."""
    return {field.name: TYPES[field.kind] for field in fields}


def clean_rows(
    parsed: pl.DataFrame, fields: Sequence[Field], *, measured: bool = True, named: bool = False
) -> pl.Series:
    """Rows (bool) whose values are all of the contract, given columns of the right types.

    `measured`: the lines that they come of are known not to be too long. `named`: what may hold no raw identifier is
    checked elsewhere.
    """
    return parsed.select(_clean(tuple(fields), measured, named))["clean"]


@cache
def _clean(fields: tuple[Field, ...], measured: bool, named: bool) -> pl.Expr:
    checks = [check for field in fields for check in _checks(field, measured, named or not field.must_not_identify)]
    lead_ms = pl.col("event_time") - pl.col("received_time")
    checks.append(pl.col("received_time").is_null() | (lead_ms <= MAX_LEAD_MS))
    checks.append((pl.col("lat") != 0.0) | (pl.col("lon") != 0.0))
    return reduce(and_, checks).alias("clean")


def _checks(field: Field, measured: bool, named: bool) -> list[pl.Expr]:
    column = pl.col(field.name)
    checks: list[pl.Expr] = []
    if field.kind == "strings":
        checks.append(column.list.len() <= (field.max_length or 0))
        checks += [column.list.eval(check).list.all() for check in _text_checks(pl.element(), measured, named)]
    elif field.kind == "string":
        if field.max_length is not None:
            checks.append(column.str.len_chars().is_between(field.min_length, field.max_length))
        if field.choices is not None:
            checks.append(column.is_in(sorted(field.choices)))
        checks += _text_checks(column, measured, named)
    else:
        if field.minimum is not None and field.minimum > INT64_MIN:
            checks.append(column >= field.minimum)
        if field.maximum is not None and field.maximum < INT64_MAX:
            checks.append(column <= field.maximum)
    present = [column.is_not_null()] if field.required else []
    return [check.fill_null(not field.required) for check in checks] + present


def _text_checks(column: pl.Expr, measured: bool, named: bool) -> list[pl.Expr]:
    short = [] if measured else [column.str.len_bytes() <= _MAX_TEXT_BYTES]
    return short if named else [*short, _certainly_not_raw(column)]


def _certainly_not_raw(column: Any) -> Any:
    """Texts (bool) that are no raw identifier for certain."""
    return column.str.contains(f"^{CLEAN_HASH}$") & ~column.str.contains(f"^{BARE_MAC}$")


def holds_no_raw_identifier(columns: pl.DataFrame, fields: Sequence[Field]) -> bool:
    """Whether no field that must not identify holds a raw identifier; each distinct text is checked once."""
    doubtful = columns.select(_doubtful(tuple(fields)))
    return not any(is_raw_identifier(text) for name in doubtful.columns for text in doubtful[name].item())


@cache
def _doubtful(fields: tuple[Field, ...]) -> list[pl.Expr]:
    """Of each field that must not identify, the list of its distinct texts that may be raw identifiers."""
    expressions = []
    for field in fields:
        if field.must_not_identify:
            values = pl.col(field.name)
            values = values.explode(empty_as_null=False, keep_nulls=False) if field.kind == "strings" else values
            distinct = values.unique().cast(pl.String).drop_nulls()
            expressions.append(distinct.filter(~_certainly_not_raw(distinct)).implode())
    return expressions


NULLED = "nulled"
"""A column beside the contract's: the optional fields that a report lost, their names sorted and joined by commas; null
where it lost none. It travels with the report, so that it is counted if and when the report is used, and once."""

CODED = ("worker_id", "device_id", "cell", "ip_prefix", "platform", "app_state")
"""Text columns of telemetry that repeat, kept as dictionary codes; so are the items of `bssids`."""


def coded_type(name: str) -> pl.Categorical:
    """The categorical type of a column; each column has a dictionary of its own, shared by all blocks."""
    return pl.Categorical(pl.Categories(name, namespace="monsoon.telemetry"))


def compact(parsed: pl.DataFrame, fields: Sequence[Field]) -> pl.DataFrame:
    """The same rows with text dictionary-coded and no negative zeros, and NULLED, of nothing if it is not there."""
    return parsed.select(_compacted_columns(tuple(fields), NULLED in parsed.columns)).rechunk()


@cache
def _compacted_columns(fields: tuple[Field, ...], with_nulled: bool) -> list[pl.Expr]:
    nulled = pl.col(NULLED) if with_nulled else pl.lit(None, pl.String).alias(NULLED)
    return [*(_compacted(field) for field in fields), nulled.cast(coded_type(NULLED))]


def _compacted(field: Field) -> pl.Expr:
    column = pl.col(field.name)
    if field.kind == "number":
        return pl.when(column == 0.0).then(0.0).otherwise(column).alias(field.name)  # Polars leaves -0.0 + 0.0 as it is
    if field.kind == "strings":
        return column.cast(pl.List(coded_type(field.name)))
    return column.cast(coded_type(field.name)) if field.name in CODED else column


def records_frame(used: Sequence[ValidRecord]) -> pl.DataFrame:
    """Valid reports as compact telemetry columns."""
    fields = stream_fields("telemetry")
    parsed = pl.DataFrame([each.record for each in used], schema=parse_schema(fields), orient="row")
    nulled = [",".join(sorted(each.nulled)) or None for each in used]
    return compact(parsed.with_columns(pl.Series(NULLED, nulled, dtype=pl.String)), fields)


def nulled_names(text: str | None) -> set[str]:
    """The fields that a value of NULLED names."""
    return set(text.split(",")) if text else set()
