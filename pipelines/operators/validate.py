"""Into the graph: parts of files to validated rows and dead letters. The one operator without a key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar

from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.messages import (
    LOOK,
    PART,
    RESULTS,
    Message,
    bucket_of,
    buckets_of_texts,
    pack,
    pack_frame,
    result,
    split,
)
from monsoon.sources.accounting import StreamCounts
from monsoon.sources.files import INPUT_STREAMS, FilePart, InputError
from monsoon.sources.line_blocks import BlockValidator
from monsoon.sources.parts import OpenFiles, read_part
from monsoon.sources.record_store import moments, short_id
from monsoon.sources.record_times import Piece
from monsoon.sources.streams import statistics_of, statistics_of_records, validate_piece, validate_records
from monsoon.transforms.validation.input_checks import InputStatistics
from monsoon.transforms.validation.record_validator import DeadLetter, RecordValidator, ValidRecord


class Validate:
    """Parts of files of any stream to validated rows, dead letters and counts."""

    uid: ClassVar = "read-and-validate"
    label: ClassVar = "parts of files to rows"
    to: ClassVar = ("deduplicate-telemetry", "deduplicate-records", "account-dead-letters", RESULTS)

    def __init__(self, config: JobConfig) -> None:
        self._buckets = config.buckets
        self._judges = {stream: RecordValidator(stream, config.catalogue) for stream in INPUT_STREAMS}
        self._validator = BlockValidator(self._judges["telemetry"])
        self._files = OpenFiles()

    def __call__(self, stream: str, part: FilePart) -> Iterator[Message]:
        """All that the part holds. A file that cannot be read is a result, told where the job was started."""
        try:
            for piece in read_part(stream, part, self._files):
                if stream == "telemetry":
                    yield from self._telemetry(piece)
                else:
                    yield from self._records(stream, piece)
        except InputError as error:
            yield result("fault", (error.what, error.where, error.mend))
        yield result(PART, 1)

    def _telemetry(self, piece: Piece) -> Iterator[Message]:
        found = validate_piece(self._judges["telemetry"], self._validator, piece)
        for frame in found.frames:
            for key, rows in split(frame, buckets_of_texts(frame["worker_id"], self._buckets)):
                first_ms: Any = rows["event_time"].min()
                yield Message("deduplicate-telemetry", key, "rows", first_ms, pack_frame(rows))
        yield from account("telemetry", StreamCounts(read=found.read))
        yield from _looked("telemetry", statistics_of(found))
        yield from to_dead_letters("telemetry", found.dead, self._buckets)

    def _records(self, stream: str, piece: Piece) -> Iterator[Message]:
        by_key: dict[int, list[ValidRecord]] = defaultdict(list)
        dead: list[DeadLetter] = []
        verdicts = list(validate_records(self._judges[stream], piece))
        for verdict in verdicts:
            if isinstance(verdict, DeadLetter):
                dead.append(verdict)
            else:
                by_key[bucket_of(repr(short_id(verdict.record)), self._buckets)].append(verdict)
        for key, members in by_key.items():
            due_ms = min(takes_effect_ms(stream, used.record) for used in members)
            yield Message("deduplicate-records", key, stream, due_ms, pack(members))
        yield from account(stream, StreamCounts(read=len(verdicts)))
        yield from _looked(stream, statistics_of_records(stream, verdicts))
        yield from to_dead_letters(stream, dead, self._buckets)


def _looked(stream: str, statistics: InputStatistics) -> Iterator[Message]:
    if statistics.read:
        yield result(LOOK, (stream, statistics))


def takes_effect_ms(stream: str, record: dict[str, Any]) -> int:
    """From when on a record counts: a correction when it was issued, all else at its event time."""
    return moments(record)[0]
