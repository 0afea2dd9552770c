"""`monsoon status`: what `monsoon up` started, as it is now."""

from __future__ import annotations

import argparse
from typing import Any

from monsoon.cli.stack_options import add_stack_option, lines_of

_EXAMPLE = """\
example:
  monsoon status --stack runs/stack

Prints a line a process: its pid and address, or why it ended. Ends with 0 if all run, else with 1.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "status", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_stack_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the state, and what is to be done about an incomplete stack."""
    from monsoon.pipelines.stack.stack import Stack, State

    stack = Stack(args.stack)
    state = stack.state
    start = f"to start again what ended: ./monsoon up --stack {args.stack}; " if stack.can_be_mended else ""
    words = {
        State.ABSENT: f"no stack in {args.stack}; bring one up: ./monsoon up --stack {args.stack}",
        State.STOPPED: f"stopped, with its data in {args.stack}; to have it back: ./monsoon up --stack {args.stack}",
        State.RUNNING: f"running, in {args.stack}",
        State.INCOMPLETE: f"incomplete, in {args.stack}; {start}to end what is left: "
        f"./monsoon down --stack {args.stack}, with --keep-data to go on with the next ./monsoon up",
    }
    print(f"monsoon status: {words[state]}")
    print("".join(f"{line}\n" for line in lines_of(stack)), end="")
    return int(state is not State.RUNNING)
