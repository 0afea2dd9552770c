"""`monsoon bench live`: the live job on a stack of its own: telemetry from Kafka, the latency of payouts, recovery from
the loss of a TaskManager, and the growth of checkpoints."""

from __future__ import annotations

import argparse
import os
import time
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.bench import CountTo
from monsoon.bench.processes import BenchError
from monsoon.bench.replay import folder_for, simulated

if TYPE_CHECKING:
    from monsoon.sources.kafka.producer import HistoryProducer

MAX_ROWS = 50_000_000
_BATCHES = (1, 200)
"""Reports a record: a phone's own, and a gateway's batch."""
_SLOTS = 2
_GATHER_MS, _SHIPPED_GATHER_MS = 100, 50
_PATIENCE_S = 1_800
_CHECKPOINT_MS = 1_000
_INTERVAL_MS = 3_600_000
"""Of event time: a live interval of 10 s has as many rows at the rates measured here."""
_EXAMPLE = """\
example:
  monsoon bench live --rows 2000000
  monsoon bench live --only telemetry --rows 2000000 --batch 200
  monsoon bench live --only latency
  monsoon bench live --only recovery --kills 3

telemetry: produces the telemetry of a simulated storm to a broker, then starts the live job, which reads it as fast as
it can, with checkpoints each second and RocksDB with incremental checkpoints. Measured is what it has committed, by its
accounts, and the CPU of all processes of the stack. Producing is not counted.

latency: a city in which each zone comes under curfew by one official reading, some zones in each live interval of event
time, which goes five times as fast as it would. From the acknowledgment of the heartbeat that lets the watermark pass a
payout's interval to when a consumer has the payout, without and with read_committed. What is waited for in event time
is not in it.

recovery: the same city; a TaskManager is killed again and again. From the kill to the next payout that was written
after it and is read as committed.

growth: riders who report every 15 s, a checkpoint for each minute of event time: how much of a checkpoint is new. Then
fewer riders over four weeks of shifts: how large checkpoints become.
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `live` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "live",
        help="telemetry, latency, recovery and checkpoints of the live job",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows", type=count_to(MAX_ROWS), default=2_000_000, metavar="N", help="rows of telemetry (default: 2000000)"
    )
    parser.add_argument("--batch", type=count_to(10_000), metavar="N", help="reports a record (default: 1, then 200)")
    parser.add_argument(
        "--gather-ms",
        type=count_to(10_000),
        metavar="N",
        help="kafka.gather_ms (default: 100 for telemetry, else as it is shipped, 50)",
    )
    parser.add_argument(
        "--confirmations", type=count_to(10_000), default=1_200, metavar="N", help="of the latency (default: 1200)"
    )
    parser.add_argument("--kills", type=count_to(100), default=5, metavar="N", help="of the recovery (default: 5)")
    parser.add_argument(
        "--riders", type=count_to(100_000), default=10_000, metavar="N", help="of the growth (default: 10000)"
    )
    parser.add_argument(
        "--minutes", type=count_to(10_000), default=120, metavar="N", help="of event time, of the growth (default: 120)"
    )
    parser.add_argument(
        "--weeks-riders", type=count_to(10_000), default=200, metavar="N", help="over four weeks (default: 200)"
    )
    parser.add_argument(
        "--only", choices=list(_PARTS), nargs="+", default=list(_PARTS), help="what to measure (default: all)"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep inputs here and use them again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a few lines a part."""
    with folder_for(args.folder) as folder:
        for part in args.only:
            for line in _PARTS[part](folder, args):
                print(line, flush=True)
    return 0


def _telemetry(folder: Path, args: argparse.Namespace) -> Iterator[str]:
    """A line for each size of records."""
    yield f"{args.rows:,} reports, {_SLOTS} slots, {os.cpu_count()} cores; checkpoints of 1 s, RocksDB"
    yield f"{'a record':>8} {'first quarter':>14} {'last quarter':>13} {'JVM us':>7} {'Python us':>10} {'all us':>7}"
    source = simulated(folder, args.rows)
    for batch in _BATCHES if args.batch is None else (args.batch,):
        found = measure(source, folder / f"stack-{batch}", batch, args.gather_ms or _GATHER_MS)
        jvm_us, python_us = found.cpu_us["JVM"], found.cpu_us["Python"]
        yield (
            f"{batch:>8} {found.first_rows_per_s:>12,.0f}/s {found.last_rows_per_s:>11,.0f}/s {jvm_us:>7.1f} "
            f"{python_us:>10.1f} {jvm_us + python_us:>7.1f}"
        )
    yield "targets: 55,000/s one a record, 70,000/s batched"


def _latency(folder: Path, args: argparse.Namespace) -> Iterator[str]:
    from monsoon.bench.live_latency import latency

    return latency(folder, args.confirmations, args.gather_ms or _SHIPPED_GATHER_MS)


def _recovery(folder: Path, args: argparse.Namespace) -> Iterator[str]:
    from monsoon.bench.live_recovery import recovery

    return recovery(folder, args.kills, args.gather_ms or _SHIPPED_GATHER_MS)


def _growth(folder: Path, args: argparse.Namespace) -> Iterator[str]:
    from monsoon.bench.live_growth import growth

    return growth(folder, args.riders, args.minutes, args.weeks_riders, args.gather_ms or _SHIPPED_GATHER_MS)


def measure(source: Path, folder: Path, batch: int, gather_ms: int) -> Any:
    """Runs the job over the folder's streams, already produced; gives a `flink_streaming.Streamed`."""
    from monsoon.bench.flink_streaming import LOOK_S, MARK, Look, MarkedProcesses, streamed
    from monsoon.bench.live_job import shipped_settings, stack_in
    from monsoon.pipelines.runtime.messages import ACCOUNTS, END, STATISTICS, unpack_result
    from monsoon.pipelines.stack.submit import submit
    from monsoon.sources.kafka.committed import CommittedRecords
    from monsoon.sources.kafka.settings import EventTimeSettings
    from monsoon.transforms.validation.input_checks import InputStatistics

    mark = uuid.uuid4().hex
    os.environ[MARK] = mark
    try:
        with stack_in(folder) as stack:
            brokers = stack.broker.address
            producer = _produced(source, brokers, batch)
            event_time = EventTimeSettings(idle_after_s=None, interval_ms=_INTERVAL_MS)
            settings = shipped_settings(stack, _CHECKPOINT_MS, gather_ms, event_time, source / "reference")
            processes, committed = MarkedProcesses(os.getpid(), mark), CommittedRecords(brokers, {ACCOUNTS: ACCOUNTS})
            looks: list[Look] = []
            submit(stack, settings)
            rows, ended, until_s = 0, False, time.monotonic() + _PATIENCE_S
            while not ended:
                if time.monotonic() > until_s:
                    raise BenchError(f"the job has read {rows:,} rows in {_PATIENCE_S} s; its logs: {folder / 'logs'}")
                for _, key, value in committed.poll(int(LOOK_S * 1000)):
                    kind = (key or b"").decode()
                    ended = ended or kind == END
                    if kind == STATISTICS:
                        stream, statistics = unpack_result(value or b"", tuple[str, InputStatistics])
                        rows += statistics.read if stream == "telemetry" else 0
                looks.append(Look(time.monotonic(), rows, processes.cpu_s()))
                producer.end_again()
            return streamed(looks)
    finally:
        del os.environ[MARK]


def _produced(source: Path, brokers: str, batch: int) -> HistoryProducer:
    """Sends a folder's streams to their topics, telemetry in records of so many reports, and that they end."""
    from monsoon.contracts.topics import INPUT_TOPICS, topic_name
    from monsoon.sources.kafka.admin import partition_counts
    from monsoon.sources.kafka.history import History, TimedLine
    from monsoon.sources.kafka.producer import HistoryProducer, history_producer

    class Batched:
        """The lines of a history, those of telemetry joined; a record arrived when its last report did."""

        def __init__(self, history: History) -> None:
            self._history, self.first_ms = history, history.first_ms

        def __len__(self) -> int:
            return len(self._history)

        def __iter__(self) -> Iterator[TimedLine]:
            reports = (line for line in self._history if line.stream == "telemetry")
            yield from (line for line in self._history if line.stream != "telemetry")
            while some := list(islice(reports, batch)):
                content = b"\n".join(line.line for line in some)
                yield TimedLine("telemetry", content, some[0].time_ms, some[-1].stamp_ms)

    topics = {topic.stream: topic_name(topic.stream) for topic in INPUT_TOPICS}
    with History(source) as history:
        producer = HistoryProducer(history_producer(brokers), topics, partition_counts(brokers, topics))
        producer.send(Batched(history))
        producer.end()
    return producer


_PARTS = {"telemetry": _telemetry, "latency": _latency, "recovery": _recovery, "growth": _growth}
