"""The losses of storm-years as columns: one row an occurrence, one column a line of business."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

DAYS_PER_YEAR = 365
"""A storm-year has no 29 February."""


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Occurrences of `years` storm-years, in order of year and day.

    `year` [occurrences]: from 0 to `years` - 1; `day` [occurrences]: day of the year, from 0 to 364; `loss_paise`
    [occurrences, lines]: not negative. A year without occurrences has no row, and a loss of 0. Raises ValueError where
    the columns do not fit each other or are out of order.
    """

    years: int
    year: Ints
    day: Ints
    loss_paise: Ints

    def __post_init__(self) -> None:
        count = len(self.year)
        if self.years < 1:
            raise ValueError(f"{self.years} years; at least 1")
        if self.loss_paise.ndim != 2 or len(self.loss_paise) != count or len(self.day) != count:
            raise ValueError("an occurrence has a year, a day and a loss of each line")
        if count == 0:
            return
        if self.year.min() < 0 or self.year.max() >= self.years:
            raise ValueError(f"an occurrence is of no year from 0 to {self.years - 1}")
        if self.day.min() < 0 or self.day.max() >= DAYS_PER_YEAR:
            raise ValueError(f"an occurrence is of no day from 0 to {DAYS_PER_YEAR - 1}")
        if np.any(np.diff(self.year * DAYS_PER_YEAR + self.day) < 0):
            raise ValueError("occurrences are not in order of year and day")
        if self.loss_paise.min() < 0:
            raise ValueError("a loss is negative")

    @property
    def total_paise(self) -> Ints:
        """The loss of each occurrence, all lines together."""
        return self.loss_paise.sum(axis=1, dtype=np.int64)

    def annual_paise(self) -> Ints:
        """The aggregate loss of each year and line: [years, lines]."""
        annual = np.zeros((self.years, self.loss_paise.shape[1]), np.int64)
        np.add.at(annual, self.year, self.loss_paise)
        return annual

    def annual_sum(self, values: Ints) -> Ints:
        """The sum over each year of a value per occurrence: [years]."""
        found = np.zeros(self.years, np.int64)
        np.add.at(found, self.year, values)
        return found

    def annual_max(self, values: Ints) -> Ints:
        """The greatest value of each year's occurrences, 0 for a year without: [years]."""
        found = np.zeros(self.years, np.int64)
        np.maximum.at(found, self.year, values)
        return found
