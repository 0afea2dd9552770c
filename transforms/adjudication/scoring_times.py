"""When claims may be scored, and waits for riders' answers may end: by then every bucket sends its panes to
`ComparePeers`, whether it has claims or not."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from monsoon.transforms.adjudication.scoring_schedule import reread_delays_ms, rescore_delays_ms
from monsoon.transforms.product import Product, Trigger
from monsoon.transforms.triggers.disruption_log import SeriesRecord


class ScoringTimes:
    """Moments (ms) at which claims of any bucket may be scored, each once."""

    def __init__(self, triggers: Mapping[str, tuple[Product, Trigger]]) -> None:
        """`triggers`: every trigger with its version, by the name that is in records of series."""
        self._triggers = triggers
        self._heap: list[int] = []
        self._scheduled: set[int] = set()
        """The elements of the heap."""

    @property
    def next_ms(self) -> int | None:
        """The next moment; None: there is none."""
        return self._heap[0] if self._heap else None

    def add(self, record: SeriesRecord, done_ms: int) -> None:
        """Claims may be scored when a disruption is confirmed or rises, and when a hold ends."""
        trigger = self._triggers[record.trigger][1]
        at_the_end = trigger.pays_by_duration or bool(trigger.supplements)
        moments_ms = (
            revision.at_ms
            for revision in record.revisions
            if revision.state != "withdrawn" and (at_the_end or revision.at_ms != revision.event.end_ms)
        )
        self.schedule(record.trigger, moments_ms, done_ms)

    def schedule(self, trigger: str, moments_ms: Iterable[int], done_ms: int) -> None:
        """Claims may be scored at these moments, and again when a hold or a wait for an answer that begins there
        ends."""
        product = self._triggers[trigger][0]
        delays_ms = sorted({0, *rescore_delays_ms(product), *reread_delays_ms(product)})
        for at_ms in {moment_ms + delay_ms for moment_ms in moments_ms for delay_ms in delays_ms}:
            if at_ms > done_ms and at_ms not in self._scheduled:
                self._scheduled.add(at_ms)
                heapq.heappush(self._heap, at_ms)

    def take_due(self, upto_ms: int) -> bool:
        """Removes the moments up to a watermark; whether there were any."""
        any_due = False
        while self._heap and self._heap[0] <= upto_ms:
            self._scheduled.discard(heapq.heappop(self._heap))
            any_due = True
        return any_due
