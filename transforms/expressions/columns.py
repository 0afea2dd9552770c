"""The same formulas on numpy columns: float64 with NaN for "not measured", conditions as bool.

Every operation takes each row by itself, so a row's result does not depend on the rows beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from monsoon.transforms.expressions.exact import COMPARISONS, constant
from monsoon.transforms.expressions.tree import Node

Columns = Callable[[Mapping[str, np.ndarray]], Any]
"""From the inputs as float64 (conditions as bool) to a column, or a scalar where no input takes part."""


def number_column(values: Any) -> np.ndarray:
    """A column as float64; infinity is not measured either."""
    column = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(column), column, np.nan)


def condition_column(values: Any) -> np.ndarray:
    """A condition's column as bool; what is not measured does not hold."""
    column = number_column(values)
    return (column != 0) & ~np.isnan(column)


def compile_columns(node: Node) -> Columns:
    """The closure that evaluates `node`; what is constant is computed exactly, then rounded once."""
    if node.unit is not None and node.is_constant():
        value = constant(node)
        known = np.float64(np.nan if value is None else float(value))
        return lambda columns: known
    if node.kind == "input":
        name = node.name
        return lambda columns: columns[name]
    operands = [compile_columns(operand) for operand in node.operands]
    operate = _operation(node)
    return lambda columns: operate(*[operand(columns) for operand in operands])


def _operation(node: Node) -> Callable[..., Any]:
    if node.kind == "convert":
        numerator, denominator = float(node.value.numerator), float(node.value.denominator)
        return lambda x: x * numerator / denominator
    if node.kind == "compare":
        signs = [COMPARISONS[sign] for sign in node.comparisons]
        return lambda *chain: reduce(
            np.logical_and, [holds(a, b) for holds, a, b in zip(signs, chain, chain[1:], strict=False)]
        )
    return _OPERATIONS[node.kind]


def _divide(a: Any, b: Any) -> Any:
    return np.where(b == 0, np.nan, a / b)


def _log10(x: Any) -> Any:
    # One by one: numpy's own logarithm differs in the last bit between processors.
    logarithms = [math.log10(value) if value > 0 else math.nan for value in np.ravel(x).tolist()]
    return np.array(logarithms, dtype=np.float64).reshape(np.shape(x))


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divide,
    "negative": np.negative,
    "and": lambda *conditions: reduce(np.logical_and, conditions),
    "or": lambda *conditions: reduce(np.logical_or, conditions),
    "not": np.logical_not,
    "clamp": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "min": lambda *numbers: reduce(np.minimum, numbers),
    "max": lambda *numbers: reduce(np.maximum, numbers),
    "round": np.rint,
    "log10": _log10,
    "measured": lambda x: ~np.isnan(x),
    "otherwise": lambda x, instead: np.where(np.isnan(x), instead, x),
    "if_": np.where,
}
