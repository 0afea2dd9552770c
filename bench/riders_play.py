"""What riders cost, of one number of riders in a process by itself: `python -m monsoon.bench.riders_play`; prints JSON.

hold FOLDER RIDERS HOURS    memory and state after a shift
row FOLDER RIDERS ROWS      CPU a row
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from monsoon.bench.rider_reports import EVERY_MS, time_of_row, write_policies, write_reports
from monsoon.pipelines.flink.keys import streaming_buckets
from monsoon.pipelines.runtime.intervals import LIVE_INTERVALS, Intervals, PlannedIntervals
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.sources.product_files import load_products
from monsoon.testing.operator_harness import COLD, OperatorTestHarness

ROWS_PER_FILE = 15_000
"""As many as the streaming job reads at a time of a folder: 8 MiB."""
_QUARTER_DEG, _CITY_DEG = 0.01, 0.15
"""Riders who hold meet in one quarter, so that a part of them sees as many zones, which many riders share."""
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_LOOK_MINUTES = 5
_CLOSING_MS = 10 * _MINUTE_MS
"""After the last report all panes are closed."""


def hold(folder: Path, riders: int, hours: int) -> dict[str, Any]:
    """Plays a shift, minute by minute in live intervals. `held_bytes`: the most that is held after a watermark of the
    last hour, without the state entries, which in a job the state backend has; `state_bytes` by kind of entry."""
    tracemalloc.start()
    harness = _harness(folder, riders, streaming_buckets(1), LIVE_INTERVALS)
    rows = riders * hours * _HOUR_MS // EVERY_MS
    files = write_reports(folder / "telemetry", riders, rows, riders * _MINUTE_MS // EVERY_MS, _QUARTER_DEG)
    held_bytes = 0
    for minute, (part, watermark_ms) in enumerate(files, 1):
        harness.read("telemetry", part)
        part.path.unlink()
        harness.advance(watermark_ms)
        if minute > (hours - 1) * 60 and minute % _LOOK_MINUTES == 0:
            payloads = sum(sys.getsizeof(entry.payload) for entry in harness.entries())
            held_bytes = max(held_bytes, _held_bytes() - payloads)
    kinds: Counter[str] = Counter()
    for entry in harness.entries():
        kind = f"{COLD if entry.name.startswith(COLD) else ''}{entry.kind}"
        kinds[f"{entry.uid} {kind}"] += len(entry.name) + len(entry.payload)
    return {"held_bytes": held_bytes, "state_bytes": kinds}


def row(folder: Path, riders: int, rows: int) -> dict[str, Any]:
    """CPU seconds of reading, validating and all operators, and of how many rows: all files but the first."""
    ends_ms = (time_of_row(first, riders) - 1 for first in range(ROWS_PER_FILE, rows, ROWS_PER_FILE))
    harness = _harness(folder, riders, streaming_buckets(2), PlannedIntervals(tuple(ends_ms)))
    cpu_s = 0.0
    files = write_reports(folder / "telemetry", riders, rows, ROWS_PER_FILE, _CITY_DEG)
    for number, (part, watermark_ms) in enumerate(files):
        began_s = time.process_time()
        harness.read("telemetry", part)
        harness.advance(watermark_ms)
        cpu_s += time.process_time() - began_s if number else 0.0
        part.path.unlink()
    began_s = time.process_time()
    harness.advance(watermark_ms + _CLOSING_MS)
    return {"cpu_s": cpu_s + time.process_time() - began_s, "rows": rows - ROWS_PER_FILE}


def _harness(folder: Path, riders: int, buckets: int, intervals: Intervals) -> OperatorTestHarness:
    """All products on one telemetry; the riders' policies have arrived."""
    gc.set_threshold(50_000, 20, 20)  # as workers have it
    products = load_products()
    harness = OperatorTestHarness(
        JobConfig(products, products, folder / "reference", None, buckets, intervals=intervals)
    )
    harness.read("subscriptions", write_policies(folder / "policies.jsonl", riders))
    harness.advance(time_of_row(0, riders) - 1)
    return harness


def _held_bytes() -> int:
    """Of Python's objects and numpy's arrays, as tracemalloc counts them, and of Polars' frames, which it does not."""
    gc.collect()
    frames = (each for each in gc.get_objects() if type(each) is pl.DataFrame)
    return tracemalloc.get_traced_memory()[0] + sum(int(frame.estimated_size()) for frame in frames)


if __name__ == "__main__":
    what, folder, riders, size = sys.argv[1:]
    print(json.dumps({"hold": hold, "row": row}[what](Path(folder), int(riders), int(size))))
