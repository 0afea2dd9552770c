"""Generated formulas on generated rows: exact numbers and columns say the same, whatever rows stand together."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monsoon.transforms.expressions import DIMENSIONLESS, Expression, ExpressionError, Unit

INPUTS = {
    "a": DIMENSIONLESS,
    "b": DIMENSIONLESS,
    "share": Unit.parse("%"),
    "wage": Unit.parse("INR"),
    "paid": Unit.parse("paise"),
    "shift": Unit.parse("h"),
    "age": Unit.parse("d"),
    "flag": None,
}
EXACT_LEAVES = {"1": ["a", "b"], "INR": ["wage"], "h": ["shift"]}
OTHER_LEAVES = {"1": ["share", "5 * percent"], "INR": ["paid"], "h": ["age", "90 * min"]}
LITERALS = ["0", "1", "0.25", "2", "3.5"]


@st.composite
def numbers(draw, unit, depth, exact):
    """A formula of that unit. `exact`: eighths and quarters, added and multiplied: doubles hold every step exactly.

    Only exact formulas are compared, rounded or divided by: elsewhere a last bit would decide.
    """

    def part(of=unit, is_exact=exact):
        return draw(numbers(of, depth - 1, is_exact))

    def exact_part():
        return draw(numbers("1", min(depth - 1, 1), True))

    if depth <= 0:
        literal = draw(st.sampled_from(LITERALS))
        leaves = [*EXACT_LEAVES[unit], literal if unit == "1" else f"{literal} * {unit}"]
        return draw(st.sampled_from(leaves if exact else leaves + OTHER_LEAVES[unit]))
    forms = {
        "sum": lambda: f"({part()} {draw(st.sampled_from('+-'))} {part()})",
        "negative": lambda: f"-({part()})",
        "clamp": lambda: f"clamp({part()}, {part()} - {part()}, {part()})",
        "extreme": lambda: f"{draw(st.sampled_from(['min', 'max']))}({part()}, {part()}, {part()})",
        "otherwise": lambda: f"otherwise({part()}, {part()})",
        "if": lambda: f"if_({draw(conditions(depth - 1))}, {part()}, {part()})",
        "round": lambda: f"round({part(is_exact=True)})",
        "times": lambda: f"({part()}) * ({exact_part()})",
    }
    if not exact:
        forms["divided"] = lambda: f"({part()}) / ({exact_part()})"
        if unit == "1":
            forms["ratio"] = lambda: f"({part('INR')}) / wage + {part('h')} / (2 * shift)"
            forms["logarithm"] = lambda: f"log10({part(is_exact=True)})"
    return forms[draw(st.sampled_from(sorted(forms)))]()


@st.composite
def conditions(draw, depth):
    """A condition over exact formulas."""
    if depth <= 0:
        return draw(st.sampled_from(["flag", "measured(a)", "a < b", "wage >= 2 * INR"]))
    form = draw(st.sampled_from(["compare", "measured", "and", "or", "not"]))
    if form == "compare":
        unit = draw(st.sampled_from(sorted(EXACT_LEAVES)))
        chain = [draw(numbers(unit, 1, True)) for _ in range(draw(st.integers(2, 3)))]
        return f" {draw(st.sampled_from(['<', '<=', '>', '>=', '==']))} ".join(chain)
    if form == "measured":
        return f"measured({draw(numbers('1', depth - 1, False))})"
    if form == "not":
        return f"not ({draw(conditions(depth - 1))})"
    return f"(({draw(conditions(depth - 1))}) {form} ({draw(conditions(depth - 1))}))"


formulas = st.one_of(*[numbers(unit, 3, False) for unit in EXACT_LEAVES], conditions(3))
rows = st.lists(
    st.fixed_dictionaries(
        {name: st.none() | st.integers(-24, 24).map(lambda eighths: eighths / 8) for name in INPUTS if name != "flag"}
        | {"flag": st.none() | st.booleans()}
    ),
    min_size=1,
    max_size=9,
)


def parsed(text):
    """The formula; an example whose constants happen to divide by zero or to cross in a clamp is none."""
    try:
        return Expression.parse(text, INPUTS)
    except ExpressionError as error:
        assume("never measured" not in str(error) and "low end" not in str(error))
        raise


def as_columns(rows):
    return {name: np.array([math.nan if row[name] is None else float(row[name]) for row in rows]) for name in INPUTS}


@given(formulas, rows)
def test_exact_numbers_and_columns_agree(text, rows):
    expression = parsed(text)
    column = expression.columns(as_columns(rows)).tolist()
    exact = [expression.value(row) for row in rows]
    if expression.unit is None:
        assert column == exact
    else:
        expected = [math.nan if value is None else float(value) for value in exact]
        assert column == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


@given(formulas, rows)
def test_a_row_does_not_depend_on_its_neighbors(text, rows):
    expression = parsed(text)
    together = expression.columns(as_columns(rows * 9))
    alone = [expression.columns(as_columns([row])) for row in rows]
    assert together.tobytes() == np.concatenate(alone * 9).tobytes()
    strided = {name: np.repeat(column, 3)[::3] for name, column in as_columns(rows * 9).items()}
    assert expression.columns(strided).tobytes() == together.tobytes()


@given(formulas)
def test_the_same_formula_reads_the_same_in_any_layout(text):
    expression = parsed(text)
    spread = text.replace("(", "(\n  ").replace(",", "\t,")
    row = {"a": 1.5, "b": -2, "share": 5, "wage": 100, "paid": 250, "shift": 4, "age": None, "flag": False}
    assert Expression.parse(spread, INPUTS).value(row) == expression.value(row)
