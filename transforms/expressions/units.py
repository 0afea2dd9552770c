"""Units of formulas: products of powers of the symbols in one table.

Symbols of one dimension convert into each other exactly (1 d = 24 h); symbols of different dimensions never do. Rain
depth (mm) is a dimension of its own beside distance (m, km): a rain rate is not a speed, and comparing the two is the
kind of slip that the check is for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

from monsoon.transforms.expressions.errors import ExpressionError, error_at
from monsoon.transforms.spelling import closest_name

SYMBOLS: dict[str, tuple[str, Fraction]] = {
    "INR": ("INR", Fraction(1)),
    "paise": ("INR", Fraction(1, 100)),
    "h": ("h", Fraction(1)),
    "ms": ("h", Fraction(1, 3_600_000)),
    "s": ("h", Fraction(1, 3600)),
    "min": ("h", Fraction(1, 60)),
    "d": ("h", Fraction(24)),
    "mm": ("mm", Fraction(1)),
    "km": ("km", Fraction(1)),
    "m": ("km", Fraction(1, 1000)),
    "degC": ("degC", Fraction(1)),
    "Pa": ("Pa", Fraction(1)),
    "hPa": ("Pa", Fraction(100)),
    "orders": ("orders", Fraction(1)),
    "%": ("1", Fraction(1, 100)),
}
"""Each symbol's dimension, named by its base symbol ("1": none), and how many of the base symbol it is."""

_MAX_LENGTH = 64
_MAX_POWER = 9
_TOKEN = re.compile(r"\s*(?:(?P<symbol>[A-Za-z]+|%)|(?P<power>\^?-?[0-9]+)|(?P<mark>[*/()]))")


@dataclass(frozen=True)
class Unit:
    """A product of powers of symbols, e.g. INR/h; two are equal if they are the same powers of the same symbols.

    `powers` lists (symbol, power), power never 0, in the order of `SYMBOLS`. Empty: dimensionless.
    """

    powers: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def parse(text: str) -> Unit:
        """Reads "1", "INR", "INR/h", "mm/h", "(m/s2)2", "m2/s4", "%": factors joined by * and /, left to right.

        Raises:
            ExpressionError: the text is no unit, or longer than 64 characters, or a power is beyond 9; for an unknown
                symbol it names the closest known one.
        """
        return _UnitParser(text).read()

    def __str__(self) -> str:
        above = [_power(symbol, power) for symbol, power in self.powers if power > 0]
        below = [_power(symbol, -power) for symbol, power in self.powers if power < 0]
        return "/".join(["*".join(above) or "1", *below])

    def __mul__(self, other: Unit) -> Unit:
        return _unit([*self.powers, *other.powers])

    def __truediv__(self, other: Unit) -> Unit:
        return self * other.to_power(-1)

    def to_power(self, power: int) -> Unit:
        """This unit multiplied by itself `power` times; 0 is dimensionless, below 0 is its inverse."""
        return _unit([(symbol, own * power) for symbol, own in self.powers])

    @cached_property
    def dimension(self) -> Unit:
        """The same with each symbol's base symbol in its place: units convert if their dimensions are equal."""
        return _unit([(SYMBOLS[symbol][0], power) for symbol, power in self.powers if SYMBOLS[symbol][0] != "1"])

    @cached_property
    def scale(self) -> Fraction:
        """The exact factor that converts a value of this unit into `dimension` (0.01 for paise, which is INR)."""
        return prod((SYMBOLS[symbol][1] ** power for symbol, power in self.powers), start=Fraction(1))

    def normalized(self) -> Unit:
        """This unit with at most one symbol of each dimension (INR/h*min -> INR), and % only where it stands alone."""
        if len(self.powers) <= 1 and all(abs(power) == 1 for symbol, power in self.powers if symbol == "%"):
            return self
        dimensions = [SYMBOLS[symbol][0] for symbol, _ in self.powers]
        kept = [
            (base if dimensions.count(base) > 1 else symbol, power)
            for (symbol, power), base in zip(self.powers, dimensions, strict=True)
            if base != "1"
        ]
        return _unit(kept)


DIMENSIONLESS = Unit()


def _unit(powers: list[tuple[str, int]]) -> Unit:
    totals: dict[str, int] = {}
    for symbol, power in powers:
        totals[symbol] = totals.get(symbol, 0) + power
    return Unit(tuple((symbol, totals[symbol]) for symbol in SYMBOLS if totals.get(symbol)))


def _power(symbol: str, power: int) -> str:
    return symbol if power == 1 else f"{symbol}{power}"


class _UnitParser:
    """Recursive descent over a unit's text: factor ((* | /) factor)*; a factor is 1, symbol[power] or (unit)[power]."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ExpressionError(f"a unit is text such as INR/h, not {text!r}")
        if len(text) > _MAX_LENGTH:
            raise ExpressionError(f"a unit is at most {_MAX_LENGTH} characters long, this one {len(text)}")
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                raise error_at(text, at, f"{text[at]!r} is no part of a unit")
            self.tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            at = match.end()
        self.next = 0

    def read(self) -> Unit:
        unit = self.product()
        if self.next < len(self.tokens):
            _, token, at = self.tokens[self.next]
            raise error_at(self.text, at, f"{token!r} does not belong here in a unit")
        return unit

    def product(self) -> Unit:
        unit = self.factor()
        while (mark := self.take("mark", "*", "/")) is not None:
            factor = self.factor()
            unit = unit * factor if mark == "*" else unit / factor
        return unit

    def factor(self) -> Unit:
        if self.take("mark", "("):
            unit = self.product()
            if not self.take("mark", ")"):
                raise error_at(self.text, self.position(), "a unit's parenthesis is not closed")
            return self.raised(unit)
        if self.take("power", "1"):
            return DIMENSIONLESS
        at = self.position()
        symbol = self.take("symbol")
        if symbol is None:
            raise error_at(self.text, at, "a unit is missing (1 is the dimensionless one)")
        if symbol not in SYMBOLS:
            raise error_at(self.text, at, f"unknown unit {symbol!r}", closest_name(symbol, SYMBOLS))
        return self.raised(Unit(((symbol, 1),)))

    def raised(self, unit: Unit) -> Unit:
        at = self.position()
        power = self.take("power")
        if power is None:
            return unit
        if abs(int(power.lstrip("^"))) > _MAX_POWER:
            raise error_at(self.text, at, f"a unit's power is at most {_MAX_POWER}")
        return unit.to_power(int(power.lstrip("^")))

    def position(self) -> int:
        return self.tokens[self.next][2] if self.next < len(self.tokens) else len(self.text)

    def take(self, kind: str, *allowed: str) -> str | None:
        """The next token, if it is of this kind and one of these; else None, and it stays."""
        if self.next == len(self.tokens):
            return None
        found, token, _ = self.tokens[self.next]
        if found != kind or (allowed and token not in allowed):
            return None
        self.next += 1
        return token


UNIT_NAMES: dict[str, Unit] = {"percent" if symbol == "%" else symbol: Unit(((symbol, 1),)) for symbol in SYMBOLS} | {
    name: Unit.parse(text)
    for name, text in {
        "INR_h": "INR/h",
        "mm_h": "mm/h",
        "km_h": "km/h",
        "m_s": "m/s",
        "m_s2": "m/s2",
        "m2_s4": "(m/s2)2",
        "orders_h": "orders/h",
    }.items()
}
"""The names of units in formulas, as in `15 * mm_h`."""
