"""The readings of one trigger that have taken effect, by place and by identity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass

from monsoon.transforms.geo.areas import Area
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.readings import Identity, Reading

Place = tuple[str, str, Area]
"""A metric, a provider and the area that its reading covers."""

PlaceOfPlatform = tuple[str | None, Place]
"""Platform (None for readings of all platforms) and place."""

WaitingReading = tuple[int, int, Identity, Reading]
"""When a reading takes effect here (ms), its revision, its identity."""

EffectiveReading = tuple[int, int, Identity, Reading, int | None]
"""The same with the number of its place; None for a reading that this trigger does not use."""


@dataclass(slots=True)
class _Revisions:
    """Every revision of a reading that took effect."""

    effective: list[EffectiveReading]
    places: tuple[int, ...]
    newest: EffectiveReading
    """The one that is visible: the greatest revision, of equal ones the first."""


class ReadingLog:
    """What took effect, by place and by identity."""

    def __init__(self, trigger: Trigger, metrics: Set[str]) -> None:
        self._trigger, self._metrics = trigger, metrics
        self.places: list[PlaceOfPlatform] = []
        """By number."""
        self._numbers: dict[PlaceOfPlatform, int] = {}
        self._ids_at: dict[int, set[Identity]] = defaultdict(set)
        self.by_id: dict[Identity, _Revisions] = {}

    def number_of_place(self, reading: Reading) -> int | None:
        """The number of a reading's place, which is new unless it has one; None if this trigger does not use it."""
        place = _place_of(self._trigger, self._metrics, reading)
        if place is None:
            return None
        number = self._numbers.setdefault(place, len(self.places))
        if number == len(self.places):
            self.places.append(place)
        return number

    def add(self, effective: EffectiveReading) -> None:
        _, revision, identity, _, place = effective
        known = self.by_id.get(identity)
        if known is None:
            known = self.by_id[identity] = _Revisions([], (), effective)
        known.effective.append(effective)
        if revision > known.newest[1]:
            known.newest = effective
        if place is not None and place not in known.places:
            known.places += (place,)
            self._ids_at[place].add(identity)

    def at(self, places: Iterable[int]) -> list[EffectiveReading]:
        """Every revision of the readings of these places, in the order in which they took effect."""
        ids = set().union(*(self._ids_at[place] for place in places if place in self._ids_at))
        return sorted((each for name in ids for each in self.by_id[name].effective), key=lambda entry: entry[:3])


def _place_of(trigger: Trigger, metrics: Set[str], reading: Reading) -> PlaceOfPlatform | None:
    """The platform (None: any) and place of a reading for a trigger; None for one that the trigger does not use."""
    if reading.metric not in metrics:
        return None
    place = (reading.metric, reading.provider, reading.area)
    if not trigger.platform_only or not (reading.metric == trigger.metric or METRICS[reading.metric].needs_platform):
        return None, place
    return None if reading.platform is None else (reading.platform, place)
