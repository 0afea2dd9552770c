"""Tables that a command writes beside no stream: one Parquet file each, in a folder of that command's own."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import polars as pl

from monsoon.sinks.durable import replace_file
from monsoon.sinks.folder import OutputError


def refuse_other_files(folder: Path, names: Collection[str], command: str) -> None:
    """Raises OutputError where a folder holds what is not called so: it is not of this command."""
    if folder.is_dir() and (others := sorted(each.name for each in folder.iterdir() if each.name not in names)):
        raise OutputError(
            f"{folder}: holds something that {command} did not write ({others[0]}); give --output a new or empty folder"
        )


def write_table(path: Path, table: pl.DataFrame) -> None:
    """A table as a Parquet file, whole or not at all; equal tables give equal bytes. Raises OSError."""
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd", compression_level=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue(), path.with_name(f".{path.name}"))
