"""The log of trigger revisions, zone by zone, that a bucket of riders has received."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from monsoon.pipelines.operators.confirm_disruptions import SeriesRecord
from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

EventKey = tuple[str, str | None, int]
"""The key of a trigger event: the trigger's name in `JobConfig.triggers`, platform, start of the event (ms)."""


@dataclass
class DisruptionLog:
    """All revisions of every trigger event in every zone, until they expire."""

    _revisions: dict[EventKey, dict[int, list[Revision]]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, record: SeriesRecord) -> set[tuple[EventKey, int]]:
        """Adds the revisions of a series; gives the events and zones that changed."""
        changed = set()
        for revision in record.revisions:
            event = (record.trigger, record.platform, revision.event.start_ms)
            by_zone = self._revisions[event]
            for zone in record.zones:
                by_zone.setdefault(zone, []).append(revision)
                changed.add((event, zone))
        return changed

    def in_zones(self, triggers: Collection[str], zones: Collection[int]) -> set[tuple[EventKey, int]]:
        """All events of some triggers in some zones."""
        return {
            (event, zone)
            for event, by_zone in self._revisions.items()
            if event[0] in triggers
            for zone in zones
            if zone in by_zone
        }

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

    def expire(self, before_ms: int) -> None:
        """Drops events that are over and have had no revision since `before_ms`."""
        for event, by_zone in list(self._revisions.items()):
            last = [revisions[-1] for revisions in by_zone.values()]
            if all(revision.at_ms < before_ms and revision.state != "confirmed" for revision in last):
                del self._revisions[event]


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
