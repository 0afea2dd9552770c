"""`monsoon bench score`: how long one claim takes, and how many a core scores in bulk."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import time
from typing import TYPE_CHECKING, Any

from monsoon.bench import CountTo

if TYPE_CHECKING:
    import numpy as np

    from monsoon.transforms.scoring import Scorer

SINGLE_TARGET_US, BULK_TARGET_ROWS_S = 50.0, 350_000
ROUNDS = 5
SEED = 7
MAX_ROWS, MAX_CLAIMS = 100_000_000, 1_000_000
"""Tens of gigabytes of features either way."""

_EXAMPLE = """\
example:
  monsoon bench score
  monsoon bench score --rows 2000000

One claim: from a column per feature to risk and mask, one after another. Each is timed five times and its median
counts, since other programs of the machine are not what is measured; p99 is over the claims. Bulk: all rows in one
batch, one thread. The rows are the model's own parity rows, resampled: honest values, a third of them moved toward
contradiction, a tenth missing.
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `score` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "score",
        help="one claim's latency and bulk rows per second",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows", type=count_to(MAX_ROWS), default=500_000, metavar="N", help="rows of the bulk run (default: 500000)"
    )
    parser.add_argument(
        "--claims", type=count_to(MAX_CLAIMS), default=5_000, metavar="N", help="claims one by one (default: 5000)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints both measurements beside their targets."""
    import numpy as np

    from monsoon.sources.model_files import load_scorer

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    began_s = time.perf_counter()
    scorer = load_scorer()
    print(f"{scorer.version}: loaded and checked in {(time.perf_counter() - began_s) * 1e3:.0f} ms")
    rng = np.random.default_rng(SEED)
    rows = scorer.parity_rows[rng.integers(0, len(scorer.parity_rows), max(args.rows, args.claims))]
    taken_us = single_us(scorer, rows[: args.claims])
    p50_us, p99_us = np.percentile(np.median(taken_us, axis=0), (50, 99))
    print(f"one claim: median {p50_us:.1f} us, p99 {p99_us:.1f} us (target {SINGLE_TARGET_US:g} us)")
    print(f"           p99 of single timings, other programs included: {np.percentile(taken_us, 99):.1f} us")
    rate = bulk_rows_s(scorer, rows[: args.rows])
    print(f"bulk: {rate:,.0f} rows/s on one core (target {BULK_TARGET_ROWS_S:,})")
    return 0


def single_us(scorer: Scorer, rows: np.ndarray) -> np.ndarray:
    """Microseconds from one claim's columns to its risk, float64 (ROUNDS, claims)."""
    import numpy as np

    claims = [{name: row[at : at + 1] for at, name in enumerate(scorer.features)} for row in rows.astype(float)]
    gc.collect()
    gc.freeze()  # the claims laid out here are the bench's, and not for the collector to walk
    taken_ns = np.empty((ROUNDS, len(claims)))
    for taken in taken_ns:
        for at, claim in enumerate(claims):
            began_ns = time.perf_counter_ns()
            scorer.score(claim)
            taken[at] = time.perf_counter_ns() - began_ns
    return taken_ns / 1e3


def bulk_rows_s(scorer: Scorer, rows: np.ndarray) -> float:
    """Rows a second, the best of three runs over one batch."""
    columns = dict(zip(scorer.features, rows.T.astype(float), strict=True))
    best_s = float("inf")
    for _ in range(3):
        began_s = time.perf_counter()
        scorer.score(columns)
        best_s = min(best_s, time.perf_counter() - began_s)
    return len(rows) / best_s
