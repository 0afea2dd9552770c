"""Intervals of event time: operators work at their ends only (docs/adr/0049-event-time-advances-in-intervals.md)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from monsoon.transforms.triggers.history import BEFORE_TIME_MS, END_OF_TIME_MS

LIVE_INTERVAL_MS = 10_000
"""For streams whose events happen now: a decision waits this long at most."""


@dataclass(frozen=True)
class FixedIntervals:
    """Intervals of one length (ms)."""

    length_ms: int = LIVE_INTERVAL_MS

    def end_of(self, at_ms: int) -> int:
        """The last moment (ms) of the interval of a moment."""
        return at_ms // self.length_ms * self.length_ms + self.length_ms - 1

    def last_end(self, watermark_ms: int) -> int:
        """The last moment (ms) of the last interval that is over once the watermark has come this far."""
        if watermark_ms >= END_OF_TIME_MS:
            return watermark_ms
        return (watermark_ms + 1) // self.length_ms * self.length_ms - 1


@dataclass(frozen=True)
class PlannedIntervals:
    """Intervals between watermarks that are known beforehand, since the input was scanned (`ends_ms`, ascending). The
    last one has no end: it is over when the input is."""

    ends_ms: tuple[int, ...]

    def end_of(self, at_ms: int) -> int:
        """The last moment (ms) of the interval of a moment."""
        place = bisect_left(self.ends_ms, at_ms)
        return self.ends_ms[place] if place < len(self.ends_ms) else END_OF_TIME_MS

    def last_end(self, watermark_ms: int) -> int:
        """The last moment (ms) of the last interval that is over once the watermark has come this far."""
        if watermark_ms >= END_OF_TIME_MS:
            return watermark_ms
        place = bisect_right(self.ends_ms, watermark_ms)
        return self.ends_ms[place - 1] if place else BEFORE_TIME_MS


Intervals = FixedIntervals | PlannedIntervals

LIVE_INTERVALS = FixedIntervals()
