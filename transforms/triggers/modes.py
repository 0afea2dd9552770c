"""Oracle modes: how far the readings of a metric in a zone may be trusted at a moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from monsoon.transforms.triggers.conditions import Condition
from monsoon.transforms.triggers.provider_state import ProviderState

OracleMode = Literal["fresh", "stale", "conflict", "outage"]

_OUTAGE_MS = 24 * 3_600_000


def oracle_mode(
    condition: Condition, provider_states: Iterable[ProviderState], last_observed_ms: int | None, at_ms: int
) -> OracleMode:
    """The mode of a metric in a zone at a moment, from its provider states then and the newest reading (ms, or
    None).

    conflict: fresh providers on both sides of the (mildest) threshold; stale: only readings past their ttl; outage:
    no reading in the last 24 h, one of exactly 24 h ago included.
    """
    sides = {condition.breaches[0].holds(state.last_reading.value) for state in provider_states if state.fresh}
    if sides:
        return "conflict" if len(sides) > 1 else "fresh"
    return "outage" if last_observed_ms is None or at_ms - last_observed_ms > _OUTAGE_MS else "stale"
