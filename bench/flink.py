"""`monsoon bench flink`: the job graph in batch and streaming, against Flink SQL merely parsing the telemetry."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from monsoon.bench import CountTo
from monsoon.bench.processes import BenchError, Measured, measure, python
from monsoon.bench.replay import MAX_ROWS, MAX_RUNS, PRODUCT, folder_for, monsoon, simulated

DEFAULT_ROWS = 1_000_000
CANDIDATES = 20_000
_HISTORY_MS = 2 * 3_600_000
"""Of the latency: telemetry before the first payout."""

_EXAMPLE = """\
example:
  monsoon bench flink
  monsoon bench flink --rows 250000 --runs 1
  monsoon bench flink --only streaming --rows 6000000
  monsoon bench flink --only latency

Simulates the storm, then runs, one after another: Flink SQL that counts every column of the telemetry; the replay on
Flink in batch; the streaming run on 1 and on 2 slots over the telemetry in the order of its time, with a checkpoint
each second; a run that has 20,000 riders claim at one moment; and a job that is fed while it runs, for its latency.

While the streaming run goes on, its committed accounts say how many rows every operator has taken, four times a second:
from these the rows a second in the first quarter of the rows and in the last, and CPU a row from /proc, of the JVM and
of all Python processes; `with start and end` is the CPU of the whole run by its rows. A row counts when its checkpoint
is complete: `s a commit` is the time from one to the next, which says how exact the rates are.

Latency is taken of a quarter of the rows, from two hours before the first payout. Around each moment of payouts but the
first, for 80 s, a part of about 10 s of event time, a live interval, is announced every 0.5 s; what lies between the
moments is announced at once and waited for. A payout is decided at the end of its interval: its latency is the time
from the announcement of the part that lets the watermark pass that end to its arrival at the sink, uncommitted. What it
waits for in event time, up to 10 s, is not in it.
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `flink` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "flink",
        help="batch and streaming on Flink against SQL merely parsing the telemetry",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=count_to(MAX_ROWS), default=DEFAULT_ROWS, metavar="N", help="telemetry rows")
    parser.add_argument("--runs", type=count_to(MAX_RUNS), default=1, metavar="N", help="runs of each (default: 1)")
    parser.add_argument(
        "--only", choices=list(_PARTS), nargs="+", default=list(_PARTS), help="what to measure (default: all)"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep inputs here and use them again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a few lines a part."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, medians of {args.runs}")
    with folder_for(args.folder) as folder:
        for part in args.only:
            for line in _PARTS[part](folder, args.rows, args.runs):
                print(line, flush=True)
    return 0


def _batch(folder: Path, rows: int, runs: int) -> Iterator[str]:
    source = simulated(folder, rows)
    parse = measure(python("-m", "monsoon.bench.flink_parse", str(source / "telemetry")), runs)
    words = ("replay", "--products", PRODUCT, "--input", source, "--output")
    replay = measure(monsoon(*words, folder / f"{rows}-flink", "--engine", "flink"), runs)
    local = measure(monsoon(*words, folder / f"{rows}-out"), runs)
    yield f"batch, {rows:,} rows requested"
    yield f"  Flink SQL parsing every column  {parse.wall_s:8.1f} s"
    yield f"  replay --engine flink           {replay.wall_s:8.1f} s   ratio {replay.wall_s / parse.wall_s:.2f}"
    yield f"  replay on the local engine      {local.wall_s:8.1f} s   ratio {local.wall_s / parse.wall_s:.2f}"


def _streaming(folder: Path, rows: int, runs: int) -> Iterator[str]:
    from monsoon.bench.flink_inputs import time_ordered
    from monsoon.bench.flink_streaming import watched

    source, telemetry = time_ordered(simulated(folder, rows), folder / f"{rows}-ordered")
    yield f"streaming, {telemetry:,} rows, a checkpoint each second; from the first commit to the last but one"
    rates, cpu = "rows/s: 1st quarter    last  last/1st", "us a row: JVM  Python   all  with start and end"
    yield f"           {rates}    {cpu}  s a commit"
    speeds = []
    for slots in (1, 2):
        taken = [watched(_run_command(source, folder, slots), folder / "run") for _ in range(runs)]
        run = sorted(taken, key=lambda each: each.last_rows_per_s)[runs // 2]
        speeds.append(run.last_rows_per_s)
        ratio = run.last_rows_per_s / run.first_rows_per_s
        rates = f"{run.first_rows_per_s:>19,.0f} {run.last_rows_per_s:>7,.0f} {ratio:>9.2f}"
        cpu = f"{run.cpu_us['JVM']:>16.1f} {run.cpu_us['Python']:>7.1f} {sum(run.cpu_us.values()):>5.1f}"
        whole = f"{run.whole_cpu_us:>19.1f} {run.commit_s:>11.1f}"
        yield f"  {slots} slot{'s' if slots > 1 else ' '} {rates} {cpu} {whole}"
    yield f"  1 -> 2 slots: x {speeds[1] / speeds[0]:.2f}   target: 100,000 rows/s, last/1st 0.9 to 1.1, 20 us a row"


def _candidates(folder: Path, rows: int, runs: int) -> Iterator[str]:
    from monsoon.bench.flink_inputs import one_city_quarter

    few, many = CANDIDATES // 10, CANDIDATES
    taken = [
        _streamed(one_city_quarter(folder / f"claims-{riders}", riders), folder, 2, runs) for riders in (few, many)
    ]
    speed = (many - few) / (taken[1].wall_s - taken[0].wall_s)
    yield f"candidates, {few:,} and {many:,} riders in one zone at one confirmation, 2 slots"
    yield f"  {taken[0].wall_s:6.1f} s, {taken[1].wall_s:6.1f} s   {speed:9,.0f} candidates/s"


def _latency(folder: Path, rows: int, runs: int) -> Iterator[str]:
    from monsoon.bench.flink_inputs import time_ordered
    from monsoon.bench.flink_latency import latencies_ms, payout_moments_ms

    storm, output = simulated(folder, rows // 4), folder / "latency-out"

    def moments_ms(source: Path) -> list[int]:
        measure(monsoon("replay", "--products", PRODUCT, "--input", source, "--output", output), 1)
        return payout_moments_ms(output)

    since_ms = moments_ms(storm)[0] - _HISTORY_MS
    source, telemetry = time_ordered(storm, folder / "latency-ordered", since_ms)
    found = sorted(latencies_ms(source, folder / "latency", PRODUCT, moments_ms(source)))
    if not found:
        raise BenchError("latency: no payouts while it is fed; request more rows")
    yield f"latency, {telemetry:,} rows, {len(found):,} payouts: from what lets the watermark pass their interval's end"
    p99 = found[int(0.99 * (len(found) - 1))]
    yield f"  median {median(found):,.0f} ms, p99 {p99:,.0f} ms, largest {found[-1]:,.0f} ms   target: p99 500 ms"


def _streamed(source: Path, folder: Path, slots: int, runs: int) -> Measured:
    """Runs the streaming job into new folders each time."""
    taken = [measure(_run_command(source, folder, slots), 1) for _ in range(runs)]
    return sorted(taken, key=lambda each: each.wall_s)[len(taken) // 2]


def _run_command(source: Path, folder: Path, slots: int) -> Sequence[str]:
    """A streaming run into folders that are new."""
    output, checkpoints = folder / "run", folder / "run-checkpoints"
    for each in (output, checkpoints):
        shutil.rmtree(each, ignore_errors=True)
    words = ("--input", source, "--output", output, "--checkpoints", checkpoints, "--parallelism", slots)
    return monsoon("run", "--products", PRODUCT, *words)


_PARTS = {"batch": _batch, "streaming": _streaming, "candidates": _candidates, "latency": _latency}
