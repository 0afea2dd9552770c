"""Oracle modes: how far what is known of a metric in a zone may be trusted at a moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from monsoon.transforms.triggers.conditions import Condition
from monsoon.transforms.triggers.voices import Voice

OracleMode = Literal["fresh", "stale", "conflict", "outage"]

_OUTAGE_MS = 24 * 3_600_000


def oracle_mode(condition: Condition, voices: Iterable[Voice], last_heard_ms: int | None, at_ms: int) -> OracleMode:
    """The mode of a metric in a zone at a moment, from its voices then and the newest reading heard (ms, or None).

    conflict: fresh providers on both sides of the (mildest) threshold; stale: only readings past their ttl; outage:
    no reading in the last 24 h, one of exactly 24 h ago included.
    """
    sides = {condition.breaches[0].holds(voice.last_spoken.value) for voice in voices if voice.fresh}
    if sides:
        return "conflict" if len(sides) > 1 else "fresh"
    return "outage" if last_heard_ms is None or at_ms - last_heard_ms > _OUTAGE_MS else "stale"
