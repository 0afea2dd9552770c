"""`monsoon bench`: measures, each as a ratio against something in the same run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from monsoon.cli.arguments import count_to

BENCHES = (
    "replay",
    "products",
    "start",
    "score",
    "claims",
    "state",
    "riders",
    "rings",
    "features",
    "flink",
    "live",
    "money",
)


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser, with one sub-command a bench."""
    parser = subparsers.add_parser("bench", help=help, description=help, epilog="example:\n  monsoon bench replay")
    benches = parser.add_subparsers(dest="bench", metavar="WHAT", required=True, title="what to measure")
    for name in BENCHES:
        import_module(f"monsoon.bench.{name}").add_parser(benches, count_to)
