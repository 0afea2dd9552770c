"""Collects the rows of a feed by station: drops repeats, refuses contradictions, averages shorter intervals to
hours."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product as combinations
from typing import NamedTuple

from monsoon.sources.feeds.rows import Place, RefusedRow, Row, SkippedRow
from monsoon.sources.provider_files import OFFSETS_MIN, Provider
from monsoon.transforms.atmosphere.corrections import IssuedValue
from monsoon.transforms.atmosphere.cpcb import POLLUTANTS
from monsoon.transforms.atmosphere.heat_index import HIGHEST_HEAT_INDEX_C, LOWEST_HEAT_INDEX_C, heat_index_c
from monsoon.transforms.atmosphere.hours import (
    HOUR_MS,
    MIN_MEAN_COVERAGE_MS,
    MIN_RAIN_COVERAGE_MS,
    Interval,
    hour_end_ms,
    hourly_mean,
)
from monsoon.transforms.atmosphere.quantities import QUANTITIES

RAIN = "rain_1h"


class _Held(NamedTuple):
    value: float
    row: Row


_Issues = dict[int, _Held]
"""Values of one interval by their time of issue; -1 where the provider states none."""


@dataclass(frozen=True)
class StationValues:
    """A station's values by quantity and time, each with its versions in the order of issue; hours of shorter
    intervals averaged. `incomplete_hours` are hours, of any quantity, of which too little is covered."""

    place: Place
    values: Mapping[str, Mapping[int, list[IssuedValue]]]
    incomplete_hours: int = 0
    averaged_hours: int = 0


@dataclass(frozen=True)
class StationResults:
    """What became of all rows: values by station, rows refused, rows of which no hour could be made."""

    stations: list[StationValues]
    refusals: list[RefusedRow]
    incomplete: list[Row]


class Stations:
    """The values of the rows, by place, quantity and interval."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._averaged = {
            quantity_format.of or quantity_format.quantity
            for quantity_format in provider.quantities
            if quantity_format.averaged_over == "1 h"
        } | {RAIN}
        self._values_by_place: dict[Place, dict[str, dict[Interval, _Issues]]] = {}

    def take(self, row: Row) -> RefusedRow | SkippedRow | None:
        """Keeps the row, unless it repeats or contradicts one that was taken. Rows come in the order of their time
        and content, so that of two that contradict each other always the same one is kept."""
        station = self._values_by_place.setdefault(row.place, {})
        issued_ms = -1 if row.issued_ms is None else row.issued_ms
        if not row.values:
            keys = {Interval(row.time_ms, 0), Interval(row.time_ms, row.length_ms or HOUR_MS)}
            issues = [issued for times in station.values() for key in keys for issued in times.get(key, ())]
            if issues and issued_ms > min(issues):
                return RefusedRow("retracted_without_value", "no reading can express this", row.line, row.time_ms)
            return SkippedRow("missing")
        fresh = {}
        for quantity, value in row.values.items():
            key = self._key(quantity, row)
            held = station.get(quantity, {}).get(key, {}).get(issued_ms)
            if held is None:
                fresh[quantity] = _Held(value, row)
            elif held.value != value:
                detail = f"another {quantity} of this {_name(key)}, issued at the same time, is used"
                return RefusedRow("conflicting_duplicate", detail, row.line, row.time_ms)
        if not fresh:
            return SkippedRow("duplicate")
        for quantity, item in fresh.items():
            station.setdefault(quantity, {}).setdefault(self._key(quantity, row), {})[issued_ms] = item
        return None

    def _key(self, quantity: str, row: Row) -> Interval:
        """The interval over which a value is averaged; for a value taken over unchanged, the moment."""
        length_ms = HOUR_MS if row.length_ms is None else row.length_ms
        if quantity not in self._averaged or (quantity == RAIN and length_ms == HOUR_MS):
            return Interval(row.time_ms, 0)
        return Interval(row.time_ms, length_ms)

    def settle(self) -> StationResults:
        """Values by station, with the hours of shorter intervals averaged, and the rows that have no part in them."""
        results = StationResults([], [], [])
        for place, station in self._values_by_place.items():
            phase_ms, refused = self._off_the_hour(station)
            refused |= self._overlapping(_without(station, refused), phase_ms)
            refused |= _heat_beyond_a_reading(_without(station, refused))
            refused |= self._rain_beyond_a_reading(_without(station, refused), phase_ms)
            kept = _without(station, refused)
            values, used = self._averages(place, kept, phase_ms)
            results.stations.append(values)
            results.refusals.extend(refused.values())
            rows = dict.fromkeys(held.row for held in _all(kept))
            results.incomplete.extend(row for row in rows if row not in used)
        return results

    def _off_the_hour(self, station: Mapping[str, Mapping[Interval, _Issues]]) -> tuple[int, dict[Row, RefusedRow]]:
        """When hours end (in milliseconds after a full hour of UTC), and concentrations that end at another minute or
        lie across the end of an hour: running means count hours, and India's are half past in UTC.

        Hours end as most whole hours of the station do (of two, the earlier), else with the clock's.
        """
        clock_ms = -OFFSETS_MIN[self._provider.clock.zone] * 60_000 % HOUR_MS
        rows = dict.fromkeys(
            held.row
            for name in (*POLLUTANTS, RAIN)
            for issues in station.get(name, {}).values()
            for held in issues.values()
        )
        whole = [
            row for row in rows
            if row.values.keys() & POLLUTANTS.keys() and (row.length_ms is None or row.length_ms >= HOUR_MS)
        ]  # fmt: skip
        phases = Counter(row.time_ms % HOUR_MS for row in whole)
        phase_ms = min(phases, key=lambda phase: (-phases[phase], phase), default=clock_ms)
        refused: dict[Row, RefusedRow] = {}
        undeclared = Counter(row.time_ms % HOUR_MS for row in whole if row.length_ms is None)
        if len(undeclared) > 1 and 2 * max(undeclared.values()) <= undeclared.total():
            detail = "values come several times an hour, and no field states what each is the mean of: give --step"
            refused = {row: _refusal("not_hourly", detail, row) for row in whole if row.length_ms is None}
        detail = f"the station's hours end {phase_ms // 60_000} min past in UTC"
        for row in whole:
            if row not in refused and row.time_ms % HOUR_MS != phase_ms:
                refused[row] = _refusal("off_the_hour", detail, row)
        for row in rows:
            interval = Interval(row.time_ms, row.length_ms or HOUR_MS)
            if interval.length_ms < HOUR_MS and hour_end_ms(interval, phase_ms) is None:
                refused[row] = _refusal("off_the_hour", f"it lies across the end of an hour; {detail}", row)
        return phase_ms, refused

    def _overlapping(self, station: Mapping[str, Mapping[Interval, _Issues]], phase_ms: int) -> dict[Row, RefusedRow]:
        """Rows whose interval another row covers in part, the longer of two, or of two as long the earlier, is used."""
        taken: dict[tuple[str, int], list[Interval]] = defaultdict(list)
        claims: dict[Interval, dict[Row, set[str]]] = defaultdict(lambda: defaultdict(set))
        for name in sorted(station.keys() & self._averaged):
            for key, issues in station[name].items():
                interval = Interval(key.end_ms, HOUR_MS) if name == RAIN and not key.length_ms else key
                if hour_end_ms(interval, phase_ms) is not None:
                    for held in issues.values():
                        claims[interval][held.row].add(name)
        refused: dict[Row, RefusedRow] = {}
        for interval in sorted(claims, key=lambda item: (-item.length_ms, item.end_ms)):
            hour = hour_end_ms(interval, phase_ms) or 0
            fresh = set()
            for row, names in claims[interval].items():
                over = next(
                    (other for name in sorted(names) for other in taken[name, hour]
                     if other.begin_ms < interval.end_ms and interval.begin_ms < other.end_ms),
                    None,
                )  # fmt: skip
                if over is None:
                    fresh |= names
                else:
                    detail = f"another row is used for {_name(over)} of this time"
                    refused[row] = _refusal("overlapping_interval", detail, row)
            for name in fresh:
                taken[name, hour].append(interval)
        return refused

    def _rain_beyond_a_reading(
        self, station: Mapping[str, Mapping[Interval, _Issues]], phase_ms: int
    ) -> dict[Row, RefusedRow]:
        """Rows that together are more rain in an hour than a reading may state."""
        rain = station.get(RAIN, {})
        max_mm = QUANTITIES[RAIN].max_value
        values, _ = self._averages(Place("", 0.0, 0.0), {RAIN: rain}, phase_ms)
        beyond = {
            end_ms for end_ms, versions in values.values.get(RAIN, {}).items()
            if any(version.value > max_mm for version in versions)
        }  # fmt: skip
        return {
            held.row: _refusal("out_of_range:rain_mm_h", f"its hour is more than {max_mm:g} mm", held.row)
            for key, issues in rain.items()
            if (hour_end_ms(key, phase_ms) if key.length_ms else key.end_ms) in beyond
            for held in issues.values()
        }

    def _averages(
        self, place: Place, station: Mapping[str, Mapping[Interval, _Issues]], phase_ms: int
    ) -> tuple[StationValues, set[Row]]:
        """The station's values, and the rows that have a part in one."""
        values: dict[str, dict[int, list[IssuedValue]]] = {}
        used: set[Row] = set()
        averaged = incomplete = 0
        for name, times in station.items():
            values[name] = {}
            hours: dict[int, dict[Interval, list[IssuedValue]]] = defaultdict(dict)
            for key, issues in times.items():
                end_ms = hour_end_ms(key, phase_ms) if key.length_ms else None
                if end_ms is None:
                    values[name][key.end_ms] = _versions(issues)
                    used |= {held.row for held in issues.values()}
                else:
                    hours[end_ms][key] = _versions(issues)
            for end_ms, parts in hours.items():
                mean = hourly_mean(parts, end_ms, MIN_RAIN_COVERAGE_MS if name == RAIN else MIN_MEAN_COVERAGE_MS)
                if mean is None:
                    incomplete += 1
                    continue
                averaged += any(part.length_ms < HOUR_MS for part in parts)
                values[name][end_ms] = mean
                used |= {held.row for part in parts for held in times[part].values()}
        return StationValues(place, {name: some for name, some in values.items() if some}, incomplete, averaged), used


def _heat_beyond_a_reading(station: Mapping[str, Mapping[Interval, _Issues]]) -> dict[Row, RefusedRow]:
    """Rows whose temperature and humidity together are a heat index beyond the range of its metric."""
    refused: dict[Row, RefusedRow] = {}
    warm, moist = station.get("temperature", {}), station.get("relative_humidity", {})
    pairs = [
        (first, second)
        for key in warm.keys() & moist.keys()
        for first, second in combinations(warm[key].values(), moist[key].values())
    ]
    if not pairs:
        return refused
    found = heat_index_c([first.value for first, _ in pairs], [second.value for _, second in pairs])
    for (first, second), index in zip(pairs, found.tolist(), strict=True):
        if not LOWEST_HEAT_INDEX_C <= index <= HIGHEST_HEAT_INDEX_C:
            detail = f"{first.value:g} C and {second.value:g} % are a heat index of {index:.0f} C, beyond 100"
            refused |= {held.row: _refusal("out_of_range:heat_index_c", detail, held.row) for held in (first, second)}
    return refused


def _without(
    station: Mapping[str, Mapping[Interval, _Issues]], refused: Mapping[Row, RefusedRow]
) -> dict[str, dict[Interval, _Issues]]:
    """The values of the other rows."""
    kept: dict[str, dict[Interval, _Issues]] = {}
    for quantity, times in station.items():
        for key, issues in times.items():
            some = {issued: held for issued, held in issues.items() if held.row not in refused}
            if some:
                kept.setdefault(quantity, {})[key] = some
    return kept


def _all(station: Mapping[str, Mapping[Interval, _Issues]]) -> Iterator[_Held]:
    return (held for times in station.values() for issues in times.values() for held in issues.values())


def _versions(issues: _Issues) -> list[IssuedValue]:
    """In the order of issue; an issue that changes nothing is none."""
    found: list[IssuedValue] = []
    for issued_ms, held in sorted(issues.items(), key=lambda item: item[0]):
        if not found or held.value != found[-1].value:
            found.append(IssuedValue(None if issued_ms < 0 else issued_ms, held.value))
    return found


def _refusal(reason: str, detail: str, row: Row) -> RefusedRow:
    return RefusedRow(reason, detail, row.line, row.time_ms)


def _name(interval: Interval) -> str:
    return "hour" if interval.length_ms in (0, HOUR_MS) else f"{interval.length_ms / 60_000:g} min"
