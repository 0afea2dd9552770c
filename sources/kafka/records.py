"""Kafka records to lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monsoon.sources.line_blocks import Arrivals


class RecordLines(NamedTuple):
    """`content`: the lines of some records, joined by line feeds; `arrived_ms`: the broker's timestamp of each line.
    `beat_ms`: the latest timestamp of a heartbeat among them (a record of no bytes); None: there was none."""

    content: bytes
    arrived_ms: Arrivals
    beat_ms: int | None


def lines_of(values: Sequence[bytes | None], stamps_ms: Sequence[int]) -> RecordLines:
    """The lines of records by their values and timestamps, in order. A record holds one line or several; a tombstone
    (None) holds none, and deletes nothing: what a consumer has read cannot be taken back."""
    contents, counts, stamps = [], [], []
    beat_ms: int | None = None
    for value, stamp_ms in zip(values, stamps_ms, strict=True):
        if value is None:
            continue
        if not value:
            beat_ms = stamp_ms if beat_ms is None else max(beat_ms, stamp_ms)
            continue
        content = bytes(value).rstrip(b"\n")
        if not content:
            continue
        contents.append(content)
        counts.append(content.count(b"\n") + 1)
        stamps.append(stamp_ms)
    arrived_ms = np.repeat(np.array(stamps, dtype=np.int64), np.array(counts, dtype=np.int64))
    return RecordLines(b"\n".join(contents), arrived_ms, beat_ms)
