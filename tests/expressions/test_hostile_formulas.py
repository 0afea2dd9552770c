"""Whatever a product file says, a formula is read or refused: nothing else happens."""

import string
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.expressions import DIMENSIONLESS, Expression, ExpressionError, Unit

INPUTS = {
    "rain": Unit.parse("mm/h"),
    "sigma": DIMENSIONLESS,
    "baseline": Unit.parse("INR"),
    "age": Unit.parse("d"),
    "flag": None,
}


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("rian + 1", r"unknown name 'rian', at character 1 .* did you mean rain\?", 0),
        ("1 + zzzz", r"unknown name 'zzzz'", 4),
        ("calmp(sigma, 0, 1)", r"unknown function 'calmp', .* did you mean clamp\?", 0),
        ("rain(3)", "unknown function 'rain'", 0),
        ("(1)(2)", "only a function's name is called", 1),
        ("1 + round", r"round is a function: round\(x\)", 4),
        ("clamp(1, 2)", r"clamp is written clamp\(x, low, high\)", 0),
        ("min(1)", r"min is written", 0),
        ("min(*sigma)", r"min is written", 0),
        ("clamp(1, 3, 2)", "low end .* above its high end", 0),
        ("age < 3", "a number in d and a number without unit do not mix", 6),
        ("1 + INR", "a number without unit and a number in INR do not mix", 4),
        ("1 + clamp(rain, 0, 1)", "a number in mm/h and a number without unit do not mix", 19),
        ("max(rain, baseline)", "do not mix", 10),
        ("otherwise(rain, age)", "do not mix", 16),
        ("if_(flag, rain, age)", "do not mix", 16),
        ("0 < rain < age", "do not mix", 11),
        ("log10(rain)", "log10 takes a number without unit, and this is a number in mm/h", 0),
        ("flag + 1", "a number is wanted here, and this is a condition", 0),
        ("flag == 1", "a number is wanted", 0),
        ("if_(flag, flag, flag)", "a number is wanted", 10),
        ("flag and sigma", "a condition is wanted here, and this is a number without unit", 9),
        ("not rain", "a condition is wanted", 4),
        ("if_(1, 2, 3)", "a condition is wanted", 4),
        ("sigma + 1 / (2 - 2)", "division by zero", 8),
        ("log10(0)", "logarithm of nothing", 0),
        ("1e999", "a constant is at least 1e-30 and at most 1e30", 0),
        ("1e-31", "a constant is", 0),
        ("1e20 * 1e20", "a constant is", 0),
        ("9" * 65, "a constant is", 0),
        ("+3", "a sign of its own", 0),
        ("sigma ** 2", r"\*\* is no part", 6),
        ("sigma // 2", "// is no part", 6),
        ("sigma % 2", "'%' is no part of a formula.* did you mean percent", 6),
        ("sigma = 2", "'=' is no part of a formula.* did you mean ==", 6),
        ("sigma != 2", "did you mean not", 6),
        ("sigma is 2", "'is' is no part of a formula.* did you mean ==", 6),
        ("sigma if flag else 2", "did you mean if_", 6),
        ("lambda: 0", "'lambda' is no part", 0),
        ("min(x for x in y)", "'for' is no part", 6),
        ("True", "'True' is no part", 0),
        ("(x := 3)", "':' is no part", 3),
        ("rain.real", r"'\.' is no part", 4),
        ("1 .real", r"'\.' is no part", 2),
        ("1.real", "'1' is not a number", 0),
        ("__import__('os')", '"\'" is no part', 11),
        ("'rain'", "is no part", 0),
        ("rain[0]", r"'\[' is no part", 4),
        ("min(a=1, b=2)", "'=' is no part", 5),
        ("0x10", "'0' is not a number", 0),
        ("1_000", "'1' is not a number", 0),
        ("007", "not a formula", None),
        ("ｒain", "is no part", 0),
        ("٣", "is not a number", 0),
        ("1 2", "this is not a formula", 2),
        ("1 +", "this is not a formula", None),
        ("(1, 2)", "no part of a formula", 0),
        ("()", "no part of a formula", 0),
        ("(1", "a parenthesis is not closed", 2),
        ("1) + (2", "this parenthesis closes none", 1),
        ("", "empty", None),
        (" \n", "empty", None),
        ("1" + " + 1" * 64, "at most 64 levels deep", None),
        ("(" * 65 + "1" + ")" * 65, "too many parentheses", 64),
        ("-" * 1000 + "1", "levels deep|nested too deeply", None),
        ("not " * 499 + "flag", "levels deep|nested too deeply|not a formula", None),
        ("1" * 2001, "at most 2000 characters", None),
        ("\0", "is no part", 0),
        ("\ud800", "is no part", 0),
        (b"1", "a formula is text, not bytes", None),
        (None, "a formula is text, not NoneType", None),
    ],
)
def test_errors_say_what_and_where(text, message, position):
    with pytest.raises(ExpressionError, match=message) as caught:
        Expression.parse(text, INPUTS)
    if position is not None:
        assert caught.value.position == position
        assert f"at character {position + 1} of" in str(caught.value)


def test_errors_carry_the_suggestion():
    with pytest.raises(ExpressionError) as caught:
        Expression.parse("baselin", INPUTS)
    assert caught.value.suggestion == "baseline"


@pytest.mark.parametrize(
    ("text", "result", "message"),
    [
        ("rain", None, "a condition is wanted here, and this is a number in mm/h"),
        ("flag", Unit.parse("INR"), "a number in INR is wanted here, and this is a condition"),
        ("rain", Unit.parse("INR"), "a number in INR is wanted here, and this is a number in mm/h"),
        ("5", Unit.parse("INR"), "this is a number without unit"),
    ],
)
def test_the_result_is_checked_when_asked_for(text, result, message):
    with pytest.raises(ExpressionError, match=message):
        Expression.parse(text, INPUTS, result)


@pytest.mark.parametrize("name", ["INR", "min", "mm_h", "clamp", "if_", "and", "a b", ""])
def test_an_input_cannot_take_the_name_of_something_else(name):
    with pytest.raises(ExpressionError, match="cannot be named"):
        Expression.parse("1", {name: DIMENSIONLESS})


def parses_or_is_refused(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            expression = Expression.parse(text, INPUTS)
        except ExpressionError as error:
            refused = error
        else:
            refused = None
    if refused is not None:
        assert str(refused)
        assert refused.position is None or 0 <= refused.position <= len(text)
        return
    assert expression.names <= set(INPUTS)
    result = expression.value({"rain": 21.5, "sigma": None, "baseline": 310, "age": 3, "flag": True})
    assert (result is None or type(result).__name__ == "Fraction") != (expression.unit is None)
    assert set(text) <= set(string.ascii_letters + string.digits + string.whitespace + "_.+-*/(),<>=")


@given(st.text())
def test_any_text(text):
    parses_or_is_refused(text)


PIECES = [
    *["rain", "sigma", "baseline", "age", "flag", "INR", "mm_h", "d", "min", "percent"],
    *["0", "1", "2.5", "1e9", "1e400", "j", "0x1", "é", "ｍ", "𝟙"],
    *["+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "(", ")", ",", " ", "\n", ".", ":="],
    *["clamp(", "min(", "max(", "round(", "log10(", "measured(", "otherwise(", "if_(", "eval(", "__import__("],
    *["**", "//", "%", "@", "~", "[", "]", "{", "}", "'a'", '"', "f'{1}'", "\\", "#", ";", "\0"],
    *["lambda x: ", " for x in ", " if ", " else ", "await ", "yield ", "...", "None", "True", "__class__"],
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_pieces_of_the_language(text):
    parses_or_is_refused(text)


@given(st.lists(st.sampled_from(PIECES), max_size=20).map(" ".join))
def test_any_words_of_the_language(text):
    parses_or_is_refused(text)


@given(st.sampled_from(["(", "-", "not ", "round(", "1+", "1**", "sigma*", "[", "min(1,", "9"]), st.integers(0, 3000))
def test_any_depth(piece, times):
    parses_or_is_refused(piece * times)
    parses_or_is_refused(piece * times + "1" + ")" * times)
