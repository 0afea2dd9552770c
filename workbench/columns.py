"""The columns of an output's tables: type, meaning and whether they may be null, from the contract of the stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import polars as pl

from monsoon.sinks.parquet_records import columns_of

TIME = pl.Datetime("ms", "UTC")
TIMES: Mapping[str, frozenset[str]] = {
    "claim": frozenset({"decided_at", "answer_by"}),
    "dead_letter": frozenset({"seen_at"}),
    "disruption": frozenset({"start", "end", "absent_since", "confirmed_at", "revised_at"}),
    "drift_report": frozenset(),
    "notification": frozenset({"event_time", "answer_by"}),
    "payout": frozenset({"created_at"}),
    "reserve_alert": frozenset({"event_time"}),
    "ring_alert": frozenset({"event_time"}),
    "syndicate_alert": frozenset({"event_time"}),
}
"""Per contract the fields that are milliseconds since 1970-01-01T00:00:00Z: moments in a table."""


class Column(NamedTuple):
    """One column of a table."""

    name: str
    dtype: pl.DataType
    nullable: bool
    meaning: str
    """As the contract describes it; of an enumeration its values. Empty where the name says it all."""


@cache
def documented_columns(contract: str) -> tuple[Column, ...]:
    """The columns of a contract's table, in the contract's order."""
    text = resources.files("monsoon.contracts").joinpath(f"{contract}.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    return tuple(
        Column(name, _dtype(contract, name, kind), _nullable(name, schema), _meaning(schema["properties"][name]))
        for name, kind in columns_of(contract).items()
    )


def _dtype(contract: str, name: str, kind: pl.DataType | None) -> pl.DataType:
    if kind is None:
        return pl.String()  # JSON text
    return TIME if name in TIMES[contract] else kind


def _nullable(name: str, schema: Mapping[str, Any]) -> bool:
    field = schema["properties"][name]
    return name not in schema["required"] or "null" in field.get("type", ()) or None in field.get("enum", ())


def _meaning(field: Mapping[str, Any]) -> str:
    values = ", ".join(str(each) for each in field.get("enum", ()) if each is not None)
    return "; ".join(filter(None, (values, field.get("description", ""))))
