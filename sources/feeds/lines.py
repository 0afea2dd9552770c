"""The rows of a feed's files: CSV, JSON Lines or an API's answers, plain or gzip; each a mapping, whatever came."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from monsoon.sources.feeds.columns import ColumnReader, Columns, folded
from monsoon.sources.files import InputError, LongLine, read_blocks
from monsoon.sources.provider_files import Provider, names_of
from monsoon.transforms.atmosphere.quantities import unit_name
from monsoon.transforms.validation.record_validator import MAX_LINE_BYTES, MAX_RAW_BYTES

CSV_SUFFIXES = (".csv", ".csv.gz")
LINES_SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
DOCUMENT_SUFFIXES = (".json", ".json.gz")
SUFFIXES = CSV_SUFFIXES + LINES_SUFFIXES + DOCUMENT_SUFFIXES
MAX_PREAMBLE_LINES = 64
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
_DELIMITERS = (",", ";", "\t")
"""Spreadsheets of some countries write a semicolon, some exports a tab."""
EMPTY = "empty_answer"
"""The reason of a line that is an answer without rows, which is no fault."""
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its text, and its fields by name, or why it has none.

    `units` are those that the feed states, by field; `around` has the fields stated once for all rows (an answer's own
    fields, the lines above a CSV header)."""

    text: str
    fields: Mapping[str, Any] | None
    reason: str = ""
    detail: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    around: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class FeedFile:
    """A feed's file and its rows; the rest fills up while the rows are drawn: columns that were not read, those of
    them in a unit that their quantity does not come in, and lines above the header."""

    path: Path
    rows: Iterator[Line] = field(default_factory=lambda: iter(()))
    unread: dict[str, None] = field(default_factory=dict)
    unusable: dict[str, None] = field(default_factory=dict)
    preamble_lines: int = 0


def open_feed(path: Path, provider: Provider, columns: ColumnReader, *, is_placed: bool = True) -> FeedFile:
    """The rows of a file in the order of the file, blank ones left out.

    A row is one line; a quoted CSV field cannot hold a line feed. CSV text that is no UTF-8 is read as Windows-1252.
    `is_placed` is whether the command line gives the position of rows without one. Raises InputError where the name
    shows no format, the file cannot be read, or a CSV file has no header with the provider's columns.
    """
    if not path.name.endswith(SUFFIXES):
        raise InputError("neither CSV nor JSON by its name", str(path), f"Name it *{', *'.join(SUFFIXES)}")
    if path.exists() and not path.is_file():
        raise InputError("is no regular file", str(path), "Give the file with the feed's rows")
    file = FeedFile(path)
    if path.name.endswith(CSV_SUFFIXES):
        file.rows = _CsvRows(file, provider, columns, is_placed=is_placed).rows()
    else:
        file.rows = _JsonRows(file, provider, columns).rows()
    return file


class _CsvRows:
    """The rows below one header or several: exports stack tables, and each has its own."""

    def __init__(self, file: FeedFile, provider: Provider, columns: ColumnReader, *, is_placed: bool) -> None:
        self._file, self._provider, self._columns, self._is_placed = file, provider, columns, is_placed
        self._delimiter = _DELIMITERS[0]
        area = provider.area
        self._around_names = {
            folded(name): name
            for names in (area.lat_field, area.lon_field, area.station_field, provider.clock.offset_s)
            for name in names_of(names)
        }

    def rows(self) -> Iterator[Line]:
        """Reads up to the header at once, so that a file that is no such feed is refused before any row."""
        lines = _lines(self._file.path)
        header, preamble = self._header(lines)
        around = self._around(preamble)
        self._file.preamble_lines = len(preamble)
        self._require_place(header, around)
        self._note(header)
        return chain.from_iterable(self._below(header, lines, around))

    def _header(self, lines: Iterator[bytes]) -> tuple[Columns, list[tuple[str, ...]]]:
        """The first line that names the provider's columns, and the lines above it."""
        above: list[tuple[str, ...]] = []
        nearest: Columns | None = None
        for line in lines:
            text = line.removeprefix(b"\xef\xbb\xbf") if not above else line
            for delimiter in (*_DELIMITERS[1:], _DELIMITERS[0]):
                split = _cells(text, delimiter)
                cells = (split.text[:200],) if isinstance(split, Line) else tuple(split)
                found = self._columns.read(cells)
                if found.is_header:
                    self._delimiter = delimiter
                    return found, above
            if nearest is None or len(found.absent) < len(nearest.absent):
                nearest = found
            above.append(cells)
            if len(above) > MAX_PREAMBLE_LINES:
                break
        if nearest is None:
            raise InputError("its first line is no header", str(self._file.path), "It must name the columns")
        raise self._no_header(nearest)

    def _no_header(self, nearest: Columns) -> InputError:
        shown = ", ".join(nearest.names[:12])[:200]
        unusable = f" ({', '.join(nearest.unusable)}: in no unit that can be read)" if nearest.unusable else ""
        return InputError(
            f"has no column {nearest.absent[0]}; its columns are {shown}{unusable}",
            str(self._file.path),
            f"Give a feed as provider {self._provider.name} publishes it, or a provider file of your own "
            "(docs/feeds.md).",
        )

    def _around(self, preamble: Sequence[tuple[str, ...]]) -> dict[str, str]:
        """The fields above the header: `name,value` lines, and a table of one row below its own header."""
        around: dict[str, str] = {}
        names: list[str | None] = []
        for cells in preamble:
            trimmed = [cell.strip() for cell in cells]
            known = [self._around_names.get(folded(cell)) for cell in trimmed]
            filled = [cell for cell in trimmed if cell]
            if any(known) and len(filled) > 2:
                names = known
            elif names and len(trimmed) == len(names):
                stated = {name: cell for name, cell in zip(names, trimmed, strict=True) if name is not None}
                if around.keys() & stated.keys():
                    raise InputError(
                        "holds several places in one file", str(self._file.path), "Ask the provider for one at a time"
                    )
                around |= stated
            elif known and known[0] is not None and len(filled) == 2:
                around[known[0]] = filled[1]
        return around

    def _require_place(self, header: Columns, around: Mapping[str, str]) -> None:
        """Raises InputError where no row can have a position."""
        area = self._provider.area
        stated = {*header.names, *around}
        for names in (names_of(area.lat_field), names_of(area.lon_field)):
            if names and not stated & set(names) and not (area.may_lack and self._is_placed):
                mend = "Say where with --at LAT,LON." if area.may_lack else "Give it as its provider publishes it."
                raise InputError(f"has no column {names[0]!r}, with its position", str(self._file.path), mend)

    def _note(self, header: Columns) -> None:
        if header.ambiguous:
            first, second = header.ambiguous
            raise InputError(
                f"its columns {first!r} and {second!r} are one field", str(self._file.path), "Take one of them out"
            )
        self._file.unread |= dict.fromkeys((*header.unread, *header.unusable))
        self._file.unusable |= dict.fromkeys(header.unusable)

    def _below(self, header: Columns, lines: Iterator[bytes], around: Mapping[str, str]) -> Iterator[tuple[Line, ...]]:
        """Each row, or none for a line that is a header again or holds nothing but commas."""
        times = set(names_of(self._provider.clock.field))
        for line in lines:
            cells = _cells(line, self._delimiter)
            if isinstance(cells, Line):
                yield (cells,)
                continue
            if not any(cell and not cell.isspace() for cell in cells):
                continue
            if not times.isdisjoint(map(str.strip, cells)):
                again = self._columns.read(tuple(cells))
                if again.has_time:
                    header = again
                    self._note(header)
                    continue
            yield (_csv_row(line, cells, header, around),)


def _csv_row(line: bytes, cells: list[str], header: Columns, around: Mapping[str, str]) -> Line:
    text = _text(line)
    names = header.names
    if len(cells) > len(names) and not any(map(str.strip, cells[len(names) :])):
        cells = cells[: len(names)]
    if len(cells) != len(names):
        return Line(text, None, "not_csv", f"{len(cells)} fields under {len(names)} columns")
    return Line(text, dict(zip(names, cells, strict=True)), units=header.units, around=around)


def _cells(line: bytes, delimiter: str) -> list[str] | Line:
    """The cells of one CSV line, or what is wrong with it."""
    if len(line) > MAX_LINE_BYTES:
        text = line[:MAX_RAW_BYTES].decode("utf-8", "replace")
        return Line(text, None, "too_long", f"more than {MAX_LINE_BYTES} bytes")
    try:
        return next(csv.reader([_text(line)], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        return Line(line.decode("utf-8", "replace"), None, "not_csv", str(error))


def _text(line: bytes) -> str:
    """UTF-8, or else Windows-1252, in which spreadsheets of Europe and India save a micro sign."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


class _JsonRows:
    """The rows of JSON Lines, and of answers that hold many, be it one a line or one a file."""

    def __init__(self, file: FeedFile, provider: Provider, columns: ColumnReader) -> None:
        self._file, self._columns = file, columns
        self._rows = None if provider.answer is None else provider.answer.rows.split(".")
        units = None if provider.answer is None else provider.answer.units
        self._units = None if units is None else units.split(".")

    def rows(self) -> Iterator[Line]:
        if not self._file.path.name.endswith(DOCUMENT_SUFFIXES):
            return chain.from_iterable(map(self._line, _lines(self._file.path)))
        content = _document(self._file.path)
        try:
            document = msgspec.json.decode(content)
        except (ValueError, RecursionError):
            return chain.from_iterable(self._line(line) for line in content.split(b"\n") if line.strip())
        if isinstance(document, list):
            return (self._row(item, None, {}, {}) for item in document)
        return self._items(document, content)

    def _line(self, line: bytes) -> Iterator[Line]:
        if len(line) > MAX_LINE_BYTES:
            detail = f"more than {MAX_LINE_BYTES} bytes; an API's answer is read whole from a file *.json"
            yield Line(line[:MAX_RAW_BYTES].decode("utf-8", "replace"), None, "too_long", detail)
            return
        try:
            record = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"))
        except (ValueError, RecursionError) as error:
            yield Line(line[:MAX_RAW_BYTES].decode("utf-8", "replace"), None, "not_json", str(error))
            return
        yield from self._items(record, line)

    def _items(self, record: Any, content: bytes) -> Iterator[Line]:
        """The rows of an answer, or the one that it is."""
        held = _below_path(record, self._rows)
        if not isinstance(record, dict) or held is None:
            yield self._row(record, content, {}, {})
        else:
            around = {name: value for name, value in record.items() if not isinstance(value, list | dict)}
            stated = _below_path(record, self._units)
            units = {
                str(name): unit_name(unit)
                for name, unit in (stated.items() if isinstance(stated, dict) else ())
                if isinstance(unit, str)
            }
            if held in ([], {}):
                yield Line(content[:MAX_RAW_BYTES].decode("utf-8", "replace"), None, EMPTY)
            elif isinstance(held, list):
                yield from (self._row(item, None, around, units) for item in held)
            else:
                yield from self._columnar(held, content, around, units)

    def _columnar(
        self, held: Any, content: bytes, around: Mapping[str, Any], units: Mapping[str, str]
    ) -> Iterator[Line]:
        columns = held if isinstance(held, dict) else {}
        lengths = {len(column) if isinstance(column, list) else -1 for column in columns.values()}
        if len(lengths) != 1 or -1 in lengths:
            text = content[:MAX_RAW_BYTES].decode("utf-8", "replace")
            yield Line(text, None, "not_json", f"{'.'.join(self._rows or ())} holds no lists as long as each other")
            return
        for values in zip(*columns.values(), strict=True):
            yield self._row(dict(zip(columns, values, strict=True)), None, around, units)

    def _row(self, item: Any, content: bytes | None, around: Mapping[str, Any], units: Mapping[str, str]) -> Line:
        raw = msgspec.json.encode(item) if content is None else content
        text = raw[:MAX_RAW_BYTES].decode("utf-8", "replace")
        if not isinstance(item, dict):
            return Line(text, None, "not_json", "not an object")
        columns = self._columns.read(tuple(item))
        if columns.ambiguous is None and columns.names != tuple(item):
            # A table saved as JSON has the header's spelling in every row.
            item = dict(zip(columns.names, item.values(), strict=True)) | item
            units = {**units, **columns.units}
        return Line(text, item, units=units, around=around)


def _below_path(record: Any, path: Sequence[str] | None) -> Any:
    """What lies at a path of keys, or None."""
    if path is None:
        return None
    for key in path:
        record = record.get(key) if isinstance(record, dict) else None
    return record


def _document(path: Path) -> bytes:
    """A whole file. Raises InputError where it is larger than an answer is."""
    pieces: list[bytes] = []
    size = 0
    for block in read_blocks(path):
        for piece in block.pieces if isinstance(block, LongLine) else (block.content,):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_DOCUMENT_BYTES:
                raise InputError("larger than 256 MiB", str(path), "Give it as JSON Lines, *.jsonl, a row a line")
        if isinstance(block, LongLine):
            pieces.append(b"\n")
    return b"".join(pieces).removeprefix(b"\xef\xbb\xbf")


def _lines(path: Path) -> Iterator[bytes]:
    """Lines that are not blank; of one that is too long, no more than shows that it is."""
    is_first = True
    for block in read_blocks(path):
        if isinstance(block, LongLine):
            head = b""
            for piece in block.pieces:
                head = (head + piece)[:MAX_RAW_BYTES]
            yield head
        else:
            if is_first and block.content[:2] in _MARKS:
                raise InputError(f"is {_MARKS[block.content[:2]]} text", str(path), "Save it as UTF-8")
            for line in block.content.split(b"\n"):
                if line.strip():
                    yield line.removesuffix(b"\r")
        is_first = False
