"""Queries, each in a file of its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_LEDGER = Path(__file__).parent / "sql"


@cache
def query(name: str, folder: Path = _LEDGER) -> bytes:
    """The text of `<name>.sql`, with parameters as `%(name)s`; of the ledger's queries where no folder is given."""
    return (folder / f"{name}.sql").read_bytes()
