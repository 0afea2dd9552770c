"""How large checkpoints are, and how much of each is new: of riders at work minute by minute, and of fewer riders over
four weeks.

Checkpoints are incremental: what one uploads is the files that RocksDB has written since the last, compactions
included. So each is asked for when a minute of event time has been sent, as a job in real time has them at 60 s; over
the weeks there is one a day, and sizes alone say something.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import polars as pl
from msgspec.structs import replace

from monsoon.bench.live_city import Lines, beat, input_producer
from monsoon.bench.live_job import LinesRead, shipped_settings, stack_in
from monsoon.bench.processes import BenchError
from monsoon.bench.rider_reports import EVERY_MS, START_MS, report_frames, write_policies
from monsoon.pipelines.flink.rest_api import RestApi
from monsoon.pipelines.runtime.intervals import LIVE_INTERVAL_MS
from monsoon.pipelines.stack.kafka_broker import MAX_TRANSACTION_MS
from monsoon.pipelines.stack.stack import Stack
from monsoon.pipelines.stack.submit import submit
from monsoon.sources.kafka.history import TimedLine
from monsoon.sources.kafka.producer import HistoryProducer
from monsoon.sources.kafka.settings import EventTimeSettings
from monsoon.testing.records import DAY_MS

TARGET_MB = 5.0
_BY_ITSELF_MS = 400_000
"""So seldom the job takes a checkpoint without being asked; less than half of what a broker allows a transaction."""
_SPAN_MINUTES = 15
_CITY_DEG = 0.15
_BATCH = 200
"""Reports a record."""
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
DAYS, SHIFT_HOURS = 28, 8
_LOOK_S = 0.1
_PATIENCE_S = 600.0


class Checkpoint(NamedTuple):
    """How many bytes a completed checkpoint uploaded, and refers to."""

    uploaded: int
    size: int


def take_checkpoint(stack: Stack, job: str) -> Checkpoint:
    """Has the job take a checkpoint, and returns it when it is complete. Raises BenchError if it fails."""
    api = RestApi(stack.cluster.web_port)
    asked = api.post(f"/jobs/{job}/checkpoints", {"checkpointType": "CONFIGURED"})["request-id"]
    until_s = time.monotonic() + _PATIENCE_S
    while (found := api.get(f"/jobs/{job}/checkpoints/{asked}"))["status"]["id"] != "COMPLETED":
        if time.monotonic() > until_s:
            raise BenchError(f"no checkpoint in {_PATIENCE_S:g} s; the logs: {stack.folder / 'logs'}")
        time.sleep(_LOOK_S)
    if "checkpointId" not in found["operation"]:
        raise BenchError(f"no checkpoint: {found['operation']}; the logs: {stack.folder / 'logs'}")
    details = api.get(f"/jobs/{job}/checkpoints/details/{found['operation']['checkpointId']}")
    return Checkpoint(details["checkpointed_size"], details["state_size"])


def growth(folder: Path, riders: int, minutes: int, weeks_riders: int, gather_ms: int) -> Iterator[str]:
    """Lines that say what was measured: of so many riders for so many minutes, and of others for four weeks."""
    yield from _minutes(folder / "stack-minutes", riders, minutes, gather_ms)
    yield from _weeks(folder / "stack-weeks", weeks_riders, gather_ms)


def _minutes(folder: Path, riders: int, minutes: int, gather_ms: int) -> Iterator[str]:
    reports, found = riders * _MINUTE_MS // EVERY_MS, []
    with stack_in(folder) as stack:
        producer = _with_policies(stack, riders)
        job = _submitted(stack, gather_ms, LIVE_INTERVAL_MS)
        yield f"growth, {riders:,} riders at work for {minutes} min of event time, a checkpoint each"
        yield "  minutes    uploaded MB a minute: mean  median  largest    size MB"
        for frame, last_ms in report_frames(riders, minutes * reports, reports, _CITY_DEG):
            _send(producer, frame, last_ms)
            time.sleep(2 * gather_ms / 1000)
            found.append(take_checkpoint(stack, job))
            if len(found) % _SPAN_MINUTES == 0:
                yield _line(f"to {len(found)}", found[-_SPAN_MINUTES:])
        LinesRead(stack.broker.address).wait_for(riders + minutes * reports - reports)
    yield f"{_line('all', found)}   target: {TARGET_MB:g} MB"


def _line(minutes: str, checkpoints: Sequence[Checkpoint]) -> str:
    sizes_mb = [each.uploaded / 1e6 for each in checkpoints]
    uploaded = f"{mean(sizes_mb):>26.2f} {median(sizes_mb):>7.2f} {max(sizes_mb):>8.2f}"
    return f"  {minutes:<8} {uploaded} {checkpoints[-1].size / 1e6:>10.1f}"


def _weeks(folder: Path, riders: int, gather_ms: int) -> Iterator[str]:
    hour_rows = riders * _HOUR_MS // EVERY_MS
    with stack_in(folder) as stack:
        producer = _with_policies(stack, riders)
        job, before_kb = _submitted(stack, gather_ms, _HOUR_MS), 0.0
        yield f"growth, {riders:,} riders, {SHIFT_HOURS} h a day for {DAYS} days, a checkpoint a day"
        yield "  days    size MB   KB a rider   more than the day before"
        frames = report_frames(riders, DAYS * SHIFT_HOURS * hour_rows, hour_rows, _CITY_DEG)
        for hour, (frame, last_ms) in enumerate(frames, 1):
            _send(producer, *next_days(frame, last_ms, (hour - 1) // SHIFT_HOURS))
            if hour % SHIFT_HOURS == 0:
                day = hour // SHIFT_HOURS
                beat(producer, last_ms + day * _NIGHT_MS)
                time.sleep(2 * gather_ms / 1000)
                take_checkpoint(stack, job)  # when all that was sent has been taken
                size = take_checkpoint(stack, job).size
                size_kb = size / 1000 / riders
                if day == 1 or day % 7 <= 1:
                    yield f"  {day:>4} {size / 1e6:>10.1f} {size_kb:>12.1f} {size_kb - before_kb:>12.1f}"
                before_kb = size_kb


def _submitted(stack: Stack, gather_ms: int, interval_ms: int) -> str:
    """The job, which takes checkpoints when it is asked to; returns its id when its tasks run."""
    settings = shipped_settings(stack, _BY_ITSELF_MS, gather_ms, EventTimeSettings(interval_ms=interval_ms))
    kafka = replace(settings.kafka, transaction_timeout_s=MAX_TRANSACTION_MS // 1000)
    job = submit(stack, replace(settings, kafka=kafka))
    until_s = time.monotonic() + _PATIENCE_S
    while not all(task["status"] == "RUNNING" for task in stack.cluster.get(f"/jobs/{job}")["vertices"]):
        if time.monotonic() > until_s:
            raise BenchError(f"the job does not run after {_PATIENCE_S:g} s; the logs: {stack.folder / 'logs'}")
        time.sleep(_LOOK_S)
    return job


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
