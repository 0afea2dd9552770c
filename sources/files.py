"""Input folders: which files a stream has, and their lines in blocks of bounded size.

Interpretations of the specification: docs/interpretations.md#records-and-folders.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from monsoon.transforms.validation.record_validator import MAX_RAW_BYTES

STREAMS = ("telemetry", "oracle_readings", "subscriptions")
"""Streams of which an input must have a folder, be it empty."""
OPTIONAL_STREAMS = ("reserves", "confirmations")
"""Streams whose folder may be absent, which means no records."""
INPUT_STREAMS = STREAMS + OPTIONAL_STREAMS
INPUT_FOLDERS = (*INPUT_STREAMS, "reference")
"""What an input holds: a folder a stream, and the reference files."""

_LINES = (".jsonl", ".ndjson", ".json")
_GZIPPED = tuple(f"{suffix}.gz" for suffix in _LINES)
_PARQUET = ".parquet"
NAMES = "*.jsonl, *.ndjson or *.json, each also with .gz, or *.parquet"
"""What input files are called, be it in capitals; at any depth."""
NO_INPUT = (".", "_")
"""A name that begins so is no input: what other tools leave behind (.part.crc, ._part, _SUCCESS, _temporary)."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLOCK_BYTES = 16 * 1024 * 1024


class InputError(Exception):
    """An input that cannot be read: what is wrong, where, and what to do about it."""

    def __init__(self, what: str, where: str, mend: str) -> None:
        super().__init__(f"{where}: {what}{'' if what.endswith('?') else '.'} {mend}")
        self.what, self.where, self.mend = what, where, mend


def first_line(error: BaseException) -> str:
    """What another library's error says, in a line; of one that says nothing its kind."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


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
    """The files of one stream below its folder, sorted.

    `ignored`: paths in the folder of what is no input, sorted, with bytes that are no UTF-8 escaped; of a folder that
    is passed over its own alone, with a slash. `foreign`: of the files, those that a link brings in from outside the
    folder of all streams, and where they lie.
    """

    folder: Path
    files: tuple[Path, ...]
    ignored: tuple[str, ...]
    foreign: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)


def streams_in(folder: Path) -> tuple[str, ...]:
    """The streams to be read below `folder`: all that it must have, and the optional ones that it has."""
    return STREAMS + tuple(stream for stream in OPTIONAL_STREAMS if (folder / stream).exists())


def is_parquet(path: Path) -> bool:
    """Whether an input file holds rows of columns, and not lines."""
    return path.name.lower().endswith(_PARQUET)


def find_files(folder: Path) -> StreamFiles:
    """The input files in a stream's folder, at any depth. Raises InputError if there is no such folder, or none around
    it, or one cannot be listed."""
    _require_folder(folder.parent, "Give the folder that holds the folders of the streams")
    _require_folder(folder, f"Give the folder that holds the stream's files: {NAMES}")
    files: list[Path] = []
    ignored: list[Path] = []
    _scan(folder, (os.path.realpath(folder),), files, ignored)
    for file in files:
        if not file.exists():
            raise InputError("a link to a file that is not there", str(file), "Put the file there, or take it away")
        if not file.is_file():
            raise InputError("is no regular file", str(file), "Put its records into a file, or take it away")
    around = os.path.realpath(folder.parent)
    foreign = [file for file in files if not os.path.realpath(file).startswith(around + os.sep)]
    return StreamFiles(
        folder,
        tuple(sorted(files)),
        tuple(sorted(_shown(each, folder) + ("/" if each.is_dir() else "") for each in ignored)),
        tuple(sorted(f"{_shown(each, folder)} -> {_escaped(os.path.realpath(each))}" for each in foreign)),
    )


def _scan(folder: Path, within: tuple[str, ...], files: list[Path], ignored: list[Path]) -> None:
    """Adds what a folder holds; `within` are it and those around it, so that a link to one of them is no way in."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(error.strerror or "unreadable", str(folder), "Grant read permission on the folder") from error
    for entry in entries:
        if entry.name.startswith(NO_INPUT):
            ignored.append(entry)
        elif entry.is_dir():
            real = os.path.realpath(entry)
            if real in within:
                ignored.append(entry)
            else:
                _scan(entry, (*within, real), files, ignored)
        elif entry.name.lower().endswith((*_LINES, *_GZIPPED, _PARQUET)):
            files.append(entry)
        else:
            ignored.append(entry)


def _shown(path: Path, folder: Path) -> str:
    return _escaped(str(path.relative_to(folder)))


def _escaped(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


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
    return path.name.lower().endswith(".gz")


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
    """The lines of a file of lines, plain or gzipped, or of a part of it, in blocks of about `block_bytes` cut at line
    feeds. A byte order mark at the file's beginning is no part of its first line.

    `at_byte` is called with the position in the file on disk; `content` is what the file holds, for those who
    have it open. Raises InputError where the file cannot be read or its compression is broken.
    """
    with reading_errors(path), ExitStack() as opened:
        position = None
        if content is None:
            disk = opened.enter_context(path.open("rb"))
            position = disk.tell
            content = uncompressed(disk) if is_gzip(path) else disk
        whole = content
        if part is not None and part.stop is not None:
            content = _Bounded(whole, part.start, part.stop)  # type: ignore[assignment]
        if (part is None or part.start == 0) and whole.read(len(_BYTE_ORDER_MARK)) != _BYTE_ORDER_MARK:
            whole.seek(0)
        for block in _cut(content, block_bytes):
            yield block
            if at_byte is not None and position is not None:
                at_byte(position())


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
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
    while chunk := after + plain.read(_to_line_end(plain, block_bytes)):
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


def _to_line_end(plain: IO[bytes], block_bytes: int) -> int:
    """How much of a file on disk to read for a block that ends with a line: no rest of a line to copy it together with.
    Of other sources, which cannot look ahead, and where that line is too long, `block_bytes`."""
    if not isinstance(plain, io.BufferedReader):
        return block_bytes
    start = plain.tell()
    plain.seek(start + block_bytes - 1)
    rest = plain.readline(MAX_RAW_BYTES)
    plain.seek(start)
    return block_bytes - 1 + len(rest) if rest.endswith(b"\n") else block_bytes


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
