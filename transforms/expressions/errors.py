"""Errors of formulas and units, with the position in the text and the nearest known name."""

from __future__ import annotations


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
