"""The rows of a feed's files: CSV or JSON Lines, plain or gzip; each row a mapping, whatever bytes came."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from monsoon.sources.files import InputError, LongLine, read_blocks
from monsoon.transforms.validation.judge import MAX_LINE_BYTES, MAX_RAW_BYTES

SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its text, and its fields by name, or why it has none."""

    text: str
    fields: Mapping[str, Any] | None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class FeedFile:
    """A feed's file: the columns of its header (JSON Lines have none), and its rows."""

    path: Path
    columns: tuple[str, ...] | None
    rows: Iterator[Line]


def open_feed(path: Path) -> FeedFile:
    """The rows of a file in the order of the file, blank ones left out.

    A row is one line; a quoted CSV field cannot hold a line feed. Raises InputError where the name tells neither
    format, the file cannot be read, or a CSV file has no header of UTF-8 text.
    """
    if not path.name.endswith(SUFFIXES):
        raise InputError("neither CSV nor JSON Lines by its name", str(path), f"Name it *{', *'.join(SUFFIXES)}")
    if path.exists() and not path.is_file():
        raise InputError("is no regular file", str(path), "Give the file with the feed's rows")
    lines = _lines(path)
    if ".jsonl" in path.name:
        return FeedFile(path, None, (_json_row(line) for line in lines))
    header = next(lines, b"")
    columns = _cells(header.removeprefix(b"\xef\xbb\xbf"))
    if isinstance(columns, Line) or not columns:
        raise InputError("its first line is no header", str(path), "Its first line must name the columns")
    names = tuple(name.strip() for name in columns)
    return FeedFile(path, names, (_csv_row(line, names) for line in lines))


def _lines(path: Path) -> Iterator[bytes]:
    """Lines that are not blank; of one that is too long, no more than tells that it is."""
    for block in read_blocks(path):
        if isinstance(block, LongLine):
            head = b""
            for piece in block.pieces:
                head = (head + piece)[:MAX_RAW_BYTES]
            yield head
        else:
            for line in block.content.split(b"\n"):
                if line.strip():
                    yield line.removesuffix(b"\r")


def _json_row(line: bytes) -> Line:
    text = line[:MAX_RAW_BYTES].decode("utf-8", "replace")
    if len(line) > MAX_LINE_BYTES:
        return Line(text, None, "too_long", f"more than {MAX_LINE_BYTES} bytes")
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        return Line(text, None, "not_json", str(error))
    if not isinstance(record, dict):
        return Line(text, None, "not_json", "not an object")
    return Line(text, record)


def _csv_row(line: bytes, names: tuple[str, ...]) -> Line:
    cells = _cells(line)
    if isinstance(cells, Line):
        return cells
    if len(cells) != len(names):
        detail = f"{len(cells)} fields under {len(names)} columns"
        return Line(line.decode("utf-8", "replace"), None, "not_csv", detail)
    return Line(line.decode(), dict(zip(names, cells, strict=True)))


def _cells(line: bytes) -> list[str] | Line:
    """The cells of one CSV line, or what is wrong with it."""
    if len(line) > MAX_LINE_BYTES:
        text = line[:MAX_RAW_BYTES].decode("utf-8", "replace")
        return Line(text, None, "too_long", f"more than {MAX_LINE_BYTES} bytes")
    try:
        text = line.decode()
        return next(csv.reader([text], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        return Line(line.decode("utf-8", "replace"), None, "not_csv", str(error))
