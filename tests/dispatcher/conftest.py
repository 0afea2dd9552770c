"""A PostgreSQL server for all tests of this folder, and a ledger for each."""

import pytest
from kit.payments import Counter
from kit.postgres import address, server

__all__ = ["address", "counter", "server"]


@pytest.fixture
def counter(address):
    """One provider and one ledger; with settings or misbehavior as arguments."""
    made = []

    def make(misbehavior=None, **changed):
        made.append(Counter(address, misbehavior, **changed))
        return made[-1]

    yield make
    for each in made:
        each.close()
