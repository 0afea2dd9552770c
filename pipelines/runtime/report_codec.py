"""Reports in messages and in state: sorted by rider and time, as differences between neighbors, in byte planes.

A report takes some 30 bytes where it takes 180 in memory and 530 as JSON; crossing between the JVM and Python costs
about 14 us a KB. What many reports have in common is computed once for all receivers of a block: for each receiver one
slice of the planes is copied and deflated.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from monsoon.pipelines.runtime.messages import bucket_of
from monsoon.sources.report_batch import FLAGS, FLOATS, LISTS, NO_TIME, NULLS, TEXTS, TIMES, ReportBatch

_HEADER = struct.Struct("<Bqq")
"""What precedes the deflated content: the kind of payload, the first and last event time (ms)."""
_PACKED, _REFERENCE = 1, 2
_WIDTHS = (1, 2, 4, 8)
_MAX_DECIMALS = 7
_SCALED_BELOW = 1e8
"""With seven decimals such numbers have no more digits than a double holds."""
_LEVEL = 1
"""Level 6 saves a tenth of the bytes, at three times the cost."""

Integers = npt.NDArray[np.int64]


class _Columns(msgspec.Struct, array_like=True):
    """Columns of one width in bytes: integers, then floats, which were multiplied by a power of ten. `least` was
    subtracted from all values of a column."""

    width: int
    integers: list[str]
    floats: list[str]
    least: list[int]
    powers: list[float]


class _Layout(msgspec.Struct, array_like=True):
    """What the packages of one block have in common: its columns, those of them with nulls (NAME? is 1 there), floats
    of which the bits were taken, the widths of event_id and of the codes of access points."""

    columns: list[_Columns]
    with_nulls: list[str]
    raw: list[str]
    id_width: int
    item_width: int


class _Package(msgspec.Struct, array_like=True):
    layout: _Layout
    reports: int
    words: list[Sequence[str]]
    planes: bytes
    access_points: bytes


class _SharedPackage(msgspec.Struct, array_like=True):
    layout: msgspec.Raw
    reports: int
    words: list[Sequence[str]]
    planes: memoryview
    access_points: memoryview


class Packed(NamedTuple):
    """Reports for a bucket: the time of the first (ms), and all packed."""

    bucket: int
    first_ms: int
    payload: bytes


_DECODER = msgspec.msgpack.Decoder(_Package)
_TIMES = frozenset(TIMES)
"""Packed relative to event_time."""


def span_ms(payload: bytes) -> tuple[int, int]:
    """The first and last event time (ms) of packed reports."""
    _, first_ms, last_ms = _HEADER.unpack_from(payload)
    return first_ms, last_ms


def is_packed(payload: bytes) -> bool:
    """Whether these are packed reports, and no Arrow stream."""
    return payload[0] == _PACKED


def is_reference(payload: bytes) -> bool:
    """Whether this stands for reports that are cold."""
    return payload[0] == _REFERENCE


def reference_to(payload: bytes) -> bytes:
    """What stands for packed reports that are cold: their first and last event time."""
    return _HEADER.pack(_REFERENCE, *span_ms(payload))


def buckets_of_reports(batch: ReportBatch, buckets: int) -> npt.NDArray[np.int32]:
    """The bucket of each report's rider."""
    of_word = np.array([bucket_of(word, buckets) for word in batch.words["worker_id"]], dtype=np.int32)
    return of_word[batch["worker_id"]]


def pack_reports(batch: ReportBatch) -> bytes:
    """At least one report, packed. `unpack_reports` gives them in another order: by rider and event time."""
    return next(pack_by_bucket(batch, np.zeros(len(batch), dtype=np.int32))).payload


def pack_by_bucket(batch: ReportBatch, buckets: npt.NDArray[np.int32]) -> Iterator[Packed]:
    """The reports of each bucket (one for each report), packed."""
    order = np.lexsort((batch["event_time"], batch["worker_id"], buckets))
    batch, buckets = batch.take(order), buckets[order]
    starts = np.flatnonzero(np.diff(buckets, prepend=-1))
    stops = np.append(starts[1:], len(batch))
    words, local = _local_codes(batch, starts)
    layout, planes = _planes(batch, local, starts)
    shared = msgspec.Raw(msgspec.msgpack.encode(layout))
    item_stops = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(batch[LISTS], 0), dtype=np.int64)])
    items = local[LISTS].astype(f"<u{layout.item_width}")
    times = batch["event_time"]
    firsts, lasts = np.minimum.reduceat(times, starts), np.maximum.reduceat(times, starts)
    for place, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        package = _SharedPackage(
            shared,
            stop - start,
            [words[name][place] for name in (*TEXTS, LISTS)],
            np.ascontiguousarray(planes[:, start:stop]).data,
            items[item_stops[start] : item_stops[stop]].data,
        )
        header = _HEADER.pack(_PACKED, int(firsts[place]), int(lasts[place]))
        content = zlib.compress(msgspec.msgpack.encode(package), _LEVEL)
        yield Packed(int(buckets[start]), int(firsts[place]), header + content)


def unpack_reports(payload: bytes) -> ReportBatch:
    """The inverse of `pack_reports`. Raises ValueError for anything else."""
    try:
        content = zlib.decompress(memoryview(payload)[_HEADER.size :])
    except zlib.error as error:
        raise ValueError(f"{len(payload)} bytes that are no packed reports: {error}") from error
    package = _DECODER.decode(content)
    layout, count = package.layout, package.reports
    planes = np.frombuffer(package.planes, dtype=np.uint8).reshape(-1, count)
    columns: dict[str, npt.NDArray[Any]] = {}
    read = 0
    for group in layout.columns:
        names = len(group.least)
        block = planes[read : read + group.width * names].reshape(names, group.width, count).transpose(0, 2, 1)
        read += group.width * names
        zigzag = np.ascontiguousarray(block).view(f"<u{group.width}").reshape(names, count).astype(np.uint64)
        steps = (zigzag >> np.uint64(1)).view(np.int64) ^ -(zigzag & np.uint64(1)).view(np.int64)
        values = np.cumsum(steps, axis=1)
        values += np.array(group.least)[:, None]
        columns.update(zip(group.integers, values, strict=False))
        if group.floats:
            floats = values[len(group.integers) :] / np.array(group.powers)[:, None]
            columns.update(zip(group.floats, floats, strict=True))
    ids = np.bitwise_xor.accumulate(planes[read:].T, axis=0)
    columns["event_id"] = np.ascontiguousarray(ids).view(f"S{layout.id_width}").ravel()
    for name in layout.raw:
        columns[name] = columns[name].view(np.float64)
    for name in columns.keys() & _TIMES:
        columns[name] = columns[name] + columns["event_time"]
    for name in layout.with_nulls:
        columns[name] = np.where(columns.pop(f"{name}?") != 0, NULLS[name], columns[name])
    for name in NULLS.keys() - columns.keys():
        columns[name] = np.full(count, NULLS[name])
    words = dict(zip((*TEXTS, LISTS), package.words, strict=True))
    return ReportBatch(columns, words, np.frombuffer(package.access_points, dtype=f"<u{layout.item_width}"))


def _local_codes(
    batch: ReportBatch, starts: Integers
) -> tuple[dict[str, list[Sequence[str]]], dict[str, npt.NDArray[np.int32]]]:
    """For each column of texts the words of each receiver, whose reports begin at `starts`, and codes into them."""
    words: dict[str, list[Sequence[str]]] = {}
    local: dict[str, npt.NDArray[np.int32]] = {}
    receiver = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(batch)))
    of_item = np.repeat(receiver, np.maximum(batch[LISTS], 0))
    for name in (*TEXTS, LISTS):
        codes, of = (batch.access_points, of_item) if name == LISTS else (batch[name], receiver)
        span = len(batch.words[name]) + 1
        pairs, place = np.unique(of * span + codes + 1, return_inverse=True)
        who, code = np.divmod(pairs, span)
        is_null = code == 0
        rank = np.cumsum(~is_null) - 1
        firsts = np.searchsorted(who, np.arange(len(starts)))
        before = np.append(rank, rank[-1:])[firsts] - ~np.append(is_null, True)[firsts] + 1 if len(pairs) else firsts
        local_of_pair = np.where(is_null, -1, rank - before[who])
        local[name] = local_of_pair[place.ravel()].astype(np.int32)
        texts = [batch.words[name][each] for each in (code[~is_null] - 1).tolist()]
        cuts = np.searchsorted(who[~is_null], np.arange(len(starts) + 1)).tolist()
        words[name] = [texts[cuts[at] : cuts[at + 1]] for at in range(len(starts))]
    return words, local


def _planes(
    batch: ReportBatch, local: Mapping[str, npt.NDArray[np.int32]], starts: Integers
) -> tuple[_Layout, npt.NDArray[np.uint8]]:
    """All columns but the access points as planes of bytes, uint8 (planes, reports)."""
    found = list(_integers(batch, local))
    groups: dict[int, list[tuple[str, int, float, npt.NDArray[np.uint64]]]] = {width: [] for width in _WIDTHS}
    for name, power, values in found:
        least = int(values.min())
        values = values - np.int64(least)
        steps = np.diff(values, prepend=np.int64(0))
        steps[starts] = values[starts]
        zigzag = ((steps << 1) ^ (steps >> 63)).view(np.uint64)
        top = int(zigzag.max())
        width = next(each for each in _WIDTHS if top < 1 << 8 * each)
        groups[width].append((name, least, power, zigzag))
    planes: list[npt.NDArray[np.uint8]] = []
    columns: list[_Columns] = []
    for width, members in groups.items():
        members.sort(key=lambda each: each[2] > 0)  # integers first
        planes += [zigzag.astype(f"<u{width}").view(np.uint8).reshape(-1, width).T for *_, zigzag in members]
        names = [name for name, *_ in members]
        powers = [power for _, _, power, _ in members if power > 0]
        cut = len(members) - len(powers)
        if members:
            columns.append(_Columns(width, names[:cut], names[cut:], [least for _, least, _, _ in members], powers))
    ids = batch["event_id"]
    as_bytes = ids.view(np.uint8).reshape(len(ids), -1)
    changes = as_bytes.copy()
    changes[1:] ^= as_bytes[:-1]
    changes[starts] = as_bytes[starts]
    planes.append(changes.T)
    with_nulls = [name[:-1] for name, *_ in found if name.endswith("?")]
    raw = [name for name, power, _ in found if power < 0]
    item_width = 4 if local[LISTS].max(initial=0) > 0xFFFF else 2
    return _Layout(columns, with_nulls, raw, ids.dtype.itemsize, item_width), np.concatenate(planes)


def _integers(batch: ReportBatch, local: Mapping[str, npt.NDArray[np.int32]]) -> Iterator[tuple[str, float, Integers]]:
    """The columns as integers: name, by which power of ten floats were multiplied (-1: bits of floats, 0: integers),
    values; those that are null everywhere are left out. `NAME?` is 1 where a column is null."""
    times = batch["event_time"]
    yield "event_time", 0, times
    yield "event_id_bytes", 0, batch["event_id_bytes"].astype(np.int64)
    for name in ("orders_completed", LISTS, *FLAGS, *TEXTS):
        values = local[name] if name in TEXTS else batch[name]
        if values.max() >= 0:
            yield name, 0, values.astype(np.int64)
    for name in (*TIMES, *FLOATS):
        column = batch[name]
        null = column == NO_TIME if name in TIMES else np.isnan(column)
        if null.all():
            continue
        some_null = bool(null.any())
        if some_null:
            yield f"{name}?", 0, null.astype(np.int64)
        if name in TIMES:
            yield name, 0, np.where(null, 0, column - times) if some_null else column - times
        else:
            yield (name, *_scaled(np.where(null, 0.0, column) if some_null else column))


def _scaled(values: npt.NDArray[np.float64]) -> tuple[float, Integers]:
    """The least power of ten that makes all values whole numbers, and these; -1 and the bits if there is none."""
    if np.abs(values).max() < _SCALED_BELOW:
        sample = values[:64]
        for decimals in range(_MAX_DECIMALS + 1):
            power = 10.0**decimals
            if np.array_equal(np.rint(sample * power) / power, sample):
                scaled = np.rint(values * power)
                if np.array_equal(scaled / power, values):
                    return power, scaled.astype(np.int64)
    return -1.0, values.view(np.int64)
