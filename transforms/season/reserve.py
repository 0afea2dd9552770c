"""Whether a reserve lasts: premiums come in evenly over the year, losses go out when they occur."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from monsoon.transforms.season.occurrences import DAYS_PER_YEAR, Ints, Occurrences

_Z_95 = 1.959963984540054
"""The standard normal's 97.5% point."""


@dataclass(frozen=True)
class ReserveBreach:
    """In how many of `years` the reserve was exceeded at some moment; the probability with its 95% bounds (Wilson's
    score interval, which holds for no breach at all, too)."""

    reserve_paise: int
    breached_years: int
    years: int
    probability: float
    low: float
    high: float


def deepest_deficit_paise(occurrences: Occurrences, net_loss_paise: Ints, annual_premium_paise: int) -> Ints:
    """By how much a year's losses so far exceed its premiums so far at the worst moment, at least 0: [years].

    `net_loss_paise` [occurrences] is what is left after reinsurance, `annual_premium_paise` what comes in over the year
    for claims, an equal part each day; a day's premium is there before the day's loss, rounded down to the paisa.
    """
    paid = np.cumsum(net_loss_paise)
    if not len(paid):
        return np.zeros(occurrences.years, np.int64)
    begins = np.searchsorted(occurrences.year, occurrences.year)
    so_far = paid - (paid - net_loss_paise)[begins]
    # in Python's integers by day, since premium x day may exceed 64 bits
    earned = np.array([annual_premium_paise * (day + 1) // DAYS_PER_YEAR for day in range(DAYS_PER_YEAR)], np.int64)
    return occurrences.annual_max(np.maximum(so_far - earned[occurrences.day], 0))


def reserve_breach(deficit_paise: Ints, reserve_paise: int) -> ReserveBreach:
    """How often the deficits [years] exceed a reserve that the year begins with."""
    years, breached = len(deficit_paise), int((deficit_paise > reserve_paise).sum())
    share = breached / years
    middle = (share + _Z_95**2 / (2 * years)) / (1 + _Z_95**2 / years)
    half = _Z_95 * math.sqrt(share * (1 - share) / years + _Z_95**2 / (4 * years**2)) / (1 + _Z_95**2 / years)
    low = 0.0 if breached == 0 else middle - half
    high = 1.0 if breached == years else middle + half
    return ReserveBreach(reserve_paise, breached, years, share, low, high)
