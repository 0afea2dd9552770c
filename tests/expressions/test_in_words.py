"""Formulas in words, as a policy's wording would have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.expressions import DIMENSIONLESS, Expression, ExpressionError, Unit, comparisons, describe

INPUTS = {
    "rain": Unit.parse("mm/h"),
    "sigma": DIMENSIONLESS,
    "baseline": Unit.parse("INR"),
    "account_age": Unit.parse("d"),
    "variance": Unit.parse("(m/s2)2"),
    "in_ring": None,
    "new": None,
}
WORDS = {"baseline": "the shift's usual earnings", "in_ring": "the rider is in a ring", "new": "the account is new"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "clamp(0.55 + 0.25 * (rain - 15 * mm_h) / (20 * mm_h), 0, 1)",
            "0.55 + 0.25 x (rain - 15 mm/h) / 20 mm/h, between 0 and 1",
        ),
        (
            "clamp(round(baseline * clamp(sigma / 3, 0, 1)), 100 * INR, 500 * INR)",
            "(the shift's usual earnings x (sigma / 3, between 0 and 1), rounded to the whole rupee), "
            "between Rs 100 and Rs 500",
        ),
        ("account_age < 7 * d", "account age is below 7 days"),
        ("1 * d <= account_age < 168 * h", "1 day is at most account age and account age is below 168 h"),
        ("in_ring and not new or sigma == 0", "the rider is in a ring and not the account is new or sigma equals 0"),
        ("in_ring and (new or sigma > 1)", "the rider is in a ring and (the account is new or sigma is above 1)"),
        ("not (in_ring and new)", "not (the rider is in a ring and the account is new)"),
        ("1 - (2 - sigma) - 3", "1 - (2 - sigma) - 3"),
        ("1 / (2 / sigma) * -(sigma + 1)", "1 / (2 / sigma) x -(sigma + 1)"),
        ("2 * (3 * INR)", "2 x Rs 3"),
        ("-3 * INR + baseline", "-Rs 3 + the shift's usual earnings"),
        ("baseline / INR", "the shift's usual earnings / Rs 1"),
        ("55 * percent * sigma", "55% x sigma"),
        ("min(sigma, 1)", "the smaller of sigma and 1"),
        ("2 * max(sigma, 1, 5 * percent)", "2 x (the largest of sigma, 1 and 5%)"),
        ("otherwise(sigma, 0) + 1", "(sigma, or 0 where that is not measured) + 1"),
        ("if_(in_ring or new, 0, sigma)", "0 if the rider is in a ring or the account is new, else sigma"),
        ("measured(rain) and measured(sigma + 1)", "rain is measured and (sigma + 1) is measured"),
        ("log10(variance / (2e-4 * m2_s4))", "log10(variance / 2e-4 (m/s2)2)"),
        ("round(account_age)", "account age, rounded to the whole day"),
        ("round(sigma)", "sigma, rounded to a whole number"),
        ("round(rain)", "rain, rounded to whole mm/h"),
    ],
)
def test_words(text, words):
    assert describe(Expression.parse(text, INPUTS), WORDS) == words


PIECES = ["rain", "sigma", "in_ring", "1", "mm_h", "d", "+", "-", "*", "/", "<", "and", "or", "not ", "(", ")", ","]
CALLS = ["clamp(", "min(", "round(", "log10(", "measured(", "otherwise(", "if_("]


@given(st.lists(st.sampled_from(PIECES + CALLS), max_size=12).map(" ".join))
def test_every_formula_has_words(text):
    try:
        expression = Expression.parse(text, INPUTS)
    except ExpressionError:
        return
    words = describe(expression, {})
    assert words.count("(") == words.count(")")
    assert all(name.replace("_", " ") in words for name in expression.names)


def test_the_comparisons_of_a_condition_each_with_its_inputs():
    text = "rain > 20 * mm_h and (sigma >= 2 or not in_ring) or max(sigma, 1) * 2 < baseline / (100 * INR)"
    assert comparisons(Expression.parse(text, INPUTS), WORDS) == [
        ({"rain"}, "rain is above 20 mm/h"),
        ({"sigma"}, "sigma is at least 2"),
        ({"sigma", "baseline"}, "(the larger of sigma and 1) x 2 is below the shift's usual earnings / Rs 100"),
    ]
