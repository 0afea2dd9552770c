"""The order in which a streaming job reads a folder: parts of files by the earliest moment that they speak of.

A watermark promises that nothing earlier comes. Files in any order can keep that promise only if somebody looks first:
the plan knows for every part what is the earliest time in it and in all parts after it. A replay then loses no row to
lateness, however its files are shuffled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from monsoon.sources.files import INPUT_STREAMS, Block, FilePart, find_files, parts_of, read_blocks, streams_in
from monsoon.sources.streams import parquet_batches

END_MS = 2**62
"""`low_ms` of a part in which no time can be read."""

_TIMES = ("event_time", "issued_time")


@dataclass(frozen=True)
class Planned:
    """A part of a stream's file; from it on nothing is earlier than `low_ms`."""

    stream: str
    part: FilePart
    low_ms: int


def in_any_order(folder: Path, part_bytes: int) -> tuple[list[Planned], dict[str, tuple[str, ...]]]:
    """All parts of the streams below `folder`, and what lies there by stream and is no input file, if only nothing.

    Raises InputError where there is no such folder or a file cannot be read.
    """
    files = {stream: find_files(folder / stream) for stream in streams_in(folder)}
    parts = [
        Planned(stream, part, END_MS)
        for stream, found in files.items()
        for file in found.files
        for part in parts_of(file, part_bytes)
    ]
    return parts, {stream: found.ignored for stream, found in files.items()}


def plan(folder: Path, part_bytes: int) -> tuple[list[Planned], dict[str, tuple[str, ...]]]:
    """The same, earliest first: reads all of it once."""
    parts, overlooked = in_any_order(folder, part_bytes)
    dated = [replace(planned, low_ms=_earliest_ms(planned.part)) for planned in parts]
    return sorted(dated, key=lambda each: (each.low_ms, INPUT_STREAMS.index(each.stream), str(each.part))), overlooked


def _earliest_ms(part: FilePart) -> int:
    """The earliest time that a record of the part may take effect at, END_MS for none.

    Looks for the numbers that follow the names of times, wherever they stand: too early a moment only delays, and a
    line that hides its time by escapes is not JSON that a phone or feed would write - it would come late, and be
    counted as such.
    """
    return min(_times(part), default=END_MS)


def _times(part: FilePart) -> Iterator[int]:
    if part.path.name.endswith(".parquet"):
        for batch in parquet_batches(part.path):
            for name in _TIMES:
                if name in batch.columns and batch[name].dtype.is_numeric():
                    least: Any = batch[name].fill_nan(None).min() if batch[name].dtype.is_float() else batch[name].min()
                    if least is not None:
                        yield int(least)
        return
    for block in read_blocks(part.path, part=part):
        if isinstance(block, Block):
            yield from _times_in(block.content)


def _times_in(content: bytes) -> Iterator[int]:
    text = pl.Series([content.decode("utf-8", "replace")])
    numbers = text.str.extract_all(rf'"(?:{"|".join(_TIMES)})"\s*:\s*-?[0-9]+').explode()
    least: Any = numbers.str.extract(r"(-?[0-9]+)$").cast(pl.Int64, strict=False).min()
    if least is not None:
        yield int(least)
