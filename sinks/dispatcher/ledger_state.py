"""How a ledger is, as far as the user of its address may know; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from monsoon.sinks.dispatcher.store import query as dispatch_query
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.ledger.errors import LedgerError
from monsoon.sinks.ledger.migrate import MIGRATIONS
from monsoon.sinks.ledger.sql_files import query

_PATIENCE_S = 5
_APPLICATION = "monsoon doctor"


@dataclass(frozen=True, slots=True)
class LedgerState:
    """`version_num`: as PostgreSQL has it, 150_018 for 15.18. `may_dispatch`: whether the user is a member of
    monsoon_dispatcher; without that, what follows is not known."""

    version: str
    version_num: int
    user_name: str
    is_made: bool
    may_dispatch: bool
    lacking: tuple[str, ...] = ()
    """Migrations of this release that were not applied."""
    unknown: tuple[str, ...] = ()
    """Migrations that were applied, and are none of this release's."""
    open_breaker: str = ""
    """Why the breaker is open; empty where it is closed, and where migrations are lacking."""


def ledger_state(address: str) -> LedgerState:
    """Asks. Raises LedgerError, without the address: a password may be in it."""
    try:
        with connect(address, None, _APPLICATION, _PATIENCE_S) as connection:
            server = connection.execute(query("server")).fetchone()
        assert server is not None
        if not server["is_made"] or not server["may_dispatch"]:
            return LedgerState(**server)
        with connect(address, "monsoon_dispatcher", _APPLICATION, _PATIENCE_S) as connection:
            applied = {row["migration_id"] for row in connection.execute(query("applied_migrations"))}
            ours = {file.stem for file in MIGRATIONS.glob("*.sql") if not file.stem.endswith(".rollback")}
            lacking = tuple(sorted(ours - applied))
            breaker = None if lacking else connection.execute(dispatch_query("breaker")).fetchone()
    except psycopg.Error as error:
        raise LedgerError(f"the ledger refused a question: {str(error).strip().partition(chr(10))[0]}") from None
    return LedgerState(
        **server,
        lacking=lacking,
        unknown=tuple(sorted(applied - ours)),
        open_breaker=breaker["reason"] if breaker is not None and breaker["is_open"] else "",
    )
