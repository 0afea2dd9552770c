"""PSI, uniformity and what is beyond chance, held to their definitions."""

from fractions import Fraction
from itertools import pairwise
from math import comb, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.drift.statistics import (
    ALARM_P,
    bin_counts,
    excess_of_small_p,
    is_beyond_chance,
    p_values_of,
    psi,
)


def tail(events, trials, rate):
    """The binomial probability of so many events or more, in whole numbers."""
    p = Fraction(rate)
    return sum(comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(events, trials + 1))


@given(st.integers(1, 60), st.data(), st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=1000))
def test_beyond_chance_is_the_binomial_tail(trials, data, rate):
    events = data.draw(st.integers(0, trials))
    exact = tail(events, trials, float(rate))
    if abs(float(exact) - ALARM_P) > ALARM_P * 1e-6:
        assert is_beyond_chance(events, trials, float(rate)) == (exact < ALARM_P)


def test_many_trials_are_no_overflow():
    assert is_beyond_chance(11_000, 1_000_000, 0.01)
    assert not is_beyond_chance(10_100, 1_000_000, 0.01)
    assert is_beyond_chance(1, 10, 0.0)
    assert not is_beyond_chance(0, 10, 0.0)
    assert not is_beyond_chance(10, 10, 1.0)


def test_psi_is_the_sum_over_the_bins():
    found = psi(np.array([30, 70]), (0.5, 0.5))
    p = (30.5 / 101, 70.5 / 101)
    assert found == pytest.approx(sum((share - 0.5) * log(share / 0.5) for share in p))
    assert psi(np.array([[30, 70], [50, 50]]), (0.5, 0.5)).shape == (2,)


@given(st.lists(st.integers(-3, 3)), st.lists(st.integers(-2, 2), min_size=1, unique=True).map(sorted))
def test_every_value_is_in_one_bin_and_an_edge_ends_its_bin(values, edges):
    counts = bin_counts(np.array(values, dtype=np.float64), tuple(map(float, edges)))
    bounds = [-10, *edges, 10]
    assert counts.tolist() == [sum(low < value <= high for value in values) for low, high in pairwise(bounds)]


POINTS = tuple(percent / 100 for percent in range(1, 101))


@given(st.integers(20, 2_000), st.integers(0, 10_000))
def test_uniform_p_values_and_larger_ones_are_no_alarm(count, seed):
    values = np.random.default_rng(seed).random(count)
    assert excess_of_small_p(values, POINTS, POINTS)[1] >= ALARM_P
    assert excess_of_small_p(np.sqrt(values), POINTS, POINTS)[1] >= ALARM_P


def test_too_many_small_ones_are():
    values = np.random.default_rng(1).random(500)
    statistic, p_value = excess_of_small_p(values**2, POINTS, POINTS)
    assert statistic == pytest.approx(0.25, abs=0.05)
    assert p_value < ALARM_P
    # Where training had as many, they are nothing new.
    assert excess_of_small_p(values**2, POINTS, np.sqrt(POINTS))[1] > 0.01


def test_a_risk_read_backwards_is_its_p_value():
    ps = np.geomspace(1e-4, 1.0, 50)
    from monsoon.models.calibration import risk_of

    assert p_values_of(risk_of(ps)) == pytest.approx(ps)
    assert np.isnan(p_values_of(np.array([np.nan]))).all()
