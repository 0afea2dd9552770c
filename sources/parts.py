"""Files cut into parts, of which each is read by itself: by whoever is free, again after a failure, up to where a
checkpoint finds it.

Plain files are cut at line feeds, Parquet files between rows. A compressed file is cut at line feeds of what it holds,
and read on from where its last part ended.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from monsoon.sources.files import BLOCK_BYTES, FilePart, is_gzip, is_parquet, read_blocks, reading_errors, uncompressed
from monsoon.sources.parquet_rows import row_count
from monsoon.sources.record_times import Piece, within
from monsoon.sources.streams import parquet_batches

_ROW_BYTES = 256
"""What a row of a Parquet file is taken for: about half of what it takes as JSON."""
_OPEN_FILES = 8


def parts_of(path: Path, part_bytes: int, *, cuts_gzip: bool = False) -> Iterator[FilePart]:
    """A file in parts of about `part_bytes`, in its order; a compressed one as a whole unless `cuts_gzip`, for which it
    is read.

    Raises InputError where the file cannot be read.
    """
    if is_parquet(path):
        rows, step = row_count(path), max(1, part_bytes // _ROW_BYTES)
        for start in range(0, rows, step):
            yield FilePart(path, start, min(rows, start + step))
    elif not is_gzip(path):
        with reading_errors(path), path.open("rb") as plain:
            yield from _cut(path, plain, part_bytes, path.stat().st_size)
    elif not cuts_gzip:
        yield FilePart(path)
    else:
        with reading_errors(path), path.open("rb") as disk:
            yield from _cut(path, uncompressed(disk), part_bytes, None)


def bytes_in(part: FilePart) -> int:
    """About how many bytes a part of known end has, uncompressed."""
    assert part.stop is not None
    return (part.stop - part.start) * (_ROW_BYTES if is_parquet(part.path) else 1)


def _cut(path: Path, file: IO[bytes], part_bytes: int, size: int | None) -> Iterator[FilePart]:
    """Parts that end at line feeds; `size` is None where seeking stops at the end by itself."""
    start = 0
    while size is None or start < size:
        file.seek(start + part_bytes - 1 if size is None else min(size, start + part_bytes) - 1)
        while (rest := file.readline(BLOCK_BYTES)) and not rest.endswith(b"\n"):
            pass
        if file.tell() == start:
            return
        yield FilePart(path, start, file.tell())
        start = file.tell()


class OpenFiles:
    """Compressed files that stay open where reading stopped: the next part goes on from there. A part that lies before
    that is read from the file's beginning on."""

    def __init__(self) -> None:
        self._open: dict[Path, IO[bytes]] = {}

    def __call__(self, path: Path) -> IO[bytes]:
        """The file, wherever it stands. Raises OSError."""
        file: Any = self._open.pop(path, None) or gzip.GzipFile(path)
        self._open[path] = file  # the one used last stands last
        while len(self._open) > _OPEN_FILES:
            self.close(next(iter(self._open)))
        return file

    def close(self, path: Path) -> None:
        """For a file of which no more is wanted, or that failed."""
        if (file := self._open.pop(path, None)) is not None:
            file.close()


def read_part(stream: str, part: FilePart, files: OpenFiles | None = None) -> Iterator[Piece]:
    """What a part holds, piece by piece. Raises InputError where the file cannot be read."""
    for piece in _pieces(part, files):
        if (wanted := within(stream, piece, part.since_ms, part.before_ms)) is not None:
            yield wanted


def _pieces(part: FilePart, files: OpenFiles | None) -> Iterator[Piece]:
    if is_parquet(part.path):
        yield from parquet_batches(part.path, part.start, part.stop)
        return
    if files is None or part.stop is None or not is_gzip(part.path):
        yield from read_blocks(part.path, part=part)
        return
    try:
        yield from read_blocks(part.path, part=part, content=files(part.path))
    except BaseException:
        files.close(part.path)
        raise
