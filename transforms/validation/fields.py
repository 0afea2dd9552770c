"""The input contracts as tables of fields: the JSON Schemas, plus the roles that they state only in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

Kind = Literal["string", "integer", "number", "boolean", "strings"]
Role = Literal["plain", "time", "keyed_hash", "identifier", "catalogue", "globe", "day", "reserve_cell"]

EARLIEST_TIME_MS = 946_684_800_000
"""2000-01-01T00:00:00Z, from which on the contracts take times of events."""
LATEST_TIME_MS = 4_102_444_800_000
"""2100-01-01T00:00:00Z; a later time is out of range."""
MAX_LEAD_MS = 24 * 3_600_000
"""A report whose event_time is more than this ahead of its received_time is refused: its clock is wrong."""
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_BSSIDS = 20
"""The contract's "at most 20", which the schema states in words."""

CONTRACTS = {
    "telemetry": "telemetry",
    "oracle_readings": "oracle_reading",
    "subscriptions": "subscription",
    "reserves": "reserve",
    "confirmations": "confirmation",
}
"""Input stream -> its contract."""

_KINDS: dict[str, Kind] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "strings",
}
_TIMES = {
    "event_time",
    "issued_time",
    "gnss_time",
    "network_time",
    "received_time",
    "coverage_start",
    "coverage_end",
    "account_created_at",
}
NON_CONTENT_FIELDS = frozenset({"received_time"})
"""Fields about the transport of a record: a repeat that arrived later is still a duplicate."""
KEYED_HASHES = frozenset({"device_id", "bssids", "ip_prefix", "payout_account"})
"""Fields, of any stream, whose values arrive as keyed hashes and stay so."""
IDENTIFIERS = frozenset({"worker_id", "policy_id", "fund_account_id", "squad_id"})
"""Fields, of any stream, whose values the operator assigns: no raw identifier of a person or a device."""
_REJECTED_ABOVE_MAXIMUM = frozenset({"radius_km"})
"""Optional fields above whose `maximum` the record is refused: a disc without its radius would have another size."""
_CATALOGUES = {"type", "metric", "product", "plan"}
"""An unknown value of these has a reason of its own (`unknown_metric`), before other faults of range."""
_FORMATS: dict[str, Role] = {"date": "day", "h3-cell-5": "reserve_cell"}
"""`format` in a schema -> role, beside the pattern."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a contract. Bounds are inclusive; lengths count characters, for lists items."""

    name: str
    kind: Kind
    required: bool
    role: Role = "plain"
    minimum: float | None = None
    maximum: float | None = None
    min_length: int = 0
    max_length: int | None = None
    choices: frozenset[str] | None = None
    pattern: str | None = None
    reject_above: float | None = None
    """A value above kills the record although the field is optional."""

    @property
    def must_not_identify(self) -> bool:
        """Whether a raw identifier in it kills the record."""
        return self.role in ("keyed_hash", "identifier")


@cache
def value_ranges() -> dict[str, tuple[float, float]]:
    """Metric -> the least and greatest value that an instrument can show, from the contract; flags are not among
    them."""
    ranges = {}
    for rule in _schema("oracle_readings")["allOf"]:
        terms = rule["then"]["properties"]["value"]
        if "minimum" in terms:
            ranges[rule["if"]["properties"]["metric"]["const"]] = (float(terms["minimum"]), float(terms["maximum"]))
    return ranges


@cache
def stream_fields(stream: str) -> tuple[Field, ...]:
    """The fields of an input stream, in the schema's order. Raises KeyError for a stream that is not an
    input."""
    schema = _schema(stream)
    required = set(schema["required"])
    return tuple(_field(name, terms, name in required) for name, terms in schema["properties"].items())


def _schema(stream: str) -> dict[str, Any]:
    text = resources.files("monsoon.contracts").joinpath(f"{CONTRACTS[stream]}.schema.json").read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema


def _field(name: str, terms: dict[str, Any], required: bool) -> Field:
    types = terms.get("type", "string")
    json_type = next(each for each in ([types] if isinstance(types, str) else types) if each != "null")
    choices = terms.get("enum", terms.get("items", {}).get("enum"))
    role: Role = "plain"
    minimum, maximum = terms.get("minimum"), terms.get("maximum")
    if name in _TIMES:
        role, maximum = "time", LATEST_TIME_MS if maximum is None else maximum
    elif name in KEYED_HASHES:
        role = "keyed_hash"
    elif name in IDENTIFIERS:
        role = "identifier"
    elif name in _CATALOGUES:
        role = "catalogue"
    elif name in ("lat", "lon") and not required:
        role = "globe"
    elif terms.get("format") in _FORMATS:
        role = _FORMATS[terms["format"]]
    if json_type == "integer":
        minimum = INT64_MIN if minimum is None else minimum
        maximum = INT64_MAX if maximum is None else maximum
    return Field(
        name=name,
        kind=_KINDS[json_type],
        required=required,
        role=role,
        minimum=minimum,
        maximum=maximum,
        min_length=terms.get("minLength", 0),
        max_length=MAX_BSSIDS if name == "bssids" else terms.get("maxLength"),
        pattern=terms.get("pattern"),
        reject_above=maximum if name in _REJECTED_ABOVE_MAXIMUM else None,
        choices=None if choices is None else frozenset(choice for choice in choices if choice is not None),
    )
