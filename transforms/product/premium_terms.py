"""The checked terms of a premium; docs/pricing.md explains them.

A premium is the sum of lines, each rounded by itself, so that what a rider is shown adds up to what is charged.
`premium_reader.py` makes these from a product file, `monsoon.transforms.pricing` evaluates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monsoon.transforms.expressions import Expression

PREVIOUS_PREMIUM = "previous_premium"
"""The input, in rupees, from which `max_change` counts."""

SUBTOTAL = "subtotal"
"""In the formulas of a line: the sum of the lines before it."""

CHANGE_LIMIT, RANGE = "change_limit", "range"
RESERVED_LINES = (CHANGE_LIMIT, RANGE)
"""The lines that end every breakdown: what the limit of change and the range add to the sum, or take from it."""

MAX_PREMIUM_INR = 1_000_000
"""Of a line or a limit, in size. Sums of lines stay far within 64 bits."""


@dataclass(frozen=True)
class PremiumInput:
    """A number in `unit` of [min, max]; or, where there are `choices`, one of their names, which counts the number
    there. `default` is what counts where a rider has none; without one a rider needs it, unless it is optional."""

    name: str
    meaning: str
    unit: str
    min: float
    max: float
    choices: Mapping[str, float] | None
    default: float | None
    optional: bool

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional


@dataclass(frozen=True)
class PremiumLine:
    """`amount` in rupees; 0 where `when` does not hold (None: always) or the amount is not measured."""

    name: str
    amount: Expression
    when: Expression | None


@dataclass(frozen=True)
class PremiumTerms:
    """What a period of cover costs. `plan_terms`: by plan, what formulas know of it. `min_paise`, `max_paise`: the
    range, by plan, whole `unit_paise`, to which lines are rounded. `max_change`: a share of the previous premium."""

    inputs: Mapping[str, PremiumInput]
    plan_terms: Mapping[str, Mapping[str, float]]
    factors: Mapping[str, Expression]
    lines: tuple[PremiumLine, ...]
    unit_paise: int
    min_paise: Mapping[str, int]
    max_paise: Mapping[str, int]
    max_change: float | None = None
    bonus_cover: Expression | None = None

    @property
    def line_names(self) -> tuple[str, ...]:
        """Of every line of a breakdown, in order."""
        limits = RESERVED_LINES if self.max_change is not None else RESERVED_LINES[1:]
        return (*(line.name for line in self.lines), *limits)
