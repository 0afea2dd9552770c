"""Connections to the ledger's database, each in the role that its work needs."""

from __future__ import annotations

from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from monsoon.sinks.ledger.errors import LedgerError

ADDRESS_FORM = (
    "a URL postgresql://USER@HOST/DATABASE, in which %, / and spaces of a password are written as %25, %2F, %20"
)
Role = Literal["monsoon_dispatcher", "monsoon_reader"]
Connection = psycopg.Connection[dict[str, Any]]


def connect(address: str, role: Role | None, application: str = "monsoon", timeout_s: int = 10) -> Connection:
    """A connection whose rows are dictionaries, in a role that its user is a member of (None: as that user);
    transactions are explicit.

    `address` is what libpq takes: a URL `postgresql://...`, or words such as `host=... dbname=...`. Raises LedgerError.
    """
    as_role, as_whom = ("", "") if role is None else (f"-c role={role} ", f" as {role}")
    try:
        connection: Connection = psycopg.Connection.connect(
            address,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=timeout_s,
            application_name=application,
            options=f"{as_role}-c timezone=UTC -c lock_timeout=30s -c idle_in_transaction_session_timeout=60s",
        )
    except (psycopg.ProgrammingError, UnicodeError):  # the latter of %DE in a URL
        # Without the cause, which quotes the address: a password may be in it.
        raise LedgerError(f"the ledger's address is wrong: it is {ADDRESS_FORM}") from None
    except psycopg.OperationalError as error:
        raise LedgerError(
            f"no connection to the ledger{as_whom}: {_first_line(error)}; is PostgreSQL running at that address, and "
            "the ledger made there (monsoon ledger migrate)?"
        ) from None
    return connection


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
