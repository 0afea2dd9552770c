"""A formula, ready to use: parsed once, evaluated exactly or on columns, sent to workers as its text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import EllipsisType
from typing import Any

import numpy as np

from monsoon.transforms.expressions.columns import Columns, compile_columns, condition_column, number_column
from monsoon.transforms.expressions.exact import Exact, compile_exact
from monsoon.transforms.expressions.grammar import read
from monsoon.transforms.expressions.tree import Node
from monsoon.transforms.expressions.units import Unit


@dataclass(frozen=True)
class Expression:
    """A checked formula. Equal, and of equal hash, with the same text over the same inputs in the same units.

    `names` are the inputs used (unit names are none), `unit` is that of the result, None for a condition. Pickled as
    text and units; the other side parses again.
    """

    text: str
    names: frozenset[str]
    unit: Unit | None
    inputs: tuple[tuple[str, Unit | None], ...] = field(repr=False)
    tree: Node = field(repr=False, compare=False)
    _exact: Exact = field(repr=False, compare=False)
    _columns: Columns = field(repr=False, compare=False)

    @staticmethod
    def parse(text: str, inputs: Mapping[str, Unit | None], result: Unit | EllipsisType | None = ...) -> Expression:
        """Reads and checks a formula; see docs/products.md, "Formulas".

        Args:
            text: the formula, at most 2,000 characters of ASCII.
            inputs: the names it may use, each with the unit in which its values will come (None: a condition).
            result: the unit that values are wanted in (any unit of its dimension is converted); None: it must be a
                condition; `...`: whatever the formula yields.

        Raises:
            ExpressionError: the text is no formula, names something unknown, mixes units, or yields something else
                than `result`.
        """
        tree = read(text, inputs, result)
        used = {name: inputs[name] for name in sorted(set(tree.inputs()))}
        return Expression(
            text=text,
            names=frozenset(used),
            unit=tree.unit,
            inputs=tuple(used.items()),
            tree=tree,
            _exact=compile_exact(tree),
            _columns=compile_columns(tree),
        )

    def value(self, inputs: Mapping[str, Fraction | int | float | bool | None]) -> Fraction | bool | None:
        """The exact result; None: not measured. Inputs in their declared units; others than `names` are ignored.

        A float counts as the shortest decimal that names it. None, NaN and infinity are not measured: arithmetic with
        them is not measured either, comparisons do not hold. Dividing by zero, and the logarithm of what is not
        positive, give None. Only log10 goes through floating point.

        Raises:
            KeyError: an input is absent from `inputs` (None says "not measured").
            TypeError: an input is no number.

        Both only for inputs that the result depends on: what lies beyond a condition that fails is not read.
        """
        result = self._exact(inputs)
        return Fraction(*result) if type(result) is tuple else result

    def number(self, inputs: Mapping[str, Fraction | int | float | bool | None]) -> float | None:
        """The exact result as the nearest double, for scores; None: not measured. Raises as `value` does."""
        result = self._exact(inputs)
        if type(result) is not tuple:
            return result
        try:
            return float(result[0] / result[1])
        except OverflowError:
            return math.inf if result[0] > 0 else -math.inf

    def columns(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The result of each row, float64 (NaN: not measured) or bool, of the length of the columns in `inputs`.

        The same as `value` of each row up to the rounding and the range of doubles. A formula of constants alone takes
        its length from whatever columns are given.

        Raises:
            KeyError: an input used by the formula is absent.
            ValueError: the columns differ in length, or there is none to tell the length.
        """
        lengths = {np.shape(inputs[name]) for name in (self.names or inputs)}
        if len(lengths) != 1 or len(next(iter(lengths))) != 1:
            raise ValueError(f"a formula is evaluated on columns of one length, not of shapes {sorted(lengths)}")
        columns = {
            name: condition_column(inputs[name]) if unit is None else number_column(inputs[name])
            for name, unit in self.inputs
        }
        with np.errstate(all="ignore"):
            result = self._columns(columns)
        if self.unit is None:
            return np.broadcast_to(np.asarray(result, dtype=bool), next(iter(lengths))).copy()
        column = np.broadcast_to(result, next(iter(lengths))) + 0.0  # -0.0 becomes 0.0, as in exact numbers
        column[np.isnan(column)] = np.nan  # one NaN, of the many that there are
        return column

    def __reduce__(self) -> tuple[Any, ...]:
        return Expression.parse, (self.text, dict(self.inputs), self.unit)
