"""Quantities as product files write them: durations, shares, comparisons, amounts of a plan."""

from __future__ import annotations

import re

from monsoon.transforms.product.terms import HOUR_MS, MINUTE_MS, Comparison, ProductError

_DURATIONS_MS = {"ms": 1, "s": 1_000, "min": MINUTE_MS, "h": HOUR_MS, "d": 24 * HOUR_MS}
_COMPARISON = re.compile(r"(>=|>|<=|<|=)\s*(-?\d+(?:\.\d+)?)")
_AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)\s*(%|[A-Za-z/]*)")
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY_MIN = 24 * 60


def duration_ms(text: str, at: str) -> int:
    """`3 h`, `30 min`, `0 s` in milliseconds; raises ProductError naming `at`."""
    match = re.fullmatch(r"(\d{1,12})\s*([a-z]+)", text.strip())
    if match is None or match[2] not in _DURATIONS_MS:
        units = ", ".join(_DURATIONS_MS)
        raise ProductError(f"{at}: {text!r} is not a whole number and a unit ({units}), like '30 min'")
    return int(match[1]) * _DURATIONS_MS[match[2]]


def comparison(text: str, at: str) -> Comparison:
    """`>= 75`; raises ProductError naming `at`."""
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise ProductError(f"{at}: {text!r} is not like '>= 75' (one of >=, >, <=, <, = and a number)")
    return Comparison(match[1], float(match[2]))


def amount(value: str | float, at: str) -> tuple[float, str]:
    """A plan's own term and its unit: `720 INR`, `60 %`, `0.6`. Raises ProductError naming `at`."""
    if not isinstance(value, str):
        return float(value), "1"
    match = _AMOUNT.fullmatch(value.strip())
    if match is None:
        raise ProductError(f"{at}: {value!r} is not a number and a unit, like '720 INR' or '60 %'")
    if match[2] == "%":
        return float(match[1]) / 100, "1"
    return float(match[1]), match[2] or "1"


def hours(text: str, at: str) -> tuple[int, int]:
    """`18:00-23:00` in minutes since local midnight, the end excluded; raises ProductError naming `at`."""
    match = _HOURS.fullmatch(text.strip())
    if match is not None:
        first, last = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
        if max(int(match[2]), int(match[4])) < 60 and 0 <= first < last <= _DAY_MIN:
            return first, last
    raise ProductError(f"{at}: {text!r} is not like '18:00-23:00', the beginning first")
