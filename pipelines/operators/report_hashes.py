"""Telemetry rows as two numbers each: which report a row is, and what it says.

State holds them for hours and across restarts, so they rest on nothing of a process or a release: texts are hashed as
their UTF-8 octets, numbers as their bits, by arithmetic that is written down here. No Python object is made for a row.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.telemetry_columns import NULLED
from monsoon.transforms.validation.fields import NON_CONTENT_FIELDS

Hashes = npt.NDArray[np.uint64]

_IDENTITY = ("worker_id", "event_id")
_LEFT_OUT = frozenset({*_IDENTITY, *NON_CONTENT_FIELDS, NULLED})
_OCTETS = 8
"""So many octets of a text are taken at a time."""
_MASKS: Hashes = np.array([2 ** (8 * octets) - 1 for octets in range(_OCTETS + 1)], dtype=np.uint64)
_GOLDEN, _FIRST, _SECOND = (np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def report_hashes(frame: pl.DataFrame) -> tuple[Hashes, Hashes]:
    """Of compact telemetry rows (`telemetry_columns.compact`): which report each is (worker_id, event_id), and what it
    says beside, uint64 (rows).

    A field that is null adds nothing, so that what was remembered before a field came to the contract still holds.
    """
    names = [name for name in frame.columns if name not in _LEFT_OUT and frame[name].null_count() < frame.height]
    nulls = frame.select(pl.col(names).is_null())
    bits = frame.select(_bits(name, frame.schema[name]) for name in (*_IDENTITY, *names))
    texts = _Texts(bits)
    with np.errstate(over="ignore"):
        worker, event = (texts.of(name) for name in _IDENTITY)
        content = np.zeros(frame.height, dtype=np.uint64)
        for name in names:
            is_number = bits.schema[name].is_numeric()
            values = _mixed((bits[name].to_numpy().view(np.uint64) if is_number else texts.of(name)) ^ _seed(name))
            values[nulls[name].to_numpy()] = 0
            content += values
        return _mixed(worker + _GOLDEN) ^ event, content


def _bits(name: str, dtype: Any) -> pl.Expr:
    """A column as numbers of eight octets, or as texts or lists of texts; something where it is null."""
    column = pl.col(name)
    if dtype == pl.Float64:
        return column.fill_null(0.0)
    if dtype == pl.Boolean or dtype.is_integer():
        return column.fill_null(0).cast(pl.Int64)
    return column


class _Texts:
    """The hashes of all texts of a frame, each that repeats hashed once."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._hashes: dict[str, Hashes] = {}
        self._places: dict[str, npt.NDArray[np.int64]] = {}
        """By column of coded texts, the hash of each row or item."""
        parts: dict[str, pl.Series] = {}
        for name, dtype in frame.schema.items():
            if isinstance(dtype, pl.List):
                parts[name] = self._distinct(name, frame[name].explode(empty_as_null=False, keep_nulls=False))
            elif isinstance(dtype, pl.Categorical):
                parts[name] = self._distinct(name, frame[name])
            elif dtype == pl.String:
                parts[name] = frame[name].fill_null("")
        hashes = _octets(pl.concat([each.rename("") for each in parts.values()]))
        stops = np.cumsum([len(each) for each in parts.values()])
        self._hashes = dict(zip(parts, np.split(hashes, stops[:-1]), strict=True))

    def _distinct(self, name: str, column: pl.Series) -> pl.Series:
        codes = column.to_physical().fill_null(0).to_numpy()
        _, firsts, self._places[name] = np.unique(codes, return_index=True, return_inverse=True)
        return column.gather(firsts).cast(pl.String).fill_null("")

    def of(self, name: str) -> Hashes:
        """Of each row of a column."""
        hashes = self._hashes[name]
        if name in self._places:
            hashes = hashes[self._places[name]]
        column = self._frame[name]
        return _of_lists(column, hashes) if isinstance(column.dtype, pl.List) else hashes


def _of_lists(column: pl.Series, items: Hashes) -> Hashes:
    """Of lists of texts, from those of their items; the order counts."""
    lengths = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    stops = np.cumsum(lengths)
    place = np.arange(len(items), dtype=np.int64) - np.repeat(stops - lengths, lengths)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed(items ^ _mixed(place.astype(np.uint64))))])
    return _mixed(lengths.astype(np.uint64)) + (sums[stops] - sums[stops - lengths])


def _octets(texts: pl.Series) -> Hashes:
    """Of texts, none null, by their UTF-8 octets."""
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    content = texts.str.join("").item().encode() + bytes(_OCTETS) if len(texts) else bytes(_OCTETS)
    # Eight octets from each octet on, as one number.
    octets: Any = np.ndarray((len(content) - _OCTETS + 1,), dtype="<u8", buffer=content, strides=(1,))
    found = _mixed(lengths.astype(np.uint64))
    left = np.flatnonzero(lengths)
    taken = 0
    while len(left):
        rest = lengths[left] - taken
        taken_now = octets[starts[left] + taken].astype(np.uint64) & _MASKS[np.minimum(rest, _OCTETS)]
        found[left] = _mixed(found[left] ^ taken_now)
        left = left[rest > _OCTETS]
        taken += _OCTETS
    return found


def _mixed(values: Hashes) -> Hashes:
    """Every bit of the result depends on every bit of the value: SplitMix64, by Steele, Lea and Flood (2014)."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _seed(name: str) -> np.uint64:
    """What tells the fields apart."""
    return np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))
