"""Ranges that depend on another field of the record: of a reading's value by metric, of event_time by received_time, of
a position that is exactly 0, 0.

Interpretations of the specification: docs/interpretations.md#lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.validation.fields import EARLIEST_TIME_MS, LATEST_TIME_MS, MAX_LEAD_MS, value_ranges

NO_FIX = "latitude and longitude are both exactly 0: a position that was not known"

RangeRule = Callable[[Any, Mapping[str, Any]], str | None]
"""For a value of its field's type and bounds, and its record as it was read: what is wrong with it, or None."""


def _of_metric(value: Any, record: Mapping[str, Any]) -> str | None:
    name = record.get("metric")
    metric = METRICS.get(name) if isinstance(name, str) else None
    if metric is None:
        return None
    if metric.is_flag:
        return None if value in (0, 1) else "a flag is 0 or 1"
    low, high = value_ranges()[str(name)]
    return (
        None if low <= value <= high else f"{name} is from {low:,.0f} to {high:,.0f}; no instrument shows other values"
    )


def _lead_over_received_time(value: Any, record: Mapping[str, Any]) -> str | None:
    arrived_ms = record.get("received_time")
    if type(arrived_ms) is not int or not EARLIEST_TIME_MS <= arrived_ms <= LATEST_TIME_MS:
        return None
    ahead = value - arrived_ms > MAX_LEAD_MS
    return "event_time is more than 24 h later than received_time: the clock is ahead" if ahead else None


def _known_position(longitude: str) -> RangeRule:
    def rule(value: Any, record: Mapping[str, Any]) -> str | None:
        other = record.get(longitude)
        return NO_FIX if value == 0 and type(other) in (int, float) and other == 0 else None

    return rule


RANGE_RULES: Mapping[tuple[str, str], RangeRule] = {
    ("telemetry", "event_time"): _lead_over_received_time,
    ("telemetry", "lat"): _known_position("lon"),
    ("oracle_readings", "value"): _of_metric,
    ("subscriptions", "home_lat"): _known_position("home_lon"),
}
"""By stream and field. Columns of telemetry repeat its rules (`sources/telemetry_columns.py`)."""
