"""`monsoon bench replay`: the replay against Polars merely parsing every column of the same telemetry."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monsoon.bench import CountTo
from monsoon.bench.processes import BenchError, Measured, measure, python

STORM, SEED = "delhi-2024-06-28", 7
PRODUCT = "kawaach"
"""Of which the storm's policies are; `monsoon bench products` has all of them."""
DEFAULT_ROWS = (1_000_000, 250_000, 4_000_000)
MAX_ROWS = 1_000_000_000
"""Half a terabyte of telemetry."""
MAX_RUNS = 1_000

_PARSE = """\
import sys
from glob import glob
import polars as pl
from monsoon.sources.telemetry_columns import parse_schema
from monsoon.transforms.validation.fields import stream_fields
for file in sorted(glob(sys.argv[1] + "/telemetry/*")):
    pl.read_ndjson(file, schema=parse_schema(stream_fields("telemetry")))
"""

_EXAMPLE = """\
example:
  monsoon bench replay
  monsoon bench replay --rows 10000000 --runs 1

Simulates the storm at each size, then runs, one after another, a process that parses every column of the telemetry
with Polars and a process that replays it (start-up included in both). The ratio of their wall clocks is what counts;
the absolute times are this machine's.
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `replay` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "replay",
        help="the replay against merely parsing the telemetry",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows", type=count_to(MAX_ROWS), nargs="+", default=list(DEFAULT_ROWS), metavar="N", help="telemetry rows"
    )
    parser.add_argument(
        "--runs", type=count_to(MAX_RUNS), default=3, metavar="N", help="runs of each process (default: 3)"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep inputs here and use them again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a size."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, medians of {args.runs}")
    print(f"{'rows':>11} {'parse s':>8} {'replay s':>9} {'ratio':>6} {'rows/s':>9} {'us/row':>7} {'peak MB':>8}")
    with folder_for(args.folder) as folder:
        for rows in args.rows:
            source = simulated(folder, rows)
            parse = measure(python("-c", _PARSE, str(source)), args.runs)
            output = folder / f"{rows}-out"
            words = ("--products", PRODUCT, "--input", source, "--output", output)
            replay = measure(monsoon("replay", *words), args.runs)
            read = _rows(output)
            if not read:
                raise BenchError(f"--rows {rows}: so few riders that none reported; request more rows")
            print(_line(read, parse, replay), flush=True)
    return 0


def simulated(folder: Path, rows: int) -> Path:
    """The storm of about so many rows below a folder, simulated if it is not there."""
    from monsoon.sources.simulator.write import LABELS

    source = folder / f"{rows}"
    if not (source / LABELS).exists():  # or an interrupted run's
        measure(monsoon("simulate", "--storm", STORM, "--rows", rows, "--seed", SEED, "--output", source), 1)
    return source


def _line(rows: int, parse: Measured, replay: Measured) -> str:
    return (
        f"{rows:>11,} {parse.wall_s:>8.2f} {replay.wall_s:>9.2f} {replay.wall_s / parse.wall_s:>6.2f} "
        f"{rows / replay.wall_s:>9,.0f} {replay.wall_s / rows * 1e6:>7.2f} {replay.peak_mb:>8,.0f}"
    )


def _rows(output: Path) -> int:
    """Telemetry rows as the replay itself counted them."""
    import msgspec

    return int(msgspec.json.decode((output / "summary.json").read_bytes())["streams"]["telemetry"]["read"])


def monsoon(*arguments: object) -> list[str]:
    """A command of this checkout's `monsoon`."""
    return python("-m", "monsoon.cli.main", *(str(argument) for argument in arguments))


@contextmanager
def folder_for(given: Path | None) -> Iterator[Path]:
    """The folder given, or one that is gone afterwards."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="monsoon-bench-") as folder:
        yield Path(folder)
