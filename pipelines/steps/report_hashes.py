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
from monsoon.transforms.validation.fields import NO_CONTENT

Hashes = npt.NDArray[np.uint64]

_IDENTITY = ("worker_id", "event_id")
_LEFT_OUT = frozenset({*_IDENTITY, *NO_CONTENT, NULLED})
_OCTETS = 8
"""So many octets of a text are taken at a time."""
_MASKS: Hashes = np.array([2 ** (8 * octets) - 1 for octets in range(_OCTETS + 1)], dtype=np.uint64)
_GOLDEN, _FIRST, _SECOND = (np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def report_hashes(frame: pl.DataFrame) -> tuple[Hashes, Hashes]:
    """Of compact telemetry rows (`telemetry_columns.compact`): which report each is (worker_id, event_id), and what it
    says beside, uint64 (rows).

    A field that is null adds nothing, so that what was remembered before a field came to the contract still holds.
    """
    with np.errstate(over="ignore"):
        worker, event = (_texts(frame[name]) for name in _IDENTITY)
        content = np.zeros(frame.height, dtype=np.uint64)
        for name in frame.columns:
            if name not in _LEFT_OUT and frame[name].null_count() < frame.height:
                column = frame[name]
                values = _mixed(_values(column) ^ _seed(name))
                values[column.is_null().to_numpy()] = 0
                content += values
        return _mixed(worker + _GOLDEN) ^ event, content


def _values(column: pl.Series) -> Hashes:
    """A number for each value; whatever for null."""
    if column.dtype == pl.Float64:
        return column.fill_null(0.0).to_numpy().view(np.uint64)
    if column.dtype.is_integer():
        return column.fill_null(0).cast(pl.Int64).to_numpy().view(np.uint64)
    if column.dtype == pl.Boolean:
        return column.fill_null(value=False).cast(pl.UInt64).to_numpy()
    return _lists(column) if isinstance(column.dtype, pl.List) else _texts(column)


def _lists(column: pl.Series) -> Hashes:
    """Of lists of texts, whose order counts."""
    lengths = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    stops = np.cumsum(lengths)
    items = _texts(column.filter(lengths > 0).explode())
    place = np.arange(len(items), dtype=np.int64) - np.repeat(stops - lengths, lengths)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed(items ^ _mixed(place.astype(np.uint64))))])
    return _mixed(lengths.astype(np.uint64)) + (sums[stops] - sums[stops - lengths])


def _texts(column: pl.Series) -> Hashes:
    """Of texts, coded or not; of null that of the empty text."""
    texts = column.cast(pl.String).fill_null("")
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
        octets_of = octets[starts[left] + taken].astype(np.uint64) & _MASKS[np.minimum(rest, _OCTETS)]
        found[left] = _mixed(found[left] ^ octets_of)
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
