"""Checks of an input stream as a whole: too many refused records stop a job, other signs of bad input are warned of.

They rest on statistics from before deduplication, so that a job stops early. Statistics add up over blocks, in any
order and number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from monsoon.transforms.geo.squares import any_squares_within
from monsoon.transforms.validation.details import FILE_HINTS
from monsoon.transforms.validation.record_validator import DeadLetter

_NEAR_KM = 500.0
"""Beyond it neither a rider's telemetry nor a station's reading can belong to a policy's home."""
_MAX_REASONS = 3

Refused = dict[str, tuple[int, str]]
"""Reason -> how many, and the detail that sorts first."""


@dataclass(slots=True)
class InputStatistics:
    """Of one stream: records read, those that validation refused, hints at what is wrong with whole files, and the
    squares (`monsoon.transforms.geo.squares`) in which the positions of valid records lie (of policies their homes)."""

    read: int = 0
    refused: Refused = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    squares: set[int] = field(default_factory=set)

    @staticmethod
    def of(read: int, dead: Iterable[DeadLetter], squares: Collection[int]) -> InputStatistics:
        """The statistics of one block."""
        statistics = InputStatistics(read, squares=set(squares))
        for each in dead:
            statistics._refuse(each.reason, 1, each.detail)
            for hint in FILE_HINTS:
                if hint in each.detail:
                    statistics.hints[hint] = statistics.hints.get(hint, 0) + 1
        return statistics

    def add(self, other: InputStatistics) -> None:
        """Adds the statistics of another block."""
        self.read += other.read
        for reason, (count, detail) in other.refused.items():
            self._refuse(reason, count, detail)
        self.hints = dict(Counter(self.hints) + Counter(other.hints))
        self.squares |= other.squares

    def _refuse(self, reason: str, count: int, detail: str) -> None:
        count_before, detail_before = self.refused.get(reason, (0, detail))
        self.refused[reason] = (count_before + count, min(detail_before, detail))


@dataclass(frozen=True, slots=True)
class RefusalLimit:
    """Of `records` read or more, no more than `share` (0 to 1) may be refused; 1 lets all pass."""

    share: float = 0.20
    records: int = 10_000

    def fault(self, statistics: InputStatistics) -> str | None:
        """The message for a stream of which more is refused, with its commonest reasons; None where it is within."""
        refused = sum(count for count, _ in statistics.refused.values())
        if statistics.read < self.records or refused <= self.share * statistics.read:
            return None
        commonest = sorted(statistics.refused.items(), key=lambda each: (-each[1][0], each[0]))[:_MAX_REASONS]
        reasons = "; ".join(f"{count:,} {reason} ({detail})" for reason, (count, detail) in commonest)
        return (
            f"{refused:,} of {statistics.read:,} records are refused, {100 * refused / statistics.read:.1f}% where "
            f"{100 * self.share:g}% may be: {reasons}"
        )


class RefusalWindows:
    """The same limit on an unbounded stream, in tumbling windows of at least `records` records: weeks of valid input do
    not hide that it is bad now."""

    def __init__(self, limit: RefusalLimit) -> None:
        self._limit = limit
        self._windows: dict[str, InputStatistics] = {}

    def fault(self, stream: str, statistics: InputStatistics) -> str | None:
        """The message for the window that one more block completes; None where it is within, or not complete."""
        window = self._windows.setdefault(stream, InputStatistics())
        window.add(statistics)
        if window.read < self._limit.records:
            return None
        del self._windows[stream]
        return self._limit.fault(window)


REFUSAL_REMEDY = "Mend the input, or let it pass with --max-refused-share 1: dead_letters/ then has every refused line"


def warnings(by_stream: Mapping[str, InputStatistics]) -> list[str]:
    """A line for each fault that no single record shows, in the order of the streams' names."""
    found = []
    homes = by_stream["subscriptions"].squares if "subscriptions" in by_stream else set()
    for stream, statistics in sorted(by_stream.items()):
        for hint, count in sorted(statistics.hints.items()):
            found.append(f"{stream}: {count:,} line{'s' * (count != 1)} refused as {hint}")
        squares = statistics.squares
        if stream != "subscriptions" and squares and homes and not any_squares_within(squares, homes, _NEAR_KM):
            found.append(
                f"{stream}: nothing in it lies within {_NEAR_KM:.0f} km of any policy's home; are latitude and "
                "longitude swapped?"
            )
    return found
