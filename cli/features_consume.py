"""`monsoon features consume`: the versions that a live job emits, to the online and the offline store."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from monsoon.cli.arguments import count_to
from monsoon.cli.stack_options import add_stack_option, quiet_kafka

if TYPE_CHECKING:
    from monsoon.client import Consumer, Foreign
    from monsoon.client.records import Feature
    from monsoon.pipelines.feature_consumer import FeatureCopy

_LOOK_S = 0.5
"""How often the topic is looked at for what has come."""


def add_consume_options(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_stack_option(parser)
    parser.add_argument("--brokers", metavar="HOST:PORT,...", help="brokers elsewhere, in the place of a stack's")
    parser.add_argument("--prefix", default="", help="before the topic's name (default: none)")
    parser.add_argument("--redis", metavar="URL", help="the online store, redis://HOST:PORT/DB")
    parser.add_argument("--store", type=Path, metavar="DIR", help="the offline store, new or to be added to")
    parser.add_argument(
        "--group", default="monsoon-features", help="each consumer of one topic and store at a time has its own"
    )
    parser.add_argument(
        "--follow", action="store_true", help="wait for more, and for brokers and Redis that are absent"
    )
    parser.add_argument(
        "--write-every-s",
        type=count_to(86_400),
        default=300,
        metavar="SECONDS",
        help="write to the offline store this often, or when 200,000 versions have come (default: 300)",
    )
    parser.add_argument(
        "--report-s", type=float, default=60.0, metavar="SECONDS", help="print metrics this often (default: 60)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Copies to the end of the topic, or until Ctrl-C; 1 where a store or the brokers are absent at the end."""
    from monsoon.client import ClientError
    from monsoon.pipelines.stack.stack import Stack
    from monsoon.sources.files import InputError

    if args.redis is None and args.store is None:
        raise InputError("no store", "--redis, --store", "Give at least one of them")
    quiet_kafka()
    brokers = args.brokers or Stack(args.stack).broker.address
    with ExitStack() as closing:
        copies = _copies(args, brokers, closing)
        try:
            _copy(copies, args.follow, args.report_s)
        except ClientError as error:
            raise InputError(str(error), brokers, "Is it running, and does its job emit features?") from error
        finally:
            for copy in copies:
                copy.finish()
        _report(copies)
    return 1 if any(copy.fault for copy in copies) else 0


def _copies(args: argparse.Namespace, brokers: str, closing: ExitStack) -> list[FeatureCopy]:
    from monsoon.client import Consumer
    from monsoon.client.records import Feature
    from monsoon.feature_store.offline import OfflineStore
    from monsoon.feature_store.online import OnlineStore
    from monsoon.pipelines.feature_consumer import OfflineFeatures, OnlineFeatures
    from monsoon.sinks.writable import require_writable

    def connect(positions: Mapping[int, int], on_foreign: Callable[[Foreign], None]) -> Consumer[Feature]:
        return Consumer(
            Feature, brokers, positions=positions, prefix=args.prefix, on_foreign=on_foreign, max_remembered=0
        )

    copies: list[FeatureCopy] = []
    if args.redis is not None:
        online = closing.enter_context(OnlineStore(args.redis))
        copies.append(OnlineFeatures(connect, _clock_ms, online, args.group))
    if args.store is not None:
        require_writable(args.store, "--store")
        wait_ms = 1_000 * args.write_every_s
        copies.append(OfflineFeatures(connect, _clock_ms, OfflineStore(args.store), args.group, wait_ms))
    return copies


def _copy(copies: list[FeatureCopy], follow: bool, report_s: float) -> None:
    reported_s = time.monotonic()
    while True:
        for copy in copies:
            before = copy.fault
            if not copy.step() and copy.fault != before:
                print(f"monsoon features: {copy.fault}", file=sys.stderr)
        if not follow:
            return
        if time.monotonic() - reported_s >= report_s:
            reported_s = time.monotonic()
            _report(copies)
        time.sleep(_LOOK_S)


def _report(copies: list[FeatureCopy]) -> None:
    for copy in copies:
        for name, value in copy.samples().items():
            print(f"{name} {value}", flush=True)


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000
