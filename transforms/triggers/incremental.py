"""One trigger on a stream: takes readings and zones, advances with event time, emits revisions of disruptions.

Its state is the log of readings, each with the moment at which it took effect; machines are made from it. A reading
that arrives after its moment has passed takes effect at once instead, and what was published is revised.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.product import Comparison, Trigger
from monsoon.transforms.triggers import series
from monsoon.transforms.triggers.conditions import (
    Condition,
    metrics_of,
    telemetry_condition_holds,
    with_threshold,
    zone_threshold,
)
from monsoon.transforms.triggers.history import BEFORE_TIME_MS, END_OF_TIME_MS, Observation
from monsoon.transforms.triggers.machine import Revision, TriggerMachine
from monsoon.transforms.triggers.readings import Identity, Reading
from monsoon.transforms.triggers.series import Series, TelemetryQueries

_BEFORE_START_MS = 2 * 24 * 3_600_000
"""A disruption starts where runs of readings began, the chain of each unbroken for at most 24 h (`max_gap`)."""

DistanceRanks = frozenset[tuple[series.Place, int]]
"""The places whose readings cover a zone, each with its distance rank."""

Variant = tuple[Comparison | None, int | None]
"""The zone's own threshold; the zone itself, for a trigger with a telemetry condition."""

_GroupKey = tuple[DistanceRanks, Variant]

EffectiveReading = tuple[int, int, Identity, Reading]
"""When a reading takes effect here (ms), its revision, its identity."""

Place = tuple[str | None, series.Place]
"""Platform (None for readings of all platforms) and place: metric, provider and area."""


class _ReadingLog:
    """Readings by place, and by identity with every revision."""

    def __init__(self, trigger: Trigger, metrics: Set[str]) -> None:
        self._trigger, self._metrics = trigger, metrics
        self.places: dict[Place, set[Identity]] = defaultdict(set)
        self.by_id: dict[Identity, list[EffectiveReading]] = defaultdict(list)

    def add(self, effective: EffectiveReading) -> None:
        place = self.place(effective[3])
        if place is not None:
            self.places[place].add(effective[2])
        self.by_id[effective[2]].append(effective)

    def place(self, reading: Reading) -> Place | None:
        """The place of a reading; None for one that this trigger does not use."""
        return series.place_of(self._trigger, self._metrics, reading)

    def ids_at(self, places: Iterable[Place]) -> set[Identity]:
        """Identities of the readings of these places."""
        return set().union(*(self.places[place] for place in places if place in self.places))

    def of(self, ids: Collection[Identity]) -> list[EffectiveReading]:
        """Every revision of these readings, in the order in which they took effect."""
        known = ids if len(ids) < len(self.by_id) else [name for name in self.by_id if name in ids]
        return sorted(
            (effective for name in known for effective in self.by_id.get(name, ())), key=lambda entry: entry[:3]
        )


@dataclass
class _StationGroup:
    """Zones that the same stations cover in the same order of distance, and their machine."""

    rank_of: dict[Place, int]
    make: Callable[[], TriggerMachine]
    machine: TriggerMachine = field(init=False)
    zones: list[int] = field(default_factory=list)
    concerned: set[Identity] = field(default_factory=set)
    """Identities of the readings that the machine has observed."""
    published: list[Revision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine = self.make()


class IncrementalTrigger:
    """Takes cells and readings in any order; `advance` returns what is published up to a moment.

    A trigger with a telemetry condition also takes the values of telemetry (`set_telemetry_value`) for the queries of a
    `TelemetryQueryTrigger`, before it advances past the moment at which they were queried.
    """

    def __init__(self, trigger: Trigger, resolution: int, alert: Condition | None = None) -> None:
        self._trigger, self._resolution, self._alert = trigger, resolution, alert
        self._metrics = metrics_of(trigger, alert)
        self._waiting: list[EffectiveReading] = []
        self._log = _ReadingLog(trigger, self._metrics)
        """What took effect."""
        self._known: set[int] = set()
        self._new: set[int] = set()
        """Cells of which series were emitted, and cells added since."""
        self._corroborated: dict[tuple[str | None, int], set[int]] = defaultdict(set)
        """By platform and zone, the moments at which telemetry corroborates the readings."""
        self._activated: set[tuple[str | None, int]] = set()
        """Platforms and zones corroborated for the first time since the last `advance`."""
        self._groups: dict[str | None, dict[_GroupKey, _StationGroup]] = defaultdict(dict)
        self._done_ms = BEFORE_TIME_MS
        self._forgotten_ms = BEFORE_TIME_MS

    @property
    def cells(self) -> list[int]:
        """All cells added, sorted."""
        return sorted(self._known | self._new)

    @property
    def next_due_ms(self) -> int | None:
        """The earliest moment at which a reading takes effect or a machine has something to do."""
        dues = [self._waiting[0][0]] if self._waiting else []
        for group in self._all_groups():
            due_ms = group.machine.next_due_ms
            if due_ms is not None:
                dues.append(due_ms)
        return min(dues, default=None)

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
            self._activated.add((platform, zone))
        self._corroborated[platform, zone].add(at_ms)

    def resume(self, done_ms: int) -> None:
        """Restores the state after `advance(done_ms)` from the readings and zones given: nothing is emitted."""
        for _ in self.advance(done_ms):
            pass

    def advance(self, upto_ms: int) -> list[Series]:
        """What is published after the last call and up to `upto_ms`; for new zones, everything published so far."""
        upto_ms = min(upto_ms, END_OF_TIME_MS)
        ready = _ReadingLog(self._trigger, self._metrics)
        while self._waiting and self._waiting[0][0] <= upto_ms:
            ready.add(heapq.heappop(self._waiting))
        self._regroup(ready)
        emitted = [
            (platform, group, self._run(group, ready, upto_ms))
            for platform, groups in self._groups.items()
            for group in groups.values()
        ]
        for entries in ready.by_id.values():
            for effective in entries:
                self._log.add(effective)
        found = []
        for platform, group, revisions in emitted:
            new = [zone for zone in group.zones if zone not in self._known or (platform, zone) in self._activated]
            known = sorted(set(group.zones).difference(new))
            for zones, these in ((known, revisions), (new, group.published)):
                if zones and these:
                    cells = np.array(sorted(zones), dtype=np.uint64)
                    found.append(Series(self._trigger, platform, cells, tuple(these)))
        self._known |= self._new
        self._new = set()
        self._activated = set()
        self._done_ms = upto_ms
        return found

    def expire(self, before_ms: int) -> int:
        """Drops readings that took effect before a moment, and rebuilds the machines from the rest.

        The readings of a disruption that is still open are kept, however old; returns the moment before which readings
        were dropped.
        """
        before_ms = min([before_ms, *(start_ms - _BEFORE_START_MS for start_ms in self._open_since())])
        rest = [
            effective for revisions in self._log.by_id.values() for effective in revisions if effective[0] >= before_ms
        ]
        waiting, done_ms = self._waiting, self._done_ms
        self._log, self._groups = _ReadingLog(self._trigger, self._metrics), defaultdict(dict)
        self._done_ms = BEFORE_TIME_MS
        for moments in self._corroborated.values():
            moments.difference_update([at_ms for at_ms in moments if at_ms < before_ms])
        self._waiting = rest
        heapq.heapify(self._waiting)
        self._forgotten_ms = before_ms
        self.resume(done_ms)
        for effective in waiting:
            heapq.heappush(self._waiting, effective)
        return before_ms

    def _open_since(self) -> Iterator[int]:
        """The starts of disruptions that are confirmed and not over."""
        for group in self._all_groups():
            last = {revision.event.start_ms: revision for revision in group.published}
            yield from (start_ms for start_ms, revision in last.items() if revision.state == "confirmed")

    def _all_groups(self) -> Iterator[_StationGroup]:
        return (group for groups in self._groups.values() for group in groups.values())

    def _regroup(self, ready: _ReadingLog) -> None:
        """Assigns zones to groups once there are new places or new zones."""
        grown = {place[0] for place in ready.places if place not in self._log.places}
        everywhere = None in grown
        for platform in self._platforms(ready):
            anew = everywhere or platform in grown
            activated = {zone for of, zone in self._activated if of == platform}
            cells = self._known | self._new if anew else self._new | (activated & self._known)
            if cells:
                speaking = {place for log in (self._log, ready) for place in log.places if place[0] in (None, platform)}
                self._place(platform, speaking, cells, anew=anew)

    def _platforms(self, ready: _ReadingLog) -> list[str | None]:
        """The platforms of readings of the trigger's own metric."""
        own = {place[0] for log in (self._log, ready) for place in log.places if place[1][0] == self._trigger.metric}
        return sorted(own, key=str)

    def _place(self, platform: str | None, speaking: set[Place], cells: set[int], *, anew: bool) -> None:
        zones = Zones.from_cells(np.array(sorted(cells), dtype=np.uint64), self._resolution)
        groups = self._groups[platform]
        if anew:
            for group in groups.values():
                group.zones.clear()
        places = list(speaking)
        for ranks, indices in series.group_zones([place for _, place in places], zones):
            rank_of = {places[station]: rank for station, rank in ranks}
            if all(metric != self._trigger.metric for _, (metric, _, _) in rank_of):
                continue
            distance_rank = frozenset((place, rank) for (_, place), rank in rank_of.items())
            for variant, members in self._variants(platform, zones.cells[indices].tolist()).items():
                if (distance_rank, variant) not in groups:
                    groups[distance_rank, variant] = self._group(platform, rank_of, variant)
                groups[distance_rank, variant].zones.extend(members)
        self._groups[platform] = {key: group for key, group in groups.items() if group.zones}

    def _variants(self, platform: str | None, cells: Iterable[int]) -> dict[Variant, list[int]]:
        """Zones by threshold and telemetry: those of one variant and the same stations share a machine. With a
        telemetry condition, without zones of which there is no value."""
        found: dict[Variant, list[int]] = defaultdict(list)
        for cell in cells:
            threshold = zone_threshold(self._trigger, cell)
            if self._trigger.telemetry_condition is None:
                found[threshold, None].append(cell)
            elif (platform, cell) in self._corroborated:
                found[threshold, cell].append(cell)
        return found

    def _group(self, platform: str | None, rank_of: dict[Place, int], variant: Variant) -> _StationGroup:
        """A group with a machine that has observed the readings so far."""
        threshold, zone = variant
        corroborated = frozenset() if zone is None else self._corroborated[platform, zone]
        trigger = with_threshold(self._trigger, threshold)
        group = _StationGroup(rank_of, lambda: TriggerMachine(trigger, self._alert, corroborated))
        group.concerned = self._log.ids_at(group.rank_of)
        group.published = self._catch_up(group)
        return group

    def _catch_up(self, group: _StationGroup) -> list[Revision]:
        published = list(self._feed(group, self._log.of(group.concerned)))
        return published + group.machine.run_until(self._done_ms)

    def _run(self, group: _StationGroup, ready: _ReadingLog, upto_ms: int) -> list[Revision]:
        """The group's revisions after `done_ms` and up to `upto_ms`."""
        joining = ready.ids_at(group.rank_of) - group.concerned
        group.concerned |= joining
        if not joining.isdisjoint(self._log.by_id):
            # Another revision of it was observed at another place: the machine must observe that one too.
            group.machine = group.make()
            self._catch_up(group)
        revisions = list(self._feed(group, ready.of(group.concerned)))
        revisions += group.machine.run_until(upto_ms)
        group.published += revisions
        return revisions

    def _feed(self, group: _StationGroup, effective: Iterable[EffectiveReading]) -> Iterator[Revision]:
        for at_ms, moment in groupby(effective, key=lambda entry: entry[0]):
            yield from group.machine.take_effect(at_ms, [self._observed(group, reading) for _, _, _, reading in moment])

    def _observed(self, group: _StationGroup, reading: Reading) -> Observation:
        place = self._log.place(reading)
        return Observation(reading, None if place is None else group.rank_of.get(place))


class TelemetryQueryTrigger(IncrementalTrigger):
    """Finds the zones and moments for which a trigger with a telemetry condition must query telemetry.

    It takes the same cells and readings as the `IncrementalTrigger` that evaluates the trigger.
    """

    def __init__(self, trigger: Trigger, resolution: int) -> None:
        super().__init__(trigger, resolution)
        self._queried: dict[tuple[str | None, int], set[int]] = defaultdict(set)

    def pending_queries(self, upto_ms: int) -> list[TelemetryQueries]:
        """The queries up to a moment, under the revisions in effect by then; each moment of a zone is queried once."""
        self.advance(upto_ms)
        found = []
        for platform, groups in self._groups.items():
            for group in groups.values():
                zones: dict[tuple[int, ...], list[int]] = defaultdict(list)
                for zone in group.zones:
                    new = group.machine.query_times_ms - self._queried[platform, zone]
                    if new:
                        self._queried[platform, zone] |= new
                        zones[tuple(sorted(new))].append(zone)
                for moments_ms, members in zones.items():
                    cells = np.array(sorted(members), dtype=np.uint64)
                    found.append(TelemetryQueries(platform, cells, np.array(moments_ms, dtype=np.int64)))
        return found

    def resume(self, done_ms: int) -> None:
        """Restores the state after `pending_queries(done_ms)`: its queries were made."""
        self.pending_queries(done_ms)

    def expire(self, before_ms: int) -> int:
        before_ms = super().expire(before_ms)
        for moments in self._queried.values():
            moments.difference_update([at_ms for at_ms in moments if at_ms < before_ms])
        return before_ms

    def _variants(self, platform: str | None, cells: Iterable[int]) -> dict[Variant, list[int]]:
        found: dict[Variant, list[int]] = defaultdict(list)
        for cell in cells:
            found[zone_threshold(self._trigger, cell), None].append(cell)
        return found
