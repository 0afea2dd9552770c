"""The reference validator: one line of bytes in, a valid record or a dead letter out.

It defines validation. Faster paths may exist beside it, but only for records that it would accept unchanged.

Interpretations of the specification: docs/interpretations.md#lines.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from monsoon.transforms.calendar import is_day
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.validation.catalogue import Catalogue
from monsoon.transforms.validation.details import not_json, range_fault, raw_identifier_fault, type_fault
from monsoon.transforms.validation.fields import LATEST_TIME_MS, Field, stream_fields
from monsoon.transforms.validation.geometry import is_reading_cell, is_reserve_cell, polygon_fault
from monsoon.transforms.validation.json_scan import json_depth, replace_lone_surrogates
from monsoon.transforms.validation.ranges import NO_FIX, RANGE_RULES
from monsoon.transforms.validation.raw_identifiers import holds_raw_identifier, is_raw_identifier, masked

MAX_LINE_BYTES = 65_536
MAX_DEPTH = 32
"""Levels of nesting; the record itself is the first."""
MAX_RAW_BYTES = 1_048_576
"""Of a longer line the dead letter holds this much, and its detail says so."""

_BLANK = b" \t\r\n"
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_MAYBE_BEYOND_DOUBLE = b"0" * 309
"""As many digits in a row, once all digits are made alike."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_GLOBE = {"lat": 90.0, "lon": 180.0}
_AREAS = ("lat", "lon", "h3", "wkt")


@dataclass(frozen=True, slots=True)
class ValidRecord:
    """A record to use: every field of the contract, None where absent; `nulled` names the optional fields that were
    made null."""

    record: dict[str, Any]
    nulled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A line or record that cannot be used. `seen_at` is the record's event_time in ms where that is valid, else 0.

    `raw` is the line as it may be published: invalid bytes replaced, raw identifiers masked. `original` is the
    `fingerprint` of the line, which distinguishes lines whose masked text is the same; it is not the line itself.
    """

    reason: str
    detail: str
    raw: str
    seen_at: int
    original: bytes


Fault = tuple[str, str]
"""Reason and detail."""


def with_arrival(report: dict[str, Any], arrived_ms: int) -> dict[str, Any]:
    """A report received when it arrived, unless it states when. One that arrived at its event time is as one that
    states nothing: a producer of history stamps it so."""
    if report.get("received_time") is None and report.get("event_time") != arrived_ms:
        return {**report, "received_time": arrived_ms}
    return report


class RecordValidator:
    """Validates the lines of one input stream (of those in `fields.CONTRACTS`).

    Subscriptions and reserves need the catalogue of products. Raises KeyError for any other stream.
    """

    def __init__(self, stream: str, catalogue: Catalogue | None = None) -> None:
        self.stream = stream
        self.fields = stream_fields(stream)
        self._checks = [(field, _CHECKS[field.kind], RANGE_RULES.get((stream, field.name))) for field in self.fields]
        self._must_not_identify = [field for field in self.fields if field.must_not_identify]
        self._types = next((field.choices for field in self.fields if field.name == "type"), None)
        self._decoder = msgspec.json.Decoder()
        self._catalogue = catalogue or Catalogue({})
        self._relations = {
            "telemetry": _no_fault,
            "oracle_readings": self._reading_fault,
            "subscriptions": self._subscription_fault,
            "reserves": self._reserve_fault,
            "confirmations": _no_fault,
        }[stream]

    def __call__(self, line: bytes, arrived_ms: int | None = None) -> ValidRecord | DeadLetter | None:
        """The record or dead letter of a line without its line feed (nor the carriage return before it); None if it is
        blank. `arrived_ms` is the broker's timestamp, for a report that states no received_time."""
        if len(line) > MAX_RAW_BYTES:
            return self.validate_oversize([line])
        if not line.strip(_BLANK):
            return None
        try:
            record = self._decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _unparsed_dead_letter(line, "not_json", not_json(line, str(error)))
        except (RecursionError, ValueError):
            record = None
        if line.lstrip(_BLANK)[:1] != b"{":
            return _unparsed_dead_letter(line, "not_json", not_json(line, "not an object"))
        depth = 1
        maybe_beyond_double = _MAYBE_BEYOND_DOUBLE in line.translate(_DIGITS_ALIKE)
        if record is None or line.count(b"{") + line.count(b"[") > MAX_DEPTH or maybe_beyond_double:
            measured = json_depth(line)
            if measured is None:
                return _unparsed_dead_letter(line, "not_json", "malformed, or a number beyond a double")
            depth = measured
        if len(line) > MAX_LINE_BYTES:
            return _unparsed_dead_letter(line, "too_long", f"{len(line)} bytes, more than {MAX_LINE_BYTES}")
        if depth > MAX_DEPTH:
            return _unparsed_dead_letter(line, "too_deep", f"{depth} levels, more than {MAX_DEPTH}")
        if arrived_ms is not None and self.stream == "telemetry":
            record = with_arrival(record, arrived_ms)
        return self._validate_record(record, line)

    def _decode(self, line: bytes) -> Any:
        """The JSON value of a line. RFC 8259 allows an escape of half a surrogate pair, this decoder does not: such a
        line is decoded by the standard library, which keeps the half."""
        try:
            return self._decoder.decode(line)
        except msgspec.DecodeError:
            whole = replace_lone_surrogates(line)
            if whole is None:
                raise
            self._decoder.decode(whole)
            return json.loads(line.decode())

    def validate_oversize(self, chunks: Iterable[bytes]) -> DeadLetter | ValidRecord | None:
        """The dead letter of a line of more than MAX_RAW_BYTES, handed over in chunks of any size; None if it is blank.

        Such a line is not parsed: to hold it in memory, or to parse it in chunks, would cost more than its reason is of
        use.
        """
        digest, size, kept, blank = hashlib.sha256(), 0, bytearray(), True
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            kept += chunk[: MAX_RAW_BYTES - len(kept)]
            blank = blank and not chunk.strip(_BLANK)
        if size <= MAX_RAW_BYTES:
            return self(bytes(kept))
        if blank:
            return None
        detail = f"{size} bytes, more than {MAX_LINE_BYTES}; raw holds the first {MAX_RAW_BYTES}"
        detail = not_json(bytes(kept), detail)
        return DeadLetter("too_long", detail, _masked_text(bytes(kept), is_json=False), 0, digest.digest())

    def _validate_record(self, record: dict[str, Any], line: bytes) -> ValidRecord | DeadLetter:
        used: dict[str, Any] = {}
        nulled: list[str] = []
        missing: Fault | None = None
        wrong_type: Fault | None = None
        out_of_range: Fault | None = None
        for field, check, rule in self._checks:
            name = field.name
            value = record.get(name)
            if value is None:
                used[name] = None
                if field.required and missing is None:
                    missing = (f"missing_field:{name}", f"{name} is required")
                continue
            used[name], broken = check(field, value)
            if broken is None:
                detail = None if rule is None else rule(value, record)
                if detail is not None:
                    out_of_range = out_of_range or (f"out_of_range:{name}", detail)
            elif not field.required and not _rejects_record(field, value, broken):
                used[name] = None
                nulled.append(name)
            elif broken is _WRONG_TYPE:
                wrong_type = wrong_type or (f"wrong_type:{name}", type_fault(field, value))
            else:
                out_of_range = out_of_range or (f"out_of_range:{name}", range_fault(field, value))
        fault = missing or wrong_type or out_of_range or self._relations(used) or self._raw_fault(used)
        if fault is None:
            return ValidRecord(used, tuple(nulled))
        reason, detail = fault
        if reason == "bad_area" and nulled:
            detail = "; ".join([detail, *self._why_nulled(record, nulled)])
        return DeadLetter(reason, detail, _masked_text(line), _event_time_ms(record), fingerprint(line))

    def _why_nulled(self, record: dict[str, Any], nulled: list[str]) -> Iterator[str]:
        """What is wrong with the fields of an area that were made null."""
        for field, check, _ in self._checks:
            if field.name in nulled and field.name in _AREAS:
                value = record[field.name]
                broken = check(field, value)[1]
                yield type_fault(field, value) if broken is _WRONG_TYPE else range_fault(field, value)

    def _reading_fault(self, record: dict[str, Any]) -> Fault | None:
        metric = METRICS.get(record["metric"])
        if metric is None:
            return "unknown_metric", "metric is not in the contract"
        for name, limit in _GLOBE.items():
            if record[name] is not None and abs(record[name]) > limit:
                return f"out_of_range:{name}", f"{name} must be at least -{limit:g} and at most {limit:g}"
        if record["lat"] == record["lon"] == 0.0:
            return "out_of_range:lat", NO_FIX
        named = _name_fault(record, "reading_id", "provider")  # disruptions publish both
        if named is not None:
            return named
        fault = None if record["wkt"] is None else polygon_fault(record["wkt"])
        if fault is not None:
            return "bad_geometry:wkt", fault
        point = record["lat"] is not None and record["lon"] is not None
        areas = (record["h3"] is not None) + (record["wkt"] is not None) + point
        if areas != 1:
            return "bad_area", f"{areas or 'none'} of h3, wkt, and lat with lon given; exactly one names the area"
        if metric.needs_platform and record["platform"] is None:
            return "missing_field:platform", f"{record['metric']} needs a platform"
        return None

    def _subscription_fault(self, record: dict[str, Any]) -> Fault | None:
        fault = _name_fault(record, "event_id")  # the ledger names events
        if fault is not None:
            return fault
        if self._types is not None and record["type"] not in self._types:
            return "unknown_type", f"type is none of {', '.join(sorted(self._types))}"
        unknown = self._catalogue.fault(record["product"], record["plan"])
        if unknown is not None:
            return unknown, f"{unknown.removeprefix('unknown_')} is not in the loaded product files"
        if record["coverage_end"] <= record["coverage_start"]:
            return "bad_interval", "coverage_end must be later than coverage_start"
        return None

    def _reserve_fault(self, record: dict[str, Any]) -> Fault | None:
        if record["product"] not in self._catalogue.products:
            return "unknown_product", "product is not in the loaded product files"
        return None

    def _raw_fault(self, used: dict[str, Any]) -> Fault | None:
        for field in self._must_not_identify:
            value = used[field.name]
            texts = value if type(value) is list else () if value is None else (value,)
            if any(map(is_raw_identifier, texts)):
                return f"raw_identifier:{field.name}", raw_identifier_fault(field)
        return None


def _name_fault(record: Mapping[str, Any], *names: str) -> Fault | None:
    """The first of these names of things that holds what may stand in no record."""
    for name in names:
        if holds_raw_identifier(record[name]):
            return f"raw_identifier:{name}", f"{name} must not hold an address or a telephone number"
    return None


_WRONG_TYPE = "wrong_type"
_OUT_OF_RANGE = "out_of_range"


def _check_string(field: Field, value: Any) -> tuple[Any, str | None]:
    if type(value) is not str:
        return None, _WRONG_TYPE
    if field.choices is not None and field.role != "catalogue" and value not in field.choices:
        return None, _OUT_OF_RANGE
    if not value.isascii() and _LONE_SURROGATE.search(value):
        return None, _OUT_OF_RANGE
    if field.pattern is not None and re.fullmatch(field.pattern, value) is None:
        return None, _OUT_OF_RANGE
    if len(value) < field.min_length or (field.max_length is not None and len(value) > field.max_length):
        return None, _OUT_OF_RANGE
    if field.name == "h3" and not is_reading_cell(value):
        return None, _OUT_OF_RANGE
    if field.role == "day" and not is_day(value):
        return None, _OUT_OF_RANGE
    if field.role == "reserve_cell" and not is_reserve_cell(value):
        return None, _OUT_OF_RANGE
    return value, None


def _check_integer(field: Field, value: Any) -> tuple[Any, str | None]:
    if type(value) is not int:
        return None, _WRONG_TYPE
    return value, None if field.minimum <= value <= field.maximum else _OUT_OF_RANGE  # type: ignore[operator]


def _check_number(field: Field, value: Any) -> tuple[Any, str | None]:
    if type(value) is not float and type(value) is not int:
        return None, _WRONG_TYPE
    number = float(value) + 0.0  # no negative zero
    if (field.minimum is not None and number < field.minimum) or (field.maximum is not None and number > field.maximum):
        return number, _OUT_OF_RANGE
    return number, None


def _check_boolean(field: Field, value: Any) -> tuple[Any, str | None]:
    return value, None if type(value) is bool else _WRONG_TYPE


def _check_strings(field: Field, value: Any) -> tuple[Any, str | None]:
    if type(value) is not list or any(type(item) is not str for item in value):
        return None, _WRONG_TYPE
    if any(not item.isascii() and _LONE_SURROGATE.search(item) for item in value):
        return None, _OUT_OF_RANGE
    if field.max_length is not None and len(value) > field.max_length:
        return None, _OUT_OF_RANGE
    if field.choices is not None and not field.choices.issuperset(value):
        return None, _OUT_OF_RANGE
    return value, None


def _rejects_record(field: Field, value: Any, broken: str) -> bool:
    return broken is _OUT_OF_RANGE and field.reject_above is not None and value > field.reject_above


_CHECKS = {
    "string": _check_string,
    "integer": _check_integer,
    "number": _check_number,
    "boolean": _check_boolean,
    "strings": _check_strings,
}


def _no_fault(record: dict[str, Any]) -> Fault | None:
    return None


def _event_time_ms(record: dict[str, Any]) -> int:
    value = record.get("event_time")
    return value if type(value) is int and 0 <= value <= LATEST_TIME_MS else 0


def _unparsed_dead_letter(line: bytes, reason: str, detail: str) -> DeadLetter:
    """The dead letter of a line whose fields are not read, so that its time is not known."""
    return DeadLetter(reason, detail, _masked_text(line, is_json=reason != "not_json"), 0, fingerprint(line))


def _masked_text(line: bytes, *, is_json: bool = True) -> str:
    return masked(line.decode("utf-8", "replace"), is_json=is_json)


def fingerprint(original: bytes) -> bytes:
    """Distinguishes dead letters whose published text is the same: the SHA-256 of the line.

    Not for publication: whoever knows all of a record but a telephone number could find the number by trying.
    """
    return hashlib.sha256(original).digest()
