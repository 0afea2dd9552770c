"""Reinsurance layers: years worked by hand, and the closed form of exponential losses."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.season.layers import AggregateLayer, OccurrenceLayer, price_layer, retained_by_line
from monsoon.transforms.season.occurrences import Occurrences


@pytest.fixture(scope="session")
def ceded(occurrences):
    """What a layer pays of the losses of years, each a list."""

    def of(layer, *years):
        rows = [(year, day, [loss]) for year, each in enumerate(years) for day, loss in enumerate(each)]
        book = occurrences(len(years), rows)
        return layer.ceded_paise(book, book.total_paise).tolist()

    return of


def test_a_layer_pays_between_attachment_and_its_top_until_it_is_exhausted(ceded):
    """50 xs 100. Without a reinstatement it pays 50 a year, with one 100: after 30 and 50 there are 20 left."""
    year = [90, 130, 400, 140, 150]
    assert ceded(OccurrenceLayer(100, 50), year) == [0, 30, 20, 0, 0]
    assert ceded(OccurrenceLayer(100, 50, 1), year) == [0, 30, 50, 20, 0]
    assert ceded(OccurrenceLayer(100, 50, 9), year) == [0, 30, 50, 40, 50]
    assert ceded(OccurrenceLayer(100, 50, 1), [400], [], [400, 400, 400]) == [50, 50, 50, 0]
    assert ceded(OccurrenceLayer(100, 50), []) == []


def test_a_stop_loss_pays_between_attachment_and_its_top_of_the_years_total(ceded):
    assert ceded(AggregateLayer(100, 60), [40, 50, 30, 30, 90], [200], []) == [0, 0, 20, 30, 10, 60]


def test_the_price_with_reinstatements_by_hand():
    """50 xs 0 with one reinstatement at 100%, two years that cede 100 and 20: E[S] = 60. Reinstated: 50 and 20 of 50,
    on average 0.7 of a premium; P (1 + 0.7) = 60."""
    price = price_layer(OccurrenceLayer(0, 50, 1), np.array([100, 20]))
    assert price.expected_paise == 60
    assert price.premium_paise == Fraction(600, 17)
    assert price.premium_paise + price.reinstatement_paise == 60
    assert (price.attached_years, price.exhausted_years) == (2, 1)
    half = price_layer(OccurrenceLayer(0, 50, 1, Fraction(1, 2)), np.array([100, 20]))
    assert half.premium_paise == Fraction(60) / (1 + Fraction(35, 100))
    free = price_layer(OccurrenceLayer(0, 50, 1, Fraction(0)), np.array([100, 20]))
    assert (free.premium_paise, free.rate_on_line) == (60, Fraction(60, 50))


def test_the_expected_recovery_is_the_closed_form_of_exponential_losses():
    """E[min((X - A)+, L)] = theta exp(-A / theta) (1 - exp(-L / theta)), times the rate; reinstatements to spare."""
    rng, years, rate, theta = np.random.default_rng(9), 100_000, 0.8, 1e9
    counts = rng.poisson(rate, years)
    loss = rng.exponential(theta, counts.sum()).astype(np.int64)
    year = np.repeat(np.arange(years), counts)
    book = Occurrences(years, year, np.zeros(len(year), np.int64), loss.reshape(-1, 1))
    layer = OccurrenceLayer(5 * 10**8, 2 * 10**9, 20)
    price = price_layer(layer, book.annual_sum(layer.ceded_paise(book, book.total_paise)))
    exact = rate * theta * math.exp(-0.5) * (1 - math.exp(-2))
    assert float(price.expected_paise) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(("attachment", "limit"), [(-1, 5), (5, 0)])
def test_a_figure_that_makes_no_layer_is_refused(attachment, limit):
    for layer in (OccurrenceLayer, AggregateLayer):
        with pytest.raises(ValueError, match="a layer has"):
            layer(attachment, limit)


losses = st.lists(st.lists(st.integers(0, 10**12), min_size=3, max_size=3), min_size=1, max_size=20)


@given(losses, st.integers(0, 10**12), st.integers(1, 10**12), st.integers(0, 3))
def test_what_is_ceded_and_what_is_left_add_up_to_the_paisa(occurrences, rows, attachment, limit, reinstatements):
    book = occurrences(2, [(row // 10, row % 10, loss) for row, loss in enumerate(rows)])
    layer = OccurrenceLayer(attachment, limit, reinstatements)
    taken = layer.ceded_paise(book, book.total_paise)
    assert np.all(taken <= np.minimum(limit, book.total_paise))
    assert np.all(book.annual_sum(taken) <= layer.annual_limit_paise)
    left = retained_by_line(book.loss_paise, taken)
    assert left.min() >= 0
    assert (left.sum(axis=1) + taken).tolist() == book.total_paise.tolist()


def test_a_layer_cannot_take_more_than_was_lost():
    with pytest.raises(ValueError, match="overlap"):
        retained_by_line(np.array([[3, 4]]), np.array([8]))
