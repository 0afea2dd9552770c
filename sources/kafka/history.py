"""A folder's records in the order of their event times, as a producer of history sends them to topics.

The lines of all files are copied into one temporary file, and sorted by an index of 28 bytes a line: files may be
compressed, in any order and larger than memory.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from monsoon.sources.files import Block, LongLine, find_files, is_parquet, read_blocks, streams_in
from monsoon.sources.parquet_rows import json_lines
from monsoon.sources.streams import parquet_batches
from monsoon.transforms.validation.fields import LATEST_TIME_MS, stream_fields

PACED_STREAMS = ("telemetry", "oracle_readings")
"""Those whose moments a producer waits for. Policies, which begin months before a storm, are sent when it has come to
them."""
LONGEST_GAP_MS = 6 * 3_600_000
"""A longer gap between records is not waited for: one of them comes from a clock that is years away."""
_FIRST_TIME_MS = 946_684_800_000
"""2000-01-01: no record is earlier."""
_BLANK = b" \t\r\n"


class TimedLine(NamedTuple):
    """A line of a stream. `time_ms`: the earliest moment that it names, by which lines are ordered; `stamp_ms`: when it
    arrived: its received_time, else its event time."""

    stream: str
    line: bytes
    time_ms: int
    stamp_ms: int


class _Times(msgspec.Struct):
    event_time: Any = None
    issued_time: Any = None
    received_time: Any = None


class History(AbstractContextManager["History"]):
    """The lines of a folder in event-time order; a context, which removes the temporary file."""

    def __init__(self, folder: Path) -> None:
        """Reads the whole folder. Raises InputError for a file that cannot be read."""
        self.streams = streams_in(folder)
        self._spool: IO[bytes] = tempfile.TemporaryFile(prefix="monsoon-history-")  # noqa: SIM115 - closed with this
        self._times, self._stamps, self._starts = array("q"), array("q"), array("q")
        self._lengths, self._stream_codes = array("q"), array("b")
        self.ignored: dict[str, tuple[str, ...]] = {}
        """By stream, the names of files that are no input."""
        try:
            for code, stream in enumerate(self.streams):
                found = find_files(folder / stream)
                self.ignored[stream] = found.ignored
                for file in found.files:
                    for line in _lines(stream, file):
                        self._add(code, line)
            self._spool.flush()
        except BaseException:
            self._spool.close()
            raise
        times = np.frombuffer(self._times, dtype=np.int64)
        self._order: npt.NDArray[np.int64] = np.argsort(times, kind="stable")
        dated = times[times > 0]
        self.first_ms = int(dated.min()) if len(dated) else _FIRST_TIME_MS
        """The earliest moment that a record names; lines without one are sent at it."""

    @cached_property
    def span_ms(self) -> int:
        """For how long its PACED_STREAMS go on, gaps of more than LONGEST_GAP_MS cut out."""
        times = np.frombuffer(self._times, dtype=np.int64)[self._order]
        streams = np.frombuffer(self._stream_codes, dtype=np.int8)[self._order]
        paced = np.isin(streams, [code for code, stream in enumerate(self.streams) if stream in PACED_STREAMS])
        gaps = np.diff(times[paced & (times > 0)])
        return int(gaps[gaps <= LONGEST_GAP_MS].sum())

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[TimedLine]:
        for place in self._order.tolist():
            self._spool.seek(self._starts[place])
            line = self._spool.read(self._lengths[place])
            time_ms = self._times[place] or self.first_ms
            yield TimedLine(self.streams[self._stream_codes[place]], line, time_ms, self._stamps[place] or time_ms)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def _add(self, code: int, line: bytes) -> None:
        time_ms, stamp_ms = moments_of(line)
        self._times.append(time_ms)
        self._stamps.append(stamp_ms)
        self._stream_codes.append(code)
        self._starts.append(self._spool.tell())
        self._lengths.append(len(line))
        self._spool.write(line)


def _lines(stream: str, file: Path) -> Iterator[bytes]:
    """The lines of a file that are not blank, without their ends; rows of a Parquet file as lines."""
    if is_parquet(file):
        for batch in parquet_batches(file):
            yield from json_lines(batch, stream_fields(stream))
        return
    for piece in read_blocks(file):
        lines = [b"".join(piece.pieces)] if isinstance(piece, LongLine) else _split(piece)
        yield from (line for line in lines if line.strip(_BLANK))


def _split(block: Block) -> Iterator[bytes]:
    return (line.removesuffix(b"\r") for line in block.content.split(b"\n"))


def moments_of(line: bytes) -> tuple[int, int]:
    """The earliest moment that a line names and when it arrived (ms), each 0 where it states none that is valid."""
    try:
        times = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        times = _decoded_by_the_library(line)
    event_ms, issued_ms, received_ms = map(_valid, (times.event_time, times.issued_time, times.received_time))
    stated = [at_ms for at_ms in (event_ms, issued_ms) if at_ms]
    return min(stated, default=0), received_ms or event_ms


_decoder = msgspec.json.Decoder(_Times)


def _decoded_by_the_library(line: bytes) -> _Times:
    """Of a line that msgspec refuses: half a surrogate pair is JSON, and the validator takes it."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return _Times()
    if not isinstance(record, Mapping):
        return _Times()
    return _Times(*(record.get(name) for name in _Times.__struct_fields__))


def _valid(value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and _FIRST_TIME_MS <= value <= LATEST_TIME_MS else 0
