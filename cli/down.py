"""`monsoon down`: ends what `monsoon up` started."""

from __future__ import annotations

import argparse
from typing import Any

from monsoon.cli.stack_options import add_stack_option

_EXAMPLE = """\
example:
  monsoon down --stack runs/stack
  monsoon down --stack runs/stack --keep-data

Ends every process of the stack, also of one of which only a part is left, and removes its files. With --keep-data the
next `monsoon up` has the same topics with their records, and Flink takes its jobs up again.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "down", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_stack_option(parser)
    parser.add_argument("--keep-data", action="store_true", help="end the processes, and keep all files")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Says what was done; a stack that is not there is no error."""
    from monsoon.pipelines.stack.stack import Stack

    if not Stack(args.stack).down(keep_data=args.keep_data):
        print(f"monsoon down: no stack in {args.stack}")
    elif args.keep_data:
        print(f"monsoon down: ended; data and logs are kept in {args.stack}")
    else:
        print(f"monsoon down: ended, and {args.stack} removed")
    return 0
