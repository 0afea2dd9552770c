"""Encodes a stream's records as the content of one file, in JSON Lines or Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

Format = Literal["jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
PARTS = tuple(f"part-*.{each}" for each in FORMATS)
"""Names of files that a replay may have written."""


def encoded(stream: str, records: Sequence[Mapping[str, Any]], file_format: Format) -> bytes:
    """JSON Lines, or Parquet with the columns of the stream's contract; equal records give equal bytes."""
    if file_format == "jsonl":
        return msgspec.json.Encoder().encode_lines(records)
    from monsoon.sinks.parquet_records import parquet_of

    return parquet_of(stream.removesuffix("s"), records)
