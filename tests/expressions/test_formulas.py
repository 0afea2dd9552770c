"""What formulas yield: the published payout vectors, units, unmeasured inputs, rounding."""

import math
import timeit
from decimal import Decimal
from fractions import Fraction
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.expressions import DIMENSIONLESS, Expression, Unit

INPUTS = {
    "rain": Unit.parse("mm/h"),
    "sigma": DIMENSIONLESS,
    "baseline": Unit.parse("INR"),
    "account_age": Unit.parse("d"),
    "variance": Unit.parse("(m/s2)2"),
    "wage": Unit.parse("INR/h"),
    "duration": Unit.parse("min"),
    "share": Unit.parse("%"),
    "other_share": DIMENSIONLESS,
    "flag": None,
}
PAYOUT = (
    "clamp(round(baseline * (0.55 + 0.25 * clamp((rain - 15 * mm_h) / (20 * mm_h), 0, 1)"
    " + 0.20 * clamp(sigma / 3, 0, 1))), 100 * INR, 500 * INR)"
)
SCALARS = {
    "rain": 21,
    "sigma": 2.5,
    "baseline": 310,
    "account_age": 6.5,
    "variance": 0.002,
    "wage": 60.5,
    "duration": 90,
    "share": 5,
    "other_share": 0.05,
    "flag": True,
}


def value(text, result=..., **changed):
    """Both evaluators' answer, which must be one: the exact one."""
    inputs = SCALARS | changed
    expression = Expression.parse(text, INPUTS, result)
    exact = expression.value(inputs)
    column = expression.columns(
        {name: np.array([np.nan if each is None else float(each)] * 2) for name, each in inputs.items()}
    )
    assert column.shape == (2,)
    if isinstance(exact, bool):
        assert column.dtype == bool
        assert column.tolist() == [exact, exact]
    else:
        assert column.dtype == np.float64
        assert column == pytest.approx([np.nan if exact is None else float(exact)] * 2, rel=1e-12, nan_ok=True)
    return exact


@pytest.mark.parametrize(
    ("rain", "sigma", "baseline", "payout"),
    [(21, 2.5, 310, 245), (15, 0, 310, 170), (35, 3, 310, 310), (60, 3, 600, 500), (0, -4, 100, 100)],
)
def test_the_published_payouts(rain, sigma, baseline, payout):
    assert value(PAYOUT, Unit.parse("INR"), rain=rain, sigma=sigma, baseline=baseline) == payout


def test_the_published_trust_score():
    parts = {"gps": 0.95, "accel": 0.88, "app": 0.85, "shift": 0.92, "timing": 0.90, "device": 1.00}
    text = "0.25*gps + 0.20*accel + 0.20*app + 0.15*shift + 0.10*timing + 0.10*device"
    assert Expression.parse(text, dict.fromkeys(parts, DIMENSIONLESS)).value(parts) == Fraction(9115, 10000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4 / 8", Fraction(13, 2)),
        ("-(2 - 5)", 3),
        ("6 / (0 - 4) < 0 and 6 / (0 - 4) + 1.5 >= 0", True),
        ("max(6 / (0 - 4), -2)", Fraction(-3, 2)),
        ("0.1 + 0.2 == 0.3", True),
        ("1 < 2 <= 2 < 3", True),
        ("1 < 2 > 2", False),
        ("not 1 > 2 and (2 >= 3 or 2 == 2)", True),
        ("min(3, 1, 2) + max(3, 1, 2)", 4),
        ("clamp(5, 0, 1) + clamp(-5, 0, 1)", 1),
        ("round(0.5) + round(1.5) + round(2.5)", 4),
        ("round(-0.5) + round(-1.5) + round(-2.5001)", -5),
        ("log10(1000)", 3),
        ("if_(flag, 1, 2)", 1),
        ("if_(not flag, 1, 2)", 2),
        ("otherwise(sigma, 7)", Fraction(5, 2)),
        ("measured(sigma) and measured(flag)", True),
        (" .5 +\n 1.e1 ", Fraction(21, 2)),
    ],
)
def test_operations(text, expected):
    if "==" in text:  # doubles do not know that 0.1 + 0.2 is 0.3
        assert Expression.parse(text, INPUTS).value({}) is expected
    else:
        assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("wage * duration", "INR", Fraction(9075, 100)),
        ("duration", "h", Fraction(3, 2)),
        ("duration + 1 * h", "min", 150),
        ("1 * d - 6 * h", "h", 18),
        ("share", "1", Fraction(1, 20)),
        ("other_share", "%", 5),
        ("share * baseline", "INR", Fraction(31, 2)),
        ("share / share", "1", 1),
        ("round(5.4 * percent)", "%", 5),
        ("round(account_age + 1 * h)", "d", 7),
        ("variance / (0.002 * m2_s4)", "1", 1),
        ("36 * km_h / (1 * m_s)", "1", 10),
        ("0", "INR", 0),
        ("max(baseline, 0) / baseline", "1", 1),
        ("150 * paise", "INR", Fraction(3, 2)),
    ],
)
def test_units_convert_exactly(text, unit, expected):
    assert value(text, Unit.parse(unit)) == expected
    assert Expression.parse(text, INPUTS, Unit.parse(unit)).unit == Unit.parse(unit)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("wage * duration", "INR"),
        ("round(wage * duration)", "INR"),
        ("baseline * share", "INR"),
        ("baseline / duration", "INR/min"),
        ("duration / (1 * h)", "1"),
        ("account_age * duration", "h2"),
        ("share", "%"),
        ("share * share", "1"),
        ("1 * h + duration", "h"),
        ("max(0, duration, 1 * h)", "min"),
    ],
)
def test_the_unit_of_a_result_that_none_was_asked_of(text, unit):
    assert Expression.parse(text, INPUTS).unit == Unit.parse(unit)


def test_rounding_is_to_the_unit_at_hand():
    assert value("round(wage * duration)", Unit.parse("INR")) == 91  # of 90.75
    assert value("round(duration * 1.25)", Unit.parse("min")) == 112  # of 112.5


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("account_age < 7 * d", True),
        ("account_age < 156 * h", False),
        ("account_age <= 156 * h", True),
        ("share == other_share", True),
        ("0 < rain", True),
        ("rain >= 21 * mm_h", True),
        ("flag", True),
        ("clamp(log10(variance / (2e-4 * m2_s4)) / log10(50), 0, 1) > 0.5", True),
    ],
)
def test_conditions(text, holds):
    assert value(text, None) is holds
    assert Expression.parse(text, INPUTS).unit is None


@pytest.mark.parametrize(
    "text",
    [
        *["rain + 1 * mm_h", "-rain", "rain * 0", "1 / rain", "round(rain)", "log10(rain / (1 * mm_h))"],
        *["min(rain, 1 * mm_h)", "max(1 * mm_h, rain)", "clamp(rain, 0, 1 * mm_h)", "clamp(1 * mm_h, 0, rain)"],
        *["if_(flag, rain, 0)", "otherwise(rain, rain)"],
        *["1 / (sigma - 2.5)", "log10(0 - sigma)", "log10(sigma - sigma)"],
    ],
)
def test_what_is_not_measured_stays_so(text):
    assert value(text, rain=None) is None


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "=="])
def test_a_comparison_with_the_unmeasured_does_not_hold(sign):
    assert value(f"rain {sign} 1 * mm_h", rain=None) is False
    assert value(f"0 {sign} rain", rain=None) is False
    assert value(f"not rain {sign} 1 * mm_h", rain=None) is True


def test_other_answers_for_the_unmeasured():
    assert value("otherwise(rain, 3 * mm_h)", rain=None) == 3
    assert value("measured(rain)", rain=None) is False
    assert value("measured(rain + 1 * mm_h) or flag", rain=None, flag=None) is False
    assert value("if_(flag, rain, 0)", rain=None, flag=None) == 0
    assert value("if_(measured(rain), rain, 0)", rain=None) == 0


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        (0.1, Fraction(1, 10)),
        (True, 1),
        (Fraction(1, 3), Fraction(1, 3)),
        (Decimal("1.10"), Fraction(11, 10)),
        (np.float64(0.1), Fraction(1, 10)),
        (np.int64(7), 7),
        (np.bool_(True), 1),
        (1e23, 10**23),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
    ],
)
def test_what_an_input_means(stated, meant):
    result = Expression.parse("sigma", INPUTS).value({"sigma": stated})
    assert result == meant
    assert result is None or type(result) is Fraction


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**16), 10**16).map(lambda n: n / 1_000_000))
def test_a_float_means_the_shortest_decimal_that_names_it(number):
    assert Expression.parse("sigma", INPUTS).value({"sigma": number}) == Fraction(Decimal(repr(number)))


def test_inputs_that_decide_nothing_are_not_read():
    assert Expression.parse("flag and sigma > 1", INPUTS).value({"flag": False}) is False
    assert Expression.parse("if_(flag, sigma, other_share)", INPUTS).value({"flag": True, "sigma": 2}) == 2


def test_inputs_must_be_there_and_be_numbers():
    expression = Expression.parse("sigma + other_share", INPUTS)
    assert expression.names == {"sigma", "other_share"}
    with pytest.raises(KeyError, match="other_share"):
        expression.value({"sigma": 1})
    with pytest.raises(KeyError, match="other_share"):
        expression.columns({"sigma": np.zeros(2)})
    with pytest.raises(TypeError, match="'1'"):
        expression.value({"sigma": "1", "other_share": 0})
    with pytest.raises(ValueError, match="one length"):
        expression.columns({"sigma": np.zeros(2), "other_share": np.zeros(3)})


def test_constants_take_the_length_of_the_columns():
    columns = {"sigma": np.zeros(3)}
    assert Expression.parse("1 + 2", INPUTS).columns(columns).tolist() == [3.0, 3.0, 3.0]
    assert Expression.parse("1 < 2", INPUTS).columns(columns).tolist() == [True, True, True]
    with pytest.raises(ValueError, match="one length"):
        Expression.parse("1", INPUTS).columns({})


def test_columns_are_not_changed_and_infinity_is_not_measured():
    sigma = np.array([0.0, np.inf, -np.inf, np.nan])
    result = Expression.parse("-sigma", INPUTS).columns({"sigma": sigma})
    assert np.array_equal(result, [0.0, np.nan, np.nan, np.nan], equal_nan=True)
    assert not np.signbit(result[0])
    assert np.array_equal(sigma, [0.0, np.inf, -np.inf, np.nan], equal_nan=True)
    copied = Expression.parse("sigma", INPUTS).columns({"sigma": sigma})
    assert not np.shares_memory(copied, sigma)


@pytest.mark.parametrize("library", ["pickle", pytest.param("cloudpickle", marks=pytest.mark.flink)])
def test_expressions_travel_and_compare(library):
    library = import_module(library)
    expression = Expression.parse(PAYOUT, INPUTS, Unit.parse("INR"))
    arrived = library.loads(library.dumps(expression))
    assert arrived == expression
    assert hash(arrived) == hash(expression)
    assert arrived.value(SCALARS) == 245
    assert expression != Expression.parse(PAYOUT, INPUTS, Unit.parse("paise"))
    assert expression != Expression.parse(PAYOUT.replace("15", "16"), INPUTS, Unit.parse("INR"))
    assert Expression.parse("account_age", INPUTS) != Expression.parse("account_age", {"account_age": Unit.parse("h")})


def test_a_payout_is_evaluated_in_microseconds():
    expression = Expression.parse(PAYOUT, INPUTS, Unit.parse("INR"))
    inputs = {"rain": 21.37, "sigma": 2.4913785734, "baseline": 311.25}
    fastest = min(timeit.repeat(lambda: expression.value(inputs), number=200, repeat=20)) / 200
    assert fastest < 25e-6


def test_numbers_are_the_nearest_doubles():
    formula = Expression.parse("a / b", {"a": DIMENSIONLESS, "b": DIMENSIONLESS})
    assert formula.number({"a": 1, "b": 3}) == 1 / 3
    assert formula.number({"a": None, "b": 3}) is None
    assert formula.number({"a": -1e308, "b": 1e-308}) == -math.inf
