"""The error of the ledger, in words for its user."""

from __future__ import annotations


class LedgerError(Exception):
    """The ledger cannot be reached, or is not as it should be: what, and what to do."""
