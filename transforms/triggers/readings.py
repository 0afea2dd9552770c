"""An oracle reading, its identity, and the order in which revisions of readings take effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monsoon.transforms.geo.areas import Area, area_of

Identity = tuple[str, str]
"""(reading_id, provider) of a reading, whatever its revision: an id is its provider's own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A validated oracle reading. Times in milliseconds since the epoch."""

    reading_id: str
    revision: int
    provider: str
    quality: str
    metric: str
    value: float
    event_time_ms: int
    issued_time_ms: int
    """When it was published; its event time where that is not stated."""
    platform: str | None
    area: Area

    @property
    def identity(self) -> Identity:
        """What its revisions share."""
        return (self.reading_id, self.provider)

    @property
    def effective_ms(self) -> int:
        """Revision 0 takes effect at its event time, whenever it arrives; a correction when it is issued."""
        return self.event_time_ms if self.revision == 0 else self.issued_time_ms

    @property
    def precedence(self) -> tuple[int, int, str]:
        """Of readings of one place, the greatest by this speaks."""
        return (self.event_time_ms, self.issued_time_ms, self.reading_id)


def reading_from_record(record: Mapping[str, Any]) -> Reading:
    """A reading from a validated record of the contract (all optional fields present, perhaps None)."""
    issued = record.get("issued_time")
    event_time = record["event_time"]
    return Reading(
        reading_id=record["reading_id"],
        revision=record.get("revision") or 0,
        provider=record["provider"],
        quality=record["quality"],
        metric=record["metric"],
        value=float(record["value"]),
        event_time_ms=event_time,
        issued_time_ms=event_time if issued is None else issued,
        platform=record.get("platform"),
        area=area_of(record),
    )
