"""Values that providers correct, and the revisions of derived values (means, indices) that follow.

A value's first version counts from its own time on, whenever it was issued, as a reading of revision 0 does; a later
one from its issue on. A correction issued before the moment of the reading replaces the first version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from monsoon.transforms.atmosphere.cpcb import POLLUTANTS, cpcb_aqi, min_hours
from monsoon.transforms.atmosphere.running_means import running_means

Floats = NDArray[np.float64]

LONGEST_MEAN_H = max(pollutant.mean_h for pollutant in POLLUTANTS.values())


@dataclass(frozen=True, slots=True)
class IssuedValue:
    """A version of a value; `issued_ms` None where the provider does not state it."""

    issued_ms: int | None
    value: float


def revisions_of(
    inputs: Sequence[Sequence[IssuedValue]], formula: Callable[..., float], time_ms: int
) -> list[IssuedValue]:
    """The versions of `formula` of several inputs of one moment, each input's versions in the order of their issue.

    The first rests on the first version of each, and is issued with the last of them; each later one follows a
    correction that changes the value.
    """
    now = [versions[0] for versions in inputs]
    found = [IssuedValue(_latest([version.issued_ms for version in now]), formula(*(version.value for version in now)))]
    if all(len(versions) == 1 for versions in inputs):
        return found
    later = [
        (version.issued_ms or 0, place, version.value)
        for place, versions in enumerate(inputs)
        for version in versions[1:]
    ]
    for issued_ms, group in groupby(sorted(later), key=lambda item: item[0]):
        for _, place, value in group:
            now[place] = IssuedValue(issued_ms, value)
        found.append(IssuedValue(issued_ms, formula(*(version.value for version in now))))
    return _distinct(found, time_ms)


def _distinct(versions: Sequence[IssuedValue], time_ms: int) -> list[IssuedValue]:
    """The versions that change the value; the last one issued by `time_ms`, if any, counts as the first."""
    known = [version for version in versions[1:] if (version.issued_ms or 0) <= time_ms]
    distinct = [known[-1] if known else versions[0]]
    for version in versions[1 + len(known) :]:
        if version.value != distinct[-1].value:
            distinct.append(version)
    return distinct


def _latest(issues: Sequence[int | None]) -> int | None:
    known = [issued for issued in issues if issued is not None]
    return max(known) if known else None


@dataclass(frozen=True)
class HourlySeries:
    """A pollutant at one station: versions by hour (a running number), each hour's in the order of their issue.
    `is_mean` where the provider averages over the index's hours itself."""

    versions: Mapping[int, Sequence[IssuedValue]]
    is_mean: bool = False


@dataclass(frozen=True, slots=True)
class AqiRevision:
    """The index of one hour, on CPCB's scale. `basis` is `cpcb_aqi` where the data suffice for the board's AQI, else
    the sub-index that it is, such as `cpcb_sub_index:pm25`."""

    hour: int
    revision: int
    issued_ms: int | None
    index: float
    basis: str


def aqi_history(series: Mapping[str, HourlySeries], end_ms: Callable[[int], int]) -> list[AqiRevision]:
    """The index of each hour that has a value of its own and enough hours before it, and its revisions.

    A corrected hour revises every index whose mean it is part of. `end_ms` is when an hour ends. In order of hour and
    revision.
    """
    hours = sorted({hour for pollutant in series.values() for hour in pollutant.versions})
    # Hours further apart than the longest mean have nothing to do with each other: no need to fill the years between.
    stretch, place = {}, 0
    for before, hour in pairwise([hours[0], *hours]):
        place += hour - before >= LONGEST_MEAN_H
        stretch[hour] = place
    parts: list[dict[str, dict[int, Sequence[IssuedValue]]]] = [{} for _ in range(place + 1)]
    for name, pollutant in series.items():
        for hour, versions in pollutant.versions.items():
            parts[stretch[hour]].setdefault(name, {})[hour] = versions
    found: list[AqiRevision] = []
    for part in parts:
        histories = _unbroken_history(
            {name: HourlySeries(versions, series[name].is_mean) for name, versions in part.items()}
        )
        for hour, (versions, basis) in sorted(histories.items()):
            found += [
                AqiRevision(hour, revision, version.issued_ms, version.value, basis[version])
                for revision, version in enumerate(_distinct(versions, end_ms(hour)))
            ]
    return found


_IndexHistory = tuple[list[IssuedValue], dict[IssuedValue, str]]


def _unbroken_history(series: Mapping[str, HourlySeries]) -> dict[int, _IndexHistory]:
    """By hour all versions of its index in the order of issue, and the basis of each."""
    first = min(min(pollutant.versions) for pollutant in series.values())
    span = max(max(pollutant.versions) for pollutant in series.values()) - first + 1
    values = {name: np.full(span, np.nan) for name in series}
    has_value = np.zeros(span, np.bool_)
    issues: dict[int, int | None] = {}
    corrections = []
    for name, pollutant in series.items():
        for hour, versions in pollutant.versions.items():
            values[name][hour - first] = versions[0].value
            has_value[hour - first] = True
            issues[hour - first] = _latest([issues.get(hour - first), versions[0].issued_ms])
            corrections += [(later.issued_ms or 0, hour - first, name, later.value) for later in versions[1:]]
    index, basis = _indices(values, series, 0, span)
    histories: dict[int, _IndexHistory] = {}
    for hour in np.flatnonzero(has_value & ~np.isnan(index)).tolist():
        version = IssuedValue(issues[hour], float(index[hour]))
        histories[hour + first] = ([version], {version: basis[hour]})
    for issued_ms, group in groupby(sorted(corrections), key=lambda item: item[0]):
        touched = []
        for _, hour, name, value in group:
            values[name][hour] = value
            touched += [hour, hour + _reach_h(name, series)]
        start, stop = min(touched), min(max(touched), span)
        corrected, grounds = _indices(values, series, start, stop)
        changed = has_value[start:stop] & (corrected != index[start:stop]) & ~np.isnan(corrected)
        for place in np.flatnonzero(changed).tolist():
            version = IssuedValue(issued_ms, float(corrected[place]))
            versions, bases = histories[start + place + first]
            versions.append(version)
            bases[version] = grounds[place]
        index[start:stop] = corrected
    return histories


def _reach_h(name: str, series: Mapping[str, HourlySeries]) -> int:
    return 1 if series[name].is_mean else POLLUTANTS[name].mean_h


def _indices(
    values: Mapping[str, Floats], series: Mapping[str, HourlySeries], start: int, stop: int
) -> tuple[Floats, list[str]]:
    """Index and basis of the hours [start, stop)."""
    means = {}
    for name, column in values.items():
        before = min(start, _reach_h(name, series) - 1)
        part = column[start - before : stop]
        if not series[name].is_mean:
            part = running_means(part, hours=POLLUTANTS[name].mean_h, min_known=min_hours(name))
        means[name] = part[before:]
    found = cpcb_aqi(means)
    basis = [
        "cpcb_aqi" if complete else f"cpcb_sub_index:{found.pollutants[worst]}"
        for worst, complete in zip(found.worst.tolist(), found.complete.tolist(), strict=True)
    ]
    return found.index, basis
