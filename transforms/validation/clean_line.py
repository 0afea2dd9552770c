"""A regular expression for lines that are certainly valid in structure, which a columnar engine can run.

A pattern is made for one order of keys, as the lines of a file mostly share theirs: known keys each at most
once with a value of exactly their JSON type (or null where optional), unknown keys of the sample line with any
scalar. Of a line that matches only the values are left to check; any other goes to the reference validator.
Syntax: what Rust's `regex`, RE2 and Java understand alike (no lookaround, no backreference).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from monsoon.transforms.validation.fields import Field

# Text without escapes and control characters; numbers too short for int64, or a double, to overflow.
_TEXT = r'"[^"\\\x00-\x1f]*"'
_INTEGER = r"-?(?:0|[1-9][0-9]{0,17})"
_NUMBER = _INTEGER + r"(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?"
_BOOLEAN = "true|false"
_SCALAR = f"{_TEXT}|{_NUMBER}|{_BOOLEAN}|null"

_PLAIN_KEY = re.compile(r"[0-9A-Za-z_.:/@ -]{1,64}")
_MAX_UNKNOWN_KEYS = 64


def key_order(line: bytes) -> tuple[str, ...] | None:
    """The keys of a line that is a flat JSON object with plain keys, in their order; None for any other
    line."""
    try:
        record = msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not all(_PLAIN_KEY.fullmatch(key) for key in record):
        return None
    return tuple(record)


def clean_line_pattern(fields: Sequence[Field], keys: Sequence[str]) -> str | None:
    """The pattern of clean lines whose keys stand in the order of `keys`; any but the first may be absent.

    Known fields that `keys` lacks are allowed where the contract's order would put them. None where there are too
    many keys, or none of the contract's.
    """
    known = {field.name: field for field in fields}
    if len(keys) > len(known) + _MAX_UNKNOWN_KEYS or not known.keys() & set(keys):
        return None
    first, *rest = (_member(key, known.get(key)) for key in _with_absent(fields, keys))
    return r"^[ \t]*\{ ?" + first + "".join(f"(?: ?, ?{member})?" for member in rest) + r" ?\}[ \t\r]*$"


def _with_absent(fields: Sequence[Field], keys: Sequence[str]) -> list[str]:
    order = list(keys)
    previous = None
    for field in fields:
        if field.name not in order:
            order.insert(1 if previous is None else order.index(previous) + 1, field.name)
        previous = field.name
    return order


def _member(key: str, field: Field | None) -> str:
    return f'"{re.escape(key)}" ?: ?(?:{_SCALAR if field is None else _value(field)})'


def _value(field: Field) -> str:
    pattern = {
        "string": _TEXT,
        "strings": rf"\[ ?(?:{_TEXT}(?: ?, ?{_TEXT})*)? ?\]",
        "integer": _INTEGER,
        "number": _NUMBER,
        "boolean": _BOOLEAN,
    }[field.kind]
    return pattern if field.required else f"{pattern}|null"
