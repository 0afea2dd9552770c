"""Storm files: their strict schema, and loading them.

A storm file keeps what was published apart from what is modeled; times in it are local, `YYYY-MM-DD HH:MM`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from monsoon.sources.files import InputError

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

Metric = Literal["rain_mm_24h", "rain_mm_h", "aqi", "wind_kmh", "temperature_c", "red_alert", "curfew"]


class StormError(InputError):
    """A storm file that cannot be used; the message names the file, the key and the mend."""


class _Terms(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of the file's sections: an unknown key is an error, not a comment."""


class Place(_Terms, frozen=True):
    """A station, or a whole city: the disc that its readings stand for."""

    title: str
    lat: float
    lon: float
    radius_km: float


class RainPart(_Terms, frozen=True):
    """A published part of a rain total."""

    start: str
    end: str
    mm: float


class RainTotal(_Terms, frozen=True, tag_field="kind", tag="rain_total"):
    """`mm` of rain in the `hours` up to `until`; the storm's rain_spread says when it fell."""

    until: str
    hours: float
    mm: float
    parts: tuple[RainPart, ...] = ()


class RainRate(_Terms, frozen=True, tag_field="kind", tag="rain_rate"):
    """A rain rate (mm/h) that holds for `step_min` from each slot's time; null: missing."""

    start: str
    step_min: int
    mm_h: tuple[float | None, ...]


class Pm25(_Terms, frozen=True, tag_field="kind", tag="pm25"):
    """Mean PM2.5 (ug/m3) of the `step_min` before each slot's time; null: missing."""

    start: str
    step_min: int
    ug_m3: tuple[float | None, ...]


class Steps(_Terms, frozen=True, tag_field="kind", tag="steps"):
    """A metric's own values, each read once, at its time."""

    metric: Metric
    points: tuple[tuple[str, float], ...]


Series = RainTotal | RainRate | Pm25 | Steps


class Published(_Terms, frozen=True):
    source: str
    series: dict[str, Series]


class Spread(_Terms, frozen=True):
    """The share of a rain total that falls evenly from `start` to `end`."""

    start: str
    end: str
    share: float


class Period(_Terms, frozen=True):
    start: str
    end: str


class Feed(_Terms, frozen=True):
    """What one provider reports: at each place of `at`, the named series times `gain`.

    Readings stand at multiples of `every_min` of the local day plus `offset_min` (absent: the series' own times) and
    are published `delay_min` later.
    """

    provider: str
    quality: Literal["official", "secondary", "fallback"]
    metric: Metric
    at: dict[str, str]
    every_min: int | None = None
    offset_min: int = 0
    delay_min: float = 0
    gain: float = 1.0
    gridded: bool = False


class Correction(_Terms, frozen=True):
    """The reading of `time` first said `first`; the series' value was published at `issued`, as revision 1."""

    provider: str
    metric: Metric
    place: str
    time: str
    first: float
    issued: str


class District(_Terms, frozen=True):
    """Where riders work: depots within the disc; `place` is the station whose weather it has."""

    title: str
    lat: float
    lon: float
    radius_km: float
    weight: float
    place: str
    struck: bool


class Riders(_Terms, frozen=True):
    """Who reports, from `start` to `end`; carriers as mcc-net."""

    start: str
    end: str
    carriers: tuple[str, ...]
    altitude_m: float
    working_share: float
    districts: tuple[District, ...]


class Modeled(_Terms, frozen=True):
    note: str
    readings: Period
    feeds: tuple[Feed, ...]
    riders: Riders
    rain_spread: tuple[Spread, ...] = ()
    series: dict[str, Series] = {}
    corrections: tuple[Correction, ...] = ()


class Storm(_Terms, frozen=True):
    """One storm file."""

    name: str
    title: str
    city: str
    utc_offset_min: int
    places: dict[str, Place]
    published: Published
    modeled: Modeled

    @property
    def series(self) -> Mapping[str, Series]:
        """Published and modeled series by name."""
        return {**self.published.series, **self.modeled.series}

    def time_ms(self, local: str) -> int:
        """A local `YYYY-MM-DD HH:MM` in milliseconds since the epoch; raises ValueError."""
        moment = datetime.strptime(local, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        return int(moment.timestamp()) * 1000 - self.utc_offset_min * MINUTE_MS


def available_storms() -> list[str]:
    """Names of the storm files that come with Monsoon, sorted."""
    names = (entry.name for entry in files("monsoon.storms").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_storm(name: str) -> Storm:
    """The storm of that name, or of that path where `name` ends in .yaml; raises StormError."""
    if name.endswith(".yaml"):
        path = Path(name)
        if not path.is_file():
            raise StormError("no such storm file", name, "Give a file, or one of: " + ", ".join(available_storms()))
        return parse_storm(path.read_bytes(), where=name)
    if name not in available_storms():
        raise StormError("no such storm", name, "There are: " + ", ".join(available_storms()))
    where = f"storms/{name}.yaml"
    storm = parse_storm((files("monsoon.storms") / f"{name}.yaml").read_bytes(), where=where)
    if storm.name != name:
        raise StormError(f"its name is {storm.name!r}", where, "A storm's file is called by its name.")
    return storm


def parse_storm(content: bytes, *, where: str) -> Storm:
    """A storm file's content, checked; `where` names it in messages. Raises StormError."""
    try:
        storm = msgspec.convert(yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), Storm)
    except yaml.YAMLError as error:
        raise StormError(f"not YAML ({error})", where, "Mend the line it names.") from error
    except msgspec.ValidationError as error:
        raise StormError(str(error), where, "`$` is the top of the file; storms/ holds examples.") from error
    wrong = _inconsistency(storm)
    if wrong:
        raise StormError(wrong, where, "Mend that key.")
    return storm


def _inconsistency(storm: Storm) -> str | None:
    """What a type cannot say: names that must exist, times that must be times, in order."""
    modeled = storm.modeled
    for i, feed in enumerate(modeled.feeds):
        for place, series in feed.at.items():
            if place not in storm.places or series not in storm.series:
                return f"modeled.feeds[{i}].at: no place {place!r} or no series {series!r}"
            if feed.every_min is None and not isinstance(storm.series[series], Steps):
                return f"modeled.feeds[{i}]: every_min is missing ({series!r} has no times of its own)"
    districts = modeled.riders.districts
    for i, district in enumerate(districts):
        if district.place not in storm.places:
            return f"modeled.riders.districts[{i}].place: no place {district.place!r}"
    if len({district.struck for district in districts}) != 2:
        return "modeled.riders.districts: at least one must be struck and one not"
    spans = [("modeled.readings", modeled.readings.start, modeled.readings.end)]
    spans.append(("modeled.riders", modeled.riders.start, modeled.riders.end))
    spans += [(f"modeled.rain_spread[{i}]", s.start, s.end) for i, s in enumerate(modeled.rain_spread)]
    for key, start, end in spans:
        try:
            if storm.time_ms(start) >= storm.time_ms(end):
                return f"{key}: start is not before end"
        except ValueError:
            return f"{key}: {start!r} or {end!r} is not like '2024-06-28 08:30'"
    return None
