"""Suggestions for misspelled names ("did you mean ...?")."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 80
"""The longest name that is compared: comparing takes time in proportion to the square of its length."""
_SHORTEST_PART = 3


def closest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to `name` (itself, if known); None if none is similar.

    Tried in turn: equal but for case, spaces, hyphens and underscores; a `difflib` ratio of at least 0.6; the only
    name that contains `name`, if that has 3 characters or more. The first in alphabetical order wins a tie. A `name`
    of more than 80 characters has no similar name.
    """
    if len(name) > _LONGEST:
        return None
    names = sorted(known)
    if name in names:
        return name
    by_folded: dict[str, str] = {}
    for each in names:
        by_folded.setdefault(_folded(each), each)
    folded = _folded(name)
    if folded in by_folded:
        return by_folded[folded]
    if matches := get_close_matches(folded, by_folded, n=1, cutoff=0.6):
        return by_folded[matches[0]]
    around = [each for each in by_folded if folded in each] if len(folded) >= _SHORTEST_PART else []
    return by_folded[around[0]] if len(around) == 1 else None


def _folded(name: str) -> str:
    return name.strip().casefold().replace("_", "-").replace(" ", "-")
