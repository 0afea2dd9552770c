"""Which of a provider's fields a header's cells or an object's keys are, however they are spelled."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from monsoon.sources.provider_files import Provider, names_of
from monsoon.transforms.atmosphere.quantities import QUANTITIES, unit_name

_WITH_UNIT = re.compile(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]", re.S)


@dataclass(frozen=True)
class Columns:
    """The cells of a header by the names that the provider file gives them, others by their own, trimmed.

    `units` are those that the header states, by the provider file's name. `absent` spells fields that no row can do
    without and that no cell is; `unread` cells that are no field; `unusable` cells of a quantity in a unit that it
    does not come in; `ambiguous` two cells that are one field.
    """

    names: tuple[str, ...]
    units: dict[str, str]
    absent: tuple[str, ...]
    unread: tuple[str, ...]
    unusable: tuple[str, ...]
    ambiguous: tuple[str, str] | None
    has_time: bool

    @property
    def is_header(self) -> bool:
        """Whether rows under these columns can be read."""
        return not self.absent


class ColumnReader:
    """Matches names with the fields of one provider.

    Case, spaces and the forms of one character do not matter (`To Date`, `TO  DATE`), and a unit in brackets behind a
    quantity's name is that quantity in that unit: a field `PM2.5` is also `PM2.5 (µg/m³)`, and a field `PM2.5 (ug/m3)`
    also `PM2.5 (mg/m3)`, but never `PM2.5` alone.
    """

    def __init__(self, provider: Provider) -> None:
        self._quantities = {} if provider.long else _quantities(provider)
        self._clock = names_of(provider.clock.field)
        area, long = provider.area, provider.long
        others: list[str] = [*self._clock, *names_of(provider.clock.begins), *names_of(area.station_field)]
        others += [*names_of(area.lat_field), *names_of(area.lon_field), *provider.refused]
        others += [name for name in (provider.clock.issued, provider.clock.offset_s) if name]
        self._needed = [self._clock]
        if long:
            self._needed += [names_of(long.parameter), names_of(long.value)]
            others += [*names_of(long.parameter), *names_of(long.value), *names_of(long.unit)]
        self._known = {folded(name): name for name in [*others, *self._quantities]}
        self._bases = {folded(_split(name)[0]): name for name in self._quantities}
        self.read = lru_cache(maxsize=256)(self._read)

    def _read(self, cells: Sequence[str]) -> Columns:
        """What the cells of a header, or the keys of an object, are."""
        names, unread, unusable = [], [], []
        units: dict[str, str] = {}
        taken: dict[str, str] = {}
        ambiguous = None
        for cell in cells:
            shown = cell.strip()
            name, unit = self._field_of(shown)
            if name is not None and unit is not None and unit not in QUANTITIES[self._quantities[name]].units:
                unusable.append(shown)
                name = None
            elif name is None and shown:
                unread.append(shown)
            if name is not None and name in taken:
                ambiguous = ambiguous or (taken[name], shown)
                name = None
            elif name is not None:
                taken[name] = shown
                if unit is not None:
                    units[name] = unit
            names.append(shown if name is None else name)
        absent = [_spelled(alternatives) for alternatives in self._needed if not taken.keys() & set(alternatives)]
        if self._quantities and not taken.keys() & self._quantities.keys():
            absent.append(_spelled(list(self._quantities)[:1]))
        has_time = bool(taken.keys() & set(self._clock))
        return Columns(
            tuple(names), units, tuple(absent), tuple(unread), tuple(unusable), ambiguous, has_time
        )  # fmt: skip

    def _field_of(self, cell: str) -> tuple[str | None, str | None]:
        """The field that a cell is, and the unit that it states of a quantity."""
        known = self._known.get(folded(cell))
        base, unit = _split(cell)
        if known is not None:
            return known, unit_name(unit) if unit is not None and known in self._quantities else None
        if unit is None:
            return None, None
        name = self._bases.get(folded(base))
        return name, None if name is None else unit_name(unit)


def folded(name: str) -> str:
    """A name without what differs between two spellings of it: case, spaces, the forms of one character."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _spelled(alternatives: Sequence[str]) -> str:
    return " or ".join(map(repr, alternatives))


def _quantities(provider: Provider) -> dict[str, str]:
    return {
        name: quantity_format.quantity
        for quantity_format in provider.quantities
        for name in names_of(quantity_format.field)
    }


def _split(name: str) -> tuple[str, str | None]:
    """The name and the unit in brackets behind it, if there is one."""
    found = _WITH_UNIT.fullmatch(name.strip())
    return (found[1], found[2]) if found and found[1] else (name, None)
