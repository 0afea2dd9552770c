"""Storm-years written by hand."""

import numpy as np
import pytest

from monsoon.sources.simulator.city import build_city
from monsoon.sources.simulator.population import build_population
from monsoon.transforms.season.occurrences import Occurrences


@pytest.fixture(scope="session")
def occurrences():
    """Builds occurrences from rows of (year, day, losses of the lines in paise)."""
    return _occurrences


def _occurrences(years, rows):
    """Rows of (year, day, losses in paise)."""
    year, day, losses = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    width = len(losses[0]) if rows else 1
    return Occurrences(
        years, np.array(year, np.int64), np.array(day, np.int64), np.array(losses, np.int64).reshape(len(rows), width)
    )


@pytest.fixture(scope="session")
def scenario_of():
    """The city, the riders and the seed of a storm, as `subscriptions` takes them."""

    def of(storm, riders, seed=3):
        city = build_city(storm)
        return city, build_population(storm, city, riders, seed, attackers=0.04), seed

    return of
