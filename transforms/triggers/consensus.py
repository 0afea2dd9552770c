"""Consensus of providers: whether those that hold a condition suffice, since when, and at which severity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monsoon.transforms.product import Consensus
from monsoon.transforms.triggers.conditions import Condition
from monsoon.transforms.triggers.readings import Reading

ProviderKind = tuple[str, str]
"""What matters of a provider: its reading's quality, and its name where a way to consensus names it, else ""."""


@dataclass(frozen=True, slots=True)
class ConfirmingProvider:
    """A provider that holds the condition: its speaking reading, fresh and breaching, and its run's first reading."""

    reading: Reading
    run_first: Reading


def provider_kind(condition: Condition, reading: Reading) -> ProviderKind:
    """The kind of the provider of this reading."""
    return (reading.quality, reading.provider if reading.provider in condition.named else "")


def consensus_reached(ways: Sequence[Consensus], confirming: Mapping[ProviderKind, int]) -> bool:
    """Whether so many confirming providers of each kind satisfy one of the ways to consensus.

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
    """The earliest s such that the confirming providers whose runs began by s already make the consensus."""
    begun = sorted(confirming, key=lambda provider: provider.run_first.event_time_ms)
    return _smallest_sufficient(condition, begun).run_first.event_time_ms


def supported_severity(
    condition: Condition, confirming: Sequence[ConfirmingProvider], *, larger_is_worse: bool
) -> float:
    """The most extreme value that enough of the confirming providers reach or exceed."""
    extreme_first = sorted(confirming, key=lambda provider: provider.reading.value, reverse=larger_is_worse)
    return _smallest_sufficient(condition, extreme_first).reading.value


def _smallest_sufficient(condition: Condition, ordered: Sequence[ConfirmingProvider]) -> ConfirmingProvider:
    """The last of the shortest leading part that makes the consensus; ValueError if not even the whole does."""
    counted: Counter[ProviderKind] = Counter()
    for provider in ordered:
        counted[provider_kind(condition, provider.reading)] += 1
        if consensus_reached(condition.consensus, counted):
            return provider
    raise ValueError("these providers make no consensus")
