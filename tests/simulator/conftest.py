"""One small simulation of the Delhi storm for all tests of this folder."""

import pytest

from monsoon.sources.simulator import load_storm, simulate_frames


@pytest.fixture(scope="session")
def delhi():
    return load_storm("delhi-2024-06-28")


@pytest.fixture(scope="session")
def frames(delhi):
    """300 riders, a quarter of them attackers, so that every kind and some rings are among them."""
    return simulate_frames(delhi, 300, 11, attackers=0.25)
