"""The iterative scanner accepts what a strict parser accepts, however the line is cut into pieces."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from validation.lines import hostile_lines

from monsoon.transforms.validation.json_scan import JsonScanner


def scan(pieces):
    scanner = JsonScanner()
    for piece in pieces:
        scanner.feed(piece)
    return scanner.finish(), scanner


def accepted_by_parser(line):
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


@given(hostile_lines(), st.integers(1, 9))
@example(b'{"a":"\\ud83d\\ude00\\ud83d"}', 1)
@example(b'["\xe0\xa4\x95", 1e5 , -0.0e-0]', 1)
def test_agrees_with_the_parser(line, piece_bytes):
    if b"1" + b"0" * 400 in line or b"[" * 900 in line:
        return  # where the parser is lenient, or recurses too deep: see test_judge
    whole, _ = scan([line])
    pieces, _ = scan(line[at : at + piece_bytes] for at in range(0, len(line), piece_bytes))
    assert whole == pieces == accepted_by_parser(line)


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), st.booleans())  # fmt: skip
def test_accepts_every_json_value(value, ascii_only):
    try:
        line = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    assert scan([line])[0] == accepted_by_parser(line)


@pytest.mark.parametrize("levels", [1, 32, 50_000])
def test_measures_depth_without_recursion(levels):
    well_formed, scanner = scan([b"[" * levels, b"]" * levels])
    assert well_formed
    assert scanner.max_depth == levels
    assert not scanner.starts_object
