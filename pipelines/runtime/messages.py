"""Messages between operators: each carries many rows or records, serialized, and is keyed by a bucket.

A row of telemetry never crosses between the JVM and Python by itself: messages carry batches, as Arrow streams where
rows are many, as MessagePack where records are few. A bucket is a stable hash of the id by which the receiving operator
is keyed.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

RESULTS = "results"
"""The destination of results, which are written to the output; no operator of the graph."""

PART, STATISTICS, END, WRITTEN = "part", "look", "end", "written"
"""Kinds of results that are no records of an output stream: a part of a file was read; statistics of its lines; event
time has ended; how many records of a stream were written to files."""

REMOVED_FEATURES = "removed_features"
"""The kind of a result that lists keys of the stream `features` of which nothing is to be known any more."""

ACCOUNTS = "accounts"
"""What a job says of the lines that it read: a stream beside those of the contracts."""

HEARTBEAT = "heartbeat"
"""The kind of a message that carries a watermark and nothing else."""

CONTROL = "control"
"""The kind of a message that says how many changes the configuration of the job has by now."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Message(NamedTuple):
    """A `payload` of a `kind` for the operator `to`, under its key; it is to be processed at event time `due_ms`."""

    to: str
    key: int
    kind: str
    due_ms: int
    payload: bytes


def bucket_of(name: str, buckets: int) -> int:
    """The bucket of an id: the same on every machine and in every run."""
    return zlib.crc32(name.encode()) % buckets


def buckets_of(names: Iterable[str], buckets: int) -> pl.Series:
    """The buckets of many ids."""
    known: dict[str, int] = {}
    found = []
    for name in names:
        bucket = known.get(name)
        if bucket is None:
            bucket = known[name] = bucket_of(name, buckets)
        found.append(bucket)
    return pl.Series("bucket", found, dtype=pl.Int32)


def buckets_of_cells(cells: npt.NDArray[np.uint64], buckets: int) -> pl.Series:
    """The buckets of H3 cells; they are hashed first, since their last bits are all the same."""
    mixed = (cells * _GOLDEN) >> np.uint64(40)
    return pl.Series("bucket", (mixed % np.uint64(buckets)).astype(np.int32))


def split(frame: pl.DataFrame, bucket: pl.Series) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of each bucket."""
    keys = bucket.to_numpy()
    order = np.argsort(keys, kind="stable")
    distinct, first = np.unique(keys[order], return_index=True)
    ordered = frame[order] if len(distinct) > 1 else frame
    for key, start, rows in zip(distinct.tolist(), first.tolist(), np.diff(first, append=len(keys)), strict=True):
        yield key, ordered.slice(start, rows)


def pack_frame(frame: pl.DataFrame) -> bytes:
    """Rows as a compressed Arrow stream: moving a byte between Python and the JVM costs more than compressing it, and
    the file format is larger than the stream format."""
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression="zstd")
    return buffer.getvalue()


def unpack_frame(payload: bytes) -> pl.DataFrame:
    """The inverse of `pack_frame`."""
    return pl.read_ipc_stream(io.BytesIO(payload))


def messages_by_bucket(to: str, kind: str, due_ms: int, rows: pl.DataFrame, bucket: pl.Series) -> Iterator[Message]:
    """The rows of each bucket, as a message."""
    for key, part in split(rows, bucket):
        yield Message(to, key, kind, due_ms, pack_frame(part))


def pack(value: Any) -> bytes:
    """Plain data and dataclasses, as MessagePack."""
    return msgspec.msgpack.encode(value)


def unpack(payload: bytes, type_: Any = Any) -> Any:
    """The inverse of `pack`, validated against the type. Raises msgspec.ValidationError."""
    return msgspec.msgpack.decode(payload, type=type_)


def result(kind: str, value: Any) -> Message:
    """A result, as JSON: Flink returns text to the client as it is, but bytes as lists of numbers."""
    return Message(RESULTS, 0, kind, 0, msgspec.json.encode(value))


def results(records: Mapping[str, Sequence[Any]]) -> Iterator[Message]:
    """Records by stream, as results; streams without records are left out."""
    for stream, of_stream in records.items():
        if of_stream:
            yield result(stream, of_stream)


def unpack_result(payload: str | bytes, type_: Any = Any) -> Any:
    """The value of a `result`."""
    return msgspec.json.decode(payload, type=type_)


def stacked(frames: Sequence[pl.DataFrame], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Frames of one schema concatenated; an empty frame with its columns where there is none."""
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)
