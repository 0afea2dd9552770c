"""Input folders: which files a stream has, and their lines in blocks of bounded size.

Readings of the text: docs/interpretations.md#records-and-folders.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from monsoon.transforms.validation.judge import MAX_RAW_BYTES

STREAMS = ("telemetry", "oracle_readings", "subscriptions")
"""Streams of which an input must have a folder, be it empty."""
OPTIONAL_STREAMS = ("reserves", "confirmations")
"""Streams whose folder may be absent, which is to say that there are no records."""
INPUT_STREAMS = STREAMS + OPTIONAL_STREAMS
INPUT_FOLDERS = (*INPUT_STREAMS, "reference")
"""What an input holds: a folder a stream, and the reference files."""

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
BLOCK_BYTES = 16 * 1024 * 1024


class InputError(Exception):
    """An input that cannot be read: what is wrong, where, and what to do about it."""

    def __init__(self, what: str, where: str, mend: str) -> None:
        super().__init__(f"{where}: {what}{'' if what.endswith('?') else '.'} {mend}")
        self.what, self.where, self.mend = what, where, mend


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines, each ended by a line feed but perhaps the last."""

    content: bytes


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line of more than MAX_RAW_BYTES, in pieces that must be drawn before the next block."""

    pieces: Iterator[bytes]


@dataclass(frozen=True)
class StreamFiles:
    """The files of one stream, sorted by name. `ignored` are the names of what else lies in the folder, sorted, with
    bytes that are no UTF-8 escaped; hidden files and marks such as _SUCCESS are no oversight and not among them."""

    folder: Path
    files: tuple[Path, ...]
    ignored: tuple[str, ...]

    @property
    def total_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)


def streams_in(folder: Path) -> tuple[str, ...]:
    """The streams to be read below `folder`: all that it must have, and the optional ones that it has."""
    return STREAMS + tuple(stream for stream in OPTIONAL_STREAMS if (folder / stream).exists())


def find_files(folder: Path) -> StreamFiles:
    """The input files in a stream's folder. Raises InputError if there is no such folder, or none around it, or it
    cannot be listed."""
    _require_folder(folder.parent, "Give the folder that holds the folders of the streams")
    _require_folder(folder, "Give the folder that holds the stream's .jsonl, .jsonl.gz or .parquet files")
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(error.strerror or "unreadable", str(folder), "Grant read permission on the folder") from error
    files = tuple(entry for entry in entries if entry.name.endswith(SUFFIXES) and not entry.is_dir())
    for file in files:
        if file.exists() and not file.is_file():
            raise InputError("is no regular file", str(file), "Put its records into a file, or take it away")
    taken = {file.name for file in files}
    others = (os.fsencode(entry.name) for entry in entries if entry.name not in taken)
    ignored = sorted(name.decode(errors="backslashreplace") for name in others if not name.startswith((b".", b"_")))
    return StreamFiles(folder, files, tuple(ignored))


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of a file (`monsoon.sources.parts`): whole lines, bytes [start, stop) of what it holds uncompressed, or
    rows [start, stop) of a Parquet file; `stop` None is all of it. Of these only the records of a time, where one is
    given (`record_times.within`)."""

    path: Path
    start: int = 0
    stop: int | None = None
    since_ms: int | None = None
    before_ms: int | None = None


def _require_folder(folder: Path, mend: str) -> None:
    if not folder.is_dir():
        raise InputError("is a file, not a folder" if folder.exists() else "no such folder", str(folder), mend)


def is_gzip(path: Path) -> bool:
    """By its name, as everywhere."""
    return path.name.endswith(".gz")


def uncompressed(disk: IO[bytes]) -> IO[bytes]:
    """What a compressed file holds. Raises EOFError for a file of no bytes, OSError, and zlib.error when it is read."""
    if not os.fstat(disk.fileno()).st_size:
        raise EOFError("it is empty, which even no lines compressed are not")
    content: Any = gzip.GzipFile(fileobj=disk)
    return content


def read_blocks(
    path: Path,
    *,
    block_bytes: int = BLOCK_BYTES,
    at_byte: Callable[[int], None] | None = None,
    part: FilePart | None = None,
    content: IO[bytes] | None = None,
) -> Iterator[Block | LongLine]:
    """The lines of a .jsonl or .jsonl.gz file, or of a part of it, in blocks of about `block_bytes` cut at line
    feeds.

    `at_byte` is told how far into the file on disk reading has come; `content` is what the file holds, for those who
    have it open. Raises InputError where the file cannot be read or its compression is broken.
    """
    with faults_told(path), ExitStack() as opened:
        told = None
        if content is None:
            disk = opened.enter_context(path.open("rb"))
            told = disk.tell
            content = uncompressed(disk) if is_gzip(path) else disk
        if part is not None and part.stop is not None:
            content = _Bounded(content, part.start, part.stop)  # type: ignore[assignment]
        for block in _cut(content, block_bytes):
            yield block
            if at_byte is not None and told is not None:
                at_byte(told())


@contextmanager
def faults_told(path: Path) -> Iterator[None]:
    """Raises InputError for what fails while a file is read."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"damaged gzip file ({error})", str(path), "Copy or compress the file again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(error.strerror or str(error), str(path), "Check that the file is there and may be read")


class _Bounded:
    """The bytes [start, stop) of an open file."""

    def __init__(self, file: IO[bytes], start: int, stop: int) -> None:
        self._file, self._stop = file, stop
        file.seek(start)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._stop - self._file.tell()))

    def readline(self, size: int) -> bytes:
        return self._file.readline(min(size, self._stop - self._file.tell()))


def _cut(plain: IO[bytes], block_bytes: int) -> Iterator[Block | LongLine]:
    """Each block is what one read gives and the rest of its last line, unless that line is too long to hold."""
    after = b""
    while chunk := after + plain.read(block_bytes):
        tail = b"" if chunk.endswith(b"\n") else plain.readline(MAX_RAW_BYTES)
        after = b""
        if tail.endswith(b"\n") or len(tail) < MAX_RAW_BYTES:
            yield Block(chunk + tail)
            continue
        begun = chunk.rfind(b"\n") + 1
        if begun:
            yield Block(chunk[:begun])
        long = _Pieces(plain, chunk[begun:] + tail, block_bytes)
        yield LongLine(iter(long))
        after = long.after


class _Pieces:
    """The pieces of one line whose beginning is at hand, up to its line feed; `after` is what was read beyond
    it.

    A carriage return before the line feed is no part of the line.
    """

    def __init__(self, plain: IO[bytes], begun: bytes, piece_bytes: int) -> None:
        self._plain, self._begun, self._piece_bytes = plain, begun, piece_bytes
        self.after = b""

    def __iter__(self) -> Iterator[bytes]:
        held = self._begun
        while chunk := self._plain.read(self._piece_bytes):
            end = chunk.find(b"\n")
            if end >= 0:
                self.after = chunk[end + 1 :]
                held += chunk[:end]
                break
            yield held[:-1]
            held = held[-1:] + chunk
        yield held.removesuffix(b"\r")
