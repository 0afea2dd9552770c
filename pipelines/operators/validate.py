"""The first operator, and the only one without a key: reads parts of files, validates their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.messages import (
    PART,
    RESULTS,
    STATISTICS,
    Message,
    bucket_of,
    pack,
    result,
)
from monsoon.pipelines.runtime.report_codec import buckets_of_reports, pack_by_bucket
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS
from monsoon.sources.accounting import StreamCounts
from monsoon.sources.erased_workers import read_erased_workers, without_erased
from monsoon.sources.files import INPUT_STREAMS, FilePart, InputError
from monsoon.sources.kafka.records import RecordLines
from monsoon.sources.line_blocks import BlockValidator, ValidatedBlock
from monsoon.sources.parts import OpenFiles, read_part
from monsoon.sources.record_store import short_id, takes_effect_ms
from monsoon.sources.record_times import Piece
from monsoon.sources.report_batch import ReportBatch, from_frame
from monsoon.sources.streams import statistics_of, statistics_of_records, validate_piece, validate_records
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.validation.fields import INT64_MAX
from monsoon.transforms.validation.input_checks import InputStatistics
from monsoon.transforms.validation.record_validator import DeadLetter, RecordValidator, ValidRecord


class Validate:
    """Reads and validates parts of files of any stream; sends valid records, dead letters, counts and statistics."""

    uid: ClassVar = "read-and-validate"
    label: ClassVar = "parts of files to rows"
    to: ClassVar = (
        "deduplicate-telemetry",
        "deduplicate-records",
        "witness-telemetry",
        "riders-evidence",
        "account-dead-letters",
        RESULTS,
    )

    def __init__(self, config: JobConfig) -> None:
        self._config, self._buckets = config, config.buckets
        self._receivers = ("riders-evidence", *(("witness-telemetry",) if config.telemetry_triggers else ()))
        self._sent: dict[tuple[int, int], tuple[int, frozenset[int]]] = {}
        """By resolution and bucket: the last day of event time of which cells were sent, and which."""
        self._validators = {stream: RecordValidator(stream, config.catalogue) for stream in INPUT_STREAMS}
        self._block_validator = BlockValidator(self._validators["telemetry"])
        more = ((each.worker_hash, each.before_ms) for each in config.erasures)
        self._erased = read_erased_workers(config.references).joined(more)
        self._files = OpenFiles()

    def __call__(self, stream: str, part: FilePart) -> Iterator[Message]:
        """The messages of one part. A file that cannot be read is a result too, raised where the job was started."""
        try:
            for piece in read_part(stream, part, self._files):
                if stream == "telemetry":
                    yield from self._telemetry(piece)
                else:
                    yield from self._records(stream, piece)
        except InputError as error:
            yield result("fault", (error.what, error.where, error.mend))
        yield result(PART, 1)

    def lines(self, stream: str, lines: RecordLines, spoken: dict[int, dict[str, int]]) -> Iterator[Message]:
        """The messages of lines that arrived from a broker.

        Adds to `spoken`, by partition and by who reports (rider, provider, policy), the latest moment (ms) that a valid
        record of his names: its event time, but not beyond its arrival.
        """
        if stream == "telemetry":
            block = self._block_validator.validate(lines.content, lines.arrived_ms)
            for frame, numbers in zip(block.frames, block.line_numbers, strict=True):
                for partition, rider, moment_ms in _spoken_of(frame, lines.partitions[numbers]):
                    _note(spoken, partition, rider, moment_ms)
            yield from self._of_block(block)
            return
        validated = []
        columns = (lines.content.split(b"\n"), lines.arrived_ms.tolist(), lines.partitions.tolist())
        for line, at_ms, partition in zip(*columns, strict=True):
            outcome = self._validators[stream](line.removesuffix(b"\r"))
            if isinstance(outcome, ValidRecord):
                record = outcome.record
                _note(spoken, partition, str(record[_SPEAKERS[stream]]), min(record["event_time"], at_ms))
            if outcome is not None:
                validated.append(outcome)
        yield from self._of_records(stream, validated)

    def _telemetry(self, piece: Piece) -> Iterator[Message]:
        yield from self._of_block(validate_piece(self._validators["telemetry"], self._block_validator, piece))

    def _of_block(self, validated: ValidatedBlock) -> Iterator[Message]:
        block = without_erased(validated, self._erased)
        for frame in block.frames:
            batch = from_frame(frame)
            buckets = buckets_of_reports(batch, self._buckets)
            for key, first_ms, payload in pack_by_bucket(batch, buckets):
                for receiver in self._receivers:
                    yield Message(receiver, key, "rows", first_ms, payload)
            yield from self._cells(batch, buckets)
        yield from account("telemetry", StreamCounts(read=block.read))
        yield from _statistics("telemetry", statistics_of(validated))
        yield from to_dead_letters("telemetry", block.dead, self._buckets)

    def _cells(self, batch: ReportBatch, buckets: npt.NDArray[np.int32]) -> Iterator[Message]:
        """The cells from which a bucket's riders report, once a day: zones are announced to the triggers."""
        day, first_ms = int(np.median(batch["event_time"])) // DAY_MS, batch.first_ms
        for resolution in self._config.resolutions:
            cells = cells_of(batch["lat"], batch["lon"], resolution)
            order = np.lexsort((cells, buckets))
            bucket, cell = buckets[order], cells[order]
            first = np.append(True, (bucket[1:] != bucket[:-1]) | (cell[1:] != cell[:-1]))
            bucket, cell = bucket[first], cell[first]
            starts = np.flatnonzero(np.diff(bucket, prepend=-1))
            for key, of_bucket in zip(bucket[starts].tolist(), np.split(cell, starts[1:]), strict=True):
                sent_on, sent = self._sent.get((resolution, key), (day, frozenset()))
                known = sent if sent_on == day else frozenset()
                new = frozenset(of_bucket.tolist()) - known
                if new:
                    self._sent[resolution, key] = (day, known | new)
                    yield Message("deduplicate-telemetry", key, f"cells/{resolution}", first_ms, pack(sorted(new)))

    def _records(self, stream: str, piece: Piece) -> Iterator[Message]:
        yield from self._of_records(stream, list(validate_records(self._validators[stream], piece)))

    def _of_records(self, stream: str, validated: list[ValidRecord | DeadLetter]) -> Iterator[Message]:
        by_key: dict[int, list[ValidRecord]] = defaultdict(list)
        letters: list[DeadLetter] = []
        for outcome in validated:
            if isinstance(outcome, DeadLetter):
                letters.append(outcome)
            else:
                # The deduplicator has to see every revision of a reading where it routes them by what came before.
                shared = short_id(outcome.record)[: 1 if self._config.by_region else None]
                by_key[bucket_of(repr(shared), self._buckets)].append(outcome)
        for key, records in by_key.items():
            due_ms = min(takes_effect_ms(used.record) for used in records)
            yield Message("deduplicate-records", key, stream, due_ms, pack(records))
        yield from account(stream, StreamCounts(read=len(validated)))
        yield from _statistics(stream, statistics_of_records(stream, validated))
        yield from to_dead_letters(stream, letters, self._buckets)


_SPEAKERS = {
    "oracle_readings": "provider",
    "subscriptions": "policy_id",
    "reserves": "reserve_id",
    "confirmations": "worker_id",
}
"""By stream, other than telemetry, the field that says who reports."""


def _spoken_of(frame: pl.DataFrame, partitions: npt.NDArray[np.int64]) -> Iterator[tuple[int, str, int]]:
    """By partition, the two riders who name the latest moments (ms), and these: only they can move event time."""
    riders = frame["worker_id"]
    codes, times = riders.to_physical().to_numpy(), frame["event_time"].to_numpy()
    moments = np.minimum(times, frame["received_time"].fill_null(INT64_MAX).to_numpy())
    order = np.lexsort((moments, partitions))
    for rows in np.split(order, np.flatnonzero(np.diff(partitions[order])) + 1):
        others = rows[codes[rows] != codes[rows[-1]]]
        for row in (rows[-1], *others[-1:]):
            yield int(partitions[row]), str(riders[int(row)]), int(moments[row])


def _note(spoken: dict[int, dict[str, int]], partition: int, speaker: str, at_ms: int) -> None:
    latest = spoken.setdefault(partition, {})
    latest[speaker] = max(at_ms, latest.get(speaker, at_ms))


def _statistics(stream: str, statistics: InputStatistics) -> Iterator[Message]:
    if statistics.read:
        yield result(STATISTICS, (stream, statistics))
