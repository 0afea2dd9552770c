"""One row of a feed, read as its provider file says: when, where, and which quantities in their own units."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from monsoon.sources.feeds.lines import Line
from monsoon.sources.provider_files import OFFSETS_MIN, Provider, Spoken
from monsoon.transforms.atmosphere.quantities import QUANTITIES, unit_name
from monsoon.transforms.atmosphere.us_epa import pm25_ug_m3_of_us_epa_aqi, us_epa_table_at
from monsoon.transforms.validation.fields import LATEST_TIME_MS

HOUR_MS = 3_600_000
CPCB_HIGHEST = 500.0
"""The end of CPCB's scale: what goes beyond is on another."""

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row's station stands; stations of one name in two places are two."""

    station: str
    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Row:
    """A usable row: the moment its values are valid for (the end of its hour), and the values, none of them missing,
    in their quantity's own unit. `content` is what tells two rows apart, whatever the order of their fields.

    A row without values, of a provider that issues corrections, may withdraw what was said before."""

    time_ms: int
    issued_ms: int | None
    place: Place
    values: Mapping[str, float]
    content: str
    line: Line


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that cannot be used, and why; `seen_at_ms` is 0 where its time cannot be read."""

    reason: str
    detail: str
    line: Line
    seen_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Silence:
    """A row that says nothing that is wanted: a value its provider calls missing, or another quantity."""

    reason: str


class _Fault(Exception):  # noqa: N818
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class RowReader:
    """Reads the rows of one provider; `place` is where its station stands if the rows do not say."""

    def __init__(self, provider: Provider, place: Place | None) -> None:
        self._provider, self._place = provider, place
        self._missing = {str(mark) for mark in provider.missing} | {""}
        self._missing_numbers = {float(mark) for mark in self._missing if _NUMBER.fullmatch(mark)}
        self._by_name = {spoken.field: spoken for spoken in provider.quantities}

    def read(self, line: Line) -> Row | Refusal | Silence:
        """What the row says; never raises, whatever its fields hold."""
        seen_at_ms = 0
        try:
            if line.fields is None:
                raise _Fault(line.reason, line.detail)
            cells = self._cells(line.fields)
            if not cells:
                return Silence("not_spoken")
            time_ms = seen_at_ms = self._time_ms(line.fields, self._provider.clock.field)
            numbers = {spoken: self._number(text, name) for name, spoken, text in cells}
            present = {spoken: number for spoken, number in numbers.items() if number is not None}
            if not present and self._provider.clock.issued is None:
                return Silence("missing")
            if present:
                self._refuse(line.fields)
            if self._provider.clock.stamps == "hour_beginning":
                time_ms += HOUR_MS
            place = self._place_of(line.fields)
            values = dict(_in_own_unit(spoken, number, time_ms) for spoken, number in present.items())
            return Row(time_ms, self._issued_ms(line.fields, time_ms), place, values, _content(line.fields), line)
        except _Fault as fault:
            return Refusal(fault.reason, fault.detail, line, seen_at_ms)
        except RecursionError:
            return Refusal("too_deep", "nested too deeply", line, seen_at_ms)

    def _cells(self, fields: Mapping[str, Any]) -> list[tuple[str, Spoken, Any]]:
        """Field name, quantity and content, of the quantities that the row could speak."""
        long = self._provider.long
        if long is None:
            return [(name, spoken, _at(fields, name)) for name, spoken in self._by_name.items()]
        name = _at(fields, long.parameter)
        if name is None:
            raise _Fault(f"missing_field:{long.parameter}", "it names the quantity")
        spoken = self._by_name.get(name) if isinstance(name, str) else None
        if spoken is None:
            return []
        unit = None if long.unit is None else _at(fields, long.unit)
        if unit is not None and unit_name(str(unit)) != unit_name(spoken.unit):
            raise _Fault(f"wrong_unit:{name}", f"{str(unit)[:40]!r}, not {spoken.unit}")
        return [(long.value, spoken, _at(fields, long.value))]

    def _number(self, content: Any, name: str) -> float | None:
        if content is None or (isinstance(content, str) and content.strip() in self._missing):
            return None
        number = _number(content, name)
        return None if number in self._missing_numbers else number

    def _refuse(self, fields: Mapping[str, Any]) -> None:
        for name, marks in self._provider.refused.items():
            mark = _at(fields, name)
            if mark in marks:
                raise _Fault(f"refused_by_provider:{name}", f"{name} is {mark}")

    def _place_of(self, fields: Mapping[str, Any]) -> Place:
        area = self._provider.area
        station = None if area.station_field is None else _at(fields, area.station_field)
        name = "" if station is None else str(station)[:64]
        if self._place is not None:
            return Place(name or self._place.station, self._place.lat, self._place.lon)
        if area.lat is not None and area.lon is not None:
            return Place(name, area.lat, area.lon)
        lat = _within(fields, str(area.lat_field), 90.0)
        return Place(name, lat, _within(fields, str(area.lon_field), 180.0))

    def _issued_ms(self, fields: Mapping[str, Any], time_ms: int) -> int | None:
        """When the row was published; a row that does not say, at its own time."""
        field = self._provider.clock.issued
        if field is None:
            return None
        return time_ms if _at(fields, field) in (None, "") else self._time_ms(fields, field)

    def _time_ms(self, fields: Mapping[str, Any], name: str) -> int:
        content = _at(fields, name)
        if content is None or content == "":
            raise _Fault(f"missing_field:{name}", "it names the time")
        form = self._provider.clock.format
        if form in ("epoch_s", "epoch_ms"):
            time_ms = _number(content, name) * (1000 if form == "epoch_s" else 1)
        else:
            time_ms = _moment_ms(str(content).strip(), form, OFFSETS_MIN[self._provider.clock.zone], name)
        # An hour that begins at the last moment ends after it.
        if not 0 <= time_ms <= LATEST_TIME_MS - HOUR_MS:
            raise _Fault(f"out_of_range:{name}", "a time from 1970 to 2099")
        return round(time_ms)


def _moment_ms(text: str, form: str, offset_min: int, name: str) -> float:
    try:
        if form == "iso8601":
            if len(text) < len("2019-11-03T11"):
                raise ValueError("a day without an hour")
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, form)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise _Fault(f"bad_time:{name}", f"{text[:40]!r} is not like {form}") from error


def _at(fields: Mapping[str, Any], name: str) -> Any:
    """The field of that name, or what lies at that dotted path: `iaqi.pm25.v`, `city.geo.0`."""
    if name in fields:
        return fields[name]
    at: Any = fields
    rest = name
    while rest:
        if isinstance(at, dict) and rest in at:  # a key may hold a dot itself: `rain.1h` is `1h` of `rain`
            return at[rest]
        key, _, rest = rest.partition(".")
        if isinstance(at, dict):
            at = at.get(key)
        elif isinstance(at, list) and key.isdecimal() and len(key) < 4 and int(key) < len(at):
            at = at[int(key)]
        else:
            return None
    return at


def _number(content: Any, name: str) -> float:
    if isinstance(content, str) and _NUMBER.fullmatch(content.strip()):
        number = float(content)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        number = float(content) if abs(content) < 1e300 else math.inf
    else:
        raise _Fault(f"wrong_type:{name}", f"{str(content)[:40]!r} is no number")
    if not math.isfinite(number):
        raise _Fault(f"out_of_range:{name}", "beyond any measurement")
    return number


def _within(fields: Mapping[str, Any], name: str, limit: float) -> float:
    content = _at(fields, name)
    if content is None or content == "":
        raise _Fault(f"missing_field:{name}", "it says where the station stands")
    number = _number(content, name)
    if abs(number) > limit:
        raise _Fault(f"out_of_range:{name}", f"must be at least -{limit:g} and at most {limit:g}")
    return number


def _in_own_unit(spoken: Spoken, number: float, time_ms: int) -> tuple[str, float]:
    """Quantity and value; a US index becomes the concentration that it stands for."""
    quantity = QUANTITIES[spoken.quantity]
    value = quantity.converted(number, unit_name(spoken.unit))
    most = CPCB_HIGHEST if spoken.scale == "cpcb" else quantity.most
    if not quantity.least <= value <= most:
        limits = f"{quantity.least:g} to {most:g} {quantity.unit}"
        raise _Fault(f"out_of_range:{spoken.field}", f"{spoken.quantity} of {value:g} is outside {limits}")
    if spoken.scale in (None, "cpcb") or spoken.of is None:
        return spoken.quantity, value
    table = us_epa_table_at(time_ms - 1) if spoken.scale == "us_epa_by_date" else spoken.scale
    return spoken.of, float(pm25_ug_m3_of_us_epa_aqi(value, "us_epa_2024" if table == "us_epa_2024" else "us_epa_2012"))


def _content(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True)
