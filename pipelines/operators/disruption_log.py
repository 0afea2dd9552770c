"""What series have published, zone by zone, and the disruptions that concern a bucket of riders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from monsoon.pipelines.operators.confirm_disruptions import SeriesRecord
from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

Place = tuple[str, str | None, int]
"""A trigger by its name in `JobConfig.triggers`, platform, and the start of an episode (ms)."""


@dataclass
class DisruptionLog:
    """All revisions of every episode in every zone, as far as they are remembered."""

    _revisions: dict[Place, dict[int, list[Revision]]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, record: SeriesRecord) -> set[tuple[Place, int]]:
        """What a series newly says; gives the episodes and zones of which it does."""
        touched = set()
        for revision in record.revisions:
            place = (record.trigger, record.platform, revision.event.start_ms)
            by_zone = self._revisions[place]
            for zone in record.zones:
                by_zone.setdefault(zone, []).append(revision)
                touched.add((place, zone))
        return touched

    def of(self, triggers: Collection[str], zones: Collection[int]) -> set[tuple[Place, int]]:
        """All episodes of some triggers in some zones."""
        return {
            (place, zone)
            for place, by_zone in self._revisions.items()
            if place[0] in triggers
            for zone in zones
            if zone in by_zone
        }

    def series(self, touched: Iterable[tuple[Place, int]], triggers: Mapping[str, Trigger]) -> Iterator[Series]:
        """Each episode's whole history, zones that have the same together."""
        groups: dict[tuple[Place, tuple[int, ...]], list[int]] = defaultdict(list)
        for place, zone in touched:
            groups[place, tuple(map(id, self._revisions[place][zone]))].append(zone)
        for (place, _), zones in groups.items():
            zones.sort()
            revisions = tuple(self._revisions[place][zones[0]])
            yield Series(triggers[place[0]], place[1], np.array(zones, dtype=np.uint64), revisions)

    def is_open(self, place: Place, zone: int) -> bool:
        """Whether an episode had not ended when it was spoken of last."""
        revisions = self._revisions.get(place, {}).get(zone)
        return revisions is not None and revisions[-1].state == "confirmed"

    def knows(self, place: Place) -> bool:
        """Whether anything is remembered of episodes of that place."""
        return place in self._revisions

    def expire(self, before_ms: int) -> None:
        """Drops episodes that are over, and of which nothing was said since."""
        for place, by_zone in list(self._revisions.items()):
            last = [revisions[-1] for revisions in by_zone.values()]
            if all(revision.at_ms < before_ms and revision.state != "confirmed" for revision in last):
                del self._revisions[place]


def places_of(record: SeriesRecord) -> set[Place]:
    """The episodes of which a series speaks."""
    return {(record.trigger, record.platform, revision.event.start_ms) for revision in record.revisions}


def confirmed_after(series: Iterable[Series], after_ms: int) -> set[int]:
    """Confirmations (ms) that were first told of after a moment."""
    found = set()
    for each in series:
        told_ms: dict[int, int] = {}
        for revision in each.revisions:
            told_ms.setdefault(revision.event.confirmed_at_ms, revision.at_ms)
        found |= {confirmed_at_ms for confirmed_at_ms, at_ms in told_ms.items() if at_ms > after_ms}
    return found
