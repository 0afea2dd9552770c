"""What the commands of the stack share: its folder, and how a stack is shown."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monsoon.pipelines.progress import Progress
    from monsoon.pipelines.stack.stack import Stack


DEFAULT_STACK = "runs/stack"


def add_stack_option(parser: ArgumentParser) -> None:
    """`--stack`."""
    parser.add_argument(
        "--stack",
        type=Path,
        default=Path(DEFAULT_STACK),
        metavar="DIR",
        help="the stack's folder (default: %(default)s)",
    )


def quiet_kafka() -> None:
    """Keeps the log of Kafka's client off the terminal: errors are told in words, restarts of a broker not at all."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL + 1)


def prepare_kafka(progress: Progress) -> None:
    """Fetches the jars of Kafka where they are not there. Raises StackError."""
    from monsoon.pipelines.stack import jars

    quiet_kafka()
    if not jars.are_fetched():
        progress("fetching jars with Maven", None)
        jars.fetch()


def lines_of(stack: Stack) -> Iterator[str]:
    """A line for each process: its name, its pid or why it ended, and where it listens; then one for each job."""
    record = stack.record
    places = {
        "kafka": record.get("broker", ""),
        "zookeeper": record.get("zookeeper", ""),
        "jobmanager": f"http://{record['web']}" if "web" in record else "",
        **(stack.places() if record else {}),
    }
    slots = f"slots {record.get('slots', '')}"
    for process in stack.processes:
        pid, place = process.pid, places.get(process.name, slots)
        is_what = f"ended: {process.exit_reason()}" if pid is None else f"process {pid:<9}{place}"
        yield f"  {process.name:<16}{is_what}".rstrip()
    for name, state in stack.jobs():
        yield f"  {'job':<16}{name}, {state.lower()}"
