"""Zones that hear the same stations in the same order of nearness share one series, which is judged once.

In a city of thousands of zones there are a few dozen series; a machine runs for each, and its episodes are stamped
with each zone's name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.areas import Area, Zones
from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.history import Heard
from monsoon.transforms.triggers.machine import Revision, TriggerMachine
from monsoon.transforms.triggers.readings import Reading, in_effect_order

Indices = npt.NDArray[np.int64]
Place = tuple[str, Area]
"""A provider and the area of which it speaks."""


@dataclass(frozen=True)
class Series:
    """A trigger and platform in the zones (uint64 cells) that hear the same."""

    trigger: Trigger
    platform: str | None
    zones: npt.NDArray[np.uint64]
    revisions: tuple[Revision, ...]


def judge_trigger(trigger: Trigger, readings: Sequence[Reading], zones: Zones) -> list[Series]:
    """Every series of one trigger with all that it publishes, over a bounded set of readings.

    Series that never confirm anything are left out.
    """
    mine = [reading for reading in readings if reading.metric == trigger.metric]
    ids = {reading.reading_id for reading in mine}
    revisions = in_effect_order(reading for reading in readings if reading.reading_id in ids)
    platforms = sorted({reading.platform or "" for reading in mine}) if trigger.platform_only else [None]
    found = []
    for platform in platforms:
        stations = _Stations(trigger.metric, platform, revisions)
        for ranks, indices in group_zones(stations.places, zones):
            published = _judge(trigger, stations.heard(ranks))
            if published:
                found.append(Series(trigger, platform, np.sort(zones.cells[indices]), tuple(published)))
    return found


class _Stations:
    """The places from which each provider speaks of a metric (and platform), with the readings from each.

    A station is a (provider, area), by its index; a reading its index in `revisions`, which are in effect order.
    """

    def __init__(self, metric: str, platform: str | None, revisions: Sequence[Reading]) -> None:
        self._revisions = revisions
        self.places: list[Place] = []
        """By station."""
        self._spoken: list[list[int]] = []
        """By station, its readings."""
        self._others: dict[str, list[int]] = defaultdict(list)
        """By reading_id, every revision, wherever it moved the reading."""
        known: dict[Place, int] = {}
        for index, reading in enumerate(revisions):
            self._others[reading.reading_id].append(index)
            if reading.metric != metric or platform not in (None, reading.platform):
                continue
            station = known.setdefault((reading.provider, reading.area), len(known))
            if station == len(self._spoken):
                self.places.append((reading.provider, reading.area))
                self._spoken.append([])
            self._spoken[station].append(index)
        self._corrected = {index for found in self._others.values() if len(found) > 1 for index in found}

    def heard(self, ranks: Sequence[tuple[int, int]]) -> Iterator[Heard]:
        """All that is heard from stations of these (index, rank), with every other revision, in effect order."""
        nearness: dict[int, int | None] = {}
        for station, rank in ranks:
            nearness.update(dict.fromkeys(self._spoken[station], rank))
        for index in self._corrected.intersection(nearness):
            for other in self._others[self._revisions[index].reading_id]:
                nearness.setdefault(other)
        for index in sorted(nearness):
            yield Heard(self._revisions[index], nearness[index])


def group_zones(places: Sequence[Place], zones: Zones) -> list[tuple[list[tuple[int, int]], Indices]]:
    """Zones (as indices) that hear the same places (as indices) with the same ranks; zones that hear nothing are left
    out.

    A place's rank says how near it is among its provider's, 0 being the nearest.
    """
    if not places:
        return []
    stations_of: dict[Area, list[int]] = defaultdict(list)
    for station, (_, area) in enumerate(places):
        stations_of[area].append(station)
    code_of = {provider: code for code, provider in enumerate(sorted({provider for provider, _ in places}))}
    parts = []
    for area, at_area in stations_of.items():
        covered = zones.covered_by(area)
        distance_um = np.rint(zones.distance_m(area, covered) * 1e6).astype(np.int64)
        for station in at_area:
            station_and_provider = np.full((2, len(covered)), [[station], [code_of[places[station][0]]]])
            parts.append(np.vstack((covered, distance_um, station_and_provider)))
    zone, distance_um, station, provider = np.concatenate(parts, axis=1)
    if not len(zone):
        return []
    order = np.lexsort((station, distance_um, provider, zone))
    zone, distance_um, station, provider = (column[order] for column in (zone, distance_um, station, provider))
    heard = np.column_stack((station, _ranks(zone, provider, distance_um)))
    starts = np.flatnonzero(np.diff(zone, prepend=-1))
    alike: dict[bytes, list[int]] = defaultdict(list)
    for index, entry in enumerate(np.split(heard, starts[1:])):
        alike[entry.tobytes()].append(index)
    entries = (np.frombuffer(content, dtype=heard.dtype).reshape(-1, 2).tolist() for content in alike)
    return [(entry, zone[starts[indices]]) for entry, indices in zip(entries, alike.values(), strict=True)]


def _ranks(zone: Indices, provider: Indices, distance_um: Indices) -> Indices:
    """The rank of each place among its provider's in the zone, from rows sorted by these three.

    Places equally near (to the micrometer: the noise of arithmetic) are one.
    """
    first = np.ones(len(zone), dtype=bool)
    first[1:] = (zone[1:] != zone[:-1]) | (provider[1:] != provider[:-1])
    farther = np.ones(len(zone), dtype=bool)
    farther[1:] = first[1:] | (distance_um[1:] != distance_um[:-1])
    place = np.cumsum(farther) - 1
    return place - place[np.maximum.accumulate(np.where(first, np.arange(len(zone)), 0))]


def _judge(trigger: Trigger, heard: Iterator[Heard]) -> list[Revision]:
    machine = TriggerMachine(trigger)
    published: list[Revision] = []
    for at_ms, moment in groupby(heard, key=lambda item: item.reading.effective_ms):
        published.extend(machine.take_effect(at_ms, moment))
    published.extend(machine.finish())
    return published
