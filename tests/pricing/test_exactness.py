"""Generated formulas on generated doubles: the exact value lies within the bound, and a closed condition is right."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monsoon.transforms.expressions import DIMENSIONLESS, Expression, ExpressionError
from monsoon.transforms.pricing.exactness import evaluate, measured_column

NAMES = ("a", "b", "c")
LITERALS = ["0.1", "3", "1e20", "1e-20", "0.07"]


@st.composite
def numbers(draw, depth):
    if depth <= 0:
        return draw(st.sampled_from([*NAMES, *LITERALS]))
    part = numbers(depth - 1)
    form = draw(st.sampled_from(["+", "-", "*", "/", "-()", "min", "clamp", "round", "log10", "if_", "otherwise"]))
    if form in "+-*/":
        return f"({draw(part)} {form} {draw(part)})"
    if form == "-()":
        return f"(-({draw(part)}))"
    if form == "clamp":
        return f"clamp({draw(part)}, a, b)"
    if form == "if_":
        return f"if_({draw(conditions(depth - 1))}, {draw(part)}, {draw(part)})"
    if form in ("min", "otherwise"):
        return f"{form}({draw(part)}, {draw(part)})"
    return f"{form}({draw(part)})"


@st.composite
def conditions(draw, depth):
    if depth <= 0:
        return f"{draw(numbers(0))} {draw(st.sampled_from(['<', '<=', '==', '>']))} {draw(numbers(1))}"
    form = draw(st.sampled_from(["not", "and", "or", "measured", "compare"]))
    if form == "not":
        return f"(not {draw(conditions(depth - 1))})"
    if form == "measured":
        return f"measured({draw(numbers(depth))})"
    if form == "compare":
        return f"({draw(numbers(depth))} <= {draw(numbers(depth))})"
    return f"({draw(conditions(depth - 1))} {form} {draw(conditions(depth - 1))})"


values = st.one_of(
    st.none(),
    st.integers(-3, 3).map(float),
    st.integers(-40, 40).map(lambda n: n / 10),
    st.floats(-1e12, 1e12, allow_nan=False),
)
rows = st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, values)), min_size=1, max_size=8)


def parsed(text):
    try:
        return Expression.parse(text, dict.fromkeys(NAMES, DIMENSIONLESS))
    except ExpressionError:
        assume(False)


@given(st.one_of(numbers(3), conditions(2)), rows)
def test_the_exact_value_lies_within_the_bound(text, rows):
    formula = parsed(text)
    columns = {
        name: measured_column(np.array([np.nan if row[name] is None else row[name] for row in rows])) for name in NAMES
    }
    found = evaluate(formula.tree, columns, len(rows))
    assert found.values.shape == found.errors.shape == (len(rows),)
    assert not np.isnan(found.errors).any()
    for value, error, row in zip(found.values.tolist(), found.errors.tolist(), rows, strict=True):
        if math.isinf(error):
            continue
        exact = formula.value(row)
        if isinstance(exact, bool):
            assert value is exact
        elif exact is None:
            assert math.isnan(value)
        else:
            assert abs(Fraction(value) - exact) <= Fraction(error)


def test_bounds_are_close_where_nothing_cancels():
    formula = Expression.parse("0.02 * 7 * a * (1 + b)", dict.fromkeys(NAMES, DIMENSIONLESS))
    columns = {"a": measured_column(np.linspace(100, 900, 50)), "b": measured_column(np.linspace(-0.2, 0.4, 50))}
    assert evaluate(formula.tree, columns, 50).errors.max() < 1e-11


@pytest.mark.parametrize(
    ("divisor", "error"),
    [(0.0, 0.0), (0.1 - 0.1, 0.0), (math.nan, 0.0), (1e-320, math.inf)],
)
def test_a_division_by_zero_has_no_result_and_a_divisor_that_may_be_zero_no_bound(divisor, error):
    formula = Expression.parse("a / (b + c)", dict.fromkeys(NAMES, DIMENSIONLESS))
    columns = {"a": measured_column(np.array([1.5])), "b": measured_column(np.array([0.0]))}
    found = evaluate(formula.tree, columns | {"c": measured_column(np.array([divisor]))}, 1)
    assert found.errors.tolist() == [error]
    assert np.isnan(found.values[0]) or math.isinf(error)


def test_doubles_that_cancel_to_zero_are_no_exact_zero():
    formula = Expression.parse("1 / (a - b)", dict.fromkeys(NAMES, DIMENSIONLESS))
    same = measured_column(np.array([0.3]))
    found = evaluate(formula.tree, {"a": same, "b": same}, 1)
    assert np.isnan(found.values[0])
    assert found.errors.tolist() == [math.inf]
