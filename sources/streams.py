"""One input stream, whole: files of any kind, number and order in; validated, deduplicated columns out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from monsoon.sources.accounting import StreamCounts, dead_letters
from monsoon.sources.files import Block, InputError, LongLine, StreamFiles, find_files, is_parquet, read_blocks
from monsoon.sources.line_blocks import BlockValidator, Validated, collect
from monsoon.sources.native_messages import native_messages_dropped
from monsoon.sources.parquet_rows import json_lines, read_batches, validate_batch
from monsoon.sources.record_store import RecordStore
from monsoon.sources.telemetry_columns import parse_schema
from monsoon.sources.telemetry_store import TelemetryStore
from monsoon.transforms.geo.areas import area_of
from monsoon.transforms.geo.squares import squares_of
from monsoon.transforms.validation.catalogue import Catalogue
from monsoon.transforms.validation.looks import REFUSAL_MEND, Look, RefusalLimit
from monsoon.transforms.validation.record_validator import Dead, RecordValidator, Used

Progress = Callable[[str, int, float], None]
"""Told the stream, the rows read so far, and the share (0 to 1) of its bytes that is read."""

_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class StreamRead:
    """A stream's validated records and what became of the rest.

    `frame`: typed columns of all contract fields, one row per id. Telemetry is sorted by (worker_id,
    event_time, event_id) and has event_id no longer; readings by (reading_id, revision); other streams by
    their id. `dead`: records of the contract dead_letter, sorted. `counts`: read, used, duplicate, dead,
    nulled, reasons. `ignored`, `foreign`: what lies in the folder and is no input, or comes from elsewhere
    (`StreamFiles`). `look`: what shows before repeats are told apart.
    """

    stream: str
    frame: pl.DataFrame
    dead: list[dict[str, Any]]
    counts: dict[str, Any]
    ignored: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    look: Look = field(default_factory=Look)


def read_stream(
    stream: str,
    folder: Path,
    catalogue: Catalogue | None = None,
    progress: Progress | None = None,
    limit: RefusalLimit | None = None,
) -> StreamRead:
    """Read and validate `folder/<stream>/`; the result does not depend on order, split or duplication of the
    files.

    Subscriptions and reserves need the catalogue of products. Raises InputError for a missing folder, an unreadable
    file or more refused records than the limit allows, KeyError for a stream that is not an input.
    """
    judge = RecordValidator(stream, catalogue)
    found = find_files(Path(folder) / stream)
    counts, look = StreamCounts(), Look()
    read = _read_telemetry if stream == "telemetry" else _read_records
    frame, dead = read(judge, found, counts, look, _Reporter(stream, found, progress))
    require_within(limit, look, found.folder)
    letters = dead_letters(stream, dead, counts)
    return StreamRead(stream, frame, letters, counts.as_dict(), found.ignored, found.foreign, look)


def require_within(limit: RefusalLimit | None, look: Look, folder: Path) -> None:
    """Raises InputError where more of a stream's records are refused than the limit allows (None: any number)."""
    fault = None if limit is None else limit.fault(look)
    if fault is not None:
        raise InputError(fault, str(folder), REFUSAL_MEND)


class _Reporter:
    """Turns positions within files into a share of the stream."""

    def __init__(self, stream: str, found: StreamFiles, progress: Progress | None) -> None:
        self._stream, self._progress = stream, progress
        self._total_bytes = max(found.total_bytes, 1)
        self._before = 0
        self._within = 0

    def at_byte(self, position: int) -> None:
        self._within = position

    def next_file(self, file_bytes: int) -> None:
        self._before, self._within = self._before + file_bytes, 0

    def rows(self, rows: int) -> None:
        if self._progress is not None:
            self._progress(self._stream, rows, min(1.0, (self._before + self._within) / self._total_bytes))


def _pieces(found: StreamFiles, reporter: _Reporter) -> Iterator[Block | LongLine | pl.DataFrame]:
    for file in found.files:
        if is_parquet(file):
            yield from parquet_batches(file)
        else:
            yield from read_blocks(file, at_byte=reporter.at_byte)
        reporter.next_file(file.stat().st_size)


def validated(judge: RecordValidator, validator: BlockValidator, piece: Block | LongLine | pl.DataFrame) -> Validated:
    """What becomes of a piece of telemetry."""
    if isinstance(piece, LongLine):
        return collect(_not_blank([judge.validate_oversize(piece.pieces)]))
    if isinstance(piece, Block):
        return validator.validate(piece.content)
    return validate_batch(piece, validator, judge.fields)


def look_at(found: Validated) -> Look:
    """What shows of a piece of telemetry."""
    squares = [square for frame in found.frames for square in squares_of(frame["lat"], frame["lon"])]
    return Look.at(found.read, found.dead, squares)


def look_at_records(stream: str, verdicts: Sequence[Used | Dead]) -> Look:
    """What shows of a piece of another stream."""
    records = [each.record for each in verdicts if isinstance(each, Used)]
    places = [place for record in records if (place := _place(stream, record)) is not None]
    squares = squares_of(*zip(*places, strict=True)) if places else []
    return Look.at(len(verdicts), [each for each in verdicts if isinstance(each, Dead)], squares)


def _place(stream: str, record: Mapping[str, Any]) -> tuple[float, float] | None:
    if stream == "subscriptions":
        return record["home_lat"], record["home_lon"]
    if stream == "oracle_readings":
        area = area_of(record)
        return area.place_lat, area.place_lon
    return None


def parquet_batches(path: Path, start: int = 0, stop: int | None = None) -> Iterator[pl.DataFrame]:
    """The rows [start, stop) of a Parquet file, in batches; what a damaged one makes its reader print is not shown."""
    batches = read_batches(path, start, stop)
    while True:
        with native_messages_dropped():
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _read_telemetry(
    judge: RecordValidator, found: StreamFiles, counts: StreamCounts, look: Look, reporter: _Reporter
) -> tuple[pl.DataFrame, list[Dead]]:
    """Blocks are validated by a few threads (Polars frees the interpreter's lock), at most two ahead of
    each."""
    validator = BlockValidator(judge)
    store = TelemetryStore(counts)
    waiting: deque[Future[tuple[Validated, Look]]] = deque()

    def read(piece: Block | LongLine | pl.DataFrame) -> tuple[Validated, Look]:
        validated_piece = validated(judge, validator, piece)
        return validated_piece, look_at(validated_piece)

    def add(piece: tuple[Validated, Look]) -> None:
        store.add(piece[0])
        look.add(piece[1])

    def take(max_waiting: int) -> None:
        while len(waiting) > max_waiting:
            add(waiting.popleft().result())
            reporter.rows(counts.read)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="validate") as pool:
        for piece in _pieces(found, reporter):
            if isinstance(piece, LongLine):
                # Its pieces must be drawn before the next block.
                add(read(piece))
            else:
                waiting.append(pool.submit(read, piece))
            take(_THREADS)
        take(0)
    return store.finish(), store.dead


def _read_records(
    judge: RecordValidator, found: StreamFiles, counts: StreamCounts, look: Look, reporter: _Reporter
) -> tuple[pl.DataFrame, list[Dead]]:
    """Streams of few records: every line is judged by itself."""
    store = RecordStore(counts)
    for piece in _pieces(found, reporter):
        verdicts = list(judged(judge, piece))
        for verdict in verdicts:
            store.add(verdict)
        look.add(look_at_records(judge.stream, verdicts))
        reporter.rows(counts.read)
    return pl.DataFrame(store.finish(), schema=parse_schema(judge.fields), orient="row"), store.dead


def judged(judge: RecordValidator, piece: Block | LongLine | pl.DataFrame) -> Iterator[Used | Dead]:
    """The verdict on every line of a piece that is not blank."""
    if isinstance(piece, LongLine):
        return _not_blank([judge.validate_oversize(piece.pieces)])
    if isinstance(piece, Block):
        return _not_blank(judge(line.removesuffix(b"\r")) for line in piece.content.split(b"\n"))
    return _not_blank(map(judge, json_lines(piece, judge.fields)))


def _not_blank(verdicts: Iterable[Used | Dead | None]) -> Iterator[Used | Dead]:
    return (verdict for verdict in verdicts if verdict is not None)
