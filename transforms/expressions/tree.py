"""The checked tree of a formula: what every evaluator and `describe` walk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from monsoon.transforms.expressions.units import Unit


@dataclass(frozen=True)
class Node:
    """One operation, input or number.

    `kind` is "number", "unit", "input", "convert" (its operand times `value`), "negative", "+", "-", "*", "/",
    "compare" (operands chained by `comparisons`), "and", "or", "not", or a function's name. `unit` is None for a
    condition. Operands that must agree already do: conversions are nodes of their own.
    """

    kind: str
    unit: Unit | None
    operands: tuple[Node, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)
    comparisons: tuple[str, ...] = ()

    def inputs(self) -> Iterator[str]:
        """The names of the inputs used, in the order of the text, repeats included."""
        if self.kind == "input":
            yield self.name
        for operand in self.operands:
            yield from operand.inputs()

    def is_constant(self) -> bool:
        """Whether no input takes part."""
        return next(self.inputs(), None) is None

    def is_zero_literal(self) -> bool:
        """Whether this is a plain 0, which stands for nothing of any unit."""
        return self.kind == "number" and self.value == 0
