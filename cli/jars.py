"""`monsoon jars`: fetches the jars that `monsoon up` needs beside Flink's own."""

from __future__ import annotations

import argparse
from typing import Any

from monsoon.cli.progress import ProgressLine

_EXAMPLE = """\
example:
  monsoon jars

Maven fetches a Kafka broker and Flink's Kafka connector, of the versions in infra/jars/pom.xml, once, into the Python
environment; from where is what Maven's own settings say. Prints the folder.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "jars", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints where the jars are."""
    from monsoon.pipelines.stack.jars import fetch

    progress = ProgressLine()
    progress("fetching jars with Maven")
    try:
        folder = fetch()
    finally:
        progress.done()
    print(folder)
    return 0
