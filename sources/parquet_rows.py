"""Parquet files of records, in batches: columns where their types are the contract's, rows to the judge where
not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from monsoon.sources.files import InputError
from monsoon.sources.line_blocks import LineValidator, Validated
from monsoon.sources.telemetry_columns import TYPES, clean_rows, compact
from monsoon.transforms.validation.fields import Field

_BATCH_ROWS = 65_536
_EXACT_INTEGER = 2.0**53
_MAX_UNKNOWN_TEXT_BYTES = 8_192


def read_batches(path: Path) -> Iterator[pl.DataFrame]:
    """The rows of a Parquet file, in order. Raises InputError if it cannot be read."""
    try:
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        rows = scan.select(pl.len()).collect().item()
        for offset in range(0, rows, _BATCH_ROWS):
            yield scan.slice(offset, _BATCH_ROWS).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, TypeError) as error:
        # A damaged file may make the reader panic, and one whose name is not UTF-8 is a TypeError.
        reason = str(error).splitlines()[0]
        raise InputError(f"unreadable Parquet file ({reason})", str(path), "Write or copy the file again") from error


def json_lines(batch: pl.DataFrame, fields: Sequence[Field]) -> Iterator[bytes]:
    """Each row as the JSON line that says the same, NaN as null; what JSON cannot say is left for the judge
    to refuse.

    An integral double in an integer column is the integer: writers of data frames know no other nullable
    integer.
    """
    integers = {field.name for field in fields if field.kind == "integer"}
    for row in batch.iter_rows(named=True):
        record = {name: _json_value(value, name in integers) for name, value in row.items()}
        yield json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str).encode(
            "utf-8", "surrogatepass"
        )


def validate_batch(batch: pl.DataFrame, validator: LineValidator, fields: Sequence[Field]) -> Validated:
    """Telemetry rows to columns; whatever is not certainly clean is judged as its JSON line."""
    known = {field.name: field for field in fields}
    casts = {name: _cast(pl.col(name), field, batch.schema.get(name)) for name, field in known.items()}
    if any(cast is None for cast in casts.values()):
        return validator.judge_all(json_lines(batch, fields))
    typed = batch.select(cast.alias(name) for name, cast in casts.items() if cast is not None)
    lossless = [_lossless(name, known[name], batch.schema[name]) for name in known if name in batch.schema]
    unknown_bytes = [pl.col(name).str.len_bytes().fill_null(0) for name in _unknown_text(batch.schema, known)]
    clean = (
        clean_rows(typed, fields, from_lines=False)
        & batch.select(
            pl.all_horizontal(*lossless, pl.sum_horizontal(pl.lit(0), *unknown_bytes) <= _MAX_UNKNOWN_TEXT_BYTES)
        ).to_series()
    )
    validated = validator.judge_all(json_lines(batch.filter(~clean), fields))
    if clean.any():
        validated.frames.append(compact(typed.filter(clean), fields))
        validated.read += int(clean.sum())
    return validated


def _json_value(value: Any, integer: bool) -> Any:
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if integer and value.is_integer():
            return int(value)
    return value


def _unknown_text(schema: Mapping[str, Any], known: Mapping[str, Field]) -> list[str]:
    return [name for name, dtype in schema.items() if name not in known and dtype == pl.String]


def _cast(column: pl.Expr, field: Field, dtype: Any) -> pl.Expr | None:
    """The column in the field's type, null where that loses something; None where the types do not fit."""
    if dtype is None or dtype == pl.Null:
        return pl.lit(None, dtype=TYPES[field.kind])
    text = (pl.String, pl.Categorical, pl.Enum)
    if field.kind == "string":
        return column.cast(pl.String) if isinstance(dtype, text) else None
    if field.kind == "strings":
        return column.cast(pl.List(pl.String)) if isinstance(dtype, pl.List) and isinstance(dtype.inner, text) else None
    if field.kind == "boolean":
        return column if dtype == pl.Boolean else None
    if dtype.is_integer():
        return column.cast(pl.Int64 if field.kind == "integer" else pl.Float64, strict=False)
    if dtype.is_float():
        column = column.cast(pl.Float64).fill_nan(None)
        return column if field.kind == "number" else column.cast(pl.Int64, strict=False)
    return None


def _lossless(name: str, field: Field, dtype: Any) -> pl.Expr:
    """Rows (bool) that `_cast` takes as they are."""
    column = pl.col(name)
    if dtype.is_float():
        number = column.cast(pl.Float64)
        fits = number.is_finite()
        if field.kind == "integer":
            fits = fits & (number == number.round()) & (number.abs() <= _EXACT_INTEGER)
        return column.is_null() | column.is_nan() | fits
    if dtype.is_integer() and field.kind == "integer":
        return column.is_null() | column.cast(pl.Int64, strict=False).is_not_null()
    if field.kind == "strings" and dtype != pl.Null:
        return column.is_null() | (column.list.eval(pl.element().is_not_null()).list.all())
    return pl.lit(True)
