"""Quantities as product files write them: durations, shares, comparisons, amounts of a plan.

The types are for the file's model; the functions parse values of such a type. Each raises ValueError with a message
about the text; the caller adds its place.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from monsoon.transforms.documents import matching, quoted
from monsoon.transforms.expressions import ExpressionError, Unit
from monsoon.transforms.product.terms import HOUR_MS, MINUTE_MS, Comparison

Name = Annotated[
    str,
    matching(
        "^[a-z][a-z0-9_]{0,47}$",
        "is no name (a small letter, then small letters, digits and _, at most 48)",
        "A name: it stands in ids, plan strings and formulas.",
    ),
]
ProductName = Annotated[
    str,
    matching(
        "^[a-z][a-z0-9_-]{0,47}$",
        "is no product's name (a small letter, then small letters, digits, - and _, at most 48)",
    ),
]
Duration = Annotated[
    str,
    matching(
        r"^[0-9]{1,9}\s*(ms|s|min|h|d)$",
        'is not a whole number and a unit (ms, s, min, h, d), like "30 min"',
        "A whole number and a unit.",
    ),
]
ComparisonText = Annotated[
    str,
    matching(
        r"^(>=|>|<=|<|=)\s*-?[0-9]{1,9}(\.[0-9]{1,9})?$",
        'is not one of >=, >, <=, <, = and a number, like ">= 75"',
        "A comparison with a number, meant literally: > is not >=.",
    ),
]
Formula = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description='A formula over named inputs with units (docs/products.md, "Formulas").',
    ),
]
Rupees = Annotated[str, matching(r"^[0-9]{1,9}(\.[0-9]{1,2})?\s*INR$", 'is not an amount like "99 INR"')]
Distance = Annotated[str, matching(r"^[0-9]{1,6}(\.[0-9]{1,3})?\s*m$", 'is not a distance like "500 m"')]
Share = (
    Annotated[float, Meta(ge=0, le=1, description="From 0 to 1.")]
    | Annotated[str, matching(r"^(100|[0-9]{1,2}(\.[0-9]{1,6})?)\s*%$", 'is not a share like "65 %"')]
)
PeerShare = Annotated[
    str,
    matching(r"^(>=|>)\s*(100|[0-9]{1,2}(\.[0-9]{1,6})?)\s*%$", 'is not > or >= and a share, like "> 40 %"'),
]
Amount = (
    Annotated[float, Meta(ge=0, le=1e9, description="A bare number.")]
    | Annotated[
        str,
        matching(
            r"^[0-9]{1,9}(\.[0-9]{1,6})?\s*(%|[A-Za-z/]+)?$", 'is not a number and a unit, like "720 INR" or "60 %"'
        ),
    ]
)
Hours = Annotated[
    str,
    matching("^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", 'is not like "18:00-23:00"'),
]
Moment = Annotated[
    str,
    matching(
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})$",
        'is not a moment with an offset, like "2026-04-01T00:00:00+05:30"',
    ),
]

_DURATIONS_MS = {"ms": 1, "s": 1_000, "min": MINUTE_MS, "h": HOUR_MS, "d": 24 * HOUR_MS}
_LONGEST_MS = 3660 * 24 * HOUR_MS
_DURATION = re.compile(r"([0-9]{1,9})\s*([a-z]+)")
_COMPARISON = re.compile(r"(>=|>|<=|<|=)\s*(-?[0-9]+(?:\.[0-9]+)?)")
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(%|[A-Za-z/]*)")
_HOURS = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_DAY_MIN = 24 * 60


def duration_ms(text: str) -> int:
    """`3 h`, `30 min`, `0 s` in milliseconds; at most ten years."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or match[2] not in _DURATIONS_MS:
        raise ValueError(f"{quoted(text)} is not a whole number and a unit ({', '.join(_DURATIONS_MS)}), like '30 min'")
    found = int(match[1]) * _DURATIONS_MS[match[2]]
    if found > _LONGEST_MS:
        raise ValueError(f"{quoted(text)} is longer than ten years")
    return found


def comparison(text: str) -> Comparison:
    """`>= 75`."""
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{quoted(text)} is not one of >=, >, <=, <, = and a number, like '>= 75'")
    return Comparison(match[1], float(match[2]))


def amount(value: str | float) -> tuple[float, Unit]:
    """A number and its unit: `720 INR`, `60 %` (a bare 0.6), `0.6`."""
    if not isinstance(value, str):
        return float(value), Unit()
    match = _AMOUNT.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{quoted(value)} is not a number and a unit, like '720 INR' or '60 %'")
    if match[2] == "%":
        return float(match[1]) / 100, Unit()
    try:
        return float(match[1]), Unit.parse(match[2] or "1")
    except ExpressionError as error:
        raise ValueError(f"{quoted(value)}: {error}") from error


def bare_number(value: str | float) -> float:
    """The number of an amount; 1 where it is none, which has a fault of its own."""
    try:
        return amount(value)[0]
    except ValueError:
        return 1.0


def share(value: str | float) -> float:
    """`65 %` or 0.65: from 0 to 1."""
    number, unit = amount(value)
    if unit != Unit() or not 0 <= number <= 1:
        raise ValueError(f"{quoted(value)} is not a share from 0 to 1, like '65 %'")
    return number


def hours(text: str) -> tuple[int, int]:
    """`18:00-23:00` in minutes since local midnight, the end excluded."""
    match = _HOURS.fullmatch(text.strip())
    if match is not None:
        first, last = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
        if max(int(match[2]), int(match[4])) < 60 and 0 <= first < last <= _DAY_MIN:
            return first, last
    raise ValueError(f"{quoted(text)} is not like '18:00-23:00', the beginning first")
