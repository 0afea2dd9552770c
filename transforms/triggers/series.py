"""Groups zones that the same stations cover in the same order of distance into series, each evaluated once.

In a city of thousands of zones there are a few dozen series; a machine runs for each, and its events apply to every
zone of it. Zones with a threshold of their own are series of their own, and so are, for a trigger with a telemetry
condition, zones with different telemetry.

Interpretations of the specification: docs/interpretations.md#disruptions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.areas import Area, Zones
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.product import Comparison, Trigger
from monsoon.transforms.triggers.conditions import (
    Condition,
    metrics_of,
    telemetry_condition_holds,
    with_threshold,
    zone_threshold,
)
from monsoon.transforms.triggers.history import Observation
from monsoon.transforms.triggers.machine import Revision, TriggerMachine
from monsoon.transforms.triggers.readings import Identity, Reading, in_effect_order

Indices = npt.NDArray[np.int64]
Cells = npt.NDArray[np.uint64]
Place = tuple[str, str, Area]
"""A metric, a provider and the area that its reading covers."""

TelemetryValues = Mapping[tuple[str | None, int, int], float]
"""What telemetry measured, by platform, zone (cell) and moment (ms): for a trigger with a telemetry condition."""


@dataclass(frozen=True)
class Series:
    """A trigger and platform in zones (uint64 cells) that the same stations cover, and all that was published."""

    trigger: Trigger
    platform: str | None
    zones: Cells
    revisions: tuple[Revision, ...]


@dataclass(frozen=True)
class TelemetryQueries:
    """Queries of telemetry: for each of these moments (int64, ms) and each of these zones (uint64 cells)."""

    platform: str | None
    zones: Cells
    moments_ms: npt.NDArray[np.int64]


def evaluate_trigger(
    trigger: Trigger,
    readings: Sequence[Reading],
    zones: Zones,
    *,
    alert: Condition | None = None,
    telemetry_values: TelemetryValues | None = None,
) -> list[Series]:
    """Every series of one trigger with all that it publishes, over a bounded set of readings.

    `alert`: the public alert that the product uses (`alert_condition`). `telemetry_values`: the values for the
    `telemetry_queries` of a trigger with a telemetry condition; where one is absent, the condition does not hold
    then. Series that never confirm anything are left out.
    """
    corroborated = _corroborated(trigger, telemetry_values or {})
    found = []
    for stations, ranks, cells in _grouped(trigger, readings, zones, alert):
        variants: dict[tuple[Comparison | None, frozenset[int]], list[int]] = defaultdict(list)
        for cell in cells.tolist():
            moments = frozenset(corroborated.get((stations.platform, cell), ()))
            if trigger.telemetry_condition is None or moments:
                variants[zone_threshold(trigger, cell), moments].append(cell)
        for (breach, moments), members in variants.items():
            machine = TriggerMachine(with_threshold(trigger, breach), alert, moments)
            published = _run_to_end(machine, stations.observed(ranks))
            if published:
                found.append(Series(trigger, stations.platform, _cells(members), tuple(published)))
    return found


def telemetry_queries(trigger: Trigger, readings: Sequence[Reading], zones: Zones) -> list[TelemetryQueries]:
    """For a trigger with a telemetry condition: every moment, under any revision of the readings, at which they breach
    (sustained or not), so that telemetry must be queried; by platform and zones, each pair in one entry at most."""
    found = []
    for stations, ranks, cells in _grouped(trigger, readings, zones, None):
        variants: dict[Comparison | None, list[int]] = defaultdict(list)
        for cell in cells.tolist():
            variants[zone_threshold(trigger, cell)].append(cell)
        for breach, members in variants.items():
            machine = TriggerMachine(with_threshold(trigger, breach))
            _run_to_end(machine, stations.observed(ranks))
            if machine.query_times_ms:
                moments = np.array(sorted(machine.query_times_ms), dtype=np.int64)
                found.append(TelemetryQueries(stations.platform, _cells(members), moments))
    return found


def _corroborated(trigger: Trigger, telemetry_values: TelemetryValues) -> dict[tuple[str | None, int], set[int]]:
    """By platform and zone, the moments at which the telemetry condition holds."""
    found: dict[tuple[str | None, int], set[int]] = defaultdict(set)
    if trigger.telemetry_condition is not None:
        for (platform, zone, at_ms), value in telemetry_values.items():
            if telemetry_condition_holds(trigger.telemetry_condition, value):
                found[platform, zone].add(at_ms)
    return found


def _grouped(
    trigger: Trigger, readings: Sequence[Reading], zones: Zones, alert: Condition | None
) -> Iterator[tuple[_Stations, list[tuple[int, int]], Cells]]:
    """For each platform the trigger's stations, and for each series its stations (index, rank) and zones."""
    metrics = metrics_of(trigger, alert)
    mine = [reading for reading in readings if reading.metric in metrics]
    known = {reading.identity for reading in mine}
    revisions = in_effect_order(reading for reading in readings if reading.identity in known)
    named = {reading.platform or "" for reading in mine if reading.metric == trigger.metric}
    for platform in sorted(named) if trigger.platform_only else [None]:
        stations = _Stations(trigger, metrics, platform, revisions)
        for ranks, indices in group_zones(stations.places, zones):
            if any(stations.places[station][0] == trigger.metric for station, _ in ranks):
                yield stations, ranks, zones.cells[indices]


def place_of(trigger: Trigger, metrics: Set[str], reading: Reading) -> tuple[str | None, Place] | None:
    """The platform (None: any) and place of a reading for a trigger; None for one that the trigger does not use."""
    if reading.metric not in metrics:
        return None
    place = (reading.metric, reading.provider, reading.area)
    if not trigger.platform_only or not (reading.metric == trigger.metric or METRICS[reading.metric].needs_platform):
        return None, place
    return None if reading.platform is None else (reading.platform, place)


class _Stations:
    """The places of the readings of each provider and metric (for one platform), with the readings of each.

    A station is a place, by its index; a reading its index in `revisions`, which are in effect order.
    """

    def __init__(self, trigger: Trigger, metrics: Set[str], platform: str | None, revisions: Sequence[Reading]) -> None:
        self.platform = platform
        self._revisions = revisions
        self.places: list[Place] = []
        """By station."""
        self._readings_at: list[list[int]] = []
        """By station, its readings."""
        self._others: dict[Identity, list[int]] = defaultdict(list)
        """By identity, every revision, wherever it moved the reading."""
        known: dict[Place, int] = {}
        for index, reading in enumerate(revisions):
            self._others[reading.identity].append(index)
            found = place_of(trigger, metrics, reading)
            if found is None or found[0] not in (None, platform):
                continue
            station = known.setdefault(found[1], len(known))
            if station == len(self._readings_at):
                self.places.append(found[1])
                self._readings_at.append([])
            self._readings_at[station].append(index)
        self._corrected = {index for same in self._others.values() if len(same) > 1 for index in same}

    def observed(self, ranks: Sequence[tuple[int, int]]) -> Iterator[Observation]:
        """All that is observed from stations of these (index, rank), with every other revision, in effect order."""
        distance_rank: dict[int, int | None] = {}
        for station, rank in ranks:
            distance_rank.update(dict.fromkeys(self._readings_at[station], rank))
        for index in self._corrected.intersection(distance_rank):
            for other in self._others[self._revisions[index].identity]:
                distance_rank.setdefault(other)
        for index in sorted(distance_rank):
            yield Observation(self._revisions[index], distance_rank[index])


def group_zones(places: Sequence[Place], zones: Zones) -> list[tuple[list[tuple[int, int]], Indices]]:
    """Groups zones (as indices) that the same places (as indices) cover with the same ranks; zones that none covers are
    left out.

    A place's rank is by distance among those of its provider and metric, 0 being the nearest.
    """
    if not places:
        return []
    stations_of: dict[Area, list[int]] = defaultdict(list)
    for station, place in enumerate(places):
        stations_of[place[2]].append(station)
    code_of = {state: code for code, state in enumerate(sorted({place[:2] for place in places}))}
    parts = []
    for area, at_area in stations_of.items():
        covered, distance_um = distances_um(area, zones)
        for station in at_area:
            station_and_provider = np.full((2, len(covered)), [[station], [code_of[places[station][:2]]]])
            parts.append(np.vstack((covered, distance_um, station_and_provider)))
    zone, distance_um, station, provider = np.concatenate(parts, axis=1)
    if not len(zone):
        return []
    order = np.lexsort((station, distance_um, provider, zone))
    zone, distance_um, station, provider = (column[order] for column in (zone, distance_um, station, provider))
    observed = np.column_stack((station, _ranks(zone, provider, distance_um)))
    starts = np.flatnonzero(np.diff(zone, prepend=-1))
    alike: dict[bytes, list[int]] = defaultdict(list)
    for index, entry in enumerate(np.split(observed, starts[1:])):
        alike[entry.tobytes()].append(index)
    entries = (np.frombuffer(content, dtype=observed.dtype).reshape(-1, 2).tolist() for content in alike)
    return [(entry, zone[starts[indices]]) for entry, indices in zip(entries, alike.values(), strict=True)]


def distances_um(area: Area, zones: Zones) -> tuple[Indices, Indices]:
    """The zones (as indices) that an area covers, and their distances (micrometers) from its center."""
    covered = zones.covered_by(area)
    return covered, np.rint(zones.distance_m(area, covered) * 1e6).astype(np.int64)


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


def _cells(cells: Iterable[int]) -> Cells:
    return np.array(sorted(cells), dtype=np.uint64)


def _run_to_end(machine: TriggerMachine, observed: Iterable[Observation]) -> list[Revision]:
    published: list[Revision] = []
    for at_ms, moment in groupby(observed, key=lambda item: item.reading.effective_ms):
        published.extend(machine.take_effect(at_ms, moment))
    published.extend(machine.finish())
    return published
