"""Public alerts: unbroken stretches in which some provider's flag holds for a zone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alert:
    """An unbroken public alert for a zone, as it stood at a confirmation: the last one that began by then."""

    first_issued_ms: int
    """When its first reading was issued."""
    ended_ms: int | None
    """When it had ceased to hold; None where it still held."""
