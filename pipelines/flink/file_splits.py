"""File splits of an input folder, ordered by the earliest event time in each.

A watermark states that no earlier record follows. To give exact watermarks for files in any order, the input is scanned
first: the plan has the earliest event time of every part. Then no record of a replay is late, however the files are
ordered.

A single record does not hold back event time. Records whose times are hours apart from the rest of their part, such as
a report of a wrong clock, become a split of their own, read at its own time; and times that are not valid are ignored.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monsoon.pipelines.runtime.intervals import PlannedIntervals
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
from monsoon.sources.parts import OpenFiles, bytes_in, parts_of, read_part
from monsoon.sources.record_times import Piece, times_ms, typical_bounds

END_MS = 2**62
"""`low_ms` of a part in which no time can be read."""


INTERVAL_BYTES = 1024 * 1024
"""Input of an interval of event time, at least: what an interval costs by itself is little beside reading it."""


@dataclass(frozen=True)
class FileSplit:
    """A part of a stream's file; no record in it is earlier than `low_ms`. `content` is a checksum of the part."""

    stream: str
    part: FilePart
    low_ms: int
    content: int = 0


def in_any_order(folder: Path, part_bytes: int) -> tuple[list[FileSplit], dict[str, tuple[str, ...]]]:
    """All parts of the streams below `folder`; and by stream, for each that is there, the names of ignored files.

    Raises InputError where there is no such folder or a file cannot be read.
    """
    files, ignored = _files(folder)
    parts = [FileSplit(stream, part, END_MS) for stream, file in files for part in parts_of(file, part_bytes)]
    return parts, ignored


def plan(folder: Path, part_bytes: int) -> tuple[list[FileSplit], dict[str, tuple[str, ...]]]:
    """The same, ordered by earliest event time. Reads all files once, compressed ones twice, to split them too."""
    files, ignored = _files(folder)
    parts = [planned for stream, file in files for planned in _of_file(stream, file, part_bytes)]
    return sorted(parts, key=_order), ignored


def intervals_of(parts: Sequence[FileSplit], part_bytes: int) -> PlannedIntervals:
    """The intervals of event time of a `plan`, which end at watermarks that occur while its parts are read.

    At least INTERVAL_BYTES, or `part_bytes` if that is less, are read between two of them.
    """
    ends_ms: list[int] = []
    read_bytes = 0
    for last, planned in pairwise(parts):
        read_bytes += bytes_in(last.part)
        if last.low_ms < planned.low_ms < END_MS and read_bytes >= min(INTERVAL_BYTES, part_bytes):
            ends_ms.append(planned.low_ms - 1)
            read_bytes = 0
    return PlannedIntervals(tuple(ends_ms))


def _files(folder: Path) -> tuple[list[tuple[str, Path]], dict[str, tuple[str, ...]]]:
    found = {stream: find_files(folder / stream) for stream in streams_in(folder)}
    files = [(stream, file) for stream, found_files in found.items() for file in found_files.files]
    return files, {stream: found_files.ignored for stream, found_files in found.items()}


def _order(planned: FileSplit) -> tuple[int, int, str, int, int]:
    part = planned.part
    return planned.low_ms, INPUT_STREAMS.index(planned.stream), str(part.path), part.start, part.since_ms or 0


def _of_file(stream: str, path: Path, part_bytes: int) -> Iterator[FileSplit]:
    files = OpenFiles()
    content = _checksum_of_file(path) if is_parquet(path) else 0
    dated = [_dated(stream, part, content, files) for part in parts_of(path, part_bytes, cuts_gzip=True)]
    files.close(path)
    for splits in zip(*dated, strict=True):
        parts = [planned for planned in splits if planned is not None]
        yield from _in_the_order_of_the_file(parts) if is_gzip(path) else parts


def _dated(
    stream: str, part: FilePart, content: int, files: OpenFiles
) -> tuple[FileSplit | None, FileSplit, FileSplit | None]:
    """Splits of a part: outliers long before the rest, the rest, outliers long after it. `content` is the checksum to
    continue from."""
    found: list[npt.NDArray[np.int64]] = []
    for piece in read_part(stream, part, files):
        found.append(times_ms(stream, piece))
        content = _checksum(piece, content)
    times = np.concatenate([np.empty(0, dtype=np.int64), *found])
    since, before = typical_bounds(times)
    low_ms = int(times.min(initial=END_MS))
    main_split = FileSplit(
        stream, replace(part, since_ms=since, before_ms=before), low_ms if since is None else since, content
    )
    return (
        None if since is None else FileSplit(stream, replace(part, before_ms=since), low_ms, content),
        main_split,
        None if before is None else FileSplit(stream, replace(part, since_ms=before), before, content),
    )


def _in_the_order_of_the_file(parts: Sequence[FileSplit]) -> Iterator[FileSplit]:
    """A compressed file can only be read from its beginning: no part may come later than one behind it in the file."""
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
    """For Parquet files, whose rows are not contiguous bytes."""
    content = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            content = zlib.crc32(block, content)
    return content
