"""How large checkpoints are, and how much of each is new: of riders at work minute by minute, and of fewer riders over
four weeks.

Checkpoints are incremental: what one uploads is the files that RocksDB has written since the last, compactions
included. So the rate is of checkpoints that are a minute of event time apart, as a job in real time has them at 60 s;
over the weeks, which are played faster, there are fewer, and their sizes alone say something.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import polars as pl

from monsoon.bench.live_city import Lines, beat, input_producer
from monsoon.bench.live_job import LinesRead, shipped_settings, stack_in
from monsoon.bench.rider_reports import EVERY_MS, START_MS, report_frames, write_policies
from monsoon.pipelines.stack.stack import Stack
from monsoon.pipelines.stack.submit import submit
from monsoon.sources.kafka.history import TimedLine
from monsoon.sources.kafka.producer import HistoryProducer
from monsoon.testing.records import DAY_MS

TARGET_MB = 5.0
MINUTE_WALL_MS = 4_000
"""A minute of event time, and from a checkpoint to the next."""
_CITY_DEG = 0.15
_BATCH = 200
"""Reports a record."""
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
DAYS, SHIFT_HOURS = 28, 8
_INTERVAL_MS = 10 * _MINUTE_MS
"""Over the weeks; what is kept does not depend on it."""
_WEEKS_CHECKPOINT_MS = 5_000
_LOOK_S = 0.5


class Checkpoint(NamedTuple):
    """A completed checkpoint: when it was triggered (ms), how many bytes it uploaded and refers to."""

    at_ms: int
    uploaded: int
    size: int


class Checkpoints:
    """The completed checkpoints of a job, of which Flink tells only the latest."""

    def __init__(self, stack: Stack, job: str) -> None:
        self._cluster, self._path = stack.cluster, f"/jobs/{job}/checkpoints"
        self._found: dict[int, Checkpoint] = {}

    def look(self) -> list[Checkpoint]:
        """All that have been seen, in their order; to be called more often than there are checkpoints."""
        for each in self._cluster.get(self._path)["history"]:
            if each["status"] == "COMPLETED" and not each["is_savepoint"]:
                self._found[each["id"]] = Checkpoint(
                    each["trigger_timestamp"], each["checkpointed_size"], each["state_size"]
                )
        return [self._found[number] for number in sorted(self._found)]

    def next(self) -> Checkpoint:
        """One that is triggered from now on, when it is complete."""
        now_ms = time.time() * 1000
        while not (found := [each for each in self.look() if each.at_ms >= now_ms]):
            time.sleep(_LOOK_S)
        return found[0]


def growth(folder: Path, riders: int, minutes: int, weeks_riders: int, gather_ms: int) -> Iterator[str]:
    """Lines that say what was measured: of so many riders for so many minutes, and of others for four weeks."""
    yield from _minutes(folder / "stack-minutes", riders, minutes, gather_ms)
    yield from _weeks(folder / "stack-weeks", weeks_riders, gather_ms)


def _minutes(folder: Path, riders: int, minutes: int, gather_ms: int) -> Iterator[str]:
    with stack_in(folder) as stack:
        producer = _with_policies(stack, riders)
        job = submit(stack, shipped_settings(stack, MINUTE_WALL_MS, gather_ms))
        read = LinesRead(stack.broker.address)
        read.wait_for(producer.sent)
        checkpoints, began_s, reports = Checkpoints(stack, job), time.time(), riders * _MINUTE_MS // EVERY_MS
        for minute, (frame, last_ms) in enumerate(report_frames(riders, minutes * reports, reports, _CITY_DEG)):
            while time.time() < began_s + minute * MINUTE_WALL_MS / 1000:
                checkpoints.look()
                time.sleep(_LOOK_S / 5)
            _send(producer, frame, last_ms)
        sent_s = time.time()
        read.wait_for(riders + minutes * reports)
        behind_s = time.time() - sent_s
        found = [each for each in checkpoints.look() if began_s * 1000 <= each.at_ms <= sent_s * 1000]
    yield (
        f"growth, {riders:,} riders at work for {minutes} min of event time, {MINUTE_WALL_MS / 1000:g} s and a "
        f"checkpoint each; the job was {behind_s:.0f} s behind in the end"
    )
    yield "  minutes    uploaded MB a minute: mean  median  largest    size MB"
    for first, some in by_spans(found, began_s * 1000, 15 * MINUTE_WALL_MS):
        yield f"  from {first * 15:>3} {uploaded_line(some)} {some[-1].size / 1e6:>10.1f}"
    yield f"  all      {uploaded_line(found)} {found[-1].size / 1e6:>10.1f}   target: {TARGET_MB:g} MB"


def uploaded_line(checkpoints: Sequence[Checkpoint]) -> str:
    """What they uploaded (MB)."""
    sizes_mb = [each.uploaded / 1e6 for each in checkpoints]
    return f"{mean(sizes_mb):>26.2f} {median(sizes_mb):>7.2f} {max(sizes_mb):>8.2f}"


def by_spans(
    checkpoints: Iterable[Checkpoint], began_ms: float, span_ms: float
) -> Iterator[tuple[int, list[Checkpoint]]]:
    """The checkpoints of each span since the beginning that has any, with the number of the span."""
    spans: dict[int, list[Checkpoint]] = {}
    for each in checkpoints:
        spans.setdefault(int((each.at_ms - began_ms) // span_ms), []).append(each)
    yield from sorted(spans.items())


def _weeks(folder: Path, riders: int, gather_ms: int) -> Iterator[str]:
    hour_rows = riders * _HOUR_MS // EVERY_MS
    with stack_in(folder) as stack:
        producer = _with_policies(stack, riders)
        job = submit(stack, shipped_settings(stack, _WEEKS_CHECKPOINT_MS, gather_ms, _INTERVAL_MS))
        read, checkpoints, lines, before_mb = LinesRead(stack.broker.address), Checkpoints(stack, job), riders, 0.0
        yield f"growth, {riders:,} riders, {SHIFT_HOURS} h a day for {DAYS} days, as fast as it goes"
        yield "  days   size MB   KB a rider   more since the line before, KB a rider and day"
        frames = report_frames(riders, DAYS * SHIFT_HOURS * hour_rows, hour_rows, _CITY_DEG)
        for hour, (frame, last_ms) in enumerate(frames, 1):
            _send(producer, *next_days(frame, last_ms, (hour - 1) // SHIFT_HOURS))
            lines += hour_rows
            if hour % (7 * SHIFT_HOURS) == 0 or hour == SHIFT_HOURS:
                day = hour // SHIFT_HOURS
                beat(producer, last_ms + day * _NIGHT_MS)
                read.wait_for(lines)
                size_mb = checkpoints.next().size / 1e6
                days = day if day == 1 else 6 if day == 7 else 7
                more_kb = (size_mb - before_mb) * 1000 / riders / days
                yield f"  {day:>4} {size_mb:>9.1f} {size_mb * 1000 / riders:>12.1f} {more_kb:>12.1f}"
                before_mb = size_mb


_NIGHT_MS = DAY_MS - SHIFT_HOURS * _HOUR_MS


def next_days(frame: pl.DataFrame, last_ms: int, days: int) -> tuple[pl.DataFrame, int]:
    """Reports as they are so many nights later, and the moment that follows their last."""
    times = ("event_time", "gnss_time", "network_time")
    return frame.with_columns(pl.col(name) + days * _NIGHT_MS for name in times), last_ms + days * _NIGHT_MS


def _with_policies(stack: Stack, riders: int) -> HistoryProducer:
    """A producer that has sent a policy for each rider."""
    producer = input_producer(stack.broker.address)
    events = write_policies(stack.folder / "policies.jsonl", riders).path.read_bytes().splitlines()
    producer.send(Lines([TimedLine("subscriptions", event, START_MS, START_MS) for event in events]))
    return producer


def _send(producer: HistoryProducer, frame: pl.DataFrame, last_ms: int) -> None:
    """Reports in records of a gateway, and that nothing earlier than their end follows."""
    times_ms = frame["event_time"].to_list()
    lines = frame.write_ndjson().encode().splitlines()
    firsts = range(0, len(lines), _BATCH)
    producer.send(Lines([_record(lines[first : first + _BATCH], times_ms[first : first + _BATCH]) for first in firsts]))
    beat(producer, last_ms + 1)


def _record(lines: Sequence[bytes], times_ms: Sequence[int]) -> TimedLine:
    return TimedLine("telemetry", b"\n".join(lines), times_ms[0], times_ms[-1])
