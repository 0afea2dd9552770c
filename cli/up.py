"""`monsoon up`: Kafka and Flink on this machine, as processes that go on when the command has ended."""

from __future__ import annotations

import argparse
from typing import Any

from monsoon.cli.arguments import count_to
from monsoon.cli.progress import ProgressLine
from monsoon.cli.stack_options import add_stack_option, lines_of

_EXAMPLE = """\
example:
  monsoon up --stack runs/stack --taskmanagers 2
  monsoon status --stack runs/stack
  monsoon down --stack runs/stack

Starts a Kafka broker with Monsoon's topics, ZooKeeper, and Flink's JobManager and TaskManagers, without containers and
for this machine only. Fetches their jars first where they are not there (monsoon jars). The folder holds their data and
logs, and stack.json, which states every address and pid.
"""

_MAX_TASK_MANAGERS = 16
_MAX_SLOTS = 128


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "up", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_stack_option(parser)
    parser.add_argument(
        "--taskmanagers",
        type=count_to(_MAX_TASK_MANAGERS),
        default=1,
        metavar="N",
        help="how many TaskManagers (default: %(default)s)",
    )
    parser.add_argument(
        "--slots", type=count_to(_MAX_SLOTS), default=2, metavar="N", help="slots of each (default: %(default)s)"
    )
    parser.add_argument(
        "--broker-port", type=count_to(65_535), metavar="PORT", help="of Kafka (default: as before, or a free one)"
    )
    parser.add_argument(
        "--web-port",
        type=count_to(65_535),
        metavar="PORT",
        help="of Flink's web UI and REST API (default: as before, or a free one)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a process when all are ready."""
    from monsoon.pipelines.stack import jars
    from monsoon.pipelines.stack.stack import Stack

    stack = Stack(args.stack)
    progress = ProgressLine()
    try:
        if not jars.are_fetched():
            progress("fetching jars with Maven")
            jars.fetch()
        started = stack.up(
            args.taskmanagers,
            args.slots,
            broker_port=args.broker_port,
            web_port=args.web_port,
            progress=progress,
        )
    finally:
        progress.done()
    print(f"monsoon up: {'running' if started else 'was running already'}, in {args.stack}")
    print("\n".join(lines_of(stack)))
    return 0
