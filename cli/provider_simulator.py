"""`monsoon provider-simulator`: a payment provider on this machine, which misbehaves by a seeded script."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import count_to, seed, share, whole_number

_EXAMPLE = """\
example:
  monsoon provider-simulator --port 8099 --faults 0.2 --failed 0.05 --seed 7
  monsoon provider-simulator --webhooks http://127.0.0.1:8098/webhooks --webhook-faults 0.3

Serves the part of Razorpay's interface that pays out, with its semantics, until Ctrl-C: POST /v1/payouts,
GET /v1/payouts/ID, GET /v1/payouts?reference_id=, GET /v1/transactions. What goes wrong is a function of the seed and
of the payout's key. Without --book its book is gone with it. Its key and secrets are those of the dispatcher:
MONSOON_PROVIDER_KEY (KEY_ID:KEY_SECRET) and MONSOON_WEBHOOK_SECRET.
"""

_MINUTE_MS = 60_000
_DAY_S = 86_400


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "provider-simulator",
        help=help,
        description=help,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=count_to(65_535), default=8099, help="(default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of what goes wrong (default: %(default)s)")
    parser.add_argument(
        "--latency-ms", type=whole_number(0, _MINUTE_MS), default=50, metavar="N", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--settle-ms",
        type=whole_number(0, 1_000 * _DAY_S),
        default=2_000,
        metavar="N",
        help="till processed, about",
    )
    parser.add_argument("--webhooks", metavar="URL", help="where to send webhooks (default: nowhere)")
    parser.add_argument(
        "--book", type=Path, metavar="FILE", help="keep the book in a file, and go on with the one that is there"
    )
    for name, words in (
        ("faults", "of requests: an error, a closed connection or none in time, before or after the payout is made"),
        ("webhook-faults", "of webhooks: forged, of an unknown id, of another amount, twice, late"),
        ("failed", "of payouts"),
        ("reversed", "of payouts: after they were processed"),
        ("rejected", "of payouts"),
        ("slow", "of payouts: queued or pending at first"),
    ):
        parser.add_argument(f"--{name}", type=share, default=0.0, metavar="X", help=f"share {words}")
    parser.add_argument(
        "--clock-skew-s", type=whole_number(0, _DAY_S), default=0, metavar="N", help="by which its clock is ahead"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    from monsoon.sinks.provider_simulator.book import ProviderBook
    from monsoon.sinks.provider_simulator.journal import Journal
    from monsoon.sinks.provider_simulator.script import Misbehavior
    from monsoon.sinks.provider_simulator.server import ProviderServer
    from monsoon.sinks.provider_simulator.webhooks import WebhookSender
    from monsoon.sources.files import InputError

    misbehavior = Misbehavior(
        seed=args.seed,
        latency_ms=args.latency_ms,
        faults=args.faults,
        webhook_faults=args.webhook_faults,
        failed=args.failed,
        reversed=args.reversed,
        rejected=args.rejected,
        slow=args.slow,
        settle_ms=args.settle_ms,
        clock_skew_s=args.clock_skew_s,
    )
    key_id, _, key_secret = os.environ.get("MONSOON_PROVIDER_KEY", "rzp_test_key:secret").partition(":")
    try:
        journal = None if args.book is None else Journal(args.book)
        book = ProviderBook(misbehavior, lambda: time.time_ns() // 1_000_000, journal=journal)
    except (ValueError, LookupError) as error:
        mend = "Name a new file, or one that monsoon provider-simulator made."
        raise InputError("is no book of the simulated provider", str(args.book), mend) from error
    server = ProviderServer(book, args.port, key_id, key_secret)
    server.start()
    if args.webhooks:
        WebhookSender(book, args.webhooks, os.environ.get("MONSOON_WEBHOOK_SECRET", "webhook-secret")).start()
    print(f"the provider listens on {server.url}", flush=True)
    while True:
        time.sleep(3_600)
