"""A cache for functions of long texts, such as polygons of up to 64 KB, bounded by bytes and not by entries."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def cached_within_bytes(max_bytes: int) -> Callable[[Callable[[str], Result]], Callable[[str], Result]]:
    """Like functools.lru_cache for a function of one text, bounded by the bytes of the texts and not by their number.

    The cache is cleared when one more text would exceed the limit; a text that exceeds it by itself is not cached. The
    size of results is not counted: it should be a small multiple of the text's at most.
    """

    def decorate(function: Callable[[str], Result]) -> Callable[[str], Result]:
        results: dict[str, Result] = {}
        held_bytes = 0

        @functools.wraps(function)
        def cached(text: str) -> Result:
            nonlocal held_bytes
            try:
                return results[text]
            except KeyError:
                result = function(text)
            size = sys.getsizeof(text)
            if size > max_bytes:
                return result
            if held_bytes + size > max_bytes:
                results.clear()
                held_bytes = 0
            results[text] = result
            held_bytes += size
            return result

        return cached

    return decorate
