"""Tables that users hand in: CSV, Parquet or JSON Lines, by the file's suffix."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import polars as pl

from monsoon.sources.files import InputError, first_line

SUFFIXES = (".csv", ".parquet", ".jsonl")


def read_table(
    path: Path,
    what: str,
    mend: str,
    *,
    infer: bool = False,
    values: Collection[str] | None = None,
) -> pl.DataFrame:
    """The rows of a file.

    Args:
        path: the file.
        what: what its rows are, for messages: `riders`.
        mend: what to do about a file that is none, a sentence.
        infer: whether columns of CSV are numbers where all of their values are; else they are text.
        values: columns that must hold numbers, texts or times if they are there; None: every column.

    Raises:
        InputError: another suffix, no such file, no table, or a column of lists, structs or bytes.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"no {what} in a file of {path.suffix or 'no'} suffix", str(path), mend)
    try:
        rows = _parsed(path.suffix, io.BytesIO(path.read_bytes()), infer)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", str(path), mend) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError) as error:  # as damaged files have it
        raise InputError(f"no table of {what} ({first_line(error)})", str(path), mend) from error
    for name, kind in rows.schema.items():
        if (values is None or name in values) and (kind.is_nested() or kind in (pl.Binary, pl.Object)):
            raise InputError(f"column {name} holds {kind}, not a value in each row", str(path), mend)
    return rows


def _parsed(suffix: str, content: io.BytesIO, infer: bool) -> pl.DataFrame:
    if suffix == ".parquet":
        return pl.read_parquet(content)
    if suffix == ".csv":
        return pl.read_csv(content) if infer else pl.read_csv(content, infer_schema=False)
    return pl.read_ndjson(content, infer_schema_length=None)
