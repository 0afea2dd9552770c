"""Canonical JSON."""

from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.validation.canonical import canonical_json, standing


def test_keys_sorted_no_spaces_no_nulls():
    assert canonical_json({"b": 60.0, "a": ["x", "y"], "c": None, "d": True}) == '{"a":["x","y"],"b":60,"d":true}'


def test_text_is_not_escaped_beyond_need():
    assert canonical_json({"a": 'é"\n'}) == '{"a":"é\\"\\n"}'


@given(st.integers(-(2**60), 2**60))
def test_60_is_60_point_0(number):
    as_float = float(number)
    assert canonical_json({"a": as_float}) == canonical_json({"a": int(as_float)})


@given(st.lists(st.text(), min_size=1))
def test_the_content_that_sorts_first_stands_whatever_the_order(contents):
    first, others = standing(contents)
    assert (first, others) == standing(reversed(contents + contents))
    assert [first, *others] == sorted(set(contents))


def test_when_a_record_came_is_no_part_of_what_it_says():
    assert canonical_json({"a": 1, "received_time": 1_718_000_000_000}) == canonical_json({"a": 1})
