"""Public alerts: unbroken stretches in which some provider's flag holds for a zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alert:
    """An unbroken public alert for a zone, as it stood at a confirmation: the last one that began by then."""

    first_issued_ms: int
    """When its first reading was issued."""
    ended_ms: int | None
    """When it had ceased to hold; None where it still held."""
    earlier: tuple[Alert, ...] = ()
    """Those before it that had ended so short a time before it began that a rule may still look at them (none of which
    has `earlier` ones of its own), in the order of time."""

    def followed_by(self, first_issued_ms: int, began_ms: int, remembered_ms: int) -> Alert:
        """The next alert, which knows of those that ended less than `remembered_ms` before it began."""
        known = tuple(
            Alert(each.first_issued_ms, each.ended_ms)
            for each in self.all()
            if each.ended_ms is not None and began_ms - each.ended_ms < remembered_ms
        )
        return Alert(first_issued_ms, None, known)

    def all(self) -> Iterator[Alert]:
        """Those that it knows of, and itself, in the order of time."""
        yield from self.earlier
        yield self

    @staticmethod
    def from_saved(saved: Mapping[str, Any] | None) -> Alert | None:
        """What `dataclasses.asdict` made of one; None of None."""
        if saved is None:
            return None
        return Alert(**{**saved, "earlier": tuple(Alert(**each) for each in saved.get("earlier", ()))})
