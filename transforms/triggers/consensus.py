"""Who holds a condition, whether they make the consensus, since when, and how extreme it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monsoon.transforms.product import Consensus
from monsoon.transforms.triggers.readings import Reading


@dataclass(frozen=True, slots=True)
class Holder:
    """A provider whose speaking, fresh, breaching reading holds the condition, and its run's first reading."""

    reading: Reading
    run_first: Reading


def reached(ways: Sequence[Consensus], holders: Mapping[str, int]) -> bool:
    """Whether so many holders (distinct providers) of each quality make one of the ways to consensus.

    Readings of quality fallback corroborate: without one of official or secondary quality nothing is confirmed.
    """
    if not any(count for quality, count in holders.items() if quality != "fallback"):
        return False
    return any(
        sum(count for quality, count in holders.items() if quality in way.quality) >= way.providers for way in ways
    )


def earliest_start(ways: Sequence[Consensus], holders: Sequence[Holder]) -> int:
    """The earliest s such that the holders whose runs began by s already make the consensus."""
    begun = sorted(holders, key=lambda holder: holder.run_first.event_time_ms)
    return _smallest_sufficient(ways, begun).run_first.event_time_ms


def supported_severity(ways: Sequence[Consensus], holders: Sequence[Holder], *, larger_is_worse: bool) -> float:
    """The most extreme value that enough of the holders reach or exceed."""
    extreme_first = sorted(holders, key=lambda holder: holder.reading.value, reverse=larger_is_worse)
    return _smallest_sufficient(ways, extreme_first).reading.value


def _smallest_sufficient(ways: Sequence[Consensus], ordered: Sequence[Holder]) -> Holder:
    """The last of the shortest leading part that makes the consensus; ValueError if not even the whole does."""
    counted: Counter[str] = Counter()
    for holder in ordered:
        counted[holder.reading.quality] += 1
        if reached(ways, counted):
            return holder
    raise ValueError("these holders make no consensus")
