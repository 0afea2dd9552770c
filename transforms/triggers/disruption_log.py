"""The log of trigger revisions, zone by zone, as they are published to riders."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

EventKey = tuple[str, str | None, int]
"""The key of a trigger event: the trigger's name, unique among all products and versions; platform, start of the event
(ms)."""


@dataclass(frozen=True)
class SeriesRecord:
    """The revisions of a trigger that some zones have in common; the trigger by its name (`EventKey`).

    Revisions up to `told_ms` were sent before: they are history for zones that are new.
    """

    trigger: str
    platform: str | None
    zones: list[int]
    revisions: list[Revision]
    told_ms: int

    def not_before(self, done_ms: int) -> SeriesRecord:
        """The same for an operator that worked up to `done_ms`: new revisions take effect after that.

        After a restore a late reading may come before the first watermark, and take effect at a moment that later
        operators have processed already.
        """
        if all(revision.at_ms > done_ms or revision.at_ms <= self.told_ms for revision in self.revisions):
            return self
        revisions = [
            replace(each, at_ms=max(each.at_ms, done_ms + 1)) if each.at_ms > self.told_ms else each
            for each in self.revisions
        ]
        return replace(self, revisions=revisions)


@dataclass
class DisruptionLog:
    """All revisions of every trigger event in every zone, until they expire."""

    _revisions: dict[EventKey, dict[int, list[Revision]]] = field(default_factory=lambda: defaultdict(dict))
    _events: dict[int, set[EventKey]] = field(default_factory=lambda: defaultdict(set))
    """By zone."""
    _revised: list[tuple[int, int, EventKey]] = field(default_factory=list)
    """A heap of when events were revised (ms), each with a number of its own."""
    _numbers: Iterator[int] = field(default_factory=count)

    def add(self, record: SeriesRecord) -> set[tuple[EventKey, int]]:
        """Adds the revisions of a series; gives the events and zones that changed."""
        changed = set()
        for revision in record.revisions:
            event = (record.trigger, record.platform, revision.event.start_ms)
            by_zone = self._revisions[event]
            heapq.heappush(self._revised, (revision.at_ms, next(self._numbers), event))
            for zone in record.zones:
                by_zone.setdefault(zone, []).append(revision)
                self._events[zone].add(event)
                changed.add((event, zone))
        return changed

    def in_zones(self, triggers: Collection[str], zones: Collection[int]) -> set[tuple[EventKey, int]]:
        """All events of some triggers in some zones."""
        return {(event, zone) for zone in zones for event in self._events.get(zone, ()) if event[0] in triggers}

    def series(self, changed: Iterable[tuple[EventKey, int]], triggers: Mapping[str, Trigger]) -> Iterator[Series]:
        """All revisions of each event; zones with the same revisions share one series."""
        groups: dict[tuple[EventKey, tuple[Revision, ...]], list[int]] = defaultdict(list)
        for event, zone in changed:
            groups[event, tuple(self._revisions[event][zone])].append(zone)
        for (event, revisions), zones in groups.items():
            yield Series(triggers[event[0]], event[1], np.array(sorted(zones), dtype=np.uint64), revisions)

    def is_open(self, event: EventKey, zone: int) -> bool:
        """Whether an event is confirmed and not ended by its last revision."""
        revisions = self._revisions.get(event, {}).get(zone)
        return revisions is not None and revisions[-1].state == "confirmed"

    def has_event(self, event: EventKey) -> bool:
        """Whether there are revisions of this event."""
        return event in self._revisions

    def expire(self, before_ms: int) -> bool:
        """Drops events that are over and have had no revision since `before_ms`; gives whether there were any."""
        expired = False
        while self._revised and self._revised[0][0] < before_ms:
            *_, event = heapq.heappop(self._revised)
            last = [revisions[-1] for revisions in self._revisions.get(event, {}).values()]
            if last and all(each.at_ms < before_ms and each.state != "confirmed" for each in last):
                self._drop(event)
                expired = True
        return expired

    def _drop(self, event: EventKey) -> None:
        for zone in self._revisions.pop(event):
            self._events[zone].discard(event)
            if not self._events[zone]:
                del self._events[zone]


def event_keys_of(record: SeriesRecord) -> set[EventKey]:
    """The events of a series' revisions."""
    return {(record.trigger, record.platform, revision.event.start_ms) for revision in record.revisions}


def confirmed_after(series: Iterable[Series], after_ms: int) -> set[int]:
    """The confirmations (ms) that were first published after a moment."""
    confirmations = set()
    for each in series:
        first_ms: dict[int, int] = {}
        for revision in each.revisions:
            first_ms.setdefault(revision.event.confirmed_at_ms, revision.at_ms)
        confirmations |= {confirmed_at_ms for confirmed_at_ms, at_ms in first_ms.items() if at_ms > after_ms}
    return confirmations
