"""Exceedance: order statistics by hand, against the closed form of compound Poisson losses, and their bounds."""

import math

import numpy as np
import pytest

from monsoon.transforms.season.exceedance import exceedance_curve, tail_years, value_at_risk
from monsoon.transforms.season.occurrences import Occurrences


def test_a_years_worst_and_total_losses_by_hand(occurrences):
    book = occurrences(4, [(0, 10, [5, 1]), (0, 200, [7, 0]), (2, 3, [1, 1]), (3, 364, [0, 9])])
    assert book.total_paise.tolist() == [6, 7, 2, 9]
    assert book.annual_max(book.total_paise).tolist() == [7, 0, 2, 9]
    assert book.annual_sum(book.total_paise).tolist() == [13, 0, 2, 9]
    assert book.annual_paise().tolist() == [[12, 1], [0, 0], [1, 1], [0, 9]]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([(4, 0, [1])], "no year"),
        ([(0, 365, [1])], "no day"),
        ([(1, 0, [1]), (0, 0, [1])], "order"),
        ([(0, 0, [-1])], "negative"),
    ],
)
def test_columns_that_are_no_storm_years_are_refused(occurrences, rows, problem):
    with pytest.raises(ValueError, match=problem):
        occurrences(4, rows)


def test_a_loss_of_a_return_period_is_the_least_that_at_most_one_year_in_so_many_exceeds():
    annual = np.arange(1, 101)[::-1]
    assert value_at_risk(annual, 10) == 90
    assert (annual > value_at_risk(annual, 10)).sum() == 10
    assert value_at_risk(annual, 3) == 67
    assert (annual > 67).sum() == 33
    assert value_at_risk(annual, 100) == 99
    with pytest.raises(ValueError, match="101 years from 100"):
        value_at_risk(annual, 101)


def test_the_tails_mean_and_years():
    annual = np.array([3, 50, 7, 50, 9, 1, 0, 2, 4, 5])
    assert tail_years(annual, 5).tolist() == [1, 3]
    assert tail_years(annual, 10).tolist() == [1]
    annual = np.concatenate([np.zeros(50, np.int64), np.array([10, 20, 30, 40, 51])])
    (point,) = exceedance_curve(annual, [11, 12])
    assert (point.return_period_years, point.tail_mean_paise) == (11, 30)  # 30.2; of 12 years there are only 4 beyond


def test_bounds_are_the_binomials():
    """Of 1,000 years the 100-year loss is the 990th. How many years lie below it is binomial: 2.5% and 97.5%
    of it are at 983 and 996 (scipy 1.17)."""
    (point,) = exceedance_curve(np.arange(1, 1001), [100])
    assert (point.low_paise, point.loss_paise, point.high_paise) == (983, 990, 997)


def test_the_occurrence_curve_is_the_closed_form_of_compound_poisson_losses():
    """P(worst of the year > x) = 1 - exp(-rate P(loss > x)), and the total has mean rate E[X], variance rate E[X^2]."""
    rng, years, rate = np.random.default_rng(4), 200_000, 1.7
    counts = rng.poisson(rate, years)
    loss = rng.integers(1, 101, counts.sum())
    year = np.repeat(np.arange(years), counts)
    book = Occurrences(years, year, np.zeros(len(year), np.int64), loss.reshape(-1, 1))
    worst = book.annual_max(book.total_paise)
    for x in (0, 50, 90, 99):
        exact = 1 - math.exp(-rate * (100 - x) / 100)
        assert (worst > x).mean() == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / years))
    total, squares = book.annual_sum(book.total_paise), (np.arange(1, 101) ** 2).mean()
    assert total.mean() == pytest.approx(rate * 50.5, abs=4 * math.sqrt(rate * squares / years))
    assert total.var() == pytest.approx(rate * squares, rel=0.02)
