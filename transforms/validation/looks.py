"""What shows of a stream at its reading, before repeats are told from news: enough to stop in time, or to warn.

Counts and squares add up, so that it does not matter in which order or in how many pieces a stream was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from monsoon.transforms.geo.squares import any_within
from monsoon.transforms.validation.details import FILE_HINTS
from monsoon.transforms.validation.record_validator import Dead

_NEAR_KM = 500.0
"""Nobody works so far from home, and no station speaks for somebody there."""
_TOLD_REASONS = 3

Refused = dict[str, tuple[int, str]]
"""Reason -> how many, and the detail that sorts first."""


@dataclass(slots=True)
class Look:
    """Of one stream: records read, those refused at once, hints at what is wrong with whole files, and the squares
    (`monsoon.transforms.geo.squares`) in which the places of the others lie: of policies their homes."""

    read: int = 0
    refused: Refused = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    squares: set[int] = field(default_factory=set)

    @staticmethod
    def at(read: int, dead: Iterable[Dead], squares: Collection[int]) -> Look:
        """What shows of one piece."""
        look = Look(read, squares=set(squares))
        for each in dead:
            look._refuse(each.reason, 1, each.detail)
            for hint in FILE_HINTS:
                if hint in each.detail:
                    look.hints[hint] = look.hints.get(hint, 0) + 1
        return look

    def add(self, other: Look) -> None:
        """Takes in what shows of another piece."""
        self.read += other.read
        for reason, (count, detail) in other.refused.items():
            self._refuse(reason, count, detail)
        self.hints = dict(Counter(self.hints) + Counter(other.hints))
        self.squares |= other.squares

    def _refuse(self, reason: str, count: int, detail: str) -> None:
        before, said = self.refused.get(reason, (0, detail))
        self.refused[reason] = (before + count, min(said, detail))


@dataclass(frozen=True, slots=True)
class RefusalLimit:
    """Of `records` read or more, no more than `share` (0 to 1) may be refused; 1 lets all pass."""

    share: float = 0.20
    records: int = 10_000

    def fault(self, look: Look) -> str | None:
        """What is wrong with a stream of which more is refused, with its commonest reasons; None where it is not."""
        refused = sum(count for count, _ in look.refused.values())
        if look.read < self.records or refused <= self.share * look.read:
            return None
        commonest = sorted(look.refused.items(), key=lambda each: (-each[1][0], each[0]))[:_TOLD_REASONS]
        told = "; ".join(f"{count:,} {reason} ({detail})" for reason, (count, detail) in commonest)
        return (
            f"{refused:,} of {look.read:,} records are refused, {100 * refused / look.read:.1f}% where "
            f"{100 * self.share:g}% may be: {told}"
        )


class RefusalWindows:
    """The same limit on a stream without an end: on each `records` or more in turn, so that what was right for weeks
    does not hide what is wrong now."""

    def __init__(self, limit: RefusalLimit) -> None:
        self._limit = limit
        self._windows: dict[str, Look] = {}

    def fault(self, stream: str, look: Look) -> str | None:
        """What is wrong with the window that one more look completes; None where nothing is, or it is not complete."""
        window = self._windows.setdefault(stream, Look())
        window.add(look)
        if window.read < self._limit.records:
            return None
        del self._windows[stream]
        return self._limit.fault(window)


REFUSAL_MEND = "Mend the input, or let it pass with --max-refused-share 1: dead_letters/ then has every refused line"


def warnings(looks: Mapping[str, Look]) -> list[str]:
    """A line for each thing that no single record shows to be wrong, in the order of the streams' names."""
    told = []
    homes = looks["subscriptions"].squares if "subscriptions" in looks else set()
    for stream, look in sorted(looks.items()):
        for hint, count in sorted(look.hints.items()):
            told.append(f"{stream}: {count:,} line{'s' * (count != 1)} refused as {hint}")
        if stream != "subscriptions" and look.squares and homes and not any_within(look.squares, homes, _NEAR_KM):
            told.append(
                f"{stream}: nothing in it lies within {_NEAR_KM:.0f} km of any policy's home; are latitude and "
                "longitude swapped?"
            )
    return told
