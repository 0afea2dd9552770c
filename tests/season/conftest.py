"""Storm-years written by hand."""

import numpy as np
import pytest

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
