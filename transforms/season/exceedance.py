"""Exceedance curves: how large a year's worst or total loss is once in so many years.

The loss of return period T is the least value that at most one in T of the simulated years exceeds, so an order
statistic: no distribution is fitted. Its bounds are order statistics, too, and hold whatever the distribution is
(David and Nagaraja, Order Statistics, 3rd ed., section 7.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monsoon.transforms.season.occurrences import Ints

RETURN_PERIODS_YEARS = (2, 5, 10, 20, 50, 100, 200, 250, 500, 1_000)
CONFIDENCE = 0.95
MIN_TAIL_YEARS = 5
"""A return period that fewer of the simulated years reach is not reported."""


@dataclass(frozen=True)
class ExceedancePoint:
    """A point of a curve. `low_paise` and `high_paise` bound the loss with CONFIDENCE; `tail_mean_paise` is the mean of
    the years at or beyond it (tail value at risk)."""

    return_period_years: int
    loss_paise: int
    low_paise: int
    high_paise: int
    tail_mean_paise: int


def value_at_risk(annual_paise: Ints, return_period_years: int) -> int:
    """The least of the annual losses [years] that at most one in `return_period_years` years exceeds.

    Raises ValueError for a return period below 1 or longer than the years.
    """
    return int(np.sort(annual_paise)[_rank(len(annual_paise), return_period_years) - 1])


def tail_years(annual_paise: Ints, return_period_years: int) -> Ints:
    """Which years [years / T, at least 1] have the greatest losses; of equal ones the earliest. Raises as
    `value_at_risk`."""
    _rank(len(annual_paise), return_period_years)
    count = len(annual_paise) // return_period_years
    return np.sort(np.argsort(-annual_paise, kind="stable")[:count])


def exceedance_curve(
    annual_paise: Ints, return_periods_years: Sequence[int] = RETURN_PERIODS_YEARS
) -> list[ExceedancePoint]:
    """The curve of annual losses [years], at those return periods that at least MIN_TAIL_YEARS of the years reach."""
    ordered, years = np.sort(annual_paise), len(annual_paise)
    points = []
    for period in return_periods_years:
        if years // period < MIN_TAIL_YEARS:
            continue
        low, high = _bounds(years, 1 - 1 / period)
        tail = ordered[years - years // period :]
        points.append(
            ExceedancePoint(
                return_period_years=period,
                loss_paise=int(ordered[_rank(years, period) - 1]),
                low_paise=int(ordered[low - 1]),
                high_paise=int(ordered[high - 1]),
                tail_mean_paise=_rounded_mean(tail),
            )
        )
    return points


def _rank(years: int, return_period_years: int) -> int:
    """The rank, from 1, of the order statistic with at most years / T above it."""
    if not 1 <= return_period_years <= years:
        raise ValueError(f"a return period of {return_period_years} years from {years} simulated years")
    return max(1, years - years // return_period_years)


def _rounded_mean(values: Ints) -> int:
    """The mean, half to even."""
    total, count = int(values.sum()), len(values)
    whole, rest = divmod(total, count)
    return whole + (2 * rest > count or (2 * rest == count and whole % 2 == 1))


def _bounds(years: int, quantile: float) -> tuple[int, int]:
    """Ranks, from 1, of the order statistics that bound a quantile with CONFIDENCE: how many years lie below it is
    binomial. A bound that the years are too few for is the least or the greatest."""
    counts = np.arange(years + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, years + 1)))])
    with np.errstate(divide="ignore"):
        log_share = counts * np.log(quantile) + (years - counts) * np.log1p(-quantile)
    below = np.cumsum(np.exp(log_factorial[-1] - log_factorial - log_factorial[::-1] + log_share))
    half = (1 - CONFIDENCE) / 2
    low = int(np.searchsorted(below, half))
    high = int(np.searchsorted(below, 1 - half)) + 1
    return max(1, low), min(years, high)
