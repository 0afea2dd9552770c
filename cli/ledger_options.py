"""What the commands of payments share: where the ledger and the provider are, and with which secrets."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from monsoon.cli.stack_options import DEFAULT_STACK

if TYPE_CHECKING:
    from monsoon.pipelines.stack.payments import PaymentServices

LEDGER_VARIABLE = "MONSOON_LEDGER"
KEY_VARIABLE = "MONSOON_PROVIDER_KEY"
WEBHOOK_VARIABLE = "MONSOON_WEBHOOK_SECRET"
_SIMULATED_URL = "http://127.0.0.1:8099"
SIMULATED_KEY = "rzp_test_key:secret"
SIMULATED_WEBHOOK_SECRET = "webhook-secret"


def add_ledger_option(parser: ArgumentParser) -> None:
    """`--ledger`."""
    parser.add_argument(
        "--ledger",
        metavar="URL",
        help=f"postgresql://USER@HOST/DATABASE (default: the environment's {LEDGER_VARIABLE}, else the stack's)",
    )


def add_ledger_options(parser: ArgumentParser) -> None:
    """`--ledger` and `--stack`, which `ledger_address` and `provider_address` read."""
    add_ledger_option(parser)
    parser.add_argument(
        "--stack", type=Path, metavar="DIR", help=f"of monsoon up --payments (default: {DEFAULT_STACK})"
    )


def add_provider_options(parser: ArgumentParser) -> None:
    """`--provider` and `--account`."""
    parser.add_argument(
        "--provider",
        metavar="URL",
        help=f"the payment provider (default: that of the stack whose ledger it is, else {_SIMULATED_URL})",
    )
    parser.add_argument(
        "--account",
        default="7878780080316316",
        metavar="NUMBER",
        help="the insurer's there (default: the simulator's)",
    )


def ledger_address(args: Namespace) -> str:
    """Where the ledger is: as `--ledger` says, else the stack that `--stack` names, the environment, or the stack of
    the default folder. Raises LedgerError where nothing says so."""
    from monsoon.sinks.ledger.errors import LedgerError

    services = _services(args)
    address = args.ledger or os.environ.get(LEDGER_VARIABLE) if services is None else services.ledger
    if not address:
        raise LedgerError(
            f"no ledger: give --ledger URL, set {LEDGER_VARIABLE}, or bring one up: ./monsoon up --payments"
        )
    return str(address)


def provider_address(args: Namespace) -> str:
    """Where the provider is: as `--provider` says, else that of the stack whose ledger is meant, else the simulator's
    default."""
    services = None if args.provider else _services(args)
    return args.provider or (_SIMULATED_URL if services is None else services.provider_url)


def _services(args: Namespace) -> PaymentServices | None:
    """What pays in the stack whose ledger is meant; None where that is elsewhere."""
    from monsoon.pipelines.stack.stack import Stack

    if args.ledger or (args.stack is None and os.environ.get(LEDGER_VARIABLE)):
        return None
    stack = Stack(args.stack or Path(DEFAULT_STACK))
    return stack.payments if stack.record else None


def provider_key(url: str) -> tuple[str, str]:
    """Id and secret of the provider's key, from the environment; those of the simulator where it has none. Raises
    LedgerError."""
    from monsoon.sinks.ledger.errors import LedgerError

    key_id, _, secret = _secret(KEY_VARIABLE, SIMULATED_KEY, url).partition(":")
    if not key_id or not secret:
        raise LedgerError(f"{KEY_VARIABLE} is no KEY_ID:KEY_SECRET")
    return key_id, secret


def webhook_secrets(url: str) -> tuple[str, ...]:
    """Of webhooks, from the environment; several are separated by commas, while one is replaced. Raises LedgerError."""
    from monsoon.sinks.ledger.errors import LedgerError

    secrets = tuple(_secret(WEBHOOK_VARIABLE, SIMULATED_WEBHOOK_SECRET, url).split(","))
    if not all(secrets):
        raise LedgerError(f"{WEBHOOK_VARIABLE} has an empty secret, with which anybody could sign")
    return secrets


def _secret(variable: str, simulated: str, url: str) -> str:
    """The simulator's is known to all: it is for a provider on this machine."""
    from monsoon.sinks.ledger.errors import LedgerError
    from monsoon.sources.dispatch_settings import is_local

    value = os.environ.get(variable)
    if value is None and not is_local(url):
        raise LedgerError(f"set {variable} in the environment: the provider is at {url}")
    return simulated if value is None else value
