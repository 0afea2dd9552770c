"""Kafka records to lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monsoon.sources.line_blocks import Arrivals

Partitions = npt.NDArray[np.int64]


class RecordLines(NamedTuple):
    """`content`: the lines of some records of a topic, joined by line feeds; of each line, `partitions` has the
    partition and `arrived_ms` the broker's timestamp. `beats_ms`: by partition, the latest timestamp of a heartbeat
    among them (a record of no bytes)."""

    content: bytes
    partitions: Partitions
    arrived_ms: Arrivals
    beats_ms: dict[int, int]


def lines_of(values: Sequence[bytes | None], partitions: Partitions, stamps_ms: Arrivals) -> RecordLines:
    """The lines of records of a topic by their values, partitions and timestamps, in order. A record holds one line or
    several; a tombstone (None) holds none, and deletes nothing: what a consumer has read cannot be taken back."""
    contents = [(value or b"").rstrip(b"\n") for value in values]
    beats_ms: dict[int, int] = {}
    if not all(contents):
        for value, partition, stamp_ms in zip(values, partitions.tolist(), stamps_ms.tolist(), strict=True):
            if value is not None and not value:
                beats_ms[partition] = max(stamp_ms, beats_ms.get(partition, stamp_ms))
        some = np.array([bool(content) for content in contents], dtype=np.bool_)
        contents, partitions, stamps_ms = (
            [content for content in contents if content],
            partitions[some],
            stamps_ms[some],
        )
    content = b"\n".join(contents)
    if content.count(b"\n") > len(contents) - 1:
        counts = np.array([each.count(b"\n") + 1 for each in contents], dtype=np.int64)
        partitions, stamps_ms = np.repeat(partitions, counts), np.repeat(stamps_ms, counts)
    return RecordLines(content, partitions, stamps_ms, beats_ms)
