"""Storm files: loading them, and checking what their types alone cannot.

A storm file keeps what was published apart from what is modeled; times in it are local, `YYYY-MM-DD HH:MM`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise

from msgspec import field

from monsoon.sources.simulator.terms import (
    PLATFORM_METRICS,
    Curve,
    Frequency,
    Modeled,
    Place,
    Published,
    Series,
    Steps,
)
from monsoon.sources.yaml_formats import FormatError, YamlFormat
from monsoon.transforms.documents import Fault, Path, Section, did_you_mean, quoted

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_LAST = "9999-12-31 00:00"

PLATFORMS = ("zepto", "blinkit", "swiggy", "zomato")
"""The riders' platforms where a storm names none, evenly."""


class StormError(FormatError):
    """A storm file that cannot be used; the message names the file, the key and the mend."""


class Storm(Section, frozen=True):
    """One storm file. `shows`: product -> its triggers that the storm was written to confirm; `frequency`: of such
    storms, for seasons of them."""

    name: str
    title: str
    city: str
    utc_offset_min: int
    places: dict[str, Place]
    published: Published
    modeled: Modeled
    shows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    frequency: Frequency | None = None

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
    return STORM_FILES.available()


def load_storm(name: str) -> Storm:
    """The storm of that name, or of that path where `name` ends in .yaml; raises StormError."""
    return STORM_FILES.load(name)


def storms_that_show(product: str) -> list[Storm]:
    """The storms written to show this product's triggers, the earliest first."""
    storms = [load_storm(name) for name in available_storms()]
    shown = [storm for storm in storms if product in storm.shows]
    return sorted(shown, key=lambda storm: storm.time_ms(storm.modeled.riders.start))


def _inconsistencies(storm: Storm) -> Iterator[Fault]:
    """Faults that types cannot express: names that must exist, times that must be times, in order."""
    yield from _wrong_feeds(storm)
    yield from _wrong_riders(storm)
    yield from _wrong_policies(storm)
    yield from _wrong_times(storm)
    if storm.frequency is not None and len(set(storm.frequency.months)) < len(storm.frequency.months):
        yield Fault(("frequency", "months"), "a month is named twice")


def _unknown(path: Path, what: str, name: str, known: Iterable[str]) -> Iterator[Fault]:
    """A fault where the file names something that it does not have."""
    known = list(known)
    if name not in known:
        there = f"there are: {', '.join(known)}" if known else "there is none"
        yield Fault(path, f"no {what} {quoted(name)}{did_you_mean(name, known)}; {there}")


def _wrong_feeds(storm: Storm) -> Iterator[Fault]:
    for name, station in storm.places.items():
        if station.lat == 0 and station.lon == 0:
            yield Fault(("places", name), "0, 0 is no place: a phone without a fix reports it")
    known: set[tuple[str, ...]] = set()
    for i, feed in enumerate(storm.modeled.feeds):
        path: Path = ("modeled", "feeds", i)
        if feed.metric in PLATFORM_METRICS and feed.platform is None:
            yield Fault(path, f'the field "platform" is missing: {feed.metric} is of one platform')
        for place, name in feed.at.items():
            at: Path = (*path, "at", place)
            for fault in _unknown(at, "place", place, storm.places):
                yield Fault((*path, "at"), fault.problem, at)
            yield from _unknown(at, "series", name, storm.series)
            series = storm.series.get(name)
            if series is None:
                continue
            if feed.every_min is None and not isinstance(series, Steps):
                yield Fault(path, f'the field "every_min" is missing ({quoted(name)} has no times of its own)')
            if isinstance(series, Steps | Curve) and series.metric != feed.metric:
                yield Fault(at, f"series {quoted(name)} is {series.metric}, not {feed.metric}")
            feed_key = (feed.provider, feed.metric, feed.platform or "", place)
            if feed_key in known:
                yield Fault((*path, "at"), f"{feed.provider} reports {feed.metric} at {quoted(place)} twice", at)
            known.add(feed_key)
    for i, correction in enumerate(storm.modeled.corrections):
        if (correction.first is None) == (correction.off_by is None):
            yield Fault(("modeled", "corrections", i), "give either first or off_by")


def _wrong_riders(storm: Storm) -> Iterator[Fault]:
    riders, path = storm.modeled.riders, ("modeled", "riders")
    for i, district in enumerate(riders.districts):
        yield from _unknown((*path, "districts", i, "place"), "place", district.place, storm.places)
    if len({district.struck for district in riders.districts}) != 2:
        yield Fault((*path, "districts"), "at least one must be struck and one not")
    titles = list(dict.fromkeys(district.title for district in riders.districts))
    for i, syndicate in enumerate(riders.syndicates):
        at: Path = (*path, "syndicates", i)
        if syndicate.district is not None:
            yield from _unknown((*at, "district"), "district", syndicate.district, titles)
        if syndicate.platform is not None:
            yield from _unknown((*at, "platform"), "rider's platform", syndicate.platform, storm.platforms)
    for i, hindrance in enumerate(storm.modeled.hindrances):
        at = ("modeled", "hindrances", i)
        for j, title in enumerate(hindrance.districts):
            yield from _unknown((*at, "districts", j), "district", title, titles)
        if hindrance.platform is not None:
            yield from _unknown((*at, "platform"), "rider's platform", hindrance.platform, storm.platforms)
        if hindrance.offline + hindrance.silent > 1:
            yield Fault(at, "offline and silent are more than all")


def _wrong_policies(storm: Storm) -> Iterator[Fault]:
    for i, policies in enumerate(storm.modeled.policies):
        if policies.upgrade is not None:
            yield from _unknown(
                ("modeled", "policies", i, "upgrade", "to"), "plan", policies.upgrade.to, policies.plans
            )
    for i, reserve in enumerate(storm.modeled.reserves):
        yield from _unknown(("modeled", "reserves", i, "place"), "place", reserve.place, storm.places)


def _wrong_times(storm: Storm) -> Iterator[Fault]:
    for path, start, end in _spans(storm):
        try:
            if storm.time_ms(start) >= storm.time_ms(end):
                yield Fault(path, f"start is not before end: {start}, {end}")
        except ValueError:
            yield Fault(path, f"{quoted(start)} or {quoted(end)} is no moment of the calendar")


def _spans(storm: Storm) -> Iterator[tuple[Path, str, str]]:
    """Times of the file that must be in order, by their place; a time alone is before all that follow it."""
    modeled, top = storm.modeled, "modeled"
    yield (top, "readings"), modeled.readings.start, modeled.readings.end
    yield (top, "riders"), modeled.riders.start, modeled.riders.end
    yield from (((top, "rain_spread", i), part.start, part.end) for i, part in enumerate(modeled.rain_spread))
    yield from (((top, "hindrances", i), each.start, each.end) for i, each in enumerate(modeled.hindrances))
    for i, feed in enumerate(modeled.feeds):
        yield from (((top, "feeds", i, "gaps", j), gap.start, gap.end) for j, gap in enumerate(feed.gaps))
    for whose, section in (("published", storm.published.series), (top, modeled.series)):
        for name, series in section.items():
            if isinstance(series, Steps | Curve):
                for j, (a, b) in enumerate(pairwise(series.points), 1):
                    yield (whose, "series", name, "points", j), a[0], b[0]
    if modeled.alert is not None:
        yield (top, "alert"), modeled.alert, _LAST
    for i, each in enumerate(modeled.corrections):
        yield (top, "corrections", i, "issued"), each.time, each.issued
        if each.until is not None:
            yield (top, "corrections", i, "until"), each.time, each.until
    for i, reserve in enumerate(modeled.reserves):
        yield (top, "reserves", i, "time"), reserve.time, _LAST


STORM_FILES = YamlFormat(
    kind="storm",
    folder="storms",
    package="monsoon.storms",
    model=Storm,
    error=StormError,
    page="docs/storms.md",
    further=_inconsistencies,
    name_of=lambda storm: storm.name,
)
"""Storm files: those of storms/, and others beside them."""
