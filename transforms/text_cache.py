"""Answers about long texts, remembered within a budget of bytes: a few polygons of 64 KB, or many small ones."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def remembered_within(max_bytes: int) -> Callable[[Callable[[str], Answer]], Callable[[str], Answer]]:
    """Like functools.lru_cache for a function of one text, bounded by the bytes of the texts and not by their number.

    Forgets all of them when one more would exceed the budget, and never keeps one that exceeds it by itself. What an
    answer holds is not counted: it should be no more than a small multiple of its text.
    """

    def decorate(function: Callable[[str], Answer]) -> Callable[[str], Answer]:
        answers: dict[str, Answer] = {}
        held_bytes = 0

        @functools.wraps(function)
        def remembering(text: str) -> Answer:
            nonlocal held_bytes
            try:
                return answers[text]
            except KeyError:
                answer = function(text)
            size = sys.getsizeof(text)
            if size > max_bytes:
                return answer
            if held_bytes + size > max_bytes:
                answers.clear()
                held_bytes = 0
            answers[text] = answer
            held_bytes += size
            return answer

        return remembering

    return decorate
