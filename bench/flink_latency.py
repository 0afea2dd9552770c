"""From the arrival of a reading or report to the payouts that it decides, on the mini cluster, in real time.

Parts of a storm are announced one by one, as fast as asked. A payout of the moment t can be decided once the watermark
has passed t, that is, once a part is announced before which nothing is earlier than t: the time from that announcement
to the payout's arrival at the last step is the latency. What is waited for in event time is not in it.
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

PART_BYTES = 200_000
INTERVAL_S = 0.5
"""Between announcements."""
_STARTING_S = 20.0
"""Workers import and load their models before the first announcement counts."""
_PATIENCE_S = 20.0


def latencies_ms(source: Path, folder: Path, product: str) -> list[float]:
    """Milliseconds, one for each payout of the product whose moment the watermark passed while the job ran."""
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
    parts, _ = plan(source.absolute(), PART_BYTES)
    keying = Keying(streaming_buckets(slots))
    settings = settings_of(source.absolute(), products, {product: products[product]}, None, keying)
    env = environment(streaming_settings(slots, checkpoints=folder / "checkpoints", checkpoint_interval_ms=1_000))
    config = Config((), settings, streaming=True, source=lambda env: _announced_splits(env, announced))
    results = build(env, config)
    _traced(results, trace)
    job = env.execute_async("monsoon bench latency")
    try:
        released = list(_announce([(each.low_ms, json.dumps(list(split_row(each))[:-1])) for each in parts], announced))
        _wait_until_quiet(trace)
    finally:
        job.cancel().result()
    return [latency for at_ms, arrived_s in _payouts(trace) for latency in _latency_ms(released, at_ms, arrived_s)]


def _announce(lines: Sequence[tuple[int, str]], folder: Path) -> Iterator[tuple[int, float]]:
    """Puts the announcements there, each at its time; gives (low_ms, when)."""
    began_s = time.time() + _STARTING_S
    for place, (low_ms, line) in enumerate(lines):
        # The first one goes ahead, to set the workers up.
        if place:
            time.sleep(max(0.0, began_s + place * INTERVAL_S - time.time()))
        staged = folder / f".{place:06d}"
        staged.write_text(line + "\n")
        released_s = time.time()
        staged.rename(folder / f"{place:06d}")
        yield low_ms, released_s


def _announced_splits(env: Any, folder: Path) -> Any:
    """The splits that are announced, as they are: a file each, of one line. Goes on until the job is canceled."""
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


def _latency_ms(released: Sequence[tuple[int, float]], at_ms: int, arrived_s: float) -> Iterator[float]:
    # The watermark is one below the part's earliest time.
    place = bisect_right([low_ms for low_ms, _ in released], at_ms)
    if 0 < place < len(released):
        yield (arrived_s - released[place][1]) * 1000


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
    for file in sorted(folder.iterdir()):
        for line in file.read_text().splitlines():
            arrived_s, moments = json.loads(line)
            for at_ms in moments:
                yield at_ms, arrived_s


def _wait_until_quiet(folder: Path) -> None:
    """Until no payout has come for a while."""
    before = -1
    while (now := sum(file.stat().st_size for file in folder.iterdir())) != before:
        before = now
        time.sleep(_PATIENCE_S / 4)
