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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from monsoon.bench.processes import BenchError
from monsoon.pipelines.runtime.intervals import LIVE_INTERVAL_MS, LIVE_INTERVALS

ANNOUNCED_EVERY_S, FED_S = 0.5, 80.0
"""A part of about one live interval is announced so often around each moment of payouts: event time goes 20 times as
fast there as it would. After so long no further moment is begun."""
_AHEAD_MS = 60_000
"""What is earlier than this before a moment is announced at once, and over before the rest."""
_PARTS_BEHIND = 2
"""So many parts are announced after the one that decides, as the stream would go on."""
_PATIENCE_S = 300.0
"""For the watermark, and for the last payout."""


def payout_moments_ms(output: Path) -> list[int]:
    """When the payouts were created that a replay wrote, ascending. Raises BenchError where nobody was paid."""
    lines = (line for file in (output / "payouts").iterdir() for line in file.read_text().splitlines())
    moments_ms = sorted(json.loads(line)["created_at"] for line in lines)
    if not moments_ms:
        raise BenchError("nobody is paid among so few riders; request more rows")
    return moments_ms


def latencies_ms(source: Path, folder: Path, product: str, moments_ms: Sequence[int]) -> list[float]:
    """Milliseconds, one for each payout of the product that was decided while parts were announced one by one;
    `moments_ms` are those of all its payouts, of which the first do not count: with them workers start.

    Raises BenchError where the watermark or a payout does not come.
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
    first_end_ms, *ends_ms = sorted({LIVE_INTERVALS.end_of(moment_ms) for moment_ms in moments_ms})
    keying = Keying(streaming_buckets(slots))
    settings = settings_of(source.absolute(), products, {product: products[product]}, None, keying)
    env = environment(streaming_settings(slots, checkpoints=folder / "checkpoints", checkpoint_interval_ms=1_000))
    config = Config((), settings, streaming=True, source=lambda env: _announced_splits(env, announced))
    _traced(build(env, config), trace, lows_ms)
    job = env.execute_async("monsoon bench latency")
    try:
        feed = _Feed(lines, lows_ms, announced, trace)
        feed.at_once(feed.deciding(first_end_ms) + 1)
        began_s = time.monotonic()
        for end_ms in ends_ms:
            if time.monotonic() - began_s > FED_S:
                break
            feed.at_once(feed.deciding(end_ms - _AHEAD_MS) + 1)
            feed.one_by_one(feed.deciding(end_ms) + 1 + _PARTS_BEHIND)
        feed.wait()
        due = sum(feed.decides(LIVE_INTERVALS.end_of(moment_ms)) for moment_ms in moments_ms)
        _wait_until(lambda: sum(1 for _ in _payouts(trace)) >= due, "a payout")
    finally:
        job.cancel().result()
    found = []
    for moment_ms, arrived_s in _payouts(trace):
        released_s = feed.released_s.get(feed.deciding(LIVE_INTERVALS.end_of(moment_ms)))
        if released_s is not None:
            found.append((arrived_s - released_s) * 1000)
    return found


def _bytes_of_interval(source: Path) -> int:
    """About how much telemetry arrives in a live interval."""
    file = source / "telemetry" / "part-0.jsonl"
    with file.open("rb") as lines:
        first = json.loads(lines.readline())["event_time"]
        lines.seek(max(0, file.stat().st_size - 10_000))
        last = json.loads(lines.read().splitlines()[-1])["event_time"]
    return max(1_000, file.stat().st_size * LIVE_INTERVAL_MS // (last - first + 1))


class _Feed:
    """Announces the lines of parts in their order."""

    def __init__(self, lines: Sequence[str], lows_ms: Sequence[int], folder: Path, trace: Path) -> None:
        self._lines, self._lows_ms, self._folder, self._trace = lines, lows_ms, folder, trace
        self._announced = 0
        self.released_s: dict[int, float] = {}
        """By its place, when a part was announced (s), of those that were announced one by one."""

    def deciding(self, end_ms: int) -> int:
        """The place of the part that lets the watermark pass a moment: it is one below the part's earliest time."""
        return bisect_right(self._lows_ms, end_ms)

    @property
    def _watermark_ms(self) -> int:
        return self._lows_ms[self._announced - 1] - 1

    def decides(self, end_ms: int) -> bool:
        """Whether what was announced lets the watermark pass a moment."""
        return end_ms <= self._watermark_ms

    def at_once(self, stop: int) -> None:
        """Announces all parts before this place, and waits until the job is done with what they decide."""
        if self._announced < min(stop, len(self._lines)):
            self._announce(stop)
            self.wait()

    def one_by_one(self, stop: int) -> None:
        """Announces the parts before this place, each at its time."""
        began_s = time.time()
        for count, place in enumerate(range(self._announced, min(stop, len(self._lines)))):
            time.sleep(max(0.0, began_s + (count + 1) * ANNOUNCED_EVERY_S - time.time()))
            self.released_s[place] = time.time()
            self._announce(place + 1)

    def wait(self) -> None:
        """Until the watermark has come to the last step. Raises BenchError if it does not."""
        _wait_until(lambda: _watermark_ms(self._trace) >= self._watermark_ms, "the watermark")

    def _announce(self, stop: int) -> None:
        name = f"{self._announced:06d}"
        staged = self._folder / f".{name}"
        staged.write_text("".join(f"{line}\n" for line in self._lines[self._announced : stop]))
        staged.rename(self._folder / name)
        self._announced = min(stop, len(self._lines))


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


def _traced(results: Any, folder: Path, lows_ms: Sequence[int]) -> None:
    """Notes when each payout arrives where results are written, and how far the watermark has come there."""
    from pyflink.common import Types
    from pyflink.datastream import KeyedProcessFunction, ProcessFunction

    class Trace(ProcessFunction):
        def process_element(self, value: Any, ctx: ProcessFunction.Context) -> Any:
            if value[1] == "payouts":
                moments = [payout["created_at"] for payout in json.loads(value[2])]
                with open(folder / f"payouts-{os.getpid()}", "a") as file:
                    file.write(json.dumps([time.time(), moments]) + "\n")
            return iter(())

    class Watermarks(KeyedProcessFunction):
        def open(self, runtime_context: Any) -> None:
            self._timers_ms = [low_ms - 1 for low_ms in lows_ms]

        def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Any:
            for timer_ms in self._timers_ms:
                ctx.timer_service().register_event_time_timer(timer_ms)
            self._timers_ms = []
            return iter(())

        def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
            (folder / "watermark").write_text(str(timestamp))
            return iter(())

    results.process(Trace(), Types.STRING()).name("trace").uid("trace").print()
    one = results.key_by(lambda result: 0, Types.INT()).process(Watermarks(), Types.STRING())
    one.name("watermarks").uid("watermarks").set_parallelism(1).print()


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    """Raises BenchError if the condition does not hold in time."""
    end_s = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end_s:
            raise BenchError(f"latency: {what} did not come within {_PATIENCE_S:g} s")
        time.sleep(ANNOUNCED_EVERY_S / 5)


def _watermark_ms(folder: Path) -> int:
    """How far the watermark has come, of those that parts give (ms)."""
    file = folder / "watermark"
    return int((file.read_text() if file.exists() else "") or 0)


def _payouts(folder: Path) -> Iterator[tuple[int, float]]:
    """The moment (ms) of each payout that has come, and when it came (s)."""
    for file in sorted(folder.glob("payouts-*")):
        for line in file.read_text().splitlines():
            arrived_s, moments_ms = json.loads(line)
            for moment_ms in moments_ms:
                yield moment_ms, arrived_s
