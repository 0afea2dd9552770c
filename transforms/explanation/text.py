"""How explanations are set: sections of lines, in ASCII, no wider than a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from monsoon.transforms.product.wording.phrases import Section

WIDTH = 100
_AMOUNT = 16
"""Characters of an amount in a column."""

_SPELLED = str.maketrans({"\N{DEGREE SIGN}": "deg ", "\N{EN DASH}": "-", "\N{RIGHT SINGLE QUOTATION MARK}": "'"})


def laid_out(sections: Iterable[Section]) -> list[str]:
    """The lines of sections: printable ASCII, at most WIDTH characters each, an empty line between sections.

    Leading spaces of a point indent it, and what of it is wrapped. What is not ASCII is escaped as Python does it.
    """
    lines: list[str] = []
    for section in sections:
        title = ascii_text(section.title)
        lines += [*([""] if lines else []), *_wrapped(title, "", ""), "-" * min(len(title), WIDTH)]
        for point in section.points:
            text = ascii_text(point)
            indent = " " * (2 + len(text) - len(text.lstrip()))
            lines += _wrapped(text.lstrip(), indent, indent + "    ")
    return lines


def ascii_text(text: str) -> str:
    """One line of printable ASCII."""
    text = text.translate(_SPELLED)
    return "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text)


def amount_line(label: str, paise: int, indent: int = 0) -> str:
    """`Gross amount          Rs 310.00`, amounts below one another; a long label loses its column."""
    width = WIDTH - 2 - indent - _AMOUNT
    return f"{' ' * indent}{label:<{width}}{money(paise):>{_AMOUNT}}"


def money(paise: int) -> str:
    """`Rs 1,310.00`, `-Rs 310.00`."""
    sign = "-" if paise < 0 else ""
    whole, rest = divmod(abs(paise), 100)
    return f"{sign}Rs {whole:,}.{rest:02d}"


def number(value: float) -> str:
    """A number with up to six decimals: `1,234.5`, `0.000123`."""
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def is_number(value: Any) -> bool:
    """Whether a value of an open field is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def quantity(value: Any, unit: str) -> str:
    """A value with its unit: `Rs 400`, `0.25`, `82.4 mm`; seconds of more than two days also in days; for what is no
    number `not known`."""
    if not is_number(value):
        return "not known"
    if unit == "INR":
        return money(round(value * 100))
    words = f"{number(value)} {unit}" if unit not in ("", "1") else number(value)
    if unit == "s" and abs(value) >= 2 * 86_400:
        words += f" ({value / 86_400:,.1f} days)"
    return words


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    if not text.strip():
        return [""]
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
