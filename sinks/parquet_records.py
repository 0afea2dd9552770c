"""Encodes records of a contract as a Parquet file: a column a field, typed by the contract; equal records, equal
bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import msgspec
import polars as pl

_TYPES = {"string": pl.String(), "integer": pl.Int64(), "number": pl.Float64(), "boolean": pl.Boolean()}
_SETTINGS: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "statistics": True,
    "row_group_size": 100_000,
    "data_page_size": 1 << 20,
}
"""Fixed, so that neither Polars' defaults nor the machine decide the bytes."""

Schema = Mapping[str, Any]


class RecordError(TypeError):
    """A record that violates its contract; which field of which contract. A fault of Monsoon, not of a user."""


def parquet_of(contract: str, records: Sequence[Mapping[str, Any]]) -> bytes:
    """The records in the order given, as one Parquet file with the columns of `columns_of(contract)`.

    Nothing of when or where it was written is in it. Raises RecordError as `frame_of` does.
    """
    buffer = io.BytesIO()
    frame_of(contract, records).write_parquet(buffer, **_SETTINGS)
    return buffer.getvalue()


def frame_of(contract: str, records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The records in the order given, with the columns of `columns_of(contract)`.

    A field that a record lacks is null. Raises RecordError where a record has a field that the contract does not name,
    or a value of another type.
    """
    columns = columns_of(contract)
    for record in records:
        if unknown := record.keys() - columns.keys():
            raise RecordError(f"{contract}: no field {sorted(unknown)[0]!r} in the contract")
    return pl.DataFrame(
        [_series(contract, name, kind, [record.get(name) for record in records]) for name, kind in columns.items()]
    )


@cache
def columns_of(contract: str) -> Mapping[str, pl.DataType | None]:
    """Field -> type, in the order of `contracts/CONTRACT.schema.json`; None for an object whose fields and types are
    open, which is JSON text. Objects of open names and one type are maps, times stay milliseconds."""
    text = resources.files("monsoon.contracts").joinpath(f"{contract}.schema.json").read_text(encoding="utf-8")
    return {name: _type(f"{contract}.{name}", schema) for name, schema in json.loads(text)["properties"].items()}


def _type(path: str, schema: Schema) -> pl.DataType | None:
    kinds = set(_kinds(path, schema)) - {"null"}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) != 1:
        raise RecordError(f"{path}: no one type in the contract")
    (kind,) = kinds
    if kind == "array":
        return pl.List(_closed(f"{path}[]", schema["items"]))
    if kind != "object":
        return _TYPES[kind]
    if fields := schema.get("properties"):
        return pl.Struct({name: _closed(f"{path}.{name}", each) for name, each in fields.items()})
    values = schema.get("additionalProperties", True)
    return pl.Map(pl.String(), _closed(f"{path}.*", values)) if isinstance(values, dict) else None


def _closed(path: str, schema: Schema) -> pl.DataType:
    """The type of a nested value, where JSON text could not be told from other values."""
    found = _type(path, schema)
    if found is None:
        raise RecordError(f"{path}: an open object within another; list its fields in the contract")
    return found


def _kinds(path: str, schema: Schema) -> Sequence[str]:
    if "type" in schema:
        return [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    choices = [schema["const"]] if "const" in schema else schema.get("enum", ())
    if not choices or not all(isinstance(each, str) for each in choices):
        raise RecordError(f"{path}: neither a type nor a choice of words in the contract")
    return ["string"]


def _series(contract: str, name: str, kind: pl.DataType | None, values: list[Any]) -> pl.Series:
    if kind is None:
        texts = [None if value is None else msgspec.json.encode(value).decode() for value in values]
        return pl.Series(name, texts, pl.String)
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct):
        known = {field.name for field in kind.inner.fields}
        for value in values:
            for each in value or ():
                if unknown := each.keys() - known:  # Polars would leave it out
                    raise RecordError(f"{contract}.{name}[]: no field {sorted(unknown)[0]!r} in the contract")
    try:
        return pl.Series(name, values, kind, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise RecordError(f"{contract}.{name}: {str(error).splitlines()[0]}") from error
