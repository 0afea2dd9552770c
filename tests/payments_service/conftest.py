"""A PostgreSQL server for all tests of this folder, and a ledger for each."""

from kit.postgres import address, server

__all__ = ["address", "server"]
