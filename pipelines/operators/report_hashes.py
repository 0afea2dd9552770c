"""Two hashes of each telemetry row: of its report's id, and of its content.

They are kept in state across restarts and releases, so they depend on no library's hash function: texts are hashed by
their UTF-8 bytes, numbers by their bits, with the arithmetic in this module. No Python object is made for a row.
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
_BYTES_AT_A_TIME = 8
"""So many bytes of a text are hashed at a time."""
_MASKS: Hashes = np.array([2 ** (8 * words) - 1 for words in range(_BYTES_AT_A_TIME + 1)], dtype=np.uint64)
_GOLDEN, _FIRST, _SECOND = (np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def report_hashes(frame: pl.DataFrame) -> tuple[Hashes, Hashes]:
    """For compact telemetry rows (`telemetry_columns.compact`): the hashes of the report's id (worker_id, event_id) and
    of all other fields, each uint64 (rows).

    A null field adds nothing, so hashes stay the same when an optional field is added to the contract.
    """
    names = [name for name in frame.columns if name not in _LEFT_OUT and frame[name].null_count() < frame.height]
    nulls = frame.select(pl.col(names).is_null())
    bits = frame.select(_as_bits(name, frame.schema[name]) for name in (*_IDENTITY, *names))
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


def _as_bits(name: str, dtype: Any) -> pl.Expr:
    """A column as numbers of eight bytes, as texts or as lists of texts; nulls are filled with any value."""
    column = pl.col(name)
    if dtype == pl.Float64:
        return column.fill_null(0.0)
    if dtype == pl.Boolean or dtype.is_integer():
        return column.fill_null(0).cast(pl.Int64)
    return column


class _Texts:
    """The hashes of all texts of a frame; of dictionary-coded columns each distinct text is hashed once."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._hashes: dict[str, Hashes] = {}
        self._places: dict[str, npt.NDArray[np.int64]] = {}
        """By dictionary-coded column: the index of the hash of each row or list item."""
        parts: dict[str, pl.Series] = {}
        for name, dtype in frame.schema.items():
            if isinstance(dtype, pl.List):
                parts[name] = self._distinct(name, frame[name].explode(empty_as_null=False, keep_nulls=False))
            elif isinstance(dtype, pl.Categorical):
                parts[name] = self._distinct(name, frame[name])
            elif dtype == pl.String:
                parts[name] = frame[name].fill_null("")
        hashes = _hashes_of_texts(pl.concat([each.rename("") for each in parts.values()]))
        stops = np.cumsum([len(each) for each in parts.values()])
        self._hashes = dict(zip(parts, np.split(hashes, stops[:-1]), strict=True))

    def _distinct(self, name: str, column: pl.Series) -> pl.Series:
        codes = column.to_physical().fill_null(0).to_numpy()
        _, firsts, self._places[name] = np.unique(codes, return_index=True, return_inverse=True)
        return column.gather(firsts).cast(pl.String).fill_null("")

    def of(self, name: str) -> Hashes:
        """The hash of each row of a column."""
        hashes = self._hashes[name]
        if name in self._places:
            hashes = hashes[self._places[name]]
        column = self._frame[name]
        return _of_lists(column, hashes) if isinstance(column.dtype, pl.List) else hashes


def _of_lists(column: pl.Series, items: Hashes) -> Hashes:
    """Hashes of lists of texts, from those of their items; the order counts."""
    lengths = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    stops = np.cumsum(lengths)
    place = np.arange(len(items), dtype=np.int64) - np.repeat(stops - lengths, lengths)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed(items ^ _mixed(place.astype(np.uint64))))])
    return _mixed(lengths.astype(np.uint64)) + (sums[stops] - sums[stops - lengths])


def _hashes_of_texts(texts: pl.Series) -> Hashes:
    """Hashes of texts, none null, by their UTF-8 bytes."""
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    content = texts.str.join("").item().encode() + bytes(_BYTES_AT_A_TIME) if len(texts) else bytes(_BYTES_AT_A_TIME)
    # The eight bytes that start at each byte, as one number.
    words: Any = np.ndarray((len(content) - _BYTES_AT_A_TIME + 1,), dtype="<u8", buffer=content, strides=(1,))
    result = _mixed(lengths.astype(np.uint64))
    unfinished = np.flatnonzero(lengths)
    hashed = 0
    while len(unfinished):
        remaining = lengths[unfinished] - hashed
        word = words[starts[unfinished] + hashed].astype(np.uint64) & _MASKS[np.minimum(remaining, _BYTES_AT_A_TIME)]
        result[unfinished] = _mixed(result[unfinished] ^ word)
        unfinished = unfinished[remaining > _BYTES_AT_A_TIME]
        hashed += _BYTES_AT_A_TIME
    return result


def _mixed(values: Hashes) -> Hashes:
    """Every bit of the result depends on every bit of the value: SplitMix64, by Steele, Lea and Flood (2014)."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _seed(name: str) -> np.uint64:
    """A seed from a field's name, so that equal values of different fields hash differently."""
    return np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))
