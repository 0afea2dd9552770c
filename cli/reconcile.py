"""`monsoon reconcile`: holds the ledger against the payment provider's statement."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from monsoon.cli.arguments import moment_ms
from monsoon.cli.ledger_options import (
    add_ledger_options,
    add_provider_options,
    ledger_address,
    provider_address,
    provider_key,
)

_EXAMPLE = """\
example:
  monsoon reconcile
  monsoon reconcile --stack runs/stack
  monsoon reconcile --from 2026-12-01T00:00:00+05:30 --to 2026-12-02T00:00:00+05:30 > report.json

Takes in what no webhook has told, writes an entry for each difference, and prints a report as JSON. Without times it
reconciles the last 24 hours. Exits with 1 where there were differences; run again, it finds none.
"""
_DAY_MS = 24 * 3_600_000


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "reconcile", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_ledger_options(parser)
    add_provider_options(parser)
    parser.add_argument("--from", dest="begin", type=moment_ms, metavar="TIME", help="2026-12-01T00:00:00+05:30")
    parser.add_argument("--to", dest="end", type=moment_ms, metavar="TIME", help="(default: now)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the report; 1 where there were differences."""
    from monsoon.sinks.dispatcher.provider import HttpProvider
    from monsoon.sinks.dispatcher.reconcile import reconcile
    from monsoon.sinks.dispatcher.settings import DispatchSettings
    from monsoon.sinks.dispatcher.store import Store
    from monsoon.sinks.ledger.connection import connect
    from monsoon.sinks.ledger.errors import LedgerError

    address, url = ledger_address(args), provider_address(args)
    provider = HttpProvider(url, *provider_key(url), args.account)
    with connect(address, "monsoon_dispatcher") as connection:
        store = Store(connection, DispatchSettings(args.account))
        # By the clock of the entries: what is paid from here on may be in the book and not on the statement.
        end_ms = store.now_ms() if args.end is None else args.end
        begin_ms = end_ms - _DAY_MS if args.begin is None else args.begin
        if begin_ms >= end_ms:
            raise LedgerError("--from is not before --to")
        try:
            report = reconcile(store, provider, begin_ms // 1000, end_ms // 1000)
        except ConnectionError as error:
            raise LedgerError(f"{error}; is the provider at {url}, and its key right?") from error
    print(json.dumps(report.document(), indent=1))
    if report.differences:
        print(f"monsoon reconcile: {len(report.differences)} differences; each has an entry now", file=sys.stderr)
    return 1 if report.differences else 0
