"""One row of a feed, read as its provider file says: which interval, where, and which quantities in their own units."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from msgspec import structs

from monsoon.sources.feeds.lines import EMPTY, Line
from monsoon.sources.provider_files import OFFSETS_MIN, Names, Provider, QuantityFormat, names_of
from monsoon.transforms.atmosphere.hours import HOUR_MS
from monsoon.transforms.atmosphere.quantities import QUANTITIES, RATE_UNIT, unit_name
from monsoon.transforms.atmosphere.us_epa import pm25_ug_m3_of_us_epa_aqi, us_epa_table_at
from monsoon.transforms.validation.fields import EARLIEST_TIME_MS, LATEST_TIME_MS

CPCB_HIGHEST = 500.0
"""The end of CPCB's scale: what goes beyond is on another."""

_MIDNIGHT = re.compile(r"(.*[ T])24(:00(?::00)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)")
"""The end of a day, written as its 24th hour."""
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Place:
    """A row's station and its position; stations of one name in two positions are two."""

    station: str
    lat: float
    lon: float


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A usable row: the moment its values are valid for (the end of its interval), the interval's length (None where
    neither row nor provider file states it), and the values, none of them missing, in their quantity's own unit; of
    rain in less than an hour the intensity. `content` identifies the row, whatever the order of its fields.

    A row without values, of a provider that issues corrections, may withdraw an earlier value."""

    time_ms: int
    length_ms: int | None
    issued_ms: int | None
    place: Place
    values: Mapping[str, float]
    content: str
    line: Line


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that cannot be used, and why; `seen_at_ms` is 0 where its time cannot be read."""

    reason: str
    detail: str
    line: Line
    seen_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row without a value to read: the provider marks it as missing, or it is of another quantity, `name`."""

    reason: str
    name: str = ""


class _Fault(Exception):  # noqa: N818
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class RowReader:
    """Reads the rows of one provider; `place` is its station's position if the rows do not state it."""

    def __init__(self, provider: Provider, place: Place | None) -> None:
        self._provider, self._place = provider, place
        self._missing = {str(mark) for mark in provider.missing} | {""}
        self._missing_numbers = {float(mark) for mark in self._missing if _NUMBER.fullmatch(mark)}
        self._by_name = {
            name: quantity_format for quantity_format in provider.quantities for name in names_of(quantity_format.field)
        }
        self._formats = names_of(provider.clock.format)

    def read(self, line: Line) -> Row | RefusedRow | SkippedRow:
        """Parses a row; never raises, whatever its fields hold."""
        seen_at_ms = 0
        try:
            if line.fields is None:
                if line.reason == EMPTY:
                    return SkippedRow("missing")
                raise _Fault(line.reason, line.detail)
            cells = self._cells(line)
            if isinstance(cells, SkippedRow):
                return cells
            time_ms = seen_at_ms = self._time_ms(line, self._provider.clock.field)
            numbers = {quantity_format: self._number(content, name) for name, quantity_format, content in cells}
            present = {quantity_format: number for quantity_format, number in numbers.items() if number is not None}
            if not present and self._provider.clock.issued is None:
                return SkippedRow("missing")
            if present:
                self._refuse(line.fields)
            length_ms = self._length_ms(line, time_ms, present)
            if self._provider.clock.stamps == "hour_beginning":
                time_ms += HOUR_MS if length_ms is None else length_ms
            place = self._place_of(line)
            units = {quantity_format: line.units.get(name) for name, quantity_format, _ in cells}
            values = dict(
                _in_own_unit(
                    quantity_format,
                    units[quantity_format] or unit_name(quantity_format.unit),
                    number,
                    time_ms,
                    length_ms,
                )
                for quantity_format, number in present.items()
            )
            issued_ms = self._issued_ms(line, time_ms)
            return Row(time_ms, length_ms, issued_ms, place, values, _content(line.fields), line)
        except _Fault as fault:
            return RefusedRow(fault.reason, fault.detail, line, seen_at_ms)
        except RecursionError:
            return RefusedRow("too_deep", "nested too deeply", line, seen_at_ms)

    def _cells(self, line: Line) -> list[tuple[str, QuantityFormat, Any]] | SkippedRow:
        """Field name, format and content of the quantities that the row has fields for."""
        fields = line.fields or {}
        long = self._provider.long
        if long is None:
            found = {}
            for name, quantity_format in self._by_name.items():
                if quantity_format not in found and (content := _at(fields, name, _ABSENT)) is not _ABSENT:
                    found[quantity_format] = (name, quantity_format, content)
            return list(found.values()) or SkippedRow("other_quantity")
        name, parameter = _first(fields, long.parameter)
        if parameter is None:
            raise _Fault(f"missing_field:{name}", "it names the quantity")
        if not isinstance(parameter, str):
            raise _Fault(f"wrong_type:{name}", f"{str(parameter)[:40]!r} names no quantity")
        listed = self._by_name.get(parameter.strip())
        if listed is None:
            return SkippedRow("other_quantity", parameter.strip()[:40])
        value_name, content = _first(fields, long.value)
        unit = None if long.unit is None else _first(fields, long.unit)[1]
        if unit is None:
            return [(value_name, listed, content)]
        stated = unit_name(str(unit))
        if stated not in QUANTITIES[listed.quantity].units:
            raise _Fault(f"wrong_unit:{parameter}", f"{str(unit)[:40]!r}, none of {listed.quantity}'s")
        return [(value_name, _in_unit(listed, stated), content)]

    def _number(self, content: Any, name: str) -> float | None:
        if content is None or (isinstance(content, str) and content.strip() in self._missing):
            return None
        number = _number(content, name)
        return None if number in self._missing_numbers else number

    def _length_ms(self, line: Line, time_ms: int, present: Mapping[QuantityFormat, float]) -> int | None:
        """The length of the row's interval, which must be one that its quantities are read of."""
        clock = self._provider.clock
        name, content = _first(line.fields or {}, clock.begins)
        if content is None or content == "":
            return clock.step_ms
        length_ms = time_ms - self._time_ms(line, name)
        ends = names_of(clock.field)[0]
        if length_ms <= 0:
            raise _Fault(f"bad_interval:{name}", f"it is not before {ends}")
        for quantity_format in present:
            min_ms, max_ms = _lengths_ms(quantity_format)
            if not min_ms <= length_ms <= max_ms:
                wanted = f"{max_ms // HOUR_MS} h" if min_ms == max_ms else "at most an hour"
                raise _Fault(
                    f"wrong_interval:{name}",
                    f"{_spelled(length_ms)} from {name} to {ends}; {quantity_format.quantity} is read of {wanted}",
                )
        return length_ms

    def _refuse(self, fields: Mapping[str, Any]) -> None:
        for name, marks in self._provider.refused.items():
            mark = _at(fields, name)
            if mark in marks:
                raise _Fault(f"refused_by_provider:{name}", f"{name} is {mark}")

    def _place_of(self, line: Line) -> Place:
        area = self._provider.area
        station = _first(line.fields or {}, area.station_field, line.around)[1]
        name = "" if station is None else str(station)[:64]
        if area.lat is not None and area.lon is not None:
            return Place(name, area.lat, area.lon)
        lat_name, lat = _first(line.fields or {}, area.lat_field, line.around)
        lon_name, lon = _first(line.fields or {}, area.lon_field, line.around)
        if self._place is not None and (lat is None or lat == ""):
            return Place(self._place.station or name, self._place.lat, self._place.lon)
        place = Place(name, _within(lat, lat_name, 90.0), _within(lon, lon_name, 180.0))
        if place.lat == 0 and place.lon == 0:
            raise _Fault(f"out_of_range:{lat_name}", "0, 0 is no station, but a position that was not known")
        return place

    def _issued_ms(self, line: Line, time_ms: int) -> int | None:
        """When the row was published; its own time where that is not stated."""
        field = self._provider.clock.issued
        if field is None:
            return None
        return time_ms if _at(line.fields or {}, field) in (None, "") else self._time_ms(line, field)

    def _time_ms(self, line: Line, names: Names) -> int:
        name, content = _first(line.fields or {}, names)
        if content is None or content == "":
            raise _Fault(f"missing_field:{name}", "it names the time")
        if self._formats[0] in ("epoch_s", "epoch_ms"):
            time_ms = _number(content, name) * (1000 if self._formats[0] == "epoch_s" else 1)
        else:
            time_ms = _moment_ms(str(content).strip(), self._formats, self._offset_min(line), name)
        # An hour that begins at the last moment ends after it.
        if not EARLIEST_TIME_MS <= time_ms <= LATEST_TIME_MS - HOUR_MS:
            raise _Fault(f"out_of_range:{name}", "a time from 2000 to 2099")
        return round(time_ms)

    def _offset_min(self, line: Line) -> float:
        clock = self._provider.clock
        _, content = _first(line.fields or {}, clock.offset_s, line.around)
        if content is None or content == "":
            return OFFSETS_MIN[clock.zone]
        offset_s = _number(content, str(clock.offset_s))
        if abs(offset_s) >= 86_400:
            raise _Fault(f"out_of_range:{clock.offset_s}", "seconds ahead of UTC, less than a day")
        return offset_s / 60


def _moment_ms(text: str, forms: Sequence[str], offset_min: float, name: str) -> float:
    midnight = _MIDNIGHT.fullmatch(text)
    if midnight:
        begun_ms = _moment_ms(f"{midnight[1]}00{midnight[2]}", forms, offset_min, name)
        return begun_ms + 24 * HOUR_MS
    for form in forms:
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
        except (ValueError, OverflowError):
            continue
    raise _Fault(f"bad_time:{name}", f"{text[:40]!r} is not like {' or '.join(forms)}")


_ABSENT = object()


def _first(fields: Mapping[str, Any], names: Names | None, around: Mapping[str, Any] | None = None) -> tuple[str, Any]:
    """The first of a field's names that has a value, and the value; the first name and None if none has."""
    alternatives = names_of(names)
    for source in (fields, around or {}):
        for name in alternatives:
            content = _at(source, name)
            if content is not None and not isinstance(content, dict | list):
                return name, content
    for name in alternatives:
        content = _at(fields, name)
        if content is not None:
            return name, content
    return (alternatives[0] if alternatives else ""), None


def _at(fields: Mapping[str, Any], name: str, absent: Any = None) -> Any:
    """The field of that name, or what lies at that dotted path: `iaqi.pm25.v`, `city.geo.0`."""
    if name in fields:
        return fields[name]
    at: Any = fields
    rest = name
    while rest:
        if isinstance(at, dict) and rest in at:  # a key may hold a dot itself: `rain.1h` is `1h` of `rain`
            return at[rest]
        key, _, rest = rest.partition(".")
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, list) and key.isdecimal() and len(key) < 4 and int(key) < len(at):
            at = at[int(key)]
        else:
            return absent
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


def _within(content: Any, name: str, limit: float) -> float:
    if content is None or content == "":
        raise _Fault(f"missing_field:{name}", "it is the position of the station; or give it with --at LAT,LON")
    number = _number(content, name)
    if abs(number) > limit:
        raise _Fault(f"out_of_range:{name}", f"must be at least -{limit:g} and at most {limit:g}")
    return number


@lru_cache(maxsize=256)
def _in_unit(quantity_format: QuantityFormat, unit: str) -> QuantityFormat:
    return structs.replace(quantity_format, unit=unit)


def _lengths_ms(quantity_format: QuantityFormat) -> tuple[int, int]:
    """The shortest and the longest interval that a quantity is read of."""
    if quantity_format.averaged_over not in (None, "1 h"):
        length_ms = int(str(quantity_format.averaged_over).split()[0]) * HOUR_MS
        return length_ms, length_ms
    if quantity_format.quantity == "rain_24h":
        return 24 * HOUR_MS, 24 * HOUR_MS
    return 1, 24 * HOUR_MS if quantity_format.quantity == "aqi" and quantity_format.of is None else HOUR_MS


def _spelled(length_ms: int) -> str:
    hours, rest_ms = divmod(length_ms, HOUR_MS)
    return f"{hours} h" if not rest_ms else f"{length_ms / 60_000:g} min"


def _in_own_unit(
    quantity_format: QuantityFormat, unit: str, number: float, time_ms: int, length_ms: int | None
) -> tuple[str, float]:
    """Quantity and value; a US index becomes the concentration that it corresponds to, an amount of rain that fell in
    less than an hour its intensity."""
    quantity = QUANTITIES[quantity_format.quantity]
    value = quantity.converted(number, unit)
    max_value = CPCB_HIGHEST if quantity_format.scale == "cpcb" else quantity.max_value
    if not quantity.min_value <= value <= max_value:
        limits = f"{quantity.min_value:g} to {max_value:g} {quantity.unit}"
        raise _Fault(
            f"out_of_range:{names_of(quantity_format.field)[0]}",
            f"{quantity_format.quantity} of {value:g} is outside {limits}",
        )
    if quantity_format.quantity == "rain_1h" and unit != RATE_UNIT and length_ms is not None:
        return quantity_format.quantity, value * HOUR_MS / length_ms
    if quantity_format.scale in (None, "cpcb") or quantity_format.of is None:
        return quantity_format.quantity, value
    table = us_epa_table_at(time_ms - 1) if quantity_format.scale == "us_epa_by_date" else quantity_format.scale
    return quantity_format.of, float(
        pm25_ug_m3_of_us_epa_aqi(value, "us_epa_2024" if table == "us_epa_2024" else "us_epa_2012")
    )


def _content(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True)
