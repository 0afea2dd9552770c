"""Formulas on columns of doubles, with a bound of how far each row can be from the exact value.

A running error analysis: every operation adds its own rounding to what its operands bring along. A condition that the
bounds leave open, and what depends on it, has no bound (infinity). So a caller knows of each row whether its double
suffices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from monsoon.transforms.expressions.exact import COMPARISONS, constant
from monsoon.transforms.expressions.tree import Node

_ROUNDING = 2.0**-50
"""Of an operation, relative to its result: eight times that of doubles, which covers the rounding of bounds."""
_SMALLEST = 1e-300
"""Absolute: where results underflow."""
_WHOLE_BELOW = 2.0**49


@dataclass(frozen=True)
class Bounded:
    """A column (float64, NaN: not measured; a condition: bool), and how far a row is at most from the exact value."""

    values: np.ndarray
    errors: np.ndarray


def measured_column(values: np.ndarray) -> Bounded:
    """An input: its exact value is the shortest decimal that names the double. Infinity is not measured."""
    known = np.where(np.isfinite(values), values, np.nan)
    whole = (known == np.rint(known)) & (np.abs(known) < _WHOLE_BELOW)
    return Bounded(known, np.where(whole | np.isnan(known), 0.0, np.abs(known) * _ROUNDING))


def evaluate(node: Node, inputs: Mapping[str, Bounded], count: int) -> Bounded:
    """The formula on `count` rows. Raises KeyError for an input that is absent."""
    if node.unit is not None and node.is_constant():
        return _constant(node, count)
    if node.kind == "input":
        return inputs[node.name]
    operands = [evaluate(each, inputs, count) for each in node.operands]
    values, errors = [each.values for each in operands], [each.errors for each in operands]
    with np.errstate(all="ignore"):
        if node.kind in _CONDITIONS:
            return _condition(node, values, errors)
        if node.kind in _CHOICES:
            return _choice(node, values, errors)
        result, bound = _number(node, values, errors)
        unmeasured = reduce(np.logical_or, [np.isnan(each) for each in values])
        certain = reduce(np.logical_and, [np.isfinite(each) for each in errors])
        # Without a measured operand there is no result, which is exact; an overflow is one of doubles alone.
        bound = np.where(unmeasured, 0.0, np.where(np.isinf(result), np.inf, bound))
        return Bounded(np.where(unmeasured, np.nan, result), np.where(certain, bound, np.inf))


_CONDITIONS = {"compare", "and", "or", "not", "measured"}
_CHOICES = {"if_", "otherwise"}


def _constant(node: Node, count: int) -> Bounded:
    exact = constant(node)
    if exact is None:
        return Bounded(np.full(count, np.nan), np.zeros(count))
    value = float(exact)
    error = 0.0 if exact == value else abs(value) * _ROUNDING + _SMALLEST
    return Bounded(np.full(count, value), np.full(count, error))


def _condition(node: Node, values: list[Any], errors: list[Any]) -> Bounded:
    open_ones = reduce(np.logical_or, [np.isinf(each) for each in errors])
    if node.kind == "compare":
        holds = np.ones(values[0].shape, dtype=bool)
        for number, sign in enumerate(node.comparisons):
            holds &= COMPARISONS[sign](values[number], values[number + 1])
            error = errors[number] + errors[number + 1]
            distance = np.abs(values[number] - values[number + 1])
            open_ones = open_ones | ((error > 0) & (distance <= error))
    elif node.kind == "and":
        holds = reduce(np.logical_and, values)
    elif node.kind == "or":
        holds = reduce(np.logical_or, values)
    elif node.kind == "not":
        holds = np.logical_not(values[0])
    else:
        holds = ~np.isnan(values[0])
    return Bounded(holds, np.where(open_ones, np.inf, 0.0))


def _choice(node: Node, values: list[Any], errors: list[Any]) -> Bounded:
    if node.kind == "if_":
        picked = np.where(values[0], errors[1], errors[2])
        return Bounded(np.where(values[0], values[1], values[2]), np.where(np.isinf(errors[0]), np.inf, picked))
    missing = np.isnan(values[0])
    picked = np.where(missing, errors[1], errors[0])
    return Bounded(np.where(missing, values[1], values[0]), np.where(np.isinf(errors[0]), np.inf, picked))


def _number(node: Node, values: list[Any], errors: list[Any]) -> tuple[Any, Any]:
    """Result and bound where every operand is measured and bounded."""
    kind = node.kind
    if kind in ("min", "max", "clamp"):
        return _ORDERED[kind](*values), reduce(np.maximum, errors)
    if kind == "negative":
        return -values[0], errors[0]
    if kind == "round":
        result = np.rint(values[0])
        from_half = np.abs(np.abs(values[0] - result) - 0.5)
        open_ones = (errors[0] > 0) & ((from_half <= 2 * errors[0]) | (errors[0] >= 0.25))
        return result, np.where(open_ones, np.inf, 0.0)
    if kind == "log10":
        return _log10(values[0], errors[0])
    if kind == "convert":
        factor = float(node.value)
        result, bound = values[0] * factor, errors[0] * abs(factor)
    elif kind == "/":
        result, bound = _divided(*values, *errors)
    elif kind == "*":
        result = values[0] * values[1]
        bound = np.abs(values[0]) * errors[1] + np.abs(values[1]) * errors[0] + errors[0] * errors[1]
    else:
        result = values[0] + values[1] if kind == "+" else values[0] - values[1]
        bound = errors[0] + errors[1]
    # Of whole operands of moderate size the result of +, - and * is exact.
    exact = (bound == 0) & (np.abs(result) < _WHOLE_BELOW) & (kind in ("+", "-", "*"))
    whole = reduce(np.logical_and, [each == np.rint(each) for each in values])
    # A division by zero has no result, which nothing rounds.
    rounding = np.where(np.isnan(result), 0.0, 2 * np.abs(result) * _ROUNDING + _SMALLEST)
    return result, np.where(exact & whole, 0.0, bound + rounding)


def _divided(a: Any, b: Any, a_error: Any, b_error: Any) -> tuple[Any, Any]:
    quotient = np.where(b == 0, np.nan, a / b)
    room = np.abs(b) - b_error
    bound = np.where(room > 0, (a_error + np.abs(quotient) * b_error) / room, np.inf)
    return quotient, np.where((b == 0) & (b_error == 0), 0.0, bound)


def _log10(x: Any, error: Any) -> tuple[Any, Any]:
    # One by one, as in columns: numpy's own logarithm differs in the last bit between processors.
    result = np.array([math.log10(each) if each > 0 else math.nan for each in x.tolist()], dtype=np.float64)
    room = x - error
    bound = np.where(room > 0, error / room + np.maximum(np.abs(result), 1.0) * _ROUNDING, np.inf)
    return result, np.where(x + error <= 0, 0.0, bound)


_ORDERED = {
    "min": lambda *numbers: reduce(np.minimum, numbers),
    "max": lambda *numbers: reduce(np.maximum, numbers),
    "clamp": lambda x, low, high: np.minimum(np.maximum(x, low), high),
}
