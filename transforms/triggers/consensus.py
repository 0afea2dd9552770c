"""Who holds a condition, whether they make the consensus, since when, and how extreme it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monsoon.transforms.product import Consensus
from monsoon.transforms.triggers.conditions import Condition
from monsoon.transforms.triggers.readings import Reading

Kind = tuple[str, str]
"""What consensus asks of a provider: its reading's quality, and its name where a way to consensus names it, else ""."""


@dataclass(frozen=True, slots=True)
class ConfirmingProvider:
    """A provider whose speaking, fresh, breaching reading holds the condition, and its run's first reading."""

    reading: Reading
    run_first: Reading


def kind_of(condition: Condition, reading: Reading) -> Kind:
    """The kind of the provider that speaks with this reading."""
    return (reading.quality, reading.provider if reading.provider in condition.named else "")


def reached(ways: Sequence[Consensus], confirming: Mapping[Kind, int]) -> bool:
    """Whether so many holders (distinct providers) of each kind make one of the ways to consensus.

    Readings of quality fallback corroborate: without one of official or secondary quality among those that a way
    counts nothing is confirmed.
    """
    for way in ways:
        counted = 0
        released = False
        for (quality, name), count in confirming.items():
            if count and quality in way.quality and (not way.named or name in way.named):
                counted += count
                released = released or quality != "fallback"
        if released and counted >= way.providers:
            return True
    return False


def earliest_start(condition: Condition, confirming: Sequence[ConfirmingProvider]) -> int:
    """The earliest s such that the holders whose runs began by s already make the consensus."""
    begun = sorted(confirming, key=lambda provider: provider.run_first.event_time_ms)
    return _smallest_sufficient(condition, begun).run_first.event_time_ms


def supported_severity(
    condition: Condition, confirming: Sequence[ConfirmingProvider], *, larger_is_worse: bool
) -> float:
    """The most extreme value that enough of the holders reach or exceed."""
    extreme_first = sorted(confirming, key=lambda provider: provider.reading.value, reverse=larger_is_worse)
    return _smallest_sufficient(condition, extreme_first).reading.value


def _smallest_sufficient(condition: Condition, ordered: Sequence[ConfirmingProvider]) -> ConfirmingProvider:
    """The last of the shortest leading part that makes the consensus; ValueError if not even the whole does."""
    counted: Counter[Kind] = Counter()
    for provider in ordered:
        counted[kind_of(condition, provider.reading)] += 1
        if reached(condition.consensus, counted):
            return provider
    raise ValueError("these holders make no consensus")
