"""Public alerts: unbroken stretches in which some provider's flag holds for a zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alert:
    """An unbroken public alert for a zone, as it stood at a confirmation: the last one that began by then."""

    first_issued_ms: int
    """When its first reading was issued."""
    ended_ms: int | None
    """When it had ceased to hold; None where it still held."""
    earlier: tuple[Alert, ...] = ()
    """Alerts that had ended so shortly before it began that a rule may still use them (without `earlier` ones of their
    own), in the order of time."""

    def followed_by(self, first_issued_ms: int, began_ms: int, retention_ms: int) -> Alert:
        """The next alert; it keeps those that ended less than `retention_ms` before it began."""
        known = tuple(
            Alert(each.first_issued_ms, each.ended_ms)
            for each in self.all()
            if each.ended_ms is not None and began_ms - each.ended_ms < retention_ms
        )
        return Alert(first_issued_ms, None, known)

    def all(self) -> Iterator[Alert]:
        """The alerts that it keeps, and itself, in the order of time."""
        yield from self.earlier
        yield self
