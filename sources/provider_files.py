"""Provider files: what a feed's fields, units, scales and clock are, checked before a row of it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, get_args

from msgspec import Meta, field

from monsoon.sources.yaml_formats import FormatError, YamlFormat
from monsoon.transforms.atmosphere.cpcb import POLLUTANTS
from monsoon.transforms.atmosphere.quantities import QUANTITIES, unit_name
from monsoon.transforms.documents import Fault, Path, Section, did_you_mean, matching, quoted

Quality = Literal["official", "secondary", "fallback"]
Scale = Literal["cpcb", "us_epa_2012", "us_epa_2024", "us_epa_by_date"]
"""`us_epa_by_date` is the EPA's table that was in force at the hour: that of 2012 before 6 May 2024."""

OFFSETS_MIN: Mapping[str, int] = {"UTC": 0, "Asia/Kolkata": 330}
"""Zones of feeds, in minutes ahead of UTC; neither has had summer time since 1945."""


class ProviderError(FormatError):
    """A provider file that cannot be used: which file, which key, the nearest right word."""


Name = Annotated[str, matching("^[a-z0-9][a-z0-9_]{0,31}$(?!\\n)", "is no name: 1 to 32 of a-z, 0-9 and _, no _ first")]
ProviderId = Annotated[
    str,
    matching(
        "^[a-z0-9][a-z0-9_.-]{0,63}$(?!\\n)", "is no provider: 1 to 64 of a-z, 0-9, _, . and -, a letter or digit first"
    ),
]
Names = str | Annotated[tuple[str, ...], Meta(min_length=1)]
"""A field's name, or several of which a feed has one: a column, or a dotted path into a JSON object."""

STEPS_MIN: Mapping[str, int] = {"5 min": 5, "10 min": 10, "15 min": 15, "30 min": 30, "1 h": 60}
MAX_RADIUS_KM = 79.78
"""A disc of 20,000 km2, the largest area that a reading may cover."""


class Clock(Section, frozen=True):
    """`field` holds the time as `format` says (iso8601, epoch_s, epoch_ms, or a strptime pattern; of several the first
    that fits); `zone` counts where the text names none, and before it `offset_s`, a field with seconds ahead of UTC.
    `stamps`: which moment of an interval a row states; readings state its end. `begins` is the field with the
    interval's beginning; `step` is its length where no field states it, an hour unless given. `issued` is the field
    with the time of publication, in the same format, if there is one: then a second value for an hour is a
    correction."""

    field: Names
    format: Names
    zone: Literal["UTC", "Asia/Kolkata"]
    stamps: Literal["hour_beginning", "hour_ending", "moment"]
    begins: Names | None = None
    step: Literal["5 min", "10 min", "15 min", "30 min", "1 h"] | None = None
    offset_s: str | None = None
    issued: str | None = None

    @property
    def step_ms(self) -> int | None:
        """The length of every row's interval, if it is declared."""
        return None if self.step is None else STEPS_MIN[self.step] * 60_000


class Area(Section, frozen=True):
    """The position of readings: a fixed point, two fields of the row, or (neither given) `--at LAT,LON`. With
    `may_lack` rows may lack the fields, and `--at` gives the position of these."""

    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    lat_field: Names | None = None
    lon_field: Names | None = None
    may_lack: bool = False
    station_field: Names | None = None
    radius_km: Annotated[float, Meta(gt=0, le=MAX_RADIUS_KM)] | None = None


class LongFormat(Section, frozen=True):
    """One quantity a row: the fields that hold its name, its value and (if there is one) its unit."""

    parameter: Names
    value: Names
    unit: Names | None = None


class Answer(Section, frozen=True):
    """An API's answer that holds many rows: `rows` is the path to a list of them, or to an object of lists as long as
    each other, a column each; `units` to an object with the unit of each field, if there is one."""

    rows: str
    units: str | None = None


class QuantityFormat(Section, frozen=True):
    """One quantity of the feed: its field (in the long format, its name), its unit where the feed states none;
    of a concentration or a US index the hours it averages, of an index its scale and, on a US scale, its pollutant."""

    field: Names
    quantity: str
    unit: str
    averaged_over: Literal["1 h", "8 h", "24 h"] | None = None
    scale: Scale | None = None
    of: Literal["pm25"] | None = None


class Provider(Section, frozen=True):
    """One provider file."""

    name: Name
    provider: ProviderId
    title: str
    quality: Quality
    clock: Clock
    area: Area
    quantities: Annotated[tuple[QuantityFormat, ...], Meta(min_length=1)]
    long: LongFormat | None = None
    answer: Answer | None = None
    missing: tuple[str | float, ...] = ()
    refused: dict[str, tuple[str | bool, ...]] = field(default_factory=dict)

    @property
    def needs_place(self) -> bool:
        """Whether the command line must give the station's position."""
        return self.area.lat is None and self.area.lat_field is None


def names_of(names: Names | None) -> tuple[str, ...]:
    """The names that a field may have, the one to go by first."""
    return () if names is None else (names,) if isinstance(names, str) else names


def available_providers() -> list[str]:
    """Names of the provider files that come with Monsoon, sorted."""
    return PROVIDER_FILES.available()


def load_provider(name: str) -> Provider:
    """The provider of that name, or of that path where `name` ends in .yaml; raises ProviderError."""
    return PROVIDER_FILES.load(name)


def parse_provider(content: bytes, *, where: str) -> Provider:
    """A provider file's content, checked; `where` names it in messages. Raises ProviderError."""
    return PROVIDER_FILES.parse(content, where=where)


def _inconsistencies(provider: Provider) -> Iterator[Fault]:
    """Faults that types cannot express, each with its path."""
    area, clock = provider.area, provider.clock
    if (area.lat is None) != (area.lon is None) or (area.lat_field is None) != (area.lon_field is None):
        yield Fault(("area",), "lat and lon, or lat_field and lon_field, come together")
    if area.lat is not None and area.lat_field is not None:
        yield Fault(("area",), "both a fixed point and fields of the row; give one")
    if area.may_lack and area.lat_field is None:
        yield Fault(("area", "may_lack"), "it belongs to lat_field and lon_field")
    for form in names_of(clock.format):
        if form not in ("iso8601", "epoch_s", "epoch_ms") and "%" not in form:
            problem = f'{quoted(form)} is no iso8601, epoch_s, epoch_ms or pattern like "%Y-%m-%d %H:%M"'
            yield Fault(("clock", "format"), problem)
    if clock.begins is not None and (clock.step is not None or clock.stamps != "hour_ending"):
        yield Fault(("clock", "begins"), "from there to clock.field; stamps is then hour_ending, and there is no step")
    for index, quantity in enumerate(provider.quantities):
        yield from _wrong_quantity(quantity, ("quantities", index))
    names = [quantity.quantity if quantity.scale in (None, "cpcb") else quantity.of for quantity in provider.quantities]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Fault(("quantities", index), f"{name} is read twice; name the field to go by")
    if "aqi" in names and POLLUTANTS.keys() & set(names):
        yield Fault(("quantities",), "an index on CPCB's scale and concentrations; name what to go by")


def _wrong_quantity(quantity: QuantityFormat, path: Path) -> Iterator[Fault]:
    """The first of what is wrong with one quantity: the rest follows from it."""
    found = _wrong_unit(quantity) or (_wrong_index(quantity) if quantity.quantity == "aqi" else _wrong_mean(quantity))
    if found is not None:
        field, problem = found
        yield Fault((*path, field) if field else path, problem)


def _wrong_unit(quantity: QuantityFormat) -> tuple[str, str] | None:
    if quantity.quantity not in QUANTITIES:
        near = did_you_mean(quantity.quantity, QUANTITIES)
        return "quantity", f"unknown {quoted(quantity.quantity)}{near}; there are: {', '.join(QUANTITIES)}"
    units = QUANTITIES[quantity.quantity].units
    if unit_name(quantity.unit) not in units:
        return "unit", f"{quoted(quantity.unit)} is none of {quantity.quantity}'s: {', '.join(units)}"
    return None


def _wrong_mean(quantity: QuantityFormat) -> tuple[str, str] | None:
    if quantity.scale is not None or quantity.of is not None:
        return "", "scale and of belong to an aqi"
    if quantity.quantity not in POLLUTANTS:
        return None if quantity.averaged_over is None else ("averaged_over", "it belongs to a concentration")
    means = ("1 h", f"{POLLUTANTS[quantity.quantity].mean_h} h")
    if quantity.averaged_over not in means:
        return "averaged_over", f"of {quantity.quantity} it is {' or '.join(means)}"
    return None


def _wrong_index(quantity: QuantityFormat) -> tuple[str, str] | None:
    if quantity.scale is None:
        return "scale", f"an aqi without a scale is no measurement; {', '.join(get_args(Scale))}"
    if quantity.scale == "cpcb":
        return ("", "of and averaged_over belong to a US index") if quantity.of or quantity.averaged_over else None
    if quantity.of is None:
        return "of", "a US index can be turned into a concentration only if it is that of pm25; else it is refused"
    if quantity.averaged_over not in ("1 h", "24 h"):
        return "averaged_over", "of a US index 1 h or 24 h; a NowCast weighs 12 hours and cannot be averaged again"
    return None


PROVIDER_FILES = YamlFormat(
    kind="provider",
    folder="sources/providers",
    package="monsoon.sources.providers",
    model=Provider,
    error=ProviderError,
    page="docs/feeds.md",
    further=_inconsistencies,
    name_of=lambda provider: provider.name,
)
"""Provider files: those of sources/providers/, and others beside them."""
