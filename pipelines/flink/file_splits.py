"""The order in which a streaming job reads a folder: parts of files by the earliest moment that they speak of.

A watermark promises that nothing earlier comes. Files in any order can keep that promise only if somebody looks first:
the plan knows for every part what is the earliest time in it and in all parts after it. A replay then loses no row to
lateness, however its files are shuffled.

Nor does one record stop event time for all. What stands hours apart from the rest of its part, such as a report of a
clock of years ago, is read by itself, in its own time; the rest of the part in the rest's. And a time that no record
may have holds nothing back.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monsoon.sources.files import (
    BLOCK_BYTES,
    INPUT_STREAMS,
    Block,
    FilePart,
    LongLine,
    find_files,
    is_gzip,
    is_parquet,
    streams_in,
)
from monsoon.sources.parts import OpenFiles, parts_of, read_part
from monsoon.sources.record_times import Piece, bounds_of_most, times_ms

END_MS = 2**62
"""`low_ms` of a part in which no time can be read."""


@dataclass(frozen=True)
class FileSplit:
    """A part of a stream's file; from it on nothing is earlier than `low_ms`. `content` is a checksum of the part."""

    stream: str
    part: FilePart
    low_ms: int
    content: int = 0


def in_any_order(folder: Path, part_bytes: int) -> tuple[list[FileSplit], dict[str, tuple[str, ...]]]:
    """All parts of the streams below `folder`, and what lies there by stream and is no input file, if only nothing.

    Raises InputError where there is no such folder or a file cannot be read.
    """
    files, overlooked = _files(folder)
    parts = [FileSplit(stream, part, END_MS) for stream, file in files for part in parts_of(file, part_bytes)]
    return parts, overlooked


def plan(folder: Path, part_bytes: int) -> tuple[list[FileSplit], dict[str, tuple[str, ...]]]:
    """The same, earliest first: reads all of it once, and compressed files twice, so as to cut them too."""
    files, overlooked = _files(folder)
    parts = [planned for stream, file in files for planned in _of_file(stream, file, part_bytes)]
    return sorted(parts, key=_order), overlooked


def _files(folder: Path) -> tuple[list[tuple[str, Path]], dict[str, tuple[str, ...]]]:
    found = {stream: find_files(folder / stream) for stream in streams_in(folder)}
    files = [(stream, file) for stream, those in found.items() for file in those.files]
    return files, {stream: those.ignored for stream, those in found.items()}


def _order(planned: FileSplit) -> tuple[int, int, str, int, int]:
    part = planned.part
    return planned.low_ms, INPUT_STREAMS.index(planned.stream), str(part.path), part.start, part.since_ms or 0


def _of_file(stream: str, path: Path, part_bytes: int) -> Iterator[FileSplit]:
    files = OpenFiles()
    content = _checksum_of_file(path) if is_parquet(path) else 0
    dated = [_dated(stream, part, content, files) for part in parts_of(path, part_bytes, cuts_gzip=True)]
    files.close(path)
    for those in zip(*dated, strict=True):
        parts = [planned for planned in those if planned is not None]
        yield from _in_the_order_of_the_file(parts) if is_gzip(path) else parts


def _dated(
    stream: str, part: FilePart, content: int, files: OpenFiles
) -> tuple[FileSplit | None, FileSplit, FileSplit | None]:
    """The part with its earliest time, and apart from it what stands long before and long after the rest. `content` is
    a checksum that its own goes on from."""
    found: list[npt.NDArray[np.int64]] = []
    for piece in read_part(stream, part, files):
        found.append(times_ms(stream, piece))
        content = _checksum(piece, content)
    times = np.concatenate([np.empty(0, dtype=np.int64), *found])
    since, before = bounds_of_most(times)
    low_ms = int(times.min(initial=END_MS))
    most = FileSplit(
        stream, replace(part, since_ms=since, before_ms=before), low_ms if since is None else since, content
    )
    return (
        None if since is None else FileSplit(stream, replace(part, before_ms=since), low_ms, content),
        most,
        None if before is None else FileSplit(stream, replace(part, since_ms=before), before, content),
    )


def _in_the_order_of_the_file(parts: Sequence[FileSplit]) -> Iterator[FileSplit]:
    """A compressed file can only be read from its beginning on: no part may be due later than one behind it."""
    low_ms = END_MS
    for planned in reversed(parts):
        low_ms = min(low_ms, planned.low_ms)
        yield replace(planned, low_ms=low_ms)


def _checksum(piece: Piece, before: int) -> int:
    if isinstance(piece, Block):
        return zlib.crc32(piece.content, before)
    if isinstance(piece, LongLine):
        for content in piece.pieces:
            before = zlib.crc32(content, before)
    return before


def _checksum_of_file(path: Path) -> int:
    """Of rows that have no bytes of their own."""
    content = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            content = zlib.crc32(block, content)
    return content
