"""Parquet files of records, in batches: columns where their types are the contract's, rows as JSON lines where
not.

A row is validated as the JSON line of its known fields, in the schema's order, the rule of length included. Unknown
columns are ignored whatever they hold: a row is no line, and has neither length nor depth of its own. A moment in UTC,
in whatever unit, is its whole milliseconds; a timestamp of no zone could be any of a day's, and is refused.

Interpretations of the specification: docs/interpretations.md#parquet.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any

import polars as pl

from monsoon.sources.files import InputError, first_line
from monsoon.sources.line_blocks import BlockValidator, ValidatedBlock
from monsoon.sources.native_messages import native_messages_dropped
from monsoon.sources.telemetry_columns import TYPES, clean_rows, compact
from monsoon.transforms.validation.details import LOCAL_TIMESTAMP
from monsoon.transforms.validation.fields import Field

# Polars knows no zone by its offset (+05:30), as pandas names it, and else panics; of a moment in UTC it is but how to
# show it.
os.environ.setdefault("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")

_BATCH_ROWS = 65_536
_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_EXACT_INTEGER = 2.0**53


def row_count(path: Path) -> int:
    """The number of rows in a Parquet file's metadata. Raises InputError if it cannot be read."""
    with native_messages_dropped(), _reading_errors(path):
        count: int = _scanned(path).select(pl.len()).collect().item()
        return count


def read_batches(path: Path, start: int = 0, stop: int | None = None) -> Iterator[pl.DataFrame]:
    """The rows [start, stop) of a Parquet file, in order. Raises InputError if it cannot be read."""
    with _reading_errors(path):
        scan = _scanned(path)
        if stop is None:
            stop = scan.select(pl.len()).collect().item()
        for offset in range(start, stop, _BATCH_ROWS):
            yield scan.slice(offset, min(_BATCH_ROWS, stop - offset)).collect()


def _scanned(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


@contextmanager
def _reading_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, TypeError) as error:
        # A damaged file may make the reader panic, and one whose name is not UTF-8 is a TypeError.
        reason = first_line(error)
        raise InputError(f"unreadable Parquet file ({reason})", str(path), "Write or copy the file again") from error


def json_lines(batch: pl.DataFrame, fields: Sequence[Field]) -> Iterator[bytes]:
    """Each row as the equivalent JSON line; what JSON cannot express is left for the validator to refuse.

    Bytes are text, and no JSON where they are not UTF-8. NaN is null, and an integral double or decimal in an
    integer column the integer: writers of data frames know no other nullable integer. A time or a duration, which
    JSON lacks, is an object that names its type, so that no field takes it.
    """
    batch = _with_moments(batch, fields)
    known = [(field, batch.schema[field.name]) for field in fields if field.name in batch.schema]
    if not known:
        yield from repeat(b"{}", batch.height)
        return
    converts = [(field.name, _conversion(field, dtype)) for field, dtype in known]
    # Polars cannot hand over every time that a file may hold: its number can be.
    plain = batch.select(pl.col(field.name).cast(_without_times(dtype)) for field, dtype in known)
    for row in plain.iter_rows():
        record = {name: convert(value) for (name, convert), value in zip(converts, row, strict=True)}
        yield json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape")


def validate_batch(batch: pl.DataFrame, validator: BlockValidator, fields: Sequence[Field]) -> ValidatedBlock:
    """Telemetry rows to columns; whatever is not certainly valid is validated as its JSON line."""
    known = {field.name: field for field in fields if field.name in batch.schema}
    if not known:
        return validator.validate_all(json_lines(batch, fields))
    batch = _with_moments(_with_text(batch.select(list(known))), fields)
    casts = {field.name: _cast(pl.col(field.name), field, batch.schema.get(field.name)) for field in fields}
    if any(cast is None for cast in casts.values()):
        return validator.validate_all(json_lines(batch, fields))
    typed = batch.select(cast.alias(name) for name, cast in casts.items() if cast is not None)
    lossless = [_lossless(name, known[name], dtype) for name, dtype in batch.schema.items()]
    clean = clean_rows(typed, fields, measured=False) & batch.select(pl.all_horizontal(*lossless)).to_series()
    validated = validator.validate_all(json_lines(batch.filter(~clean), fields))
    if clean.any():
        validated.frames.append(compact(typed.filter(clean), fields))
        validated.read += int(clean.sum())
    return validated


def _conversion(field: Field, dtype: pl.DataType) -> Callable[[Any], Any]:
    if dtype.is_temporal():
        name = LOCAL_TIMESTAMP if isinstance(dtype, pl.Datetime) and dtype.time_zone is None else str(dtype)
        return lambda value: None if value is None else {name: value}
    return _integral if field.kind == "integer" else _json_value


def _json_value(value: Any) -> Any:
    """A value of a data frame in JSON's types, down to the innermost."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _json_value(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_json_value(inner) for inner in value]
    return value


def _integral(value: Any) -> Any:
    value = _json_value(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_times(dtype: Any) -> Any:
    """The type with the number that stands for it in place of every type of time; arrays are lists."""
    if isinstance(dtype, pl.List | pl.Array):
        return pl.List(_without_times(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: _without_times(field.dtype) for field in dtype.fields})
    return pl.Int64() if dtype.is_temporal() else dtype


def _with_moments(batch: pl.DataFrame, fields: Sequence[Field]) -> pl.DataFrame:
    """The batch with moments in UTC as the milliseconds of their fields, and days as the text of theirs."""
    made = []
    for field in fields:
        dtype = batch.schema.get(field.name)
        if field.role == "time" and isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
            made.append(milliseconds(batch[field.name]))
        elif field.role == "day" and dtype == pl.Date:
            made.append(batch[field.name].dt.strftime("%Y-%m-%d"))
    return batch.with_columns(made)


def milliseconds(moments: pl.Series) -> pl.Series:
    """Timestamps of any unit as whole milliseconds since 1970, rounded down; other columns as they are."""
    if not isinstance(moments.dtype, pl.Datetime):
        return moments
    return moments.to_physical() // _PER_MS[moments.dtype.time_unit]


def _with_text(batch: pl.DataFrame) -> pl.DataFrame:
    """The batch with columns of bytes as text where they are UTF-8 throughout: not every writer marks them as text."""
    for name, dtype in batch.schema.items():
        if dtype in (pl.Binary, pl.List(pl.Binary)):
            try:
                batch = batch.with_columns(pl.col(name).cast(pl.String if dtype == pl.Binary else pl.List(pl.String)))
            except pl.exceptions.ComputeError:
                continue
    return batch


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
