"""How far event time has come, told from what sources give and when; for those that cannot be looked through first.

A folder is planned, its watermark exact (`pipelines.flink.file_splits`). A broker's partition is not: its records come
a little out of order, it may fall silent, and a phone's clock may be ahead. No engine and no clock of its own:
`arrived_ms` is when a record reached the broker, `now_ms` whatever clock the caller trusts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS


@dataclass(frozen=True, slots=True)
class Lateness:
    """What a source is allowed (ms): `lateness_ms` how far behind its newest record one may be and still be in time,
    `idle_after_ms` how long it may be silent before nobody waits for it, `ahead_ms` how far ahead of its arrival a
    record's time may be and be believed."""

    lateness_ms: int = 120_000
    idle_after_ms: int = 60_000
    ahead_ms: int = 60_000


@dataclass(slots=True)
class _Source:
    heard_ms: int
    """When it last gave anything, or was first waited for."""
    newest_ms: int | None = None


class Watermarks:
    """The watermark over some sources (or partitions), all waited for from `now_ms` on."""

    def __init__(self, sources: Iterable[str], now_ms: int, patience: Lateness = Lateness()) -> None:
        self._patience = patience
        self._sources = {source: _Source(now_ms) for source in sources}
        self._reached_ms = BEFORE_TIME_MS

    def saw(self, source: str, event_time_ms: int, arrived_ms: int, now_ms: int) -> None:
        """A record. One whose clock is ahead moves time on no further than its arrival allows; it waits for its own."""
        known = self._sources[source]
        believed_ms = min(event_time_ms, arrived_ms + self._patience.ahead_ms)
        known.newest_ms = believed_ms if known.newest_ms is None else max(known.newest_ms, believed_ms)
        known.heard_ms = now_ms

    def at(self, now_ms: int) -> int:
        """The watermark: nothing earlier is waited for; BEFORE_TIME_MS while nothing is known. Never goes back.

        It is the least of the sources that are not idle. Where all are, time stands still: records that a broken
        broker holds back will come.
        """
        active = [each for each in self._sources.values() if now_ms - each.heard_ms < self._patience.idle_after_ms]
        if active and all(each.newest_ms is not None for each in active):
            min_ms = min(each.newest_ms for each in active if each.newest_ms is not None)
            self._reached_ms = max(self._reached_ms, min_ms - self._patience.lateness_ms - 1)
        return self._reached_ms
