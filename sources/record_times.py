"""The event times of records, read from their bytes before validation, and the records of a span of time.

Looks for the numbers that follow the names of times, wherever they stand in a line. A number that no clock shows is
none: its record will be a dead letter, which has no time. Too early a moment does no harm where it is used; a line that
hides its time by escapes is not JSON that a phone or feed would write - it has none here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.files import Block, LongLine
from monsoon.transforms.validation.fields import stream_fields

Piece = Block | LongLine | pl.DataFrame
"""What files are read in: lines, one line too long to hold, or rows of a Parquet file."""

_TIMES = ("event_time", "issued_time")
_PATTERN = rf'"(?:{"|".join(_TIMES)})"\s*:\s*-?[0-9]+'
_GAP_MS = 6 * 3_600_000


def times_ms(stream: str, piece: Piece) -> npt.NDArray[np.int64]:
    """All times stated by the records of a piece, in no order (ms)."""
    if isinstance(piece, LongLine):
        return np.empty(0, dtype=np.int64)
    if isinstance(piece, Block):
        found = _numbers(pl.Series([_text(piece.content)]))
    else:
        found = pl.concat([pl.Series(dtype=pl.Int64), *_columns(piece)])
    return _possible(stream, found.explode()).drop_nulls().to_numpy()


def typical_bounds(times: npt.NDArray[np.int64]) -> tuple[int | None, int | None]:
    """From when on and before when the records lie among which the one in the middle does, none hours after the one
    before; None where nothing lies beyond. What does is of a clock of years ago, a phone that was in a drawer, a clock
    that is ahead."""
    ordered = np.sort(times)
    behind_gaps = np.flatnonzero(np.diff(ordered) > _GAP_MS) + 1
    place = np.searchsorted(behind_gaps, len(ordered) // 2, "right")
    since = int(ordered[behind_gaps[place - 1]]) if place else None
    before = int(ordered[behind_gaps[place]]) if place < len(behind_gaps) else None
    return since, before


def within(stream: str, piece: Piece, since_ms: int | None, before_ms: int | None) -> Piece | None:
    """The records of a piece in [since_ms, before_ms), each bound or none; None where there is no such record.

    A record counts by the earliest moment that it names; one that names none belongs where there is no `before_ms`. So
    what lies before a moment and what does not are the whole piece, whatever is in it.
    """
    if since_ms is None and before_ms is None:
        return piece
    if isinstance(piece, LongLine):
        if before_ms is None:
            return piece
        for _ in piece.pieces:  # they must be drawn before the next block
            pass
        return None
    if isinstance(piece, Block):
        first = _first_of_lines(stream, pl.Series([_text(piece.content)]).str.split("\n").explode())
    else:
        first = _first_of_rows(stream, piece)
    wanted = np.ones(len(first), dtype=bool)
    if before_ms is not None:
        wanted &= (first < before_ms).fill_null(False).to_numpy()
    if since_ms is not None:
        wanted &= (first >= since_ms).fill_null(True).to_numpy()
    if isinstance(piece, Block):
        return _lines_of(piece, wanted)
    return piece.filter(pl.Series(wanted)) if wanted.any() else None


def _lines_of(block: Block, wanted: npt.NDArray[np.bool_]) -> Block | None:
    """Lines as they are: bytes, not the text that was searched."""
    data = np.frombuffer(block.content, dtype=np.uint8)
    ends = np.append(np.flatnonzero(data == 10) + 1, len(data))  # behind the last line feed comes one more, often empty
    kept = data[np.repeat(wanted, np.diff(ends, prepend=0))]
    return Block(kept.tobytes()) if len(kept) else None


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _numbers(texts: pl.Series) -> pl.Series:
    """Of each text the list of numbers that follow the names of times."""
    found = texts.str.extract_all(_PATTERN)
    return found.list.eval(pl.element().str.extract(r"(-?[0-9]+)$").cast(pl.Int64, strict=False))


def _first_of_lines(stream: str, lines: pl.Series) -> pl.Series:
    first_ms, last_ms = _bounds_ms(stream)
    possible = _numbers(lines).list.eval(pl.element().filter(pl.element().is_between(first_ms, last_ms)))
    return possible.list.min()


def _first_of_rows(stream: str, batch: pl.DataFrame) -> pl.Series:
    possible = [_possible(stream, column) for column in _columns(batch)]
    if not possible:
        return pl.Series("ms", [None] * batch.height, dtype=pl.Int64)
    return pl.DataFrame(possible).select(pl.min_horizontal(pl.all()).alias("ms"))["ms"]


def _columns(batch: pl.DataFrame) -> list[pl.Series]:
    return [_milliseconds(batch[name]).alias(name) for name in _TIMES if name in batch.columns]


def _milliseconds(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Datetime:
        return column.dt.timestamp("ms")
    if column.dtype.is_float():
        column = column.fill_nan(None)
    if column.dtype.is_numeric():
        return column.cast(pl.Int64, strict=False)
    return pl.Series([None] * len(column), dtype=pl.Int64)


def _possible(stream: str, moments: pl.Series) -> pl.Series:
    first_ms, last_ms = _bounds_ms(stream)
    return moments.set(~moments.is_between(first_ms, last_ms), None)


@cache
def _bounds_ms(stream: str) -> tuple[int, int]:
    """The range of valid times of the stream's records."""
    field: Any = next(field for field in stream_fields(stream) if field.name == "event_time")
    return int(field.minimum), int(field.maximum)
