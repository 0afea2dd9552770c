"""Brings a database to the schema of this version, with yoyo: each migration in a transaction, once, in order."""

from __future__ import annotations

import warnings
from contextlib import closing
from pathlib import Path

import psycopg
from yoyo import get_backend, read_migrations

from monsoon.sinks.ledger.connection import ADDRESS_FORM
from monsoon.sinks.ledger.errors import LedgerError
from monsoon.sinks.ledger.sql_files import query

_NOT_MIGRATED = "the ledger was not migrated: {}"
MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(address: str, folder: Path = MIGRATIONS) -> list[str]:
    """Applies the migrations that a database lacks, and returns their names; those of one that is up to date: none.

    `address` is a URL `postgresql://...`, of a user who may make schemas and roles. A migration that fails leaves
    nothing of itself. Several at once wait for each other. Raises LedgerError.
    """
    if not address.startswith("postgresql://"):
        raise LedgerError(f"the ledger's address to migrate is wrong: it is {ADDRESS_FORM}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Not yoyo's own lock: that is a row, which stays where whoever took it was killed.
            with psycopg.connect(address, autocommit=True) as guard:
                guard.execute(query("migration_lock"))
                backend = get_backend(address.replace("postgresql://", "postgresql+psycopg://", 1))
                with closing(backend.connection):
                    backend.break_lock()
                    lacking = backend.to_apply(read_migrations(str(folder)))
                    backend.apply_migrations(lacking)
    except (ValueError, psycopg.ProgrammingError) as error:
        if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is not None:
            raise LedgerError(_NOT_MIGRATED.format(_first_line(error))) from error
        raise LedgerError(f"the ledger's address to migrate is wrong: it is {ADDRESS_FORM}") from None
    except psycopg.Error as error:
        raise LedgerError(_NOT_MIGRATED.format(_first_line(error))) from error
    return [migration.id for migration in lacking]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
