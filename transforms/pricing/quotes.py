"""Quotes of many riders: every line of the breakdown in whole paise, adding up exactly to the premium.

Formulas run on columns of doubles with bounds of their error. A row whose bound leaves a rounding or a condition open
is computed again in exact fractions; so the result is that of exact arithmetic, on every machine and in every order of
the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from monsoon.transforms.expressions import Expression
from monsoon.transforms.pricing.exactness import Bounded, evaluate, measured_column
from monsoon.transforms.product.premium_terms import (
    CHANGE_LIMIT,
    MAX_PREMIUM_INR,
    PREVIOUS_PREMIUM,
    RANGE,
    SUBTOTAL,
    PremiumLine,
    PremiumTerms,
)

_TOO_LARGE_PAISE = MAX_PREMIUM_INR * 100
_PAISE_INR = 100


@dataclass(frozen=True)
class Quotes:
    """A row per rider. `lines_paise`: by line, in order of the breakdown, int64; they add up to `premium_paise`.
    `not_measured`: by line whether its amount could not be computed (then it is 0). `factors`: by factor its value as a
    double, NaN where it is not measured, 1 or 0 of a condition. `bonus_hours`: NaN where it could not be computed, or
    the product gives none. `refused`: rows whose first line could not be computed, or with a line beyond Rs 1,000,000:
    their numbers mean nothing."""

    lines_paise: Mapping[str, np.ndarray]
    premium_paise: np.ndarray
    not_measured: Mapping[str, np.ndarray]
    factors: Mapping[str, np.ndarray]
    bonus_hours: np.ndarray
    refused: np.ndarray


def quote(terms: PremiumTerms, plans: Iterable[str], inputs: Mapping[str, np.ndarray]) -> Quotes:
    """The quotes of some riders.

    Args:
        terms: of a product.
        plans: of each rider, a plan that the terms know.
        inputs: by input a float64 column in its unit, NaN where a rider has none; choices as what they count.

    Raises:
        KeyError: an input or a plan is not there.
        ValueError: the columns differ in length.
    """
    return _Quoting(terms, list(plans), inputs).quotes()


class _Quoting:
    def __init__(self, terms: PremiumTerms, plans: Sequence[str], inputs: Mapping[str, np.ndarray]) -> None:
        self._terms, self._count = terms, len(plans)
        index = {plan: number for number, plan in enumerate(terms.plan_terms)}
        self._plans = np.array([index[plan] for plan in plans], dtype=np.int64)
        self._columns: dict[str, Bounded] = {}
        self._stated: list[str] = []
        """Names whose doubles are, as the shortest decimals, the exact values."""
        for name, each in terms.inputs.items():
            column = np.asarray(inputs[name], dtype=np.float64)
            if column.shape != (self._count,):
                raise ValueError(f"{name} has the shape {column.shape}; {self._count} riders have plans")
            if each.default is not None:
                column = np.where(np.isnan(column), each.default, column)
            self._add(name, column)
        for name in next(iter(terms.plan_terms.values()), {}):
            if all(name in stated for stated in terms.plan_terms.values()):
                self._add(name, self._of_plans({plan: stated[name] for plan, stated in terms.plan_terms.items()}))
        for name, factor in terms.factors.items():
            self._columns[name] = evaluate(factor.tree, self._columns, self._count)

    def _add(self, name: str, column: np.ndarray) -> None:
        self._columns[name] = measured_column(column)
        if name not in self._stated:
            self._stated.append(name)

    def _of_plans(self, values: Mapping[str, Any]) -> np.ndarray:
        return np.array([values[plan] for plan in self._terms.plan_terms], dtype=np.float64)[self._plans]

    def _exact(self, expression: Expression, row: int) -> Fraction | bool | None:
        """The exact value of a row, with the exact values of the factors before it."""
        values: dict[str, Any] = {name: float(self._columns[name].values[row]) for name in self._stated}
        for name, factor in self._terms.factors.items():
            values[name] = factor.value(values)
        return expression.value(values)

    def _numbers(self, expression: Expression, found: Bounded | None = None) -> np.ndarray:
        """A formula, `found` where it is evaluated already, as doubles; where its bound is open, of the exact value."""
        if found is None:
            found = evaluate(expression.tree, self._columns, self._count)
        values = found.values.astype(np.float64)
        for row in np.flatnonzero(np.isinf(found.errors)).tolist():
            exact = self._exact(expression, row)
            values[row] = np.nan if exact is None else float(exact)
        return values

    def quotes(self) -> Quotes:
        terms, lines_paise, not_measured = self._terms, {}, {}
        factors = {name: self._numbers(factor, self._columns[name]) for name, factor in terms.factors.items()}
        total, refused = np.zeros(self._count, dtype=np.int64), np.zeros(self._count, dtype=bool)
        for number, line in enumerate(terms.lines):
            paise, missing = self._line(line)
            refused |= np.abs(paise) > _TOO_LARGE_PAISE
            if number == 0:
                refused |= missing
            paise = np.where(refused, 0, paise)
            lines_paise[line.name], not_measured[line.name] = paise, missing
            total = total + paise
            self._add(line.name, paise / _PAISE_INR)
            self._add(SUBTOTAL, total / _PAISE_INR)
        if terms.max_change is not None:
            lines_paise[CHANGE_LIMIT] = self._within_change(total) - total
            total = total + lines_paise[CHANGE_LIMIT]
        low, high = (self._of_plans(limit).astype(np.int64) for limit in (terms.min_paise, terms.max_paise))
        premium = np.minimum(np.maximum(total, low), high)
        lines_paise[RANGE] = premium - total
        bonus = np.full(self._count, np.nan) if terms.bonus_cover is None else self._numbers(terms.bonus_cover)
        return Quotes(lines_paise, premium, not_measured, factors, bonus, refused)

    def _line(self, line: PremiumLine) -> tuple[np.ndarray, np.ndarray]:
        """A line's amounts in paise, and which are not measured."""
        found, unit_paise = evaluate(line.amount.tree, self._columns, self._count), self._terms.unit_paise
        bound_paise = 4.0 * _TOO_LARGE_PAISE
        units = np.clip(found.values * _PAISE_INR, -bound_paise, bound_paise) / unit_paise
        # Twice the bound, and some last bits: the multiplication here rounds too.
        errors = (2 * found.errors * _PAISE_INR + np.abs(units) * 2.0**-50) / unit_paise
        missing = np.isnan(units)
        rounded = np.rint(np.where(missing, 0.0, units)).astype(np.int64)
        from_half = np.abs(np.abs(units - np.rint(units)) - 0.5)
        for row in np.flatnonzero(np.isinf(errors) | (from_half <= errors) | (errors >= 0.25)).tolist():
            value = self._exact(line.amount, row)
            missing[row] = value is None
            exact_units = Fraction(value or 0) * _PAISE_INR / unit_paise
            limit = 4 * _TOO_LARGE_PAISE
            rounded[row] = round(min(max(exact_units, Fraction(-limit)), Fraction(limit)))
        counts = np.ones(self._count, dtype=bool) if line.when is None else self._numbers(line.when) == 1
        return np.where(counts, rounded, 0) * unit_paise, missing & counts

    def _within_change(self, total: np.ndarray) -> np.ndarray:
        """The sums, within the share of the previous premium that they may differ from it; all in whole units."""
        share, unit = Fraction(str(self._terms.max_change)), self._terms.unit_paise
        previous = self._columns[PREVIOUS_PREMIUM].values
        known = ~np.isnan(previous)
        # Python's integers: a share of many digits would not leave room in 64 bits.
        paise = np.rint(np.where(known, previous, 0.0) * _PAISE_INR).astype(np.int64).astype(object)
        per_unit = share.denominator * unit
        low = (-(-paise * (share.denominator - share.numerator) // per_unit) * unit).astype(np.int64)
        high = (paise * (share.denominator + share.numerator) // per_unit * unit).astype(np.int64)
        limited = np.minimum(np.maximum(total, low), np.maximum(high, 0))
        return np.where(known, limited, total)
