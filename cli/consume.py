"""`monsoon consume`: what the live job has committed to a topic, as JSON Lines."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from monsoon.cli.stack_options import add_stack_option, quiet_kafka
from monsoon.contracts.topics import RESULT_TOPICS

STREAMS = tuple(topic.stream for topic in RESULT_TOPICS)

_EXAMPLE = """\
example:
  monsoon consume payouts
  monsoon consume claims --follow --brokers kafka.example:9092

Prints every record that is committed, each id and revision once, and ends; with --follow it waits for more, until
Ctrl-C. Services use the package monsoon.client: docs/client.md.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "consume", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stream", choices=STREAMS, metavar="STREAM", help=", ".join(STREAMS))
    add_stack_option(parser)
    parser.add_argument("--brokers", metavar="HOST:PORT,...", help="brokers elsewhere, in the place of a stack's")
    parser.add_argument("--prefix", default="", help="before the topic's name (default: none)")
    parser.add_argument("--follow", action="store_true", help="wait for more")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a record; 1 where the brokers or the topic cannot be read."""
    import msgspec

    from monsoon.client import RECORD_TYPES, ClientError, Consumer
    from monsoon.pipelines.stack.stack import Stack
    from monsoon.sources.files import InputError

    quiet_kafka()
    brokers = args.brokers or Stack(args.stack).broker.address
    try:
        with Consumer(RECORD_TYPES[args.stream], brokers, prefix=args.prefix, positions={}) as consumer:
            count = 0
            for received in consumer if args.follow else consumer.read_to_end():
                print(msgspec.json.encode(received.record).decode(), flush=args.follow)
                count += 1
            if not count:
                print(f"monsoon consume: no {args.stream.replace('_', ' ')} are committed yet", file=sys.stderr)
    except ClientError as error:
        raise InputError(str(error), brokers, "Is it running, and reached at that address?") from error
    return 0
