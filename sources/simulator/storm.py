"""Storm files: loading them, and checking what their types alone cannot.

A storm file keeps what was published apart from what is modeled; times in it are local, `YYYY-MM-DD HH:MM`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import msgspec
import yaml

from monsoon.sources.files import InputError
from monsoon.sources.simulator.terms import (
    PLATFORM_METRICS,
    Curve,
    Modeled,
    Place,
    Published,
    Series,
    Steps,
    Terms,
)
from monsoon.transforms.spelling import nearest

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

PLATFORMS = ("zepto", "blinkit", "swiggy", "zomato")
"""The riders' platforms where a storm names none, evenly."""


class StormError(InputError):
    """A storm file that cannot be used; the message names the file, the key and the mend."""


class Storm(Terms, frozen=True):
    """One storm file. `shows`: product -> its triggers that the storm was written to confirm."""

    name: str
    title: str
    city: str
    utc_offset_min: int
    places: dict[str, Place]
    published: Published
    modeled: Modeled
    shows: dict[str, tuple[str, ...]] = {}  # noqa: RUF012  (msgspec gives each its own)

    @property
    def series(self) -> Mapping[str, Series]:
        """Published and modeled series by name."""
        return {**self.published.series, **self.modeled.series}

    @property
    def platforms(self) -> tuple[str, ...]:
        """Names of the riders' platforms; population codes index them."""
        return tuple(self.modeled.riders.platforms) or PLATFORMS

    def time_ms(self, local: str) -> int:
        """A local `YYYY-MM-DD HH:MM` in milliseconds since the epoch; raises ValueError."""
        moment = datetime.strptime(local, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        return int(moment.timestamp()) * 1000 - self.utc_offset_min * MINUTE_MS


def available_storms() -> list[str]:
    """Names of the storm files that come with Monsoon, sorted."""
    names = (entry.name for entry in files("monsoon.storms").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def storms_that_show(product: str) -> list[Storm]:
    """The storms written to show this product's triggers, the earliest first."""
    storms = [load_storm(name) for name in available_storms()]
    shown = [storm for storm in storms if product in storm.shows]
    return sorted(shown, key=lambda storm: storm.time_ms(storm.modeled.riders.start))


def load_storm(name: str) -> Storm:
    """The storm of that name, or of that path where `name` ends in .yaml; raises StormError."""
    if name.endswith(".yaml"):
        path = Path(name)
        if not path.is_file():
            raise StormError("no such storm file", name, "Give a file, or one of: " + ", ".join(available_storms()))
        return parse_storm(path.read_bytes(), where=name)
    known = available_storms()
    if name not in known:
        near = nearest(name, known)
        mean = "" if near is None else f"Did you mean {near}? "
        raise StormError("no such storm", name, f"{mean}There are: {', '.join(known)}")
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
    wrong = next(_inconsistencies(storm), None)
    if wrong:
        raise StormError(wrong, where, "Mend that key.")
    return storm


def _inconsistencies(storm: Storm) -> Iterator[str]:
    """What a type cannot say: names that must exist, times that must be times, in order."""
    yield from _wrong_feeds(storm)
    yield from _wrong_riders(storm)
    yield from _wrong_policies(storm)
    yield from _wrong_times(storm)


def _wrong_feeds(storm: Storm) -> Iterator[str]:
    heard: set[tuple[str, ...]] = set()
    for i, feed in enumerate(storm.modeled.feeds):
        key = f"modeled.feeds[{i}]"
        if feed.metric in PLATFORM_METRICS and feed.platform is None:
            yield f"{key}.platform: missing, and {feed.metric} is of one platform"
        for place, name in feed.at.items():
            if place not in storm.places or name not in storm.series:
                yield f"{key}.at: no place {place!r} or no series {name!r}"
                continue
            series = storm.series[name]
            if feed.every_min is None and not isinstance(series, Steps):
                yield f"{key}: every_min is missing ({name!r} has no times of its own)"
            if isinstance(series, Steps | Curve) and series.metric != feed.metric:
                yield f"{key}.at: series {name!r} is {series.metric}, not {feed.metric}"
            voice = (feed.provider, feed.metric, feed.platform or "", place)
            if voice in heard:
                yield f"{key}.at: {feed.provider} reports {feed.metric} at {place!r} twice"
            heard.add(voice)
    for i, correction in enumerate(storm.modeled.corrections):
        if (correction.first is None) == (correction.off_by is None):
            yield f"modeled.corrections[{i}]: give either first or off_by"


def _wrong_riders(storm: Storm) -> Iterator[str]:
    riders = storm.modeled.riders
    for i, district in enumerate(riders.districts):
        if district.place not in storm.places:
            yield f"modeled.riders.districts[{i}].place: no place {district.place!r}"
    if len({district.struck for district in riders.districts}) != 2:
        yield "modeled.riders.districts: at least one must be struck and one not"
    titles = {district.title for district in riders.districts}
    for i, syndicate in enumerate(riders.syndicates):
        if syndicate.district is not None and syndicate.district not in titles:
            yield f"modeled.riders.syndicates[{i}].district: no district {syndicate.district!r}"
        if syndicate.platform is not None and syndicate.platform not in storm.platforms:
            yield f"modeled.riders.syndicates[{i}].platform: no rider is on {syndicate.platform!r}"
    for i, hindrance in enumerate(storm.modeled.hindrances):
        for title in hindrance.districts:
            if title not in titles:
                yield f"modeled.hindrances[{i}].districts: no district {title!r}"
        if hindrance.platform is not None and hindrance.platform not in storm.platforms:
            yield f"modeled.hindrances[{i}].platform: no rider is on {hindrance.platform!r}"
        if hindrance.offline + hindrance.silent > 1:
            yield f"modeled.hindrances[{i}]: offline and silent are more than all"


def _wrong_policies(storm: Storm) -> Iterator[str]:
    for i, policies in enumerate(storm.modeled.policies):
        if not policies.plans:
            yield f"modeled.policies[{i}].plans: at least one"
        if policies.upgrade is not None and policies.upgrade.to not in policies.plans:
            yield f"modeled.policies[{i}].upgrade.to: no plan {policies.upgrade.to!r}"
    for i, reserve in enumerate(storm.modeled.reserves):
        if reserve.place not in storm.places:
            yield f"modeled.reserves[{i}].place: no place {reserve.place!r}"


def _wrong_times(storm: Storm) -> Iterator[str]:
    modeled = storm.modeled
    spans = [("modeled.readings", modeled.readings.start, modeled.readings.end)]
    spans.append(("modeled.riders", modeled.riders.start, modeled.riders.end))
    spans += [(f"modeled.rain_spread[{i}]", s.start, s.end) for i, s in enumerate(modeled.rain_spread)]
    spans += [(f"modeled.hindrances[{i}]", h.start, h.end) for i, h in enumerate(modeled.hindrances)]
    for i, feed in enumerate(modeled.feeds):
        spans += [(f"modeled.feeds[{i}].gaps[{j}]", gap.start, gap.end) for j, gap in enumerate(feed.gaps)]
    for name, series in storm.series.items():
        if isinstance(series, Steps | Curve):
            spans += [(f"series {name}.points", a[0], b[0]) for a, b in pairwise(series.points)]
    if modeled.alert is not None:
        spans.append(("modeled.alert", modeled.alert, "9999-12-31 00:00"))
    for i, c in enumerate(modeled.corrections):
        spans.append((f"modeled.corrections[{i}] (time, issued)", c.time, c.issued))
        if c.until is not None:
            spans.append((f"modeled.corrections[{i}] (time, until)", c.time, c.until))
    for i, reserve in enumerate(modeled.reserves):
        spans.append((f"modeled.reserves[{i}]", reserve.time, "9999-12-31 00:00"))
    for key, start, end in spans:
        try:
            if storm.time_ms(start) >= storm.time_ms(end):
                yield f"{key}: start is not before end"
        except ValueError:
            yield f"{key}: {start!r} or {end!r} is not like '2024-06-28 08:30'"
