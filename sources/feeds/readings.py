"""Oracle readings of a feed's rows: the index of running means, the heat index, and what is said as it is."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monsoon.sources.feeds.lines import FeedFile, open_feed
from monsoon.sources.feeds.rows import HOUR_MS, Place, Refusal, Row, RowReader, Silence
from monsoon.sources.files import InputError
from monsoon.sources.provider_files import Provider, ProviderError
from monsoon.transforms.atmosphere.corrections import HourlySeries, Version, aqi_history, revised
from monsoon.transforms.atmosphere.cpcb import POLLUTANTS, as_published
from monsoon.transforms.atmosphere.heat_index import heat_index_c
from monsoon.transforms.atmosphere.quantities import QUANTITIES
from monsoon.transforms.validation.raw_identifiers import masked

ROW_COUNTS = ("used", "missing", "not_spoken", "duplicate", "dead")


@dataclass(frozen=True)
class FeedReadings:
    """What a feed came to: readings and dead letters of the contract, each in its order, and the summary."""

    readings: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    summary: dict[str, Any]


def read_feed(provider: Provider, paths: Iterable[Path], place: Place | None = None) -> FeedReadings:
    """The readings of all rows of the files; the same for the same rows, whatever their order and files.

    `place` is where the station stands, for providers whose rows do not say, and only for those. Raises InputError
    where a file cannot be read or has none of the provider's columns, ProviderError where `place` is at odds with the
    provider file.
    """
    if provider.needs_place != (place is not None):
        mend = "Say where with --at LAT,LON." if provider.needs_place else "Leave --at out."
        said = "does not say where its station stands" if provider.needs_place else "says where its stations stand"
        raise ProviderError(said, f"provider {provider.name}", mend)
    reader = RowReader(provider, place)
    rows: list[Row] = []
    refusals: list[Refusal] = []
    counts: Counter[str] = Counter()
    for path in sorted(set(paths)):
        file = open_feed(path)
        _require_columns(file, provider)
        for line in file.rows:
            counts["read"] += 1
            item = reader.read(line)
            if isinstance(item, Row):
                rows.append(item)
            elif isinstance(item, Refusal):
                refusals.append(item)
            else:
                counts[item.reason] += 1
    stations = _Stations(provider)
    # Rows without values last: whether they withdraw something shows when all that was said is there.
    for row in sorted(rows, key=lambda row: (not row.values, row.time_ms, row.content)):
        item = stations.take(row)
        if isinstance(item, Refusal):
            refusals.append(item)
        else:
            counts[item.reason if isinstance(item, Silence) else "used"] += 1
    readings, off_the_hour = stations.readings()
    refusals += off_the_hour
    counts["used"] -= len(off_the_hour)
    counts["dead"] = len(refusals)
    letters = sorted((_letter(refusal) for refusal in refusals), key=lambda letter: json.dumps(letter, sort_keys=True))
    return FeedReadings(readings, letters, _summary(provider, counts, refusals, readings))


def _require_columns(file: FeedFile, provider: Provider) -> None:
    """Raises InputError where a header lacks what no row can do without."""
    if file.columns is None:
        return
    area, long = provider.area, provider.long
    needed = [provider.clock.field, area.lat_field, area.lon_field]
    needed += [long.parameter, long.value] if long else []
    absent = [name for name in needed if name is not None and name not in file.columns]
    if not long and not any(spoken.field in file.columns for spoken in provider.quantities):
        absent += [spoken.field for spoken in provider.quantities]
    if absent:
        shown = ", ".join(file.columns[:12])[:200]
        raise InputError(
            f"has no column {absent[0]!r}; its columns are {shown}",
            str(file.path),
            f"Give a feed as provider {provider.name} publishes it, or a provider file of your own (docs/feeds.md).",
        )


class _Stations:
    """What the rows said, by place, quantity and time."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._said: dict[Place, dict[str, dict[int, dict[int, tuple[float, Row]]]]] = {}
        self._spoken = {spoken.of or spoken.quantity: spoken for spoken in provider.quantities}

    def take(self, row: Row) -> Row | Refusal | Silence:
        """Keeps the row, unless it repeats or contradicts one that was taken. Rows come in the order of their time
        and content, so that of two that contradict each other always the same one stands."""
        station = self._said.setdefault(row.place, {})
        issued_ms = -1 if row.issued_ms is None else row.issued_ms
        if not row.values:
            issues = [issued for times in station.values() for issued in times.get(row.time_ms, ())]
            if issues and issued_ms > min(issues):
                return Refusal("retracted_without_value", "no reading can say this", row.line, row.time_ms)
            return Silence("missing")
        fresh = {}
        for quantity, value in row.values.items():
            held = station.get(quantity, {}).get(row.time_ms, {}).get(issued_ms)
            if held is None:
                fresh[quantity] = value
            elif held[0] != value:
                detail = f"another {quantity} of this hour, issued at the same time, stands"
                return Refusal("conflicting_duplicate", detail, row.line, row.time_ms)
        if not fresh:
            return Silence("duplicate")
        for quantity, value in fresh.items():
            station.setdefault(quantity, {}).setdefault(row.time_ms, {})[issued_ms] = (value, row)
        return row

    def readings(self) -> tuple[list[dict[str, Any]], list[Refusal]]:
        """All readings by time, id and revision; and rows whose hour is not their station's."""
        found: list[dict[str, Any]] = []
        refused: list[Refusal] = []
        for place, station in self._said.items():
            refused += _drop_off_the_hour(station)
            found += self._indices(place, station)
            found += self._weather(place, station)
        return sorted(found, key=lambda r: (r["event_time"], r["reading_id"], r["revision"])), refused

    def _indices(self, place: Place, station: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        names = [name for name in POLLUTANTS if station.get(name)]
        if not names:
            return
        phase_ms = next(iter(station[names[0]])) % HOUR_MS
        series = {
            name: HourlySeries(
                {time_ms // HOUR_MS: _versions(issues) for time_ms, issues in station[name].items()},
                is_mean=self._spoken[name].averaged_over != "1 h",
            )
            for name in names
        }

        def end_ms(hour: int) -> int:
            return hour * HOUR_MS + phase_ms

        for item in aqi_history(series, end_ms):
            version = Version(item.issued_ms, item.index)
            yield self._reading(place, "aqi", end_ms(item.hour), item.revision, version, aqi_basis=item.basis)

    def _weather(self, place: Place, station: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        temperature, humidity = station.get("temperature", {}), station.get("relative_humidity", {})
        pairs = {
            time_ms: (_versions(temperature[time_ms]), _versions(humidity[time_ms]))
            for time_ms in sorted(temperature.keys() & humidity.keys())
        }
        firsts = np.array([(warm[0].value, moist[0].value) for warm, moist in pairs.values()]).reshape(-1, 2)
        # All first values at once: a call each would be most of the time that a feed takes.
        known = dict(zip(map(tuple, firsts.tolist()), _heat_index(*firsts.T).tolist(), strict=True))

        def heat_index(temperature_c: float, humidity_pct: float) -> float:
            found = known.get((temperature_c, humidity_pct))
            return float(_heat_index(temperature_c, humidity_pct)) if found is None else found

        for time_ms, inputs in pairs.items():
            yield from self._revisions(place, "heat_index_c", time_ms, revised(inputs, heat_index, time_ms))
        for quantity, times in station.items():
            metric = QUANTITIES[quantity].metric
            if metric is None:
                continue
            for time_ms in sorted(times):
                formula = _whole if metric == "aqi" else _as_said
                versions = revised([_versions(times[time_ms])], formula, time_ms)
                marks = {"aqi_basis": "provider"} if metric == "aqi" else {}
                yield from self._revisions(place, metric, time_ms, versions, **marks)

    def _revisions(
        self, place: Place, metric: str, time_ms: int, versions: Sequence[Version], **marks: str
    ) -> Iterator[dict[str, Any]]:
        for revision, version in enumerate(versions):
            yield self._reading(place, metric, time_ms, revision, version, **marks)

    def _reading(
        self, place: Place, metric: str, time_ms: int, revision: int, version: Version, **marks: str
    ) -> dict[str, Any]:
        provider = self._provider
        record = {
            "reading_id": _reading_id(provider.name, metric, place, time_ms),
            "revision": revision,
            "provider": provider.provider,
            "quality": provider.quality,
            "metric": metric,
            "value": float(version.value),
            "event_time": time_ms,
            "issued_time": version.issued_ms,
            "lat": place.lat,
            "lon": place.lon,
            "radius_km": provider.area.radius_km,
            "station": place.station or None,
            **marks,
        }
        return {name: value for name, value in record.items() if value is not None}


def _drop_off_the_hour(station: dict[str, Any]) -> list[Refusal]:
    """Takes out concentrations whose minute of the hour is not the commonest of the station's (of two, the earlier):
    running means count hours, and India's are half past in UTC."""
    names = [name for name in POLLUTANTS if name in station]
    phases = Counter(time_ms % HOUR_MS for name in names for time_ms in station[name])
    if len(phases) < 2:
        return []
    phase_ms = min(phases, key=lambda phase: (-phases[phase], phase))
    rows: dict[int, Row] = {}
    for name in names:
        for time_ms in [time_ms for time_ms in station[name] if time_ms % HOUR_MS != phase_ms]:
            rows |= {id(row): row for _, row in station[name].pop(time_ms).values()}
    for quantity in station:
        for time_ms, issues in list(station[quantity].items()):
            kept = {issued: held for issued, held in issues.items() if id(held[1]) not in rows}
            if kept:
                station[quantity][time_ms] = kept
            else:
                del station[quantity][time_ms]
    detail = f"the station's hours end {phase_ms // 60_000} min past in UTC"
    return [Refusal("off_the_hour", detail, row.line, row.time_ms) for row in rows.values()]


def _versions(issues: Mapping[int, tuple[float, Row]]) -> list[Version]:
    """In the order of issue; an issue that changes nothing is none."""
    found: list[Version] = []
    for issued_ms, (value, _) in sorted(issues.items(), key=lambda item: item[0]):
        if not found or value != found[-1].value:
            found.append(Version(None if issued_ms < 0 else issued_ms, value))
    return found


def _as_said(value: float) -> float:
    """To the third decimal: 273.15 K more or less leaves dust of arithmetic behind."""
    return round(value, 3) + 0.0


def _whole(index: float) -> float:
    return float(as_published(index))


def _heat_index(temperature_c: ArrayLike, relative_humidity_pct: ArrayLike) -> NDArray[np.float64]:
    """To a tenth of a degree, as stations say temperatures."""
    return np.asarray(np.round(heat_index_c(temperature_c, relative_humidity_pct), 1) + 0.0)


def _reading_id(provider: str, metric: str, place: Place, time_ms: int) -> str:
    """At most 88 characters; a function of these alone."""
    return f"{provider}-{metric}-{_name_of(place)}-{time_ms}"


@lru_cache(maxsize=1024)
def _name_of(place: Place) -> str:
    spelled = json.dumps([place.station, place.lat, place.lon]).encode()
    return hashlib.blake2b(spelled, digest_size=8).hexdigest()


def _letter(refusal: Refusal) -> dict[str, Any]:
    return {
        "stream": "feeds",
        "reason": refusal.reason,
        "detail": masked(refusal.detail, is_json=False),
        "raw": masked(refusal.line.text, is_json=False),
        "seen_at": refusal.seen_at_ms,
    }


def _summary(
    provider: Provider, counts: Mapping[str, int], refusals: Sequence[Refusal], readings: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    by_metric: dict[str, Counter[str]] = defaultdict(Counter)
    for reading in readings:
        by_metric[reading["metric"]]["corrections" if reading["revision"] else "readings"] += 1
    times = [reading["event_time"] for reading in readings]
    return {
        "provider": provider.name,
        "rows": {"read": counts["read"], **{name: counts[name] for name in ROW_COUNTS}},
        "dead_letters": dict(sorted(Counter(refusal.reason for refusal in refusals).items())),
        "readings": {
            metric: {name: by_metric[metric][name] for name in ("readings", "corrections")}
            for metric in sorted(by_metric)
        },
        "aqi_basis": dict(sorted(Counter(r["aqi_basis"] for r in readings if "aqi_basis" in r).items())),
        "stations": len({(reading["lat"], reading["lon"], reading.get("station")) for reading in readings}),
        "first_event_time": min(times, default=None),
        "last_event_time": max(times, default=None),
    }
