"""The `detail` of dead letters: what is wrong with a value or a line, and what to do."""

from __future__ import annotations

from typing import Any

from monsoon.transforms.validation.fields import EARLIEST_TIME_MS, LATEST_TIME_MS, Field

LOCAL_TIMESTAMP = "TIMESTAMP without a time zone"
"""How a row's JSON line names a Parquet column of timestamps that are of no zone, beside their number."""

ONE_ARRAY = "an array where a record belongs: if the file is one array, write it one record a line (jq -c '.[]' FILE)"
UTF_16 = "text that seems to be UTF-16: write the file in UTF-8"
PACKED = "a file that seems to be packed by gzip: give its name the ending .gz"
ZERO_BYTES = "zero bytes where text belongs: the file was cut off while it was written; copy or write it again"
FILE_HINTS = (ONE_ARRAY, UTF_16, PACKED, ZERO_BYTES)
"""What a detail says of the whole file."""

_FORMS = {"day": "a day from 1970 to 2100 as YYYY-MM-DD", "reserve_cell": "an H3 cell of resolution 5 in hexadecimal"}
_CELL = "an H3 cell of resolution 4 to 9 as 15 hexadecimal digits, without 0x"
_UNITS_PER_MS = {"seconds": 1e-3, "microseconds": 1e3, "nanoseconds": 1e6}


def not_json(line: bytes, why: str) -> str:
    """What is wrong with a line that is no JSON object, and with the file that it comes of, as far as it shows."""
    start = line.lstrip(b" \t\r\n")
    if start.startswith(b"["):
        return f"{why}; {ONE_ARRAY}"
    if line.startswith(b"\x1f\x8b"):
        return f"{why}; {PACKED}"
    if line.startswith(bytes(4)):
        return f"{why}; {ZERO_BYTES}"
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in line[:4]:
        return f"{why}; {UTF_16}"
    if line.startswith(b"\xef\xbb\xbf"):
        return f"{why}; a byte order mark that is not at the file's beginning, or not the first there"
    if start.startswith(b"{") and "truncated" in why:
        return f"{why}; a record must stand on one line"
    return why


def type_fault(field: Field, value: Any) -> str:
    """What is wrong with a value of another JSON type than its field's."""
    if field.role == "time" and isinstance(value, dict) and LOCAL_TIMESTAMP in value:
        return (
            f"{field.name} is a TIMESTAMP of no time zone: write it adjusted to UTC (isAdjustedToUTC), or as an "
            "integer of milliseconds since 1970 in UTC"
        )
    return f"{field.name} must be of JSON type {field.kind}"


def range_fault(field: Field, value: Any) -> str:
    """What a value of the right type must be instead."""
    if field.choices is not None:
        return f"{field.name} is none of {', '.join(sorted(field.choices))}"
    if field.kind == "string" and isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value):
        return f"{field.name} holds half of a surrogate pair, which is no character"
    if field.name == "h3":
        return f"h3 must be {_CELL}"
    if field.role in _FORMS:
        return f"{field.name} must be {_FORMS[field.role]}"
    if field.pattern is not None:
        return f"{field.name} must be of the form {field.pattern}"
    if field.kind == "string":
        return f"{field.name} must have {field.min_length} to {field.max_length} characters"
    if field.kind == "strings":
        return f"{field.name} must have at most {field.max_length} items of characters"
    limits = [f"at least {field.minimum}"] if field.minimum is not None else []
    limits += [f"at most {field.maximum}"] if field.maximum is not None else []
    return f"{field.name} must be {' and '.join(limits)}{_unit(field, value)}"


def _unit(field: Field, value: Any) -> str:
    """What a time out of range seems to be in."""
    if field.role != "time":
        return ""
    for name, per_ms in _UNITS_PER_MS.items():
        if EARLIEST_TIME_MS * per_ms <= value <= LATEST_TIME_MS * per_ms:
            return f"; it seems to be in {name}, where milliseconds belong"
    return ""


def raw_identifier_fault(field: Field) -> str:
    """What is wrong with a raw identifier."""
    if field.role == "keyed_hash":
        return f"{field.name} must be a keyed hash"
    return f"{field.name} must not be an address, a telephone number, a device's number or a name"
