"""A strict check of JSON text that does not recurse: whether it is JSON at all, and how deep it nests.

For lines that nest too deep for a recursive parser, or hold integers that one takes although no double holds them.
Linear in the length of the line, whatever it holds: every step runs over the whole line at once.
"""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt

# Only single characters are possessive here: Python before 3.11.5 errs in possessive groups. None of these patterns
# tries anything twice: what a repeated group may give up never begins with what follows the group.
_TEXT = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
_TEXTS = re.compile(_TEXT)
_WHOLE_TEXTS_ONLY = re.compile(rb'[^"]*+(?:' + _TEXT + rb'[^"]*+)*')
_NUMBERS = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_LITERALS = re.compile(rb"true|false|null")
_SPACE = b" \t\r\n"
_FLAT = re.compile(rb'[v"](?:\[(?:[v"](?:,[v"])*)?\]|\{(?:":[v"](?:,":[v"])*)?\})*')
"""A value, then containers that hold no container. Texts are written `"`, all other values `v`."""


_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
"""A pair of surrogates, half of one (the group), or any other escape."""


def replace_lone_surrogates(line: bytes) -> bytes | None:
    """The line with U+FFFD in place of each escape of a lone surrogate; None where it has none."""
    whole = _ESCAPE.sub(lambda escape: b"\\ufffd" if escape[1] else escape[0], line)
    return None if whole == line else whole


def json_depth(line: bytes) -> int | None:
    """Levels of nesting of the JSON value that `line` is, 0 for a scalar; None if it is not just one value.

    JSON is what RFC 8259 accepts, in UTF-8, without numbers beyond a double.
    """
    try:
        line.decode()
    except UnicodeDecodeError:
        return None
    if not _WHOLE_TEXTS_ONLY.fullmatch(line):
        return None
    bare = _TEXTS.sub(b'"', line)
    if b"v" in bare or not all(map(math.isfinite, map(float, _NUMBERS.findall(bare)))):
        return None
    marks = _LITERALS.sub(b"v", _NUMBERS.sub(b"v", bare)).translate(None, _SPACE)
    return _flat_depth(np.frombuffer(marks, dtype=np.uint8))


def _flat_depth(marks: npt.NDArray[np.uint8]) -> int | None:
    """The depth of a value whose scalars are marks of one byte; None if brackets, commas or colons stand wrong.

    Marks sorted by level give containers side by side, each with a `v` for every container within it: such text is
    regular.
    """
    opening = (marks == ord("[")) | (marks == ord("{"))
    closing = (marks == ord("]")) | (marks == ord("}"))
    level = np.cumsum(opening.astype(np.int32) - closing)
    if not len(level) or level[-1] != 0 or level.min() < 0:
        return None
    own = np.repeat(level + closing, 1 + opening)
    flat = np.repeat(marks, 1 + opening)
    outside = np.flatnonzero(opening) + np.arange(np.count_nonzero(opening))
    own[outside] -= 1
    flat[outside] = ord("v")
    depth = int(own.max())
    # Radix sort, but for lines too long in any case.
    order = np.argsort(own.astype(np.uint16) if depth < 2**16 else own, kind="stable")
    return depth if _FLAT.fullmatch(flat[order].tobytes()) else None
