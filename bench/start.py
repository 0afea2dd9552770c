"""`monsoon bench start`: how long a replay of ten records takes, which is little but starting."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from typing import Any

from monsoon.bench import CountTo
from monsoon.bench.processes import measure, python
from monsoon.bench.replay import MAX_RUNS, folder_for, monsoon

TARGET_S = 0.4
RIDERS, PROVIDERS = 3, ("imd", "second", "third", "fourth")
"""A policy and a report of each rider and a reading of each provider: ten records."""

_IMPORTS = """\
import gc
gc.set_threshold(50_000)
import monsoon.cli.main, monsoon.cli.replay
import monsoon.pipelines.local.replay, monsoon.sinks.writable, monsoon.sources.product_files
"""
"""All that a replay imports, with the cycle collector as `cli/main.py` sets it."""

_EXAMPLE = """\
example:
  monsoon bench start
  monsoon bench start --runs 50

Replays ten records, which confirm a disruption and pay three claims, in a new process each time, and beside it what of
that are the interpreter, importing Polars and importing all that a replay needs. Every process runs once before it
counts; compiled modules are in a folder of the bench, so PYTHONDONTWRITEBYTECODE makes no difference. Where the imports
spend their time: python -X importtime -m monsoon.cli.main replay ...
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `start` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "start",
        help="a replay of ten records, which is little but starting",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=count_to(MAX_RUNS), default=20, metavar="N", help="runs of each (default: 20)")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep inputs here and use them again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a process."""
    from monsoon.bench.flink_inputs import one_city_quarter

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, medians of {args.runs}")
    print(f"{'process':<24} {'CPU s':>7} {'wall s':>7}")
    with folder_for(args.folder) as folder:
        source = one_city_quarter(folder / "ten", RIDERS, PROVIDERS)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = str(folder.absolute() / "bytecode")
        for name, command in (
            ("the interpreter", python("-c", "pass")),
            ("importing Polars", python("-c", "import polars")),
            ("importing all of a replay", python("-c", _IMPORTS)),
            ("a replay of ten records", monsoon("replay", "--input", source, "--output", folder / "ten-out")),
        ):
            measure(command, 1, environment)
            taken = measure(command, args.runs, environment)
            print(f"{name:<25} {taken.cpu_s:>6.2f} {taken.wall_s:>7.2f}", flush=True)
    print(f"target: {TARGET_S:g} s")
    return 0
