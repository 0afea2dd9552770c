"""Canonical JSON."""

from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.validation.canonical import canonical_json, resolve_conflict


def test_keys_sorted_no_spaces_no_nulls():
    assert canonical_json({"b": 60.0, "a": ["x", "y"], "c": None, "d": True}) == '{"a":["x","y"],"b":60,"d":true}'


def test_text_is_not_escaped_beyond_need():
    assert canonical_json({"a": 'é"\n'}) == '{"a":"é\\"\\n"}'


@given(st.integers(-(2**60), 2**60))
def test_60_is_60_point_0(number):
    as_float = float(number)
    assert canonical_json({"a": as_float}) == canonical_json({"a": int(as_float)})


def test_how_a_record_came_is_no_content():
    assert canonical_json({"event_id": "e", "received_time": 7}) == '{"event_id":"e"}'


@given(st.dictionaries(st.text(), st.tuples(st.integers(0, 3)), min_size=1))
def test_the_earliest_content_stands_then_the_one_that_sorts_first_whatever_the_order(contents):
    first, others = resolve_conflict(contents)
    assert (first, others) == resolve_conflict(dict(reversed(contents.items())))
    assert [(contents[each], each) for each in (first, *others)] == sorted((at, each) for each, at in contents.items())
