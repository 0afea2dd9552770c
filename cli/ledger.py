"""`monsoon ledger`: makes the ledger's schema, and shows the book."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from typing import Any

from monsoon.cli.ledger_options import add_ledger_options, ledger_address

_VIEWS = {"balances": b"SELECT * FROM ledger.balances ORDER BY account", "loss-ratio": b"TABLE ledger.loss_ratio"}
_EXAMPLE = """\
example:
  monsoon ledger loss-ratio --stack runs/stack
  export MONSOON_LEDGER=postgresql://monsoon@localhost/monsoon
  monsoon ledger migrate
  monsoon ledger balances
  monsoon ledger loss-ratio

migrate brings a database to the schema of this release; its user must be able to make schemas and roles. Afterwards
grant the role monsoon_dispatcher to the user of the dispatcher, and monsoon_reader to those of analysts. The others
print JSON Lines: the balance of each account in paise, the loss ratio by product, ISO week and H3 cell.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "ledger", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("migrate", *_VIEWS), metavar="WHAT", help=f"migrate, {', '.join(_VIEWS)}")
    add_ledger_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what was applied, or the rows of a view."""
    from monsoon.sinks.ledger.connection import connect
    from monsoon.sinks.ledger.migrate import migrate

    address = ledger_address(args)
    if args.what == "migrate":
        applied = migrate(address)
        print("\n".join(applied) or "the ledger is up to date")
        return 0
    with connect(address, "monsoon_reader") as connection:
        for row in connection.execute(_VIEWS[args.what]):
            print(json.dumps(row, default=_number))
    return 0


def _number(value: Any) -> float:
    assert isinstance(value, Decimal)
    return float(value)
