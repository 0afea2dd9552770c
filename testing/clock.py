"""The time of a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from monsoon.transforms.calendar import KOLKATA_OFFSET_MS
from monsoon.transforms.product import duration_ms


class Clock:
    """Event time, in milliseconds since the epoch, which advances only when the test does so.

    >>> clock = Clock("2024-06-28 12:00")
    >>> clock.advance("1 h 30 min").local()
    '2024-06-28 13:30'
    >>> [clock.local() for _ in clock.every("5 min", times=3)]
    ['2024-06-28 13:30', '2024-06-28 13:35', '2024-06-28 13:40']
    >>> clock.local()
    '2024-06-28 13:45'
    """

    def __init__(self, start: str = "2024-06-28 12:00") -> None:
        """`start` is local, in Asia/Kolkata: `YYYY-MM-DD HH:MM`. Raises ValueError for anything else."""
        moment = datetime.strptime(start, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        self.now_ms = round(moment.timestamp() * 1000) - KOLKATA_OFFSET_MS

    def advance(self, duration: str) -> Clock:
        """Goes on by a duration as product files write them: `15 min`, `2 h`; several add up. Raises ValueError."""
        self.now_ms += span_ms(duration)
        return self

    def every(self, duration: str, times: int) -> Iterator[int]:
        """So many moments (ms), a duration apart from now on; after the last it has gone on by one more."""
        for _ in range(times):
            yield self.now_ms
            self.advance(duration)

    def local(self) -> str:
        """The time in Asia/Kolkata, to the minute."""
        return f"{datetime.fromtimestamp((self.now_ms + KOLKATA_OFFSET_MS) // 1000, tz=UTC):%Y-%m-%d %H:%M}"


def span_ms(text: str) -> int:
    """`1 h 30 min` in milliseconds. Raises ValueError."""
    words = text.split()
    if len(words) % 2:
        return duration_ms(text)
    return sum(duration_ms(" ".join(words[at : at + 2])) for at in range(0, len(words), 2))
