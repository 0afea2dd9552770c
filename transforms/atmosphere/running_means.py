"""Running means of hourly values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def running_means(hourly: Floats, *, hours: int, min_known: int) -> Floats:
    """The mean of each hour and the `hours` - 1 before it, where at least `min_known` of them are known, else NaN.

    `hourly` has one value an hour without gaps, NaN where none is known. A mean is the same to the last bit whatever
    lies outside its hours. Raises ValueError unless 1 <= min_known <= hours.
    """
    if not 1 <= min_known <= hours:
        raise ValueError(f"a mean of {hours} h cannot need {min_known} of them")
    known = ~np.isnan(hourly)
    values = np.where(known, hourly, 0.0)
    total, count = np.zeros(len(hourly)), np.zeros(len(hourly), np.int64)
    # One hour of the window after another, oldest first: a cumulative sum would carry the whole past's rounding.
    for lag in range(min(hours, len(hourly)) - 1, -1, -1):
        total[lag:] += values[: len(hourly) - lag]
        count[lag:] += known[: len(hourly) - lag]
    return np.where(count >= min_known, total / np.maximum(count, 1), np.nan)
