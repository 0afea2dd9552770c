"""What is said of a formula or a unit that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ExpressionError(ValueError):
    """A formula or unit that cannot be used: what is wrong, where in the text, and the nearest known name.

    `position` is the 0-based character of the text (None: the whole text), `suggestion` the nearest known name (None:
    there is none near); both are also part of the message.
    """

    def __init__(self, message: str, position: int | None = None, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.position = position
        self.suggestion = suggestion


def error_at(text: str, position: int, problem: str, suggestion: str | None = None) -> ExpressionError:
    """The error for what stands at `position` of `text`; the message quotes the text around it."""
    begin, end = max(0, position - 30), position + 30
    around = ("..." if begin else "") + text[begin:end] + ("..." if end < len(text) else "")
    hint = f"; did you mean {suggestion}?" if suggestion else ""
    return ExpressionError(f"{problem}, at character {position + 1} of {around!r}{hint}", position, suggestion)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if none is near."""
    matches = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
