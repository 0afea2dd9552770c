"""The check that does not recurse accepts what a strict parser accepts, and measures depth."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from validation.lines import hostile_lines

from monsoon.transforms.validation.json_scan import json_depth, replace_lone_surrogates


def accepted_by_parser(line):
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


def without_halves(line):
    """RFC 8259 allows escapes that are half of a surrogate pair; the parser does not."""
    return replace_lone_surrogates(line) or line


def levels(value):
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


@given(hostile_lines())
@example(b'{"a":"\\ud83d\\ude00\\ud83d"}')
@example(b'["\xe0\xa4\x95", 1e5 , -0.0e-0]')
@example(b'["\\"", "\\\\"]')
def test_agrees_with_the_parser(line):
    if b"1" + b"0" * 400 in line or b"[" * 900 in line:
        return  # where the parser is lenient, or recurses too deep: see test_record_validator
    assert (json_depth(line) is not None) == accepted_by_parser(without_halves(line))


MARKS = ["[", "]", "{", "}", ",", ":", '"a"', '"', "1", "-", ".5", "e3", "null", "true", " ", "v", '"\\u00e9"']


@given(st.lists(st.sampled_from(MARKS), max_size=12).map("".join))
def test_agrees_with_the_parser_on_loose_marks(text):
    assert (json_depth(text.encode()) is not None) == accepted_by_parser(text.encode())


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), st.booleans())  # fmt: skip
def test_measures_every_json_value(value, ascii_only):
    try:
        line = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    assert json_depth(line) == (levels(value) if accepted_by_parser(line) else None)


@pytest.mark.parametrize("deep", [1, 32, 50_000, 70_000])
def test_measures_depth_without_recursion(deep):
    assert json_depth(b"[" * deep + b"]" * deep) == deep
    assert json_depth(b'{"a":' * deep + b"1" + b"}" * deep) == deep


@pytest.mark.parametrize("wrong", [b"]", b"[]", b"}", b",", b""])
def test_refuses_brackets_that_do_not_match_far_down(wrong):
    assert json_depth(b"[" * 5000 + b'{"a":1' + wrong + b"]" * 5000) == (5001 if wrong == b"}" else None)


@pytest.mark.parametrize("number", ["1e999", "1" + "0" * 309, "-1" + "0" * 9000, "1e309", "01", "1.", "+1", "0x1"])
def test_refuses_what_is_no_number_or_beyond_a_double(number):
    assert json_depth(number.encode()) is None
