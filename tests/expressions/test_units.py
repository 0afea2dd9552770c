"""Units: what their texts mean, how they combine, what is said of a wrong one."""

import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.expressions import DIMENSIONLESS, UNIT_NAMES, ExpressionError, Unit
from monsoon.transforms.expressions.units import SYMBOLS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1", "1"),
        ("INR", "INR"),
        ("INR/h", "INR/h"),
        (" mm / h ", "mm/h"),
        ("(m/s2)2", "m2/s4"),
        ("(m/s^2)^2", "m2/s4"),
        ("h-1", "1/h"),
        ("INR/h/km", "INR/h/km"),
        ("INR/(h*km)", "INR/h/km"),
        ("km*h/km", "h"),
        ("h/h", "1"),
        ("%", "%"),
        ("d", "d"),
    ],
)
def test_texts(text, said):
    assert str(Unit.parse(text)) == said
    assert Unit.parse(said) == Unit.parse(text)


@given(st.lists(st.tuples(st.sampled_from(sorted(SYMBOLS)), st.integers(-2, 2)), max_size=4))
def test_text_and_unit_are_one(powers):
    unit = DIMENSIONLESS
    for symbol, power in powers:
        unit = unit * Unit.parse(symbol).to_power(power)
    assert Unit.parse(str(unit)) == unit
    assert unit / unit == DIMENSIONLESS
    assert unit.normalized().dimension == unit.dimension
    assert pickle.loads(pickle.dumps(unit)) == unit


@pytest.mark.parametrize(
    ("one", "other", "times"),
    [
        *[("d", "h", 24), ("h", "min", 60), ("min", "s", 60), ("s", "ms", 1000), ("km", "m", 1000)],
        *[("INR", "paise", 100), ("1", "%", 100), ("hPa", "Pa", 100)],
        *[("m/s", "km/h", Fraction(18, 5)), ("INR/h", "INR/d", 24)],
    ],
)
def test_scales(one, other, times):
    assert Unit.parse(one).dimension == Unit.parse(other).dimension
    assert Unit.parse(one).scale / Unit.parse(other).scale == times
    assert Unit.parse(one) != Unit.parse(other)


def test_rain_depth_is_no_distance():
    assert Unit.parse("mm/h").dimension != Unit.parse("km/h").dimension


def test_unit_names_can_be_written_in_a_formula():
    assert all(name.isidentifier() for name in UNIT_NAMES)
    assert {str(unit) for unit in UNIT_NAMES.values()} >= set(SYMBOLS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("INR/hr", r"unknown unit 'hr', at character 5 .* did you mean h\?"),
        ("", "a unit is missing"),
        ("INR*", "a unit is missing"),
        ("3", "a unit is missing"),
        ("(m/s2", "parenthesis is not closed"),
        ("h INR", "'INR' does not belong here"),
        ("°C", "'°' is no part of a unit, at character 1"),
        ("m10", "power is at most 9"),
        ("m" * 65, "at most 64 characters"),
        (3, "a unit is text"),
    ],
)
def test_wrong_units(text, message):
    with pytest.raises(ExpressionError, match=message):
        Unit.parse(text)


@given(st.text() | st.text(alphabet="()*/^-123hmINR% ", max_size=30))
def test_any_text_is_a_unit_or_refused(text):
    try:
        unit = Unit.parse(text)
    except ExpressionError:
        return
    assert Unit.parse(str(unit)) == unit
