"""One trigger on a stream: takes readings and zones, advances with event time, emits revisions of disruptions.

Its state is the log of readings, each with the moment at which it took effect; machines are made from it. A reading
that arrives after its moment has passed takes effect at once instead, and what was published is revised.

An advance costs what is new: it compares new places with the zones, and runs the machines that observe a new reading or
have something due.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count, groupby, islice

import numpy as np

from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.product import Comparison, Trigger
from monsoon.transforms.triggers.conditions import (
    Condition,
    metrics_of,
    telemetry_condition_holds,
    with_threshold,
    zone_threshold,
)
from monsoon.transforms.triggers.history import BEFORE_TIME_MS, END_OF_TIME_MS, Observation
from monsoon.transforms.triggers.machine import Revision, TriggerMachine
from monsoon.transforms.triggers.place_order import PlaceOrder, covered_cells
from monsoon.transforms.triggers.reading_log import EffectiveReading, ReadingLog, WaitingReading
from monsoon.transforms.triggers.readings import Identity, Reading
from monsoon.transforms.triggers.series import Series, TelemetryQueries

_BEFORE_START_MS = 2 * 24 * 3_600_000
"""A disruption starts where runs of readings began, the chain of each unbroken for at most 24 h (`max_gap`)."""

Variant = tuple[Comparison | None, int | None]
"""The zone's own threshold; the zone itself, for a trigger with a telemetry condition."""

_GroupKey = tuple[int, Variant]
"""The order of the places that cover a zone (`CoveredZone.order`), and its variant."""


@dataclass(eq=False)
class _StationGroup:
    """Zones that the same places cover in the same order of distance, and their machine."""

    platform: str | None
    key: _GroupKey
    first: int
    """The zone whose distances give the machine the order: with it the machine goes where a new place divides the
    group."""
    distance_um: dict[int, int]
    """By place that covers the zones: the distance from `first`, which orders them as in each of the zones."""
    machine: TriggerMachine
    zones: set[int] = field(default_factory=set)
    published: list[Revision] = field(default_factory=list)
    due_ms: int | None = None
    """The machine's, as it was when it last ran."""

    def feed(self, readings: Iterable[EffectiveReading]) -> Iterator[Revision]:
        """What the machine publishes as these readings take effect, in this order."""
        for at_ms, moment in groupby(readings, key=lambda entry: entry[0]):
            observed = [
                Observation(reading, None if place is None else self.distance_um.get(place))
                for _, _, _, reading, place in moment
            ]
            yield from self.machine.take_effect(at_ms, observed)


@dataclass
class _Platform:
    """The zones of a platform."""

    places: PlaceOrder = field(default_factory=PlaceOrder)
    groups: dict[_GroupKey, _StationGroup] = field(default_factory=dict)
    group_of: dict[int, _StationGroup] = field(default_factory=dict)
    """By zone."""


class IncrementalTrigger:
    """Takes cells and readings in any order; `advance` returns what is published up to a moment.

    A trigger with a telemetry condition also takes the values of telemetry (`set_telemetry_value`) for the queries of a
    `TelemetryQueryTrigger`, before it advances past the moment at which they were queried.
    """

    def __init__(self, trigger: Trigger, resolution: int, alert: Condition | None = None) -> None:
        self._trigger, self._resolution, self._alert = trigger, resolution, alert
        self._metrics = metrics_of(trigger, alert)
        self._waiting: list[WaitingReading] = []
        self._known: set[int] = set()
        self._new: set[int] = set()
        """Cells of which series were emitted, and cells added since."""
        self._zones = self._zones_of(())
        """Those compared with places: all but cells added since the last `advance`."""
        self._corroborated: dict[tuple[str | None, int], set[int]] = defaultdict(set)
        """By platform and zone, the moments at which telemetry corroborates the readings."""
        self._activated: dict[str | None, set[int]] = defaultdict(set)
        """By platform, zones corroborated for the first time since the last `advance`."""
        self._forgotten_ms = BEFORE_TIME_MS
        self._serial = count()
        self._clear()

    def _clear(self) -> None:
        """Begins with no reading in effect."""
        self._log = ReadingLog(self._trigger, self._metrics)
        """What took effect."""
        self._platforms: dict[str | None, _Platform] = {}
        """Those of readings of the trigger's own metric."""
        self._groups_at: dict[int, set[_StationGroup]] = defaultdict(set)
        """By place, the groups of the zones that it covers."""
        self._ran: dict[_StationGroup, set[int]] = {}
        """Groups that the last `advance` ran or made, or gave zones, with these zones."""
        self._dues: list[tuple[int, int, _StationGroup]] = []
        """A heap of when groups are due (ms); an entry is void once `due_ms` of the group differs."""
        self._done_ms = BEFORE_TIME_MS

    @property
    def cells(self) -> list[int]:
        """All cells added, sorted."""
        return sorted(self._known | self._new)

    @property
    def readings(self) -> set[Identity]:
        """The identities of all readings that it holds."""
        return {*self._log.by_id, *(identity for _, _, identity, _ in self._waiting)}

    @property
    def next_due_ms(self) -> int | None:
        """The earliest moment at which a reading takes effect or a machine has something to do."""
        return min((heap[0][0] for heap in (self._waiting, self._dues) if heap), default=None)

    def add_cells(self, cells: Iterable[int]) -> None:
        """Adds zones in which disruptions are wanted from now on."""
        self._new |= set(cells) - self._known

    def observe(self, reading: Reading, effective_ms: int) -> None:
        """A reading that takes effect at `effective_ms`, later than the last `advance`."""
        if effective_ms < self._forgotten_ms:
            return
        heapq.heappush(self._waiting, (effective_ms, reading.revision, reading.identity, reading))

    def set_telemetry_value(self, platform: str | None, zone: int, at_ms: int, value: float) -> None:
        """The value that telemetry measured of a zone (cell) at a moment: final, and set before `advance` passes it."""
        if (
            self._trigger.telemetry_condition is None
            or at_ms < self._forgotten_ms
            or not telemetry_condition_holds(self._trigger.telemetry_condition, value)
        ):
            return
        if (platform, zone) not in self._corroborated:
            self._activated[platform].add(zone)
        self._corroborated[platform, zone].add(at_ms)

    def resume(self, done_ms: int) -> None:
        """Restores the state after `advance(done_ms)` from the readings and zones given: nothing is emitted."""
        self.advance(done_ms)

    def advance(self, upto_ms: int) -> list[Series]:
        """What is published after the last call and up to `upto_ms`; for new zones, everything published so far."""
        upto_ms = min(upto_ms, END_OF_TIME_MS)
        known_places = len(self._log.places)
        ready = list(self._take_ready(upto_ms))
        groups = self._regroup(known_places)
        observed = self._observed(ready)
        groups |= dict.fromkeys([*observed, *self._take_due(upto_ms)])
        self._ran = {}
        found = []
        for group in groups:
            revisions = self._run(group, observed.get(group, ()), upto_ms)
            new = (group.zones & self._new) | (group.zones & self._activated[group.platform])
            self._ran[group] = new
            for zones, these in ((group.zones - new if revisions else (), revisions), (new, group.published)):
                if zones and these:
                    cells = np.array(sorted(zones), dtype=np.uint64)
                    found.append(Series(self._trigger, group.platform, cells, tuple(these)))
        while self._dues and self._dues[0][0] != self._dues[0][2].due_ms:
            heapq.heappop(self._dues)
        self._known |= self._new
        self._new = set()
        self._activated.clear()
        self._done_ms = upto_ms
        return sorted(found, key=lambda each: (each.platform or "", each.zones[0]))

    def expire(self, before_ms: int) -> int:
        """Drops readings that took effect before a moment, and rebuilds the machines from the rest.

        The readings of a disruption that is still open are kept, however old; returns the moment before which readings
        were dropped.
        """
        before_ms = min([before_ms, *(start_ms - _BEFORE_START_MS for start_ms in self._open_since())])
        effective = (each for revisions in self._log.by_id.values() for each in revisions.effective)
        rest = [each[:4] for each in effective if each[0] >= before_ms]
        waiting, done_ms = self._waiting, self._done_ms
        self._clear()
        for moments in self._corroborated.values():
            moments.difference_update([at_ms for at_ms in moments if at_ms < before_ms])
        self._waiting = rest
        heapq.heapify(self._waiting)
        self._forgotten_ms = before_ms
        self.resume(done_ms)
        for each in waiting:
            heapq.heappush(self._waiting, each)
        return before_ms

    def _open_since(self) -> Iterator[int]:
        """The starts of disruptions that are confirmed and not over."""
        for group in self._all_groups():
            last = {revision.event.start_ms: revision for revision in group.published}
            yield from (start_ms for start_ms, revision in last.items() if revision.state == "confirmed")

    def _all_groups(self) -> Iterator[_StationGroup]:
        return (group for platform in self._platforms.values() for group in platform.groups.values())

    def _zones_of(self, cells: Collection[int]) -> Zones:
        return Zones.from_cells(np.array(sorted(cells), dtype=np.uint64), self._resolution)

    def _take_ready(self, upto_ms: int) -> Iterator[EffectiveReading]:
        """The readings that take effect up to a moment, in this order, with their places."""
        while self._waiting and self._waiting[0][0] <= upto_ms:
            waiting = heapq.heappop(self._waiting)
            yield (*waiting, self._log.number_of_place(waiting[3]))

    def _take_due(self, upto_ms: int) -> Iterator[_StationGroup]:
        """The groups with something to do up to a moment."""
        while self._dues and self._dues[0][0] <= upto_ms:
            due_ms, _, group = heapq.heappop(self._dues)
            if group.due_ms == due_ms:
                group.due_ms = None
                yield group

    def _regroup(self, known_places: int) -> dict[_StationGroup, None]:
        """Compares new zones with the places, and new places (of numbers from `known_places` on) with the zones.

        Returns the groups that are new or have new zones.
        """
        if not self._new and not self._activated and known_places == len(self._log.places):
            return {}
        new_zones = self._zones_of(self._new)
        if self._new:
            self._zones = self._zones.joined(new_zones)
        new_covered = cache(lambda area: covered_cells(area, new_zones))
        all_covered = cache(lambda area: covered_cells(area, self._zones))
        places = self._log.places
        own = {platform for platform, (metric, _, _) in places[known_places:] if metric == self._trigger.metric}
        added = own - self._platforms.keys()
        self._platforms |= {platform: _Platform() for platform in sorted(added, key=str)}
        groups: dict[_StationGroup, None] = {}
        for name, platform in self._platforms.items():
            covering: dict[int, list[int]] = defaultdict(list)
            for number in range(0 if self._new or name in added else known_places, len(places)):
                place_platform, place = places[number]
                if place_platform not in (None, name):
                    continue
                covered = new_covered if number < known_places and name not in added else all_covered
                for cell, distance_um in covered(place[2]):
                    platform.places.add(cell, number, place, distance_um)
                    covering[cell].append(number)
            groups |= self._assign(name, covering)
        return groups

    def _assign(self, name: str | None, covering: dict[int, list[int]]) -> dict[_StationGroup, None]:
        """Moves zones to the groups of the places that now cover them (`covering`: by zone, those that are new to it).

        Returns the groups that are new or have new zones.
        """
        platform = self._platforms[name]
        cells = set(covering) | (self._activated[name] & platform.places.zones.keys())
        for cell, numbers in covering.items():
            group = platform.group_of.get(cell)
            if group is not None and group.first == cell:
                del platform.groups[group.key]
                group.key = (platform.places.zones[cell].order, group.key[1])
                platform.groups[group.key] = group
                cells |= group.zones
                for number in numbers:
                    self._groups_at[number].add(group)
        changed: dict[_StationGroup, None] = {}
        for cell in cells:
            zone = platform.places.zones[cell]
            former = platform.group_of.get(cell)
            variant = self._variant(name, cell) if former is None else former.key[1]
            if variant is None or all(metric != self._trigger.metric for metric, _ in zone.sorted_um):
                continue
            key = (zone.order, variant)
            if former is not None:
                if former.key == key:
                    continue
                former.zones.remove(cell)
            group = platform.groups.get(key)
            if group is None:
                group = platform.groups[key] = self._group(name, key, cell)
            group.zones.add(cell)
            platform.group_of[cell] = group
            changed[group] = None
        return changed

    def _variant(self, platform: str | None, cell: int) -> Variant | None:
        """The variant of a zone: those of one variant and the same places share a machine. With a telemetry condition,
        None for a zone of which there is no value."""
        threshold = zone_threshold(self._trigger, cell)
        if self._trigger.telemetry_condition is None:
            return threshold, None
        return (threshold, cell) if (platform, cell) in self._corroborated else None

    def _group(self, platform: str | None, key: _GroupKey, first: int) -> _StationGroup:
        """A group with a machine that has observed the readings so far."""
        threshold, zone = key[1]
        corroborated = frozenset() if zone is None else self._corroborated[platform, zone]
        machine = TriggerMachine(with_threshold(self._trigger, threshold), self._alert, corroborated)
        distance_um = self._platforms[platform].places.zones[first].distance_um
        group = _StationGroup(platform, key, first, distance_um, machine)
        group.published = [*group.feed(self._log.at(distance_um)), *machine.run_until(self._done_ms)]
        for number in distance_um:
            self._groups_at[number].add(group)
        return group

    def _observed(self, ready: Sequence[EffectiveReading]) -> dict[_StationGroup, list[EffectiveReading]]:
        """Logs readings; what each group observes of them: those at its places, with every other revision of them."""
        by_id = self._log.by_id
        newest = {each[2]: by_id[each[2]].newest for each in ready if each[2] in by_id}
        for each in ready:
            self._log.add(each)
        observed: dict[_StationGroup, list[EffectiveReading]] = defaultdict(list)
        for each in ready:
            groups_at = [self._groups_at[place] for place in by_id[each[2]].places if place in self._groups_at]
            former = newest.pop(each[2], None)
            for group in set().union(*groups_at):
                if former is not None:
                    # A group that it was not near until now has not observed it, and must not follow an older one.
                    observed[group].append((each[0], *former[1:4], None))
                observed[group].append(each)
        return observed

    def _run(self, group: _StationGroup, readings: Iterable[EffectiveReading], upto_ms: int) -> list[Revision]:
        """The group's revisions after `done_ms` and up to `upto_ms`."""
        revisions = [*group.feed(readings), *group.machine.run_until(upto_ms)]
        group.published += revisions
        due_ms = group.machine.next_due_ms
        if due_ms != group.due_ms:
            group.due_ms = due_ms
            if due_ms is not None:
                heapq.heappush(self._dues, (due_ms, next(self._serial), group))
        return revisions


class TelemetryQueryTrigger(IncrementalTrigger):
    """Finds the zones and moments for which a trigger with a telemetry condition must query telemetry.

    It takes the same cells and readings as the `IncrementalTrigger` that evaluates the trigger.
    """

    def __init__(self, trigger: Trigger, resolution: int) -> None:
        super().__init__(trigger, resolution)
        self._queried: dict[tuple[str | None, int], set[int]] = defaultdict(set)
        self._examined: dict[_StationGroup, int] = {}
        """How many of a machine's moments were examined, all of them for each zone of the group then."""

    def pending_queries(self, upto_ms: int) -> list[TelemetryQueries]:
        """The queries up to a moment, under the revisions in effect by then; each moment of a zone is queried once."""
        self.advance(upto_ms)
        found = []
        for group in self._ran if self._examined else self._all_groups():
            moments_ms = group.machine.query_times_ms
            recent_ms = list(islice(reversed(moments_ms), len(moments_ms) - self._examined.get(group, 0)))
            self._examined[group] = len(moments_ms)
            new_zones = self._ran.get(group, set())
            zones: dict[tuple[int, ...], list[int]] = defaultdict(list)
            for zone in group.zones if recent_ms else new_zones:
                queried = self._queried[group.platform, zone]
                new = set(moments_ms if zone in new_zones else recent_ms) - queried
                if new:
                    queried |= new
                    zones[tuple(sorted(new))].append(zone)
            for new_ms, members in zones.items():
                cells = np.array(sorted(members), dtype=np.uint64)
                found.append(TelemetryQueries(group.platform, cells, np.array(new_ms, dtype=np.int64)))
        return sorted(found, key=lambda each: (each.platform or "", each.zones[0]))

    def resume(self, done_ms: int) -> None:
        """Restores the state after `pending_queries(done_ms)`: its queries were made."""
        self.pending_queries(done_ms)

    def expire(self, before_ms: int) -> int:
        before_ms = super().expire(before_ms)
        for moments in self._queried.values():
            moments.difference_update([at_ms for at_ms in moments if at_ms < before_ms])
        self._examined.clear()
        return before_ms

    def _variant(self, platform: str | None, cell: int) -> Variant | None:
        return zone_threshold(self._trigger, cell), None
