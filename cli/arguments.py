"""Types of arguments that several commands take; each raises ArgumentTypeError with what is wrong."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

MAX_RIDERS = 10_000_000
"""A simulation keeps a few hundred bytes of each in memory."""

MAX_ROWS = 10_000_000_000


def count_to(most: int) -> Callable[[str], int]:
    """The type of whole numbers from 1 to `most`."""

    def count(text: str) -> int:
        return _whole(text, 1, most)

    return count


def seed(text: str) -> int:
    """A whole number from 0 to 2^32 - 1."""
    return _whole(text, 0, 2**32 - 1)


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return number


def _whole(text: str, least: int, most: int) -> int:
    # A line of digits is not converted: Python refuses more than some thousand.
    if not text.isdecimal() or len(text) > len(str(most)) or not least <= int(text) <= most:
        raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
    return int(text)
