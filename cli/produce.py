"""`monsoon produce`: a folder's streams into the input topics, in event-time order."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from monsoon.cli.live import speed
from monsoon.cli.progress import ProgressLine
from monsoon.cli.stack_options import add_stack_option, quiet_kafka

_EXAMPLE = """\
example:
  monsoon up --interval-ms 1200000
  monsoon produce --input runs/delhi --speed 120

At a multiple of real time it waits for the moments of telemetry and readings; policies of before are sent at once.
Every line is a record; its timestamp is its received_time, else its event_time. Heartbeats say how far event time has
come. With --end they say in the end that nothing follows: all that waits is decided, and records that come afterwards
are late.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "produce", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder of input streams")
    add_stack_option(parser)
    parser.add_argument("--brokers", metavar="HOST:PORT,...", help="brokers elsewhere, in the place of a stack's")
    parser.add_argument("--prefix", default="", help="before every topic's name (default: none)")
    parser.add_argument(
        "--speed",
        type=speed,
        default=60.0,
        metavar="N",
        help="so many times as fast as real time; 0: as fast as it goes (default: 60)",
    )
    parser.add_argument("--end", action="store_true", help="say in the end that nothing follows")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints how many records were produced."""
    from monsoon.contracts.topics import INPUT_TOPICS, topic_name
    from monsoon.pipelines.stack.stack import Stack
    from monsoon.sources.kafka.admin import partition_counts
    from monsoon.sources.kafka.history import History
    from monsoon.sources.kafka.producer import HistoryProducer, history_producer

    quiet_kafka()
    brokers = args.brokers or Stack(args.stack).broker.address
    topics = {topic.stream: topic_name(topic.stream, args.prefix) for topic in INPUT_TOPICS}
    partitions = partition_counts(brokers, topics)
    progress = ProgressLine()
    producer = HistoryProducer(history_producer(brokers), topics, partitions, args.speed)
    try:
        progress("reading the input", None)
        with History(args.input) as history:

            def show() -> None:
                share = (
                    producer.played_ms / max(1, history.span_ms) if args.speed else producer.sent / max(1, len(history))
                )
                progress("producing", share)

            producer.progress = show
            producer.send(history)
            if args.end:
                producer.end()
    except KeyboardInterrupt as interrupt:
        message = f"interrupted; {producer.sent:,} records are in the topics: produced again they are duplicates"
        raise KeyboardInterrupt(message) from interrupt
    finally:
        progress.done()
    print(f"monsoon produce: {producer.sent:,} records to {brokers}")
    return 0
