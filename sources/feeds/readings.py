"""Makes oracle readings of a feed's rows: AQI of running means, heat index, and values taken over unchanged.

Interpretations of the specification: docs/interpretations.md#air.
"""

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

from monsoon.sources.feeds.columns import ColumnReader
from monsoon.sources.feeds.lines import FeedFile, open_feed
from monsoon.sources.feeds.rows import Place, RefusedRow, Row, RowReader
from monsoon.sources.feeds.stations import Stations, StationValues
from monsoon.sources.provider_files import Provider, ProviderError, QuantityFormat
from monsoon.transforms.atmosphere.corrections import HourlySeries, IssuedValue, aqi_history, revisions_of
from monsoon.transforms.atmosphere.cpcb import POLLUTANTS, rounded_index
from monsoon.transforms.atmosphere.heat_index import heat_index_c
from monsoon.transforms.atmosphere.hours import HOUR_MS
from monsoon.transforms.atmosphere.quantities import QUANTITIES
from monsoon.transforms.validation.raw_identifiers import masked

ROW_COUNTS = ("used", "incomplete_hour", "missing", "other_quantity", "duplicate", "dead")


@dataclass(frozen=True)
class FeedReadings:
    """What a feed came to: readings and dead letters of the contract, each in its order, and the summary."""

    readings: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    summary: dict[str, Any]


def read_feed(provider: Provider, paths: Iterable[Path], place: Place | None = None) -> FeedReadings:
    """The readings of all rows of the files; the same for the same rows, whatever their order and files.

    `place` is the station's position, for providers whose rows do not state it, and only for those. Raises InputError
    where a file cannot be read or has none of the provider's columns, ProviderError where `place` is at odds with the
    provider file.
    """
    if provider.needs_place and place is None:
        raise ProviderError(
            "does not say where its station stands", f"provider {provider.name}", "Say where with --at LAT,LON."
        )
    if place is not None and not provider.needs_place and not provider.area.may_lack:
        raise ProviderError("says where its stations stand", f"provider {provider.name}", "Leave --at out.")
    reader, columns = RowReader(provider, place), ColumnReader(provider)
    rows: list[Row] = []
    refusals: list[RefusedRow] = []
    counts: Counter[str] = Counter()
    other_quantity: Counter[str] = Counter()
    files: list[FeedFile] = []
    for path in sorted(set(paths)):
        file = open_feed(path, provider, columns, is_placed=place is not None)
        files.append(file)
        for line in file.rows:
            counts["read"] += 1
            item = reader.read(line)
            if isinstance(item, Row):
                rows.append(item)
            elif isinstance(item, RefusedRow):
                refusals.append(item)
            else:
                counts[item.reason] += 1
                other_quantity.update([item.name] if item.name else [])
    stations = Stations(provider)
    # Rows without values last: whether they withdraw a value shows once all values are there.
    for row in sorted(rows, key=lambda row: (not row.values, row.time_ms, row.content)):
        outcome = stations.take(row)
        if isinstance(outcome, RefusedRow):
            refusals.append(outcome)
        else:
            counts["used" if outcome is None else outcome.reason] += 1
    results = stations.settle()
    refusals += results.refusals
    counts["incomplete_hour"] = len(results.incomplete)
    counts["used"] -= len(results.refusals) + len(results.incomplete)
    counts["dead"] = len(refusals)
    by_name = {
        quantity_format.of or quantity_format.quantity: quantity_format for quantity_format in provider.quantities
    }
    found = [reading for station in results.stations for reading in _Readings(provider, by_name, station).all()]
    found.sort(key=lambda reading: (reading["event_time"], reading["reading_id"], reading["revision"]))
    letters = sorted((_letter(refusal) for refusal in refusals), key=lambda letter: json.dumps(letter, sort_keys=True))
    summary = _summary(provider, counts, refusals, found)
    summary |= {
        "other_quantity": dict(sorted(other_quantity.items())),
        "columns_not_read": sorted({name for file in files for name in file.unread}),
        "columns_in_no_known_unit": sorted({name for file in files for name in file.unusable}),
        "preamble_lines": sum(file.preamble_lines for file in files),
        "hours": {
            "averaged": sum(station.averaged_hours for station in results.stations),
            "incomplete": sum(station.incomplete_hours for station in results.stations),
            "without_enough_hours_before": _hours_without_index(results.stations, found),
        },
    }
    return FeedReadings(found, letters, summary)


def _hours_without_index(stations: Iterable[StationValues], readings: Iterable[Mapping[str, Any]]) -> int:
    """Hours with a concentration without an index, as too few of those before are known."""
    known = sum(len({end for name in POLLUTANTS for end in station.values.get(name, ())}) for station in stations)
    return known - sum(
        reading["metric"] == "aqi" and not reading["revision"] and reading["aqi_basis"] != "provider"
        for reading in readings
    )


class _Readings:
    """The readings of one station."""

    def __init__(
        self, provider: Provider, quantity_format: Mapping[str, QuantityFormat], station: StationValues
    ) -> None:
        self._provider, self._quantity_formats = provider, quantity_format
        self._place, self._values = station.place, station.values

    def all(self) -> Iterator[dict[str, Any]]:
        yield from self._indices()
        yield from self._weather()

    def _indices(self) -> Iterator[dict[str, Any]]:
        names = [name for name in POLLUTANTS if self._values.get(name)]
        if not names:
            return
        phase_ms = next(iter(self._values[names[0]])) % HOUR_MS
        series = {
            name: HourlySeries(
                {time_ms // HOUR_MS: versions for time_ms, versions in self._values[name].items()},
                is_mean=self._quantity_formats[name].averaged_over != "1 h",
            )
            for name in names
        }

        def end_ms(hour: int) -> int:
            return hour * HOUR_MS + phase_ms

        for item in aqi_history(series, end_ms):
            version = IssuedValue(item.issued_ms, item.index)
            yield self._reading("aqi", end_ms(item.hour), item.revision, version, aqi_basis=item.basis)

    def _weather(self) -> Iterator[dict[str, Any]]:
        temperature, humidity = self._values.get("temperature", {}), self._values.get("relative_humidity", {})
        pairs = {
            time_ms: (temperature[time_ms], humidity[time_ms])
            for time_ms in sorted(temperature.keys() & humidity.keys())
        }
        firsts = np.array([(warm[0].value, moist[0].value) for warm, moist in pairs.values()]).reshape(-1, 2)
        # All first values at once: a call each would be most of the time that a feed takes.
        known = dict(zip(map(tuple, firsts.tolist()), _heat_index(*firsts.T).tolist(), strict=True))

        def heat_index(temperature_c: float, humidity_pct: float) -> float:
            found = known.get((temperature_c, humidity_pct))
            return float(_heat_index(temperature_c, humidity_pct)) if found is None else found

        for time_ms, inputs in pairs.items():
            yield from self._revisions("heat_index_c", time_ms, revisions_of(inputs, heat_index, time_ms))
        for quantity, times in self._values.items():
            metric = QUANTITIES[quantity].metric
            if metric is None:
                continue
            for time_ms in sorted(times):
                formula = _whole if metric == "aqi" else _to_three_decimals
                versions = revisions_of([times[time_ms]], formula, time_ms)
                marks = {"aqi_basis": "provider"} if metric == "aqi" else {}
                yield from self._revisions(metric, time_ms, versions, **marks)

    def _revisions(
        self, metric: str, time_ms: int, versions: Sequence[IssuedValue], **marks: str
    ) -> Iterator[dict[str, Any]]:
        for revision, version in enumerate(versions):
            yield self._reading(metric, time_ms, revision, version, **marks)

    def _reading(self, metric: str, time_ms: int, revision: int, version: IssuedValue, **marks: str) -> dict[str, Any]:
        provider, place = self._provider, self._place
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


def _to_three_decimals(value: float) -> float:
    """To the third decimal: 273.15 K more or less leaves dust of arithmetic behind."""
    return round(value, 3) + 0.0


def _whole(index: float) -> float:
    return float(rounded_index(index))


def _heat_index(temperature_c: ArrayLike, relative_humidity_pct: ArrayLike) -> NDArray[np.float64]:
    """To a tenth of a degree, as stations report temperatures."""
    return np.asarray(np.round(heat_index_c(temperature_c, relative_humidity_pct), 1) + 0.0)


def _reading_id(provider: str, metric: str, place: Place, time_ms: int) -> str:
    """At most 88 characters; a function of these alone."""
    return f"{provider}-{metric}-{_name_of(place)}-{time_ms}"


@lru_cache(maxsize=1024)
def _name_of(place: Place) -> str:
    spelled = json.dumps([place.station, place.lat, place.lon]).encode()
    return hashlib.blake2b(spelled, digest_size=8).hexdigest()


def _letter(refusal: RefusedRow) -> dict[str, Any]:
    return {
        "stream": "feeds",
        "reason": refusal.reason,
        "detail": masked(refusal.detail, is_json=False),
        "raw": masked(refusal.line.text, is_json=False),
        "seen_at": refusal.seen_at_ms,
    }


def _summary(
    provider: Provider,
    counts: Mapping[str, int],
    refusals: Sequence[RefusedRow],
    readings: Sequence[Mapping[str, Any]],
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
