"""Watermarks for sources that cannot be read ahead, such as partitions of a broker.

A folder is scanned before it is read, so its watermark is exact (`pipelines.flink.file_splits`). Records of a broker's
partition come out of order within bounds, a partition may be idle, and a phone's clock may be ahead. This module uses
no engine and no clock: `arrived_ms` is when a record reached the broker, `now_ms` is passed by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS


@dataclass(frozen=True, slots=True)
class Lateness:
    """Bounds for a source (ms): `lateness_ms`, how far behind the newest record another may be and not be late (bounded
    out-of-orderness); `idle_after_ms`, after how long without records the source counts as idle; `ahead_ms`, how far a
    record's event time may lie ahead of its arrival and still move the watermark."""

    lateness_ms: int = 120_000
    idle_after_ms: int = 60_000
    ahead_ms: int = 60_000


@dataclass(slots=True)
class _SourceState:
    last_record_ms: int
    """When its last record came, or since when it is read."""
    newest_ms: int | None = None


class Watermarks:
    """The watermark over some sources (or partitions), all of them active from `now_ms` on."""

    def __init__(self, sources: Iterable[str], now_ms: int, bounds: Lateness = Lateness()) -> None:
        self._bounds = bounds
        self._sources = {source: _SourceState(now_ms) for source in sources}
        self._reached_ms = BEFORE_TIME_MS

    def observe(self, source: str, event_time_ms: int, arrived_ms: int, now_ms: int) -> None:
        """Observes a record. One whose clock is ahead moves the watermark only as far as its arrival allows."""
        state = self._sources[source]
        bounded_ms = min(event_time_ms, arrived_ms + self._bounds.ahead_ms)
        state.newest_ms = bounded_ms if state.newest_ms is None else max(state.newest_ms, bounded_ms)
        state.last_record_ms = now_ms

    def at(self, now_ms: int) -> int:
        """The watermark; BEFORE_TIME_MS until every active source has given a record. Never goes back.

        It is the minimum over the sources that are not idle. Where all are idle it does not advance: a broker may be
        down, and its records will come later.
        """
        active = [each for each in self._sources.values() if now_ms - each.last_record_ms < self._bounds.idle_after_ms]
        if active and all(each.newest_ms is not None for each in active):
            min_ms = min(each.newest_ms for each in active if each.newest_ms is not None)
            self._reached_ms = max(self._reached_ms, min_ms - self._bounds.lateness_ms - 1)
        return self._reached_ms
