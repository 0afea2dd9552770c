"""Two hashes of each report: of its id, and of its content.

They are kept in state across restarts and releases, so they depend on no library's hash function: texts are hashed by
their UTF-8 bytes, numbers by their bits, with the arithmetic in this module. No Python object is made for a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.sources.report_batch import FLOATS, LISTS, NULLS, TEXTS, ReportBatch
from monsoon.transforms.validation.fields import NON_CONTENT_FIELDS, stream_fields

Hashes = npt.NDArray[np.uint64]

_CONTENT = tuple(
    field.name
    for field in stream_fields("telemetry")
    if field.name not in {"worker_id", "event_id", *NON_CONTENT_FIELDS}
)
_BYTES_AT_A_TIME = 8
"""So many bytes of a text are hashed at a time."""
_GOLDEN, _FIRST, _SECOND = (np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def report_hashes(batch: ReportBatch) -> tuple[Hashes, Hashes]:
    """The hashes of each report's id (worker_id, event_id) and of all other fields, each uint64 (reports).

    A null field adds nothing, so hashes stay the same when an optional field is added to the contract.
    """
    with np.errstate(over="ignore"):
        worker = _hashes_of_words(batch.words["worker_id"])[batch["worker_id"]]
        event = _hashes_of_texts(batch["event_id"], batch["event_id_bytes"])
        content = np.zeros(len(batch), dtype=np.uint64)
        for name in _CONTENT:
            column = batch[name]
            null = np.isnan(column) if name in FLOATS else column == NULLS.get(name)
            if null.all():
                continue
            values = _mixed(_values(batch, name) ^ _seed(name))
            content += np.where(null, np.uint64(0), values) if null.any() else values
        return _mixed(worker + _GOLDEN) ^ event, content


def _values(batch: ReportBatch, name: str) -> Hashes:
    """Each report's value of a field as a number of eight bytes; anything where it is null."""
    column = batch[name]
    if name == LISTS:
        items = _hashes_of_words(batch.words[name])[batch.access_points] if len(batch.access_points) else _NONE
        return _of_lists(np.maximum(column, 0).astype(np.int64), items)
    if name in TEXTS:
        return _hashes_of_words(batch.words[name])[column]
    if name in FLOATS:
        return np.ascontiguousarray(column).view(np.uint64)
    return column.astype(np.int64).view(np.uint64)


_NONE: Hashes = np.empty(0, dtype=np.uint64)


def _of_lists(lengths: npt.NDArray[np.int64], items: Hashes) -> Hashes:
    """Hashes of lists of texts, from those of their items; the order counts."""
    stops = np.cumsum(lengths)
    place = np.arange(len(items), dtype=np.int64) - np.repeat(stops - lengths, lengths)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed(items ^ _mixed(place.astype(np.uint64))))])
    return _mixed(lengths.astype(np.uint64)) + (sums[stops] - sums[stops - lengths])


def _hashes_of_words(words: Sequence[str]) -> Hashes:
    """The hash of each word."""
    texts = [word.encode() for word in words]
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return _hashes_of_texts(np.array(texts, dtype=np.bytes_), lengths)


def _hashes_of_texts(texts: npt.NDArray[np.bytes_], lengths: npt.NDArray[Any]) -> Hashes:
    """Hashes of texts, by their UTF-8 bytes, which are padded with NUL."""
    width = -(-max(1, texts.dtype.itemsize) // _BYTES_AT_A_TIME)
    words = texts.astype(f"S{width * _BYTES_AT_A_TIME}").view("<u8").reshape(-1, width)
    result = _mixed(lengths.astype(np.uint64))
    for place in range(width):
        more = lengths > place * _BYTES_AT_A_TIME
        mixed = _mixed(result ^ words[:, place])
        result = mixed if more.all() else np.where(more, mixed, result)
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
