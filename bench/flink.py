"""`monsoon bench flink`: the job graph in batch and streaming, against Flink SQL merely parsing the telemetry."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from monsoon.bench import CountTo
from monsoon.bench.processes import Measured, measure, python
from monsoon.bench.replay import MAX_ROWS, MAX_RUNS, PRODUCT, folder_for, monsoon, simulated

DEFAULT_ROWS = 1_000_000
CANDIDATES = 20_000

_EXAMPLE = """\
example:
  monsoon bench flink
  monsoon bench flink --rows 250000 --runs 1

Simulates the storm, then runs, one after another: Flink SQL that counts every column of the telemetry; the replay on
Flink in batch; the streaming run on 1 and on 2 slots over the telemetry in the order of its time, with checkpoints,
whole and the first quarter of it (what the other three quarters take is the sustained speed, start-up apart); a run
that has 20,000 riders claim at one moment; and a job that is fed in real time, where the time from a reading's arrival
to the payouts that it decides is taken.
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
    from monsoon.bench.flink_inputs import first_quarter, time_ordered

    whole, whole_rows = time_ordered(simulated(folder, rows), folder / f"{rows}-ordered")
    part, part_rows = first_quarter(whole, folder / f"{rows}-quarter")
    yield f"streaming, {whole_rows:,} rows with checkpoints; sustained: what the last {whole_rows - part_rows:,} took"
    speeds = []
    for slots in (1, 2):
        taken = [_streamed(source, folder, slots, runs) for source in (part, whole)]
        speeds.append((whole_rows - part_rows) / (taken[1].wall_s - taken[0].wall_s))
        walls = f"{taken[0].wall_s:6.1f} s, {taken[1].wall_s:6.1f} s"
        yield f"  {slots} slot{'s' * (slots > 1)}: {walls}   {speeds[-1]:9,.0f} rows/s"
    yield f"  1 -> 2 slots: x {speeds[1] / speeds[0]:.2f}"


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
    from monsoon.bench.flink_latency import latencies_ms

    source, _ = time_ordered(simulated(folder, rows // 4), folder / f"{rows // 4}-ordered")
    found = sorted(latencies_ms(source, folder / "latency", PRODUCT))
    yield f"latency, {len(found):,} payouts: from the arrival of what lets the watermark pass to the payout"
    p99 = found[int(0.99 * (len(found) - 1))]
    yield f"  median {median(found):,.0f} ms, p99 {p99:,.0f} ms, largest {found[-1]:,.0f} ms"


def _streamed(source: Path, folder: Path, slots: int, runs: int) -> Measured:
    """Runs the streaming job into new folders each time."""
    import shutil

    def command() -> Sequence[str]:
        output = folder / "run"
        shutil.rmtree(output, ignore_errors=True)
        shutil.rmtree(folder / "run-checkpoints", ignore_errors=True)
        return monsoon(
            "run", "--products", PRODUCT, "--input", source, "--output", output,
            "--checkpoints", folder / "run-checkpoints", "--parallelism", slots,
        )  # fmt: skip

    taken = [measure(command(), 1) for _ in range(runs)]
    return sorted(taken, key=lambda each: each.wall_s)[len(taken) // 2]


_PARTS = {"batch": _batch, "streaming": _streaming, "candidates": _candidates, "latency": _latency}
