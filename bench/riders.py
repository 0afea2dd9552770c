"""`monsoon bench riders`: what a rider at work costs the streaming job in memory and state, and what a row costs of few
riders and of many."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from typing import Any

from monsoon.bench import CountTo
from monsoon.bench.processes import BenchError, python
from monsoon.bench.replay import MAX_ROWS

DEFAULT_RIDERS, MAX_RIDERS, SHIFT_HOURS, MAX_HOURS = 200, 100_000, 8, 24
DEFAULT_ROWS, MIN_ROWS, FEW, MANY = 2_000_000, 30_000, 1_000, 100_000
"""Of `row`: rows of each run, and riders."""
TARGET_HOT_KB, TARGET_STATE_KB, TARGET_RATIO = 60, 300, 0.15
_SHARE = 4
"""Memory is the difference to a run with so many times fewer riders: what a process holds by itself is in both."""

_EXAMPLE = """\
example:
  monsoon bench riders
  monsoon bench riders --riders 50 --hours 2 --rows 60000
  monsoon bench riders --only hold

Made-up riders, each with a policy, report every 15 s with all sensors, in one city without a storm. All keyed operators
of all products run in one process, without an engine.

  hold  A shift in live intervals of 10 s, a watermark every minute. Memory is what is held between watermarks: Python's
        objects and numpy's arrays as tracemalloc counts them, and Polars' frames; the most of the last hour, without
        the state entries themselves (in a job the state backend has them), less the same of a quarter of the riders, by
        rider. What a process needs by itself or for a moment is not in it. State is all bytes of all entries, names
        included; cold entries are in the state backend only.
  row   CPU of reading, validating and all operators, at the same number of rows from 1,000 riders and from 100,000, in
        files of 15,000 rows with a watermark after each, as the job reads a folder, until all panes are closed. At 15 s
        it takes 20 reports of each rider, 2,000,000 rows, to fill one pane of 5 minutes: with fewer rows the panes of
        many riders cost more a row.
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `riders` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "riders",
        help="memory and state of a rider at work; a row of few riders and of many",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--riders", type=count_to(MAX_RIDERS), default=DEFAULT_RIDERS, metavar="N", help="who hold (default: 200)"
    )
    parser.add_argument(
        "--hours", type=count_to(MAX_HOURS), default=SHIFT_HOURS, metavar="N", help="of their shift (default: 8)"
    )
    parser.add_argument(
        "--rows", type=count_to(MAX_ROWS), default=DEFAULT_ROWS, metavar="N", help="of each run (default: 2000000)"
    )
    parser.add_argument(
        "--only", choices=["hold", "row"], nargs="+", default=["hold", "row"], help="what to measure (default: both)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a table a part."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if "hold" in args.only:
        _hold(args.riders, args.hours)
    if "row" in args.only:
        _row(max(args.rows, MIN_ROWS))
    return 0


def _hold(riders: int, hours: int) -> None:
    few = max(1, riders // _SHARE)
    less, more = (_played("hold", each, hours) for each in (few, riders))
    hot = (more["held_bytes"] - less["held_bytes"]) / max(1, riders - few)
    state = {kind: size / riders for kind, size in more["state_bytes"].items()}
    print(f"{riders:,} riders, a report every 15 s for {hours} h; memory against {few:,} riders")
    print(f"  memory  {hot / 1000:8.1f} KB a rider   target {TARGET_HOT_KB}")
    print(f"  state   {sum(state.values()) / 1000:8.1f} KB a rider   target {TARGET_STATE_KB}")
    for kind, size in sorted(state.items(), key=lambda each: -each[1]):
        if size >= 100:
            print(f"    {size / 1000:8.1f}  {kind}")


def _row(rows: int) -> None:
    print(f"CPU of a row, {rows:,} rows")
    costs_us = []
    for riders in (FEW, MANY):
        taken = _played("row", riders, rows)
        costs_us.append(taken["cpu_s"] / taken["rows"] * 1e6)
        print(f"  {riders:>7,} riders  {costs_us[-1]:8.2f} us a row", flush=True)
    print(f"  ratio {costs_us[1] / costs_us[0]:.2f}   target {1 - TARGET_RATIO:g} to {1 + TARGET_RATIO:g}")


def _played(what: str, riders: int, size: int) -> dict[str, Any]:
    """What `riders_play` says, in a new process: of one thread, as workers are."""
    with tempfile.TemporaryDirectory(prefix="monsoon-bench-") as folder:
        done = subprocess.run(
            python("-m", "monsoon.bench.riders_play", what, folder, str(riders), str(size)),
            env=os.environ | {"POLARS_MAX_THREADS": "1"},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise BenchError(f"{riders:,} riders: failed ({done.returncode}): {done.stderr.strip()}")
    played: dict[str, Any] = json.loads(done.stdout)
    return played
