"""Hourly values of intervals shorter than an hour: which hour an interval lies in, and the mean of those in one.

An hourly mean for the air quality index needs values for at least three quarters of the hour, the share that Directive
2008/50/EC asks of hourly values (Annex XI A). CPCB has no rule for single hours; a 24 h mean needs two thirds of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monsoon.transforms.atmosphere.corrections import IssuedValue, revisions_of

HOUR_MS = 3_600_000
MIN_MEAN_COVERAGE_MS = HOUR_MS * 3 // 4
"""The least part of an hour that must be measured for its mean concentration."""
MIN_RAIN_COVERAGE_MS = HOUR_MS
"""The same for an hour's rain: what fell in a gap is not known, and a part of a sum is no estimate of it."""


class Interval(NamedTuple):
    """The time over which a value was averaged, [end - length, end]; a length of 0 is an instantaneous value."""

    end_ms: int
    length_ms: int

    @property
    def begin_ms(self) -> int:
        return self.end_ms - self.length_ms


def hour_end_ms(interval: Interval, phase_ms: int) -> int | None:
    """The end of the hour that the interval lies in, or None where it lies across such an end.

    Hours end `phase_ms` after a full hour of UTC.
    """
    end_ms = -((phase_ms - interval.end_ms) // HOUR_MS) * HOUR_MS + phase_ms
    return end_ms if interval.begin_ms >= end_ms - HOUR_MS else None


def hourly_mean(
    parts: Mapping[Interval, Sequence[IssuedValue]], end_ms: int, min_coverage_ms: int
) -> list[IssuedValue] | None:
    """The mean of an hour, weighted by length, and its corrections; None where too little of the hour is covered.

    `parts` lie in the hour that ends at `end_ms`, without overlap, each with its versions in the order of their issue.
    The mean is the same to the last bit in whatever order they come, and of one part its own value.
    """
    if sum(part.length_ms for part in parts) < min_coverage_ms:
        return None
    ordered = sorted(parts)
    if len(ordered) == 1:
        return list(parts[ordered[0]])
    lengths = [part.length_ms for part in ordered]
    total = sum(lengths)

    def mean(*values: float) -> float:
        return math.fsum(value * length for value, length in zip(values, lengths, strict=True)) / total

    return revisions_of([parts[part] for part in ordered], mean, end_ms)
