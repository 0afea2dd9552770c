"""`monsoon dispatch`: an instance of the dispatcher, which pays what the job has instructed."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_files, count_to
from monsoon.cli.ledger_options import (
    add_ledger_options,
    add_provider_options,
    ledger_address,
    provider_address,
    provider_key,
    webhook_secrets,
)
from monsoon.cli.stack_options import DEFAULT_STACK, quiet_kafka

if TYPE_CHECKING:
    from monsoon.sinks.dispatcher.settings import DispatchSettings
    from monsoon.sources.dispatch_settings import DispatchFile

_MAX_INR = 10_000_000_000
_EXAMPLE = """\
example:
  monsoon dispatch --provider http://127.0.0.1:8099 --webhook-port 8098
  monsoon dispatch --settings infra/cautious.dispatch.yaml
  monsoon dispatch --release p0123456789abcdef0123456789abcdef
  monsoon dispatch --close-breaker "looked at: a real storm"

Reads payouts, subscriptions and reserves from Kafka, keeps the ledger, calls the payment provider, and writes
payout_results and notifications, until Ctrl-C. Several instances may run at once. Secrets come from the environment:
MONSOON_PROVIDER_KEY (KEY_ID:KEY_SECRET) and MONSOON_WEBHOOK_SECRET.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "dispatch", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_ledger_options(parser)
    add_provider_options(parser)
    parser.set_defaults(account=None)
    parser.add_argument("--settings", type=Path, metavar="FILE", help="YAML; the options here count before it")
    parser.add_argument("--brokers", metavar="HOST:PORT,...", help="brokers elsewhere, in the place of a stack's")
    parser.add_argument("--prefix", metavar="TEXT", help="before the topics' names (default: none)")
    parser.add_argument("--group", metavar="NAME", help="Kafka's group of all instances (default: dispatcher)")
    parser.add_argument("--webhook-port", type=count_to(65_535), metavar="PORT", help="to listen to webhooks on")
    parser.add_argument("--metrics-port", type=count_to(65_535), metavar="PORT", help="to serve metrics on")
    parser.add_argument("--workers", type=count_to(256), metavar="N", help="threads (default: 16)")
    parser.add_argument("--requests-per-s", type=count_to(10_000), metavar="N", help="of all instances (default: 10)")
    parser.add_argument(
        "--hour-limit-inr", type=count_to(_MAX_INR), metavar="N", help="what all pay in an hour, before all stop"
    )
    parser.add_argument(
        "--rider-day-limit-inr", type=count_to(_MAX_INR), metavar="N", help="of a rider, a day and all products"
    )
    parser.add_argument(
        "--lease-s",
        type=count_to(3_600),
        metavar="N",
        help="after which others take over what a killed instance was at (default: 60)",
    )
    parser.add_argument("--release", metavar="REFERENCE_ID", help="let a payment that is held go on, and end")
    parser.add_argument("--close-breaker", metavar="REASON", help="let payments go on after a stop, and end")
    add_product_files(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs until it is interrupted; of --release 1 where the payment is not held."""
    from monsoon.pipelines.payments.service import DispatcherService, ServiceOptions
    from monsoon.pipelines.stack.stack import Stack
    from monsoon.sinks.dispatcher.store import Store
    from monsoon.sinks.ledger.connection import connect
    from monsoon.sources.product_files import load_products

    chosen = _chosen(args)
    settings = _settings(chosen)
    address = ledger_address(args)
    if args.release is not None or args.close_breaker is not None:
        with connect(address, "monsoon_dispatcher") as connection:
            store = Store(connection, settings)
            if args.close_breaker is not None:
                store.set_breaker(False, args.close_breaker)
            if args.release is not None and not store.release(args.release):
                print(f"monsoon dispatch: no payment {args.release} is held", file=sys.stderr)
                return 1
        return 0
    quiet_kafka()
    logging.basicConfig(format="monsoon dispatch: %(message)s", level=logging.WARNING)
    key_id, key_secret = provider_key(chosen.provider.url)
    secrets = webhook_secrets(chosen.provider.url) if chosen.instance.webhook_port is not None else ()
    options = ServiceOptions(
        owner=f"{socket.gethostname()}/{os.getpid()}",
        ledger=address,
        provider_url=chosen.provider.url,
        key_id=key_id,
        key_secret=key_secret,
        settings=settings,
        products=load_products(extra=args.product_file),
        workers=chosen.instance.workers,
        brokers=chosen.kafka.brokers or Stack(args.stack or Path(DEFAULT_STACK)).broker.address,
        prefix=chosen.kafka.topic_prefix,
        group=chosen.kafka.group,
        timeouts_s=(chosen.provider.connect_timeout_s, chosen.provider.read_timeout_s),
        webhook_port=chosen.instance.webhook_port,
        webhook_host=chosen.instance.webhook_host,
        webhook_secrets=secrets,
        metrics_port=chosen.instance.metrics_port,
    )
    service = DispatcherService(options)
    service.start()
    print(f"paying through {chosen.provider.url}", flush=True)
    try:
        threading.Event().wait()
    finally:
        service.stop()
    return 0


def _chosen(args: argparse.Namespace) -> DispatchFile:
    """The settings file, or the defaults, with what the options say in its place. Raises InputError."""
    from monsoon.sources.dispatch_settings import DispatchFile, with_options

    return with_options(
        DispatchFile() if args.settings is None else settings_file(args.settings),
        {
            "provider": {
                "url": provider_address(args) if args.settings is None else args.provider,
                "account": args.account,
            },
            "kafka": {"brokers": args.brokers, "topic_prefix": args.prefix, "group": args.group},
            "limits": {
                "requests_per_s": args.requests_per_s,
                "rider_day_inr": args.rider_day_limit_inr,
                "hour_inr": args.hour_limit_inr,
            },
            "patience": {"lease_s": args.lease_s},
            "instance": {
                "workers": args.workers,
                "webhook_port": args.webhook_port,
                "metrics_port": args.metrics_port,
            },
        },
    )


def settings_file(path: Path) -> DispatchFile:
    """What a settings file says. Raises InputError."""
    from monsoon.sources.dispatch_settings import DISPATCH_FILES
    from monsoon.sources.files import InputError
    from monsoon.sources.plain_yaml import read_file

    try:
        content = read_file(path)
    except OSError as error:
        raise InputError(str(error.strerror), str(path), "Name a file of settings.") from error
    return DISPATCH_FILES.parse(content, where=str(path))


def _settings(chosen: DispatchFile) -> DispatchSettings:
    """As the dispatcher has them: milliseconds and paise."""
    from monsoon.sinks.dispatcher.settings import DispatchSettings
    from monsoon.transforms.payments import Patience

    limits, patience = chosen.limits, chosen.patience
    return DispatchSettings(
        chosen.provider.account,
        Patience(
            first_retry_ms=round(1_000 * patience.first_retry_s),
            max_retry_ms=round(1_000 * patience.max_retry_s),
            first_fetch_ms=round(1_000 * patience.first_fetch_s),
            max_fetch_ms=round(1_000 * patience.max_fetch_s),
            max_attempts=patience.max_attempts,
            key_valid_ms=3_600_000 * patience.key_valid_h,
        ),
        lease_ms=1_000 * patience.lease_s,
        requests_per_s=limits.requests_per_s,
        burst=limits.burst,
        hour_limit_paise=None if limits.hour_inr is None else 100 * limits.hour_inr,
        rider_day_limit_paise=None if limits.rider_day_inr is None else 100 * limits.rider_day_inr,
    )
