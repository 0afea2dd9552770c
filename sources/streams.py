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
from monsoon.sources.erased_workers import read_erased_workers, without_erased
from monsoon.sources.files import Block, InputError, LongLine, StreamFiles, find_files, is_parquet, read_blocks
from monsoon.sources.line_blocks import BlockValidator, ValidatedBlock, collect
from monsoon.sources.native_messages import native_messages_dropped
from monsoon.sources.parquet_rows import json_lines, read_batches, validate_batch
from monsoon.sources.record_store import RecordStore
from monsoon.sources.telemetry_store import TelemetryStore
from monsoon.transforms.erasure import ErasedWorkers
from monsoon.transforms.geo.areas import area_of
from monsoon.transforms.geo.squares import grid_squares
from monsoon.transforms.validation.catalogue import Catalogue
from monsoon.transforms.validation.input_checks import REFUSAL_REMEDY, InputStatistics, RefusalLimit
from monsoon.transforms.validation.record_validator import DeadLetter, RecordValidator, ValidRecord

Progress = Callable[[str, int, float], None]
"""Called with the stream, the rows read so far, and the share (0 to 1) of its bytes that is read."""

_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class StreamRead:
    """A stream's validated records and what became of the rest.

    `frame`: of telemetry, typed columns of all contract fields but event_id, one row per report, sorted by (worker_id,
    event_time, event_id). `records`: of other streams, one record per identity, in the order of their identities
    (`record_store.record_id`). `dead`: records of the contract dead_letter, sorted. `counts`: read, used, duplicate,
    dead, nulled, reasons. `ignored`, `foreign`: what lies in the folder and is no input, or comes from elsewhere
    (`StreamFiles`). `statistics`: those from before deduplication.
    """

    stream: str
    frame: pl.DataFrame
    records: list[dict[str, Any]]
    dead: list[dict[str, Any]]
    counts: dict[str, Any]
    ignored: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    statistics: InputStatistics = field(default_factory=InputStatistics)


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
    record_validator = RecordValidator(stream, catalogue)
    found = find_files(Path(folder) / stream)
    counts, statistics = StreamCounts(), InputStatistics()
    reporter = _Reporter(stream, found, progress)
    frame, records = pl.DataFrame(), list[dict[str, Any]]()
    if stream == "telemetry":
        erased = read_erased_workers(Path(folder) / "reference")
        frame, dead = _read_telemetry(record_validator, found, counts, statistics, reporter, erased)
    else:
        records, dead = _read_records(record_validator, found, counts, statistics, reporter)
    require_within(limit, statistics, found.folder)
    letters = dead_letters(stream, dead, counts)
    return StreamRead(stream, frame, records, letters, counts.as_dict(), found.ignored, found.foreign, statistics)


def require_within(limit: RefusalLimit | None, statistics: InputStatistics, folder: Path) -> None:
    """Raises InputError where more of a stream's records are refused than the limit allows (None: any number)."""
    fault = None if limit is None else limit.fault(statistics)
    if fault is not None:
        raise InputError(fault, str(folder), REFUSAL_REMEDY)


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


def validate_piece(
    record_validator: RecordValidator, validator: BlockValidator, piece: Block | LongLine | pl.DataFrame
) -> ValidatedBlock:
    """The valid rows and dead letters of a block of telemetry."""
    if isinstance(piece, LongLine):
        return collect([record_validator.validate_oversize(piece.pieces)])
    if isinstance(piece, Block):
        return validator.validate(piece.content)
    return validate_batch(piece, validator, record_validator.fields)


def statistics_of(found: ValidatedBlock) -> InputStatistics:
    """The statistics of a block of telemetry."""
    squares = [square for frame in found.frames for square in grid_squares(frame["lat"], frame["lon"])]
    return InputStatistics.of(found.read, found.dead, squares)


def statistics_of_records(stream: str, verdicts: Sequence[ValidRecord | DeadLetter]) -> InputStatistics:
    """The statistics of a block of another stream."""
    records = [each.record for each in verdicts if isinstance(each, ValidRecord)]
    places = [place for record in records if (place := _place(stream, record)) is not None]
    squares = grid_squares(*zip(*places, strict=True)) if places else []
    return InputStatistics.of(len(verdicts), [each for each in verdicts if isinstance(each, DeadLetter)], squares)


def _place(stream: str, record: Mapping[str, Any]) -> tuple[float, float] | None:
    if stream == "subscriptions":
        return record["home_lat"], record["home_lon"]
    if stream == "oracle_readings":
        area = area_of(record)
        return area.center_lat, area.center_lon
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
    record_validator: RecordValidator,
    found: StreamFiles,
    counts: StreamCounts,
    statistics: InputStatistics,
    reporter: _Reporter,
    erased: ErasedWorkers,
) -> tuple[pl.DataFrame, list[DeadLetter]]:
    """Blocks are validated by a few threads (Polars frees the interpreter's lock), at most two ahead of
    each."""
    validator = BlockValidator(record_validator)
    store = TelemetryStore(counts)
    waiting: deque[Future[tuple[ValidatedBlock, InputStatistics]]] = deque()

    def read(piece: Block | LongLine | pl.DataFrame) -> tuple[ValidatedBlock, InputStatistics]:
        validated_piece = validate_piece(record_validator, validator, piece)
        # Of erased riders' reports no fault of the source is told.
        return without_erased(validated_piece, erased), statistics_of(validated_piece)

    def add(piece: tuple[ValidatedBlock, InputStatistics]) -> None:
        store.add(piece[0])
        statistics.add(piece[1])

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
    record_validator: RecordValidator,
    found: StreamFiles,
    counts: StreamCounts,
    statistics: InputStatistics,
    reporter: _Reporter,
) -> tuple[list[dict[str, Any]], list[DeadLetter]]:
    """Streams of few records: line by line, by the reference validator."""
    store = RecordStore(counts)
    for piece in _pieces(found, reporter):
        verdicts = list(validate_records(record_validator, piece))
        for verdict in verdicts:
            store.add(verdict)
        statistics.add(statistics_of_records(record_validator.stream, verdicts))
        reporter.rows(counts.read)
    return store.finish(), store.dead


def validate_records(
    record_validator: RecordValidator, piece: Block | LongLine | pl.DataFrame
) -> Iterator[ValidRecord | DeadLetter]:
    """The record or dead letter of every line of a block that is not blank."""
    if isinstance(piece, LongLine):
        return _not_blank([record_validator.validate_oversize(piece.pieces)])
    if isinstance(piece, Block):
        return _not_blank(record_validator(line.removesuffix(b"\r")) for line in piece.content.split(b"\n"))
    return _not_blank(map(record_validator, json_lines(piece, record_validator.fields)))


def _not_blank(verdicts: Iterable[ValidRecord | DeadLetter | None]) -> Iterator[ValidRecord | DeadLetter]:
    return (verdict for verdict in verdicts if verdict is not None)
