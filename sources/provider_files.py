"""Provider files: what a feed's fields, units, scales and clock are, checked before a row of it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import yaml

from monsoon.sources.files import InputError
from monsoon.transforms.atmosphere.cpcb import POLLUTANTS
from monsoon.transforms.atmosphere.quantities import QUANTITIES, unit_name
from monsoon.transforms.spelling import nearest

Quality = Literal["official", "secondary", "fallback"]
Scale = Literal["cpcb", "us_epa_2012", "us_epa_2024", "us_epa_by_date"]
"""`us_epa_by_date` is the EPA's table that was in force at the hour: that of 2012 before 6 May 2024."""

OFFSETS_MIN: Mapping[str, int] = {"UTC": 0, "Asia/Kolkata": 330}
"""Zones of feeds, in minutes ahead of UTC; neither has had summer time since 1945."""


class ProviderError(InputError):
    """A provider file that cannot be used: which file, which key, the nearest right word."""


class _Terms(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Base of the file's sections: an unknown key is an error, not a comment."""


class Clock(_Terms, frozen=True):
    """`field` holds the time as `format` says (iso8601, epoch_s, epoch_ms, or a strptime pattern); `zone` counts where
    the text names none. `stamps` says which moment names an hour; readings name its end. `issued` is the field with
    the time of publication, in the same format, if there is one: then a second value for an hour is a correction."""

    field: str
    format: str
    zone: Literal["UTC", "Asia/Kolkata"]
    stamps: Literal["hour_beginning", "hour_ending", "moment"]
    issued: str | None = None


class Area(_Terms, frozen=True):
    """Where the readings speak: a fixed point, two fields of the row, or (neither given) `--at LAT,LON`."""

    lat: float | None = None
    lon: float | None = None
    lat_field: str | None = None
    lon_field: str | None = None
    station_field: str | None = None
    radius_km: float | None = None


class LongFormat(_Terms, frozen=True):
    """One quantity a row: the fields that hold its name, its value and (if there is one) its unit."""

    parameter: str
    value: str
    unit: str | None = None


class Spoken(_Terms, frozen=True):
    """One quantity that the feed speaks: its field (in the long format, its name), its unit; of a concentration or a
    US index the hours it averages, of an index its scale and, on a US scale, its pollutant."""

    field: str
    quantity: str
    unit: str
    averaged_over: Literal["1 h", "8 h", "24 h"] | None = None
    scale: Scale | None = None
    of: Literal["pm25"] | None = None


class Provider(_Terms, frozen=True):
    """One provider file."""

    name: str
    provider: str
    title: str
    quality: Quality
    clock: Clock
    area: Area
    quantities: tuple[Spoken, ...]
    long: LongFormat | None = None
    missing: tuple[str | float, ...] = ()
    refused: dict[str, tuple[str, ...]] = {}

    @property
    def needs_place(self) -> bool:
        """Whether the command line must say where the station stands."""
        return self.area.lat is None and self.area.lat_field is None


def available_providers() -> list[str]:
    """Names of the provider files that come with Monsoon, sorted."""
    names = (entry.name for entry in files("monsoon.sources.providers").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_provider(name: str) -> Provider:
    """The provider of that name, or of that path where `name` ends in .yaml; raises ProviderError."""
    known = available_providers()
    if name.endswith(".yaml"):
        path = Path(name)
        if not path.is_file():
            raise ProviderError("no such provider file", name, "Give a file, or one of: " + ", ".join(known))
        return parse_provider(path.read_bytes(), where=name)
    if name not in known:
        near = nearest(name, known)
        mean = "" if near is None else f"Did you mean {near}? "
        raise ProviderError("no such provider", name, f"{mean}There are: {', '.join(known)}")
    where = f"sources/providers/{name}.yaml"
    provider = parse_provider((files("monsoon.sources.providers") / f"{name}.yaml").read_bytes(), where=where)
    if provider.name != name:
        raise ProviderError(f"its name is {provider.name!r}", where, "A provider's file is called by its name.")
    return provider


def parse_provider(content: bytes, *, where: str) -> Provider:
    """A provider file's content, checked; `where` names it in messages. Raises ProviderError."""
    try:
        document = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        provider = msgspec.convert(document, Provider)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProviderError(f"not YAML ({error})", where, "Mend the line it names.") from error
    except msgspec.ValidationError as error:
        raise ProviderError(str(error), where, _nearest(str(error), document)) from error
    wrong = next(_inconsistencies(provider), None)
    if wrong:
        raise ProviderError(wrong, where, "docs/feeds.md has the grammar.")
    return provider


def _nearest(message: str, document: Any) -> str:
    """The right word for the one that the message complains of."""
    words = set(_words(Provider))
    wrong = re.search(r"(?:unknown field|enum value) [`']([^`']*)[`']", message)
    near = nearest(wrong[1], words) if wrong else None
    mend = "`$` is the top of the file; sources/providers/ holds examples."
    return f"Did you mean {near!r}? {mend}" if near else mend


def _words(kind: Any) -> Iterator[str]:
    """Every key and every choice that the grammar knows."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif isinstance(kind, type) and issubclass(kind, _Terms):
        for name, hint in get_type_hints(kind).items():
            yield name
            yield from _words(hint)
    else:
        for part in get_args(kind):
            yield from _words(part)


def _inconsistencies(provider: Provider) -> Iterator[str]:
    """What a type cannot say, each with its key."""
    area, clock = provider.area, provider.clock
    if (area.lat is None) != (area.lon is None) or (area.lat_field is None) != (area.lon_field is None):
        yield "area: lat and lon, or lat_field and lon_field, come together"
    if area.lat is not None and area.lat_field is not None:
        yield "area: both a fixed point and fields of the row; give one"
    if abs(area.lat or 0) > 90 or abs(area.lon or 0) > 180 or (area.radius_km or 0) < 0:
        yield "area: no place on the globe"
    if clock.format not in ("iso8601", "epoch_s", "epoch_ms") and "%" not in clock.format:
        yield f"clock.format: {clock.format!r} is no iso8601, epoch_s, epoch_ms or pattern like '%Y-%m-%d %H:%M'"
    if not re.fullmatch(r"[a-z0-9_]{1,32}", provider.provider) or not re.fullmatch(r"[a-z0-9_]{1,32}", provider.name):
        yield "name, provider: 1 to 32 of a-z, 0-9 and _"
    if not provider.quantities:
        yield "quantities: a feed speaks at least one"
    for place, spoken in enumerate(provider.quantities):
        wrong = _wrong_quantity(spoken)
        if wrong:
            yield f"quantities[{place}]{wrong}"
    names = [spoken.quantity if spoken.scale in (None, "cpcb") else spoken.of for spoken in provider.quantities]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        yield f"quantities: {twice[0]} is spoken twice; name the field to go by"
    if "aqi" in names and POLLUTANTS.keys() & set(names):
        yield "quantities: an index on CPCB's scale and concentrations; name what to go by"


def _wrong_quantity(spoken: Spoken) -> str | None:
    if spoken.quantity not in QUANTITIES:
        near = nearest(spoken.quantity, QUANTITIES)
        mean = "" if near is None else f"; did you mean {near!r}?"
        return f".quantity: unknown {spoken.quantity!r}{mean} There are: {', '.join(QUANTITIES)}"
    units = QUANTITIES[spoken.quantity].units
    if unit_name(spoken.unit) not in units:
        return f".unit: {spoken.unit!r} is none of {spoken.quantity}'s: {', '.join(units)}"
    if spoken.quantity == "aqi":
        return _wrong_index(spoken)
    if spoken.scale is not None or spoken.of is not None:
        return ": scale and of belong to an aqi"
    if spoken.quantity not in POLLUTANTS:
        return ": averaged_over belongs to a concentration" if spoken.averaged_over is not None else None
    means = ("1 h", f"{POLLUTANTS[spoken.quantity].mean_h} h")
    return None if spoken.averaged_over in means else f".averaged_over: of {spoken.quantity} it is {' or '.join(means)}"


def _wrong_index(spoken: Spoken) -> str | None:
    if spoken.scale is None:
        return ".scale: an aqi without a scale is no measurement; cpcb, us_epa_2012, us_epa_2024 or us_epa_by_date"
    if spoken.scale == "cpcb":
        return ": of and averaged_over belong to a US index" if spoken.of or spoken.averaged_over else None
    if spoken.of is None:
        return ".of: a US index can be turned into a concentration only if it is that of pm25; else it is refused"
    if spoken.averaged_over not in ("1 h", "24 h"):
        return ".averaged_over: of a US index it is 1 h or 24 h; a NowCast weighs 12 hours and cannot be averaged again"
    return None
