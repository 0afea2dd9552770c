"""``monsoon test``: the test suite, through pytest."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
QUICK_LEAVES_OUT = ("flink", "slow")


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    # Everything after `test` is read by run(): argparse would refuse pytest's own options.
    parser = subparsers.add_parser("test", help=help, add_help=False, prefix_chars="+")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs pytest in the root of the checkout; returns its exit code."""
    options, pytest_arguments = _parser().parse_known_args(args.arguments)
    command = [sys.executable, "-m", "pytest", *_selection(options), *_processes(options, pytest_arguments)]
    command += pytest_arguments
    profile = {"HYPOTHESIS_PROFILE": "quick"} if options.quick else {}
    return subprocess.run(command, cwd=ROOT, env=profile | os.environ).returncode


def _processes(options: argparse.Namespace, pytest_arguments: list[str]) -> list[str]:
    if options.all:
        # One for the tests with a cluster, one for all others (tests/kit/scheduling.py).
        return ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
    # One for each core, once the tests are many enough to be worth their start.
    return ["-n", "auto", "--dist", "worksteal"] if options.quick and not pytest_arguments else []


def _selection(options: argparse.Namespace) -> list[str]:
    if options.all:
        return []
    left_out = QUICK_LEAVES_OUT if options.quick else ("(flink and slow)",)
    return ["-m", " and ".join(f"not {mark}" for mark in left_out)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="monsoon test",
        usage="monsoon test [--quick | --all] [pytest's arguments]",
        description="Run the tests: all but the long ones of Flink.",
        epilog="example: monsoon test --quick tests/adjudication -k overlap",
        allow_abbrev=False,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="leave out the slow ones, and Flink")
    which.add_argument("--all", action="store_true", help="also the long ones of Flink")
    return parser
