"""Premiums and reserves: a book worked by hand, and breakdowns that add up whatever the losses."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.season.coverage_periods import open_share
from monsoon.transforms.season.premiums import Line, Loadings, capital_by_line, suggest_premiums
from monsoon.transforms.season.reserve import deepest_deficit_paise, reserve_breach

DAY_PASS = Line("p", "day", policies=10, hours=24, price_paise=200)
WEEK = Line("q", "week", policies=5, hours=168, price_paise=0)
NO_LOADING = Loadings(Fraction(0), Fraction(0), 1)


def test_a_premium_by_hand():
    """Ten day passes, 3,650 a year. 7,300 a year are paid, 730 of it to attackers: 200 paise a pass, 20 of them leaked.
    The worse of two years has 4,380 above the mean; at 10% that is 12 paise a pass. A layer costs 3,650 beyond what it
    pays: 100. Expenses are a quarter of the premium: (1.80 + 0.20 + 1.00 + 0.12) / 3 rupees."""
    annual = np.array([[11_680], [2_920]]) * 100
    leaked = np.array([[1_460], [0]]) * 100
    (premium,) = suggest_premiums(
        [DAY_PASS], annual, leaked, annual, Fraction(3_650 * 100), Loadings(Fraction(1, 4), Fraction(1, 10), 2)
    )
    assert (premium.burning_paise, premium.leakage_paise) == (180, 20)
    assert (premium.reinsurance_paise, premium.capital_paise) == (100, 12)
    assert premium.expenses_paise == 104
    assert premium.premium_paise == 416
    assert premium.benefit_cost_ratio == pytest.approx(1.0)
    assert premium.suggested_ratio == pytest.approx(200 / 416)


def test_capital_is_shared_by_what_lines_lose_in_the_bad_years():
    annual = np.array([[0, 10], [100, 0], [0, 10], [0, 10]])
    assert capital_by_line(annual, 4) == [75, Fraction(-15, 2)]
    assert sum(capital_by_line(annual, 4)) == 100 - Fraction(130, 4)


def test_a_line_without_policies_or_an_expense_share_of_all_is_refused():
    annual = np.ones((2, 1), np.int64)
    with pytest.raises(ValueError, match="no policies"):
        suggest_premiums([Line("p", "x", 0, 24, 1)], annual, annual, annual, Fraction(0), NO_LOADING)
    with pytest.raises(ValueError, match="expense share of 1"):
        Loadings(Fraction(1), Fraction(0), 1)


tables = st.lists(st.tuples(st.integers(0, 10**11), st.integers(0, 10**11)), min_size=1, max_size=30)


@given(tables, st.integers(0, 99), st.integers(0, 10**9), st.integers(0, 3))
def test_a_breakdown_adds_up_and_no_part_is_negative(rows, expenses, reinsurance, kept):
    annual = np.array(rows, np.int64)
    loadings = Loadings(Fraction(expenses, 100), Fraction(1, 10), min(5, len(rows)))
    found = suggest_premiums([DAY_PASS, WEEK], annual, annual // 3, annual * kept // 3, Fraction(reinsurance), loadings)
    for each in found:
        losses = [each.burning_paise, each.leakage_paise]
        parts = [*losses, each.reinsurance_paise, each.capital_paise, each.expenses_paise]
        assert min(parts) >= 0
        assert each.premium_paise == sum(parts)
        assert (each.benefit_cost_ratio is None) == (each.line.price_paise == 0)


def test_a_reserve_by_hand(occurrences):
    """3,650 paise a year are 10 a day. Year 0: 100 lost on its first day, 90 short; a quarter of a year later 500 more,
    but 910 came in by then. Year 2: 4,000 on the last day, 350 short. The third year has none."""
    book = occurrences(3, [(0, 0, [100]), (0, 90, [500]), (1, 364, [4_000])])
    deficit = deepest_deficit_paise(book, book.total_paise, 3_650)
    assert deficit.tolist() == [90, 350, 0]
    breach = reserve_breach(deficit, 90)
    assert (breach.breached_years, breach.probability) == (1, pytest.approx(1 / 3))
    assert breach.low < 1 / 3 < breach.high
    assert reserve_breach(deficit, 89).breached_years == 2
    assert deepest_deficit_paise(occurrences(2, []), np.zeros(0, np.int64), 5).tolist() == [0, 0]


def test_no_breach_in_many_years_is_not_impossible():
    """Wilson's interval of 0 in 1,000 has the upper end z^2 / (n + z^2)."""
    breach = reserve_breach(np.zeros(1_000, np.int64), 0)
    assert (breach.probability, breach.low) == (0, 0)
    assert breach.high == pytest.approx(3.8415 / 1003.8415, rel=1e-4)


def test_a_period_of_cover_pays_a_policy_once():
    """Weeks begin on day 0 and 7: the second occurrence of a week finds half of the policies, the third a quarter; in
    another city, another year, and of a plan without such a cap all."""
    year, day = np.array([0, 0, 0, 0, 1]), np.array([0, 6, 6, 7, 0])
    city = np.array([0, 0, 0, 0, 0])
    share = np.full((5, 2), 0.5)
    assert open_share(year, day, city, share, [7, None]).tolist() == [[1, 1], [0.5, 1], [0.25, 1], [1, 1], [1, 1]]
    assert open_share(year, day, np.array([0, 1, 0, 0, 0]), share, [7, None])[:, 0].tolist() == [1, 1, 0.5, 1, 1]
