"""Generated riders: the lines add up to the premium, which is that of exact arithmetic, whoever else is quoted."""

from fractions import Fraction

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monsoon.sources.product_files import load_products
from monsoon.transforms.pricing import quote
from monsoon.transforms.product import parse_product

PRODUCTS = {name: product for name, product in load_products().items() if product.premium is not None}


def value_of(each):
    """A rider's value of an input; at its ends, where ties and limits are, as often as between."""
    if each.choices is not None:
        found = st.sampled_from(sorted(each.choices.values()))
    else:
        hundredths = st.integers(round(each.min * 100), round(min(each.max, 1e6) * 100)).map(lambda n: n / 100)
        whole = hundredths.map(lambda value: min(max(float(round(value)), each.min), each.max))
        found = st.one_of(hundredths, whole, st.sampled_from([each.min, each.max]), st.floats(each.min, each.max))
    return found if each.required else st.one_of(found, st.just(np.nan))


@st.composite
def riders(draw):
    product = PRODUCTS[draw(st.sampled_from(sorted(PRODUCTS)))]
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(sorted(product.premium.plan_terms)),
                st.fixed_dictionaries({name: value_of(each) for name, each in product.premium.inputs.items()}),
            ),
            min_size=1,
            max_size=6,
        )
    )
    return product.premium, rows


def quoted(terms, rows):
    columns = {name: np.array([row[name] for _, row in rows], dtype=np.float64) for name in terms.inputs}
    return quote(terms, [plan for plan, _ in rows], columns)


def exact(terms, plan, row):
    """A rider's lines in paise by fractions alone, as docs/pricing.md says them."""
    values = dict(terms.plan_terms[plan])
    for name, each in terms.inputs.items():
        value = None if np.isnan(row[name]) else float(row[name])
        values[name] = each.default if value is None else value
    for name, factor in terms.factors.items():
        values[name] = factor.value(values)
    lines, total = {}, 0
    for line in terms.lines:
        counts = line.when is None or line.when.value(values)
        amount = line.amount.value(values) if counts else 0
        paise = round(Fraction(amount or 0) * 100 / terms.unit_paise) * terms.unit_paise
        lines[line.name], total = paise, total + paise
        values[line.name], values["subtotal"] = Fraction(paise, 100), Fraction(total, 100)
    if terms.max_change is not None:
        changed, previous = total, values["previous_premium"]
        if previous is not None:
            before = round(Fraction(str(previous)) * 100)
            share = Fraction(str(terms.max_change))
            low, high = -(-before * (1 - share) // 1), before * (1 + share) // 1
            changed = int(min(max(total, low), high))
        lines["change_limit"], total = changed - total, changed
    premium = min(max(total, terms.min_paise[plan]), terms.max_paise[plan])
    lines["range"] = premium - total
    return lines, premium


@given(riders())
def test_a_quote_is_that_of_exact_arithmetic_and_adds_up(drawn):
    terms, rows = drawn
    found = quoted(terms, rows)
    for number, (plan, row) in enumerate(rows):
        if found.refused[number]:
            continue
        lines, premium = exact(terms, plan, row)
        assert {name: int(paise[number]) for name, paise in found.lines_paise.items()} == lines
        assert sum(lines.values()) == premium == found.premium_paise[number]
        assert terms.min_paise[plan] <= premium <= terms.max_paise[plan]
        assert all(paise % terms.unit_paise == 0 for name, paise in lines.items())


@given(riders(), st.randoms(use_true_random=False))
def test_a_quote_does_not_depend_on_the_other_riders(drawn, random):
    terms, rows = drawn
    order = list(range(len(rows))) * 3
    random.shuffle(order)
    together = quoted(terms, [rows[number] for number in order])
    alone = [quoted(terms, [row]) for row in rows]
    for name, column in together.lines_paise.items():
        assert column.tolist() == [int(alone[number].lines_paise[name][0]) for number in order]
    assert together.premium_paise.tolist() == [int(alone[number].premium_paise[0]) for number in order]


def made(root, premium):
    document = yaml.safe_load((root / "products" / "nexora.yaml").read_text(encoding="utf-8"))
    return parse_product(document | {"premium": premium}, where="x.yaml", version="0").premium


@pytest.mark.parametrize("wage", [25.0, 75.0, 124.99999999999999, 125.0, 475.0])
def test_ties_are_rounded_half_to_even_by_the_exact_amount(root, wage):
    """2% of a week of 475 is 66.5 exactly, of which the double is 66.50000000000001."""
    terms = made(
        root,
        {
            "inputs": {"wage": {"meaning": "w", "unit": "INR", "min": 0, "max": 1000}},
            "lines": [{"name": "base", "amount": "0.02 * 7 * wage"}],
            "rounding": "rupee",
            "min": "0",
            "max": "1000 * INR",
        },
    )
    found = quote(terms, ["standard"], {"wage": np.array([wage])})
    assert found.premium_paise[0] == 100 * round(Fraction(str(wage)) * 14 / 100)


def test_a_formula_whose_doubles_lose_every_digit_is_computed_exactly(root):
    terms = made(
        root,
        {
            "inputs": {"x": {"meaning": "x", "unit": "1", "min": 0, "max": 1}},
            "lines": [{"name": "base", "amount": "(x * 1e25 + 7.31 - x * 1e25) * INR"}],
            "min": "0",
            "max": "1000 * INR",
        },
    )
    found = quote(terms, ["standard", "standard"], {"x": np.array([0.3, 0.7])})
    assert found.premium_paise.tolist() == [731, 731]


def test_a_line_beyond_a_million_is_refused_and_its_neighbor_is_not(root):
    terms = made(
        root,
        {
            "inputs": {"x": {"meaning": "x", "unit": "1", "min": 0, "max": 1e9}},
            "lines": [{"name": "base", "amount": "x * x * INR"}, {"name": "more", "amount": "1 / x * INR"}],
            "min": "0",
            "max": "1000 * INR",
        },
    )
    found = quote(terms, ["standard"] * 3, {"x": np.array([1e9, 10.0, 0.0])})
    assert found.refused.tolist() == [True, False, False]
    assert found.premium_paise.tolist()[1:] == [10010, 0]
    assert found.not_measured["more"].tolist() == [False, False, True]
