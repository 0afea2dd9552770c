"""`monsoon up`: Kafka, Flink and the live job on this machine, as processes that go on when the command has ended."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import count_to
from monsoon.cli.progress import ProgressLine
from monsoon.cli.stack_options import add_stack_option, lines_of, prepare_kafka

if TYPE_CHECKING:
    from monsoon.pipelines.stack.payments import PaymentOptions
    from monsoon.sources.kafka.settings import LiveSettings

_EXAMPLE = """\
example:
  monsoon up --stack runs/stack --taskmanagers 2
  monsoon produce --input runs/delhi --stack runs/stack
  monsoon status --stack runs/stack
  monsoon down --stack runs/stack
  monsoon up --payments 2 --features

Starts a Kafka broker with Monsoon's topics, ZooKeeper, and Flink's JobManager and TaskManagers, without containers and
for this machine only, and submits the live job; with --payments also PostgreSQL with the ledger, a simulated payment
provider and instances of the dispatcher, which pay what the job instructs; with --features also Redis and a consumer,
which keeps the features that the job measures there and in the folder. Fetches jars first where they are not there
(monsoon jars). The folder holds data and logs, and stack.json, which states every address and pid. Of a stack that
lost a process it starts that again.
"""

_MAX_TASK_MANAGERS = 16
_MAX_SLOTS = 128
_MAX_DISPATCHERS = 16


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
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="settings of the job (docs/live.md); its brokers are the stack's (default: all defaults)",
    )
    parser.add_argument(
        "--interval-ms",
        type=count_to(86_400_000),
        metavar="N",
        help="event_time.interval_ms; of a history that is produced faster than real time so many times longer "
        "(default: as --settings says, or 10000)",
    )
    parser.add_argument(
        "--payments",
        nargs="?",
        type=count_to(_MAX_DISPATCHERS),
        const=1,
        metavar="N",
        help="pay too, with N instances of the dispatcher (default: not; without N: 1)",
    )
    parser.add_argument(
        "--dispatch-settings",
        type=Path,
        metavar="FILE",
        help="settings of the dispatcher (docs/payments.md); its addresses and ports are the stack's",
    )
    parser.add_argument(
        "--features",
        action="store_true",
        help="have the job measure features, and keep them in Redis and in an offline store (docs/features.md)",
    )
    parser.add_argument("--no-job", action="store_true", help="submit no job")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a process when all are ready."""
    from monsoon.pipelines.stack.errors import StackError
    from monsoon.pipelines.stack.stack import Stack, State
    from monsoon.pipelines.stack.submit import require_measuring, submit

    stack = Stack(args.stack)
    recovers = stack.state is State.STOPPED  # ZooKeeper has the job that ran on the data
    settings = _settings(args)
    payments = _payments(args, settings)
    progress = ProgressLine()
    try:
        if args.features and recovers:
            require_measuring(stack)
        prepare_kafka(progress)
        ended = stack.mend(progress) if stack.can_be_mended else []
        started = stack.up(
            args.taskmanagers,
            args.slots,
            broker_port=args.broker_port,
            web_port=args.web_port,
            payments=payments,
            features=args.features,
            progress=progress,
        )
        if started and not args.no_job and not recovers:
            progress("submitting the job", None)
            submit(stack, settings.at(stack.broker.address))
    finally:
        progress.done()
    if not started and payments is not None and stack.payments is None:
        raise StackError(f"{args.stack}: the stack runs already, and does not pay; monsoon down, then up --payments")
    if not started and args.features and stack.features is None:
        raise StackError(f"{args.stack}: the stack runs already, without features; monsoon down, then up --features")
    state = "running"
    if ended:
        state = f"started again what had ended ({', '.join(ended)}), with the settings that it had"
    elif not started:
        state = "was running already and stays as it was started (to change it: monsoon down, then up)"
    print(f"monsoon up: {state}, in {args.stack}")
    print("\n".join(lines_of(stack)))
    return 0


def _payments(args: argparse.Namespace, settings: LiveSettings) -> PaymentOptions | None:
    """Raises InputError where the settings file is none of the dispatcher."""
    from monsoon.cli.dispatch import settings_file
    from monsoon.pipelines.stack.payments import PaymentOptions
    from monsoon.sources.files import InputError

    if args.payments is None:
        if args.dispatch_settings is not None:
            raise InputError("nothing pays", "--dispatch-settings", "Give --payments too.")
        return None
    if args.dispatch_settings is not None:
        settings_file(args.dispatch_settings)
    return PaymentOptions(args.payments, args.dispatch_settings, settings.insurance.product_files)


def _settings(args: argparse.Namespace) -> LiveSettings:
    from msgspec.structs import replace

    from monsoon.sources.kafka.settings import FeatureSettings, KafkaSettings, LiveSettings, parse_settings
    from monsoon.sources.plain_yaml import read_file

    settings = LiveSettings(kafka=KafkaSettings(brokers="127.0.0.1:0"))
    if args.settings is not None:
        settings = parse_settings(read_file(args.settings), where=str(args.settings))
    if args.interval_ms is not None:
        settings = replace(settings, event_time=replace(settings.event_time, interval_ms=args.interval_ms))
    if args.features:
        settings = replace(settings, features=FeatureSettings(enabled=True))
    parallelism = settings.state.parallelism or args.taskmanagers * args.slots
    return replace(settings, state=replace(settings.state, parallelism=parallelism))
