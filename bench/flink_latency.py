"""From the arrival of a reading or report to the payouts that it decides, on the mini cluster, while it is fed.

A payout of the moment t is decided at the end of the live interval of t, once the watermark has passed it: once a part
is announced before which nothing is earlier. The time from that announcement to the payout's arrival at the last step,
uncommitted, is the latency. What is waited for in event time is not in it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monsoon.bench.processes import BenchError
from monsoon.pipelines.runtime.intervals import LIVE_INTERVAL_MS, LIVE_INTERVALS

ANNOUNCED_EVERY_S, FED_S = 0.5, 80.0
"""A part of about one live interval is announced so often, for so long: event time goes 20 times as fast as it would,
and every interval has to be over in a twentieth of its time."""
_PATIENCE_S = 120.0
"""Without a payout that has to come."""


def payout_moments_ms(output: Path) -> list[int]:
    """When the payouts were created that a replay wrote, ascending. Raises BenchError where nobody was paid."""
    lines = (line for file in (output / "payouts").iterdir() for line in file.read_text().splitlines())
    moments_ms = sorted(json.loads(line)["created_at"] for line in lines)
    if not moments_ms:
        raise BenchError("nobody is paid among so few riders; request more rows")
    return moments_ms


def latencies_ms(source: Path, folder: Path, product: str, moments_ms: Sequence[int]) -> list[float]:
    """Milliseconds, one for each payout of the product whose interval the watermark passed while parts were announced
    one by one; `moments_ms` are those of all its payouts. What decides the first of them is announced at once, and is
    over before the rest.

    Raises BenchError where payouts do not come.
    """
    from monsoon.pipelines.flink.file_splits import plan
    from monsoon.pipelines.flink.graph import Config, build, split_row
    from monsoon.pipelines.flink.job_record import Keying
    from monsoon.pipelines.flink.keys import streaming_buckets
    from monsoon.pipelines.flink.local_cluster import environment, streaming_settings
    from monsoon.pipelines.flink.run import settings_of
    from monsoon.sources.product_files import load_products

    shutil.rmtree(folder, ignore_errors=True)
    announced, trace = folder / "announced", folder / "trace"
    for each in (announced, trace):
        each.mkdir(parents=True)
    products, slots = load_products(), os.cpu_count() or 1
    parts, _ = plan(source.absolute(), _bytes_of_interval(source))
    lows_ms = [part.low_ms for part in parts]
    lines = [json.dumps(list(split_row(part))[:-1]) for part in parts]
    ends_ms = [LIVE_INTERVALS.end_of(moment_ms) for moment_ms in moments_ms]
    history = bisect_right(lows_ms, ends_ms[0]) + 1
    keying = Keying(streaming_buckets(slots))
    settings = settings_of(source.absolute(), products, {product: products[product]}, None, keying)
    env = environment(streaming_settings(slots, checkpoints=folder / "checkpoints", checkpoint_interval_ms=1_000))
    config = Config((), settings, streaming=True, source=lambda env: _announced_splits(env, announced))
    _traced(build(env, config), trace)
    job = env.execute_async("monsoon bench latency")
    try:
        _announce(lines[:history], announced)
        _wait_for(bisect_right(ends_ms, lows_ms[history - 1] - 1), trace)
        fed = min(len(parts), history + int(FED_S / ANNOUNCED_EVERY_S))
        released_s = _feed(lines[history:fed], announced)
        _wait_for(bisect_right(ends_ms, lows_ms[fed - 1] - 1), trace)
    finally:
        job.cancel().result()
    found = []
    for moment_ms, arrived_s in _payouts(trace):
        # The watermark is one below the part's earliest time.
        place = bisect_right(lows_ms, LIVE_INTERVALS.end_of(moment_ms), lo=history - 1) - history
        if place >= 0:
            found.append((arrived_s - released_s[place]) * 1000)
    return found


def _bytes_of_interval(source: Path) -> int:
    """About how much telemetry arrives in a live interval."""
    file = source / "telemetry" / "part-0.jsonl"
    with file.open("rb") as lines:
        first = json.loads(lines.readline())["event_time"]
        lines.seek(max(0, file.stat().st_size - 10_000))
        last = json.loads(lines.read().splitlines()[-1])["event_time"]
    return max(1_000, file.stat().st_size * LIVE_INTERVAL_MS // (last - first + 1))


def _feed(lines: Sequence[str], folder: Path) -> list[float]:
    """Announces the lines, each at its time; gives when (s)."""
    began_s, released_s = time.time(), []
    for place, line in enumerate(lines):
        time.sleep(max(0.0, began_s + place * ANNOUNCED_EVERY_S - time.time()))
        released_s.append(time.time())
        _announce([line], folder)
    return released_s


def _announce(lines: Sequence[str], folder: Path) -> None:
    name = f"{len(os.listdir(folder)):06d}"
    staged = folder / f".{name}"
    staged.write_text("".join(f"{line}\n" for line in lines))
    staged.rename(folder / name)


def _announced_splits(env: Any, folder: Path) -> Any:
    """The splits that are announced, as they are: a line each. Goes on until the job is canceled."""
    from pyflink.common import Duration, Row, WatermarkStrategy
    from pyflink.datastream import ProcessFunction
    from pyflink.datastream.connectors.file_system import FileSource, StreamFormat

    from monsoon.pipelines.flink.process_functions import PART

    class Split(ProcessFunction):
        def process_element(self, value: str, ctx: ProcessFunction.Context) -> Any:
            yield Row(*json.loads(value), b"")

    lines = FileSource.for_record_stream_format(StreamFormat.text_line_format(), str(folder))
    source = lines.monitor_continuously(Duration.of_millis(20)).build()
    return env.from_source(source, WatermarkStrategy.no_watermarks(), "announcements").process(Split(), PART)


def _traced(results: Any, folder: Path) -> None:
    """Notes when each payout arrives where results are written."""
    from pyflink.common import Types
    from pyflink.datastream import ProcessFunction

    class Trace(ProcessFunction):
        def process_element(self, value: Any, ctx: ProcessFunction.Context) -> Any:
            if value[1] == "payouts":
                moments = [payout["created_at"] for payout in json.loads(value[2])]
                with open(folder / str(os.getpid()), "a") as file:
                    file.write(json.dumps([time.time(), moments]) + "\n")
            return iter(())

    results.process(Trace(), Types.STRING()).name("trace").uid("trace").print()


def _payouts(folder: Path) -> Iterator[tuple[int, float]]:
    """The moment (ms) of each payout that has come, and when it came (s)."""
    for file in sorted(folder.iterdir()):
        for line in file.read_text().splitlines():
            arrived_s, moments_ms = json.loads(line)
            for moment_ms in moments_ms:
                yield moment_ms, arrived_s


def _wait_for(payouts: int, folder: Path) -> None:
    """Until so many payouts have come."""
    come, last_s = 0, time.monotonic()
    while come < payouts:
        time.sleep(ANNOUNCED_EVERY_S)
        before, come = come, sum(1 for _ in _payouts(folder))
        if come > before:
            last_s = time.monotonic()
        elif time.monotonic() - last_s > _PATIENCE_S:
            raise BenchError(f"latency: {come:,} of {payouts:,} payouts came, and none in the last {_PATIENCE_S:g} s")
