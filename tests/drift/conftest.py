"""One population of honest claims for all tests of drift: its reference takes two seconds to make."""

import pytest
from drift.drawn import Population


@pytest.fixture(scope="session")
def honest() -> Population:
    return Population()
