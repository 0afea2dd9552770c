"""Zones that hear the same stations in the same order of nearness share one series, which is judged once.

In a city of thousands of zones there are a few dozen series; a machine runs for each, and its episodes are stamped
with each zone's name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.areas import Area, Zones
from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.history import Heard
from monsoon.transforms.triggers.machine import Revision, TriggerMachine
from monsoon.transforms.triggers.readings import Reading, in_effect_order

Nearness = tuple[tuple[str, Area, int], ...]
"""(provider, area, rank of the area's place among the provider's): what a zone hears, and how near."""


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
    revisions_of: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        revisions_of[reading.reading_id].append(reading)
    platforms = sorted({reading.platform or "" for reading in mine}) if trigger.platform_only else [None]
    found = []
    for platform in platforms:
        speaking: dict[tuple[str, Area], list[Reading]] = defaultdict(list)
        for reading in mine:
            if platform is None or reading.platform == platform:
                speaking[reading.provider, reading.area].append(reading)
        for nearness, indices in group_zones(speaking, zones):
            revisions = _judge(trigger, _heard(nearness, speaking, revisions_of))
            if revisions:
                found.append(Series(trigger, platform, np.sort(zones.cells[indices]), tuple(revisions)))
    return found


def group_zones(speaking: Iterable[tuple[str, Area]], zones: Zones) -> list[tuple[Nearness, list[int]]]:
    """Zones (as indices) by what they hear; zones that hear nothing are left out."""
    providers: dict[Area, set[str]] = defaultdict(set)
    for provider, area in speaking:
        providers[area].add(provider)
    heard: dict[int, list[tuple[int, Area]]] = defaultdict(list)
    for area in providers:
        covered = zones.covered_by(area)
        micrometers = np.rint(zones.distance_m(area, covered) * 1e6).astype(np.int64)
        for zone, distance_um in zip(covered.tolist(), micrometers.tolist(), strict=True):
            heard[zone].append((distance_um, area))
    groups: dict[Nearness, list[int]] = defaultdict(list)
    for zone in sorted(heard):
        groups[_nearness(heard[zone], providers)].append(zone)
    return sorted(groups.items(), key=lambda group: group[1])


def _nearness(heard: Sequence[tuple[int, Area]], providers: dict[Area, set[str]]) -> Nearness:
    """Ranks the places of each provider; places equally near (to the micrometer: the noise of arithmetic) are one."""
    by_provider: dict[str, list[tuple[int, Area]]] = defaultdict(list)
    for distance_um, area in heard:
        for provider in providers[area]:
            by_provider[provider].append((distance_um, area))
    ranked: list[tuple[str, Area, int]] = []
    for provider, places in by_provider.items():
        ranks = {distance_um: rank for rank, distance_um in enumerate(sorted({um for um, _ in places}))}
        ranked.extend((provider, area, ranks[distance_um]) for distance_um, area in places)
    return tuple(sorted(ranked, key=lambda entry: (entry[0], entry[2], repr(entry[1]))))


def _heard(
    nearness: Nearness,
    speaking: Mapping[tuple[str, Area], Sequence[Reading]],
    revisions_of: Mapping[str, Sequence[Reading]],
) -> list[Heard]:
    """All that the series hears, with every other revision of those readings, wherever it moved them."""
    rank_of = {(provider, area): rank for provider, area, rank in nearness}
    spoken = {id(reading) for key in rank_of for reading in speaking[key]}
    concerned = {reading.reading_id for key in rank_of for reading in speaking[key]}
    revisions = (revision for reading_id in concerned for revision in revisions_of[reading_id])
    return [
        Heard(revision, rank_of[revision.provider, revision.area] if id(revision) in spoken else None)
        for revision in in_effect_order(revisions)
    ]


def _judge(trigger: Trigger, heard: Sequence[Heard]) -> list[Revision]:
    machine = TriggerMachine(trigger)
    published: list[Revision] = []
    for at_ms, moment in groupby(heard, key=lambda item: item.reading.effective_ms):
        published.extend(machine.take_effect(at_ms, moment))
    published.extend(machine.finish())
    return published
