"""CSV files that people bring along: named columns or none, any of the usual separators, packed or not."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import polars as pl

from monsoon.sources.files import InputError
from monsoon.sources.native_messages import native_messages_dropped

_SEPARATORS = ";\t|,"
"""The comma last: where another one divides as well, the commas are those of decimals."""
_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANK = " \t\r\n\ufeff"
_FIRST_LINE_BYTES = 64 * 1024
_QUOTED_CHARACTERS = 120


@dataclass(frozen=True)
class Layout:
    """The columns of a file: those that it must have, and all in the order in which they are `published` where no
    line names them. `also` has other names of columns; `texts` are the columns that hold no number. `mend` says
    what to do with a file that has not these columns."""

    required: Sequence[str]
    published: Sequence[str]
    texts: Sequence[str]
    mend: str
    also: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """The column that a name in a file stands for: whatever its case, be it another name of the column."""
        lower = name.strip(_BLANK).lower()
        return self.also.get(lower, lower)


def read_table(path: Path, layout: Layout) -> pl.DataFrame:
    """The columns of the layout that a file has, as text, and `line`, the number of each row's line; no rows where
    the file is absent or empty. NAME.gz serves as well as NAME.

    Numbers have a point for a comma where commas divide nothing; a line of names amid the rows (of files put one
    after another) is no row. Raises InputError for what is no such file.
    """
    found = _content(path)
    if found is None:
        return pl.DataFrame(schema={"line": pl.UInt32} | dict.fromkeys(layout.required, pl.String))
    path, content = found
    first = content.read(_FIRST_LINE_BYTES).decode(errors="replace").lstrip("\ufeff").split("\n", 1)[0]
    content.seek(0)
    separator = max(_SEPARATORS, key=lambda each: len(_fields(first, each)))
    names = [layout.named(name) for name in _fields(first, separator)]
    known = {*layout.published, *layout.required}
    has_names = bool(known.intersection(names))
    if not has_names and _is_row(names, layout):
        names = list(layout.published)
    _check(path, layout, names, known)
    frame = _parsed(path, content, separator, has_names)
    if frame.width != len(names):
        raise InputError("not a CSV file (its first line)", str(path), layout.mend)
    places = {name: frame.columns[place] for place, name in enumerate(names) if name in known}
    texts = {name: pl.col(column).str.strip_chars(_BLANK) for name, column in places.items()}
    if separator != ",":
        numbers = texts.keys() - set(layout.texts)
        texts |= {name: texts[name].str.replace(",", ".", literal=True) for name in sorted(numbers)}
    frame = frame.select(**texts).with_row_index("line", 2 if has_names else 1)
    return frame.filter(pl.col(layout.required[-1]).str.to_lowercase().ne_missing(layout.required[-1]))


def _content(path: Path) -> tuple[Path, IO[bytes]] | None:
    """A file or its packed twin, and its bytes, as UTF-8; None where there are none."""
    packed = path.with_name(f"{path.name}.gz")
    there = [each for each in (path, packed) if os.path.lexists(each)]
    for each in there:
        if not each.is_file():
            raise InputError("is no regular file", str(each), "Put a CSV file there, or leave it out.")
    if len(there) > 1:
        raise InputError(f"{packed.name} is there too", str(path), "Leave one of the two.")
    if not there or there[0].stat().st_size == 0:
        return None
    try:
        file: IO[bytes] = there[0].open("rb")
        magic = file.read(2)
        file.seek(0)
        if magic == _GZIP:
            with file:
                file = io.BytesIO(gzip.decompress(file.read()))
            magic = file.read(2)
            file.seek(0)
        if magic in _UTF_16:
            with file:
                return there[0], io.BytesIO(file.read().decode("utf-16").encode())
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", str(there[0]), "Write it as CSV, or leave it out.") from error
    return (there[0], file) if magic else None


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [""])
    except csv.Error:  # a field of more than 128 KiB
        return [line]


def _is_row(fields: Sequence[str], layout: Layout) -> bool:
    """Whether these are values in the order in which the columns are published."""
    if len(fields) != len(layout.published):
        return False
    numbers = [text for name, text in zip(layout.published, fields, strict=True) if name in ("lat", "lon")]
    return all(text.replace(",", ".", 1).lstrip("-+").replace(".", "", 1).isdigit() for text in numbers)


def _check(path: Path, layout: Layout, names: Sequence[str], known: set[str]) -> None:
    if twice := sorted({name for name in names if name in known and names.count(name) > 1}):
        raise InputError(f"column {', '.join(twice)} is there twice", str(path), "Give each column a name of its own.")
    if missing := [name for name in layout.required if name not in names]:
        there = " ".join(", ".join(names).split())[:_QUOTED_CHARACTERS]
        raise InputError(f"no column {', '.join(missing)}; there are: {there}", str(path), layout.mend)


def _parsed(path: Path, content: IO[bytes], separator: str, has_names: bool) -> pl.DataFrame:
    try:
        with content, native_messages_dropped():  # a path that is no UTF-8 is nothing for Polars: it gets the file
            return pl.read_csv(
                content,
                has_header=has_names,
                separator=separator,
                infer_schema=False,
                truncate_ragged_lines=True,
                encoding="utf8-lossy",
            )
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:  # OSError: it seems packed
        reason = (str(error).splitlines() or [""])[0][:_QUOTED_CHARACTERS]  # Polars quotes what it read
        raise InputError(f"not a CSV file ({reason})", str(path), "Write it as CSV, or leave it out.") from error
