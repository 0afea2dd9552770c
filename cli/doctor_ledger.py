"""The checks of `monsoon doctor --ledger`: whether a ledger answers, is of this release, and lets payments go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monsoon.cli.doctor_checks import FAULT, OK, WARNING, Finding

if TYPE_CHECKING:
    from monsoon.sinks.dispatcher.ledger_state import LedgerState

OLDEST_POSTGRES = 13
"""The first with the type xid8, which entries have."""


def ledger_findings(address: str) -> list[Finding]:
    """The findings of the ledger at an address, of which they show nothing: a password may be in it."""
    try:
        from monsoon.sinks.dispatcher.ledger_state import ledger_state
        from monsoon.sinks.ledger.errors import LedgerError
    except ImportError as error:
        mend = "call monsoon ledger balances: ./monsoon installs what it needs"
        return [Finding("ledger", WARNING, f"{error.name} is not installed here, so it was not asked", mend)]
    try:
        return check_ledger(ledger_state(address))
    except LedgerError as error:
        message = str(error).partition("; ")[0]
        return [Finding("ledger", FAULT, message, "start PostgreSQL, or mend --ledger or MONSOON_LEDGER")]


def check_ledger(facts: LedgerState) -> list[Finding]:
    """A finding a check, in the order of what stands on what."""
    who = f"PostgreSQL {facts.version} answers to {facts.user_name}"
    if facts.version_num < 10_000 * OLDEST_POSTGRES:
        return [Finding("ledger", FAULT, who, f"use PostgreSQL {OLDEST_POSTGRES} or newer")]
    if not facts.is_made:
        return [Finding("ledger", FAULT, f"{who}, and has no ledger", "monsoon ledger migrate")]
    if not facts.may_dispatch:
        message = f"{who}, who is no member of monsoon_dispatcher: schema and breaker were not looked at"
        mend = f"for monsoon dispatch, as the user who made the ledger: GRANT monsoon_dispatcher TO {facts.user_name}"
        return [Finding("ledger", WARNING, message, mend)]
    return [Finding("ledger", OK, who), *_schema(facts), *_breaker(facts)]


def _schema(facts: LedgerState) -> list[Finding]:
    if facts.lacking:
        message = f"older than this release: it lacks {', '.join(facts.lacking)}"
        return [Finding("schema", FAULT, message, "monsoon ledger migrate")]
    if facts.unknown:
        message = f"newer than this release: it has {', '.join(facts.unknown)}"
        return [Finding("schema", WARNING, message, "update this checkout to the release that made it")]
    return [Finding("schema", OK, "that of this release")]


def _breaker(facts: LedgerState) -> list[Finding]:
    if facts.lacking:
        return []
    if facts.open_breaker:
        mend = "look at why, then: monsoon dispatch --close-breaker REASON"
        return [Finding("breaker", FAULT, f"open, so nothing is paid: {facts.open_breaker}", mend)]
    return [Finding("breaker", OK, "closed")]
