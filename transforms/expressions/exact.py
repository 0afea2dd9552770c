"""Exact evaluation: a tree becomes nested closures over fractions.

Within, a number is a pair (numerator, denominator > 0) that is not reduced: a formula is a handful of operations, and
the greatest common divisor after each would cost more than the operation. None is "not measured".
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

import numpy as np

from monsoon.transforms.expressions.tree import Node

Pair = tuple[int, int]
Values = Mapping[str, Any]
Exact = Callable[[Values], Any]
"""From the inputs, which are read and converted where they are used, to a pair, a bool or None."""

_WHOLE_FLOAT_BELOW = 1e15
_MILLIONTHS_BELOW = 1e9
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


def pair(value: Any) -> Pair | None:
    """A number as an exact pair; a float is the shortest decimal that names it. None, NaN and infinity are None.

    Raises:
        TypeError: it is not a number.
    """
    kind = type(value)
    if kind is float:
        if value.is_integer() and -_WHOLE_FLOAT_BELOW < value < _WHOLE_FLOAT_BELOW:
            return (int(value), 1)
        if -_MILLIONTHS_BELOW < value < _MILLIONTHS_BELOW:
            millionths = round(value * 1_000_000)
            # Two decimals of up to 15 digits never share a double, so this is the shortest of those that name it.
            if millionths / 1_000_000 == value:
                return (millionths, 1_000_000)
        return Decimal(repr(value)).as_integer_ratio() if math.isfinite(value) else None
    if value is None:
        return None
    if kind is int or kind is bool:
        return (int(value), 1)
    if isinstance(value, Rational):  # Fraction, and numpy's integers
        return (int(value.numerator), int(value.denominator))
    if isinstance(value, Decimal):
        return value.as_integer_ratio() if value.is_finite() else None
    if isinstance(value, Real | np.bool_):  # numpy's floats and bools
        return pair(float(value))
    raise TypeError(f"an input is a number, a bool or None, not {value!r}")


def condition(value: Any) -> bool:
    """A condition's input: what is not measured does not hold."""
    number = pair(value)
    return number is not None and number[0] != 0


def compile_exact(node: Node) -> Exact:
    """The closure that evaluates `node`; operations on constants alone are done now."""
    run = _COMPILERS.get(node.kind, _arithmetic)(node)
    if node.operands and node.is_constant():
        known = run({})
        return lambda values: known
    return run


def constant(node: Node) -> Fraction | None:
    """The value of a tree without inputs; None where it has none (division by zero)."""
    value = compile_exact(node)({})
    return None if value is None else Fraction(*value)


def _number(node: Node) -> Exact:
    known = (node.value.numerator, node.value.denominator)
    return lambda values: known


def _input(node: Node) -> Exact:
    name, convert = node.name, condition if node.unit is None else pair
    return lambda values: convert(values[name])


def _arithmetic(node: Node) -> Exact:
    """Operations on two numbers, of which neither may be unmeasured."""
    left, right = (compile_exact(operand) for operand in node.operands)
    operate = _OPERATIONS[node.kind]

    def run(values: Values) -> Pair | None:
        a = left(values)
        if a is None:
            return None
        b = right(values)
        if b is None:
            return None
        return operate(a, b)

    return run


def _add(a: Pair, b: Pair) -> Pair:
    return (a[0] * b[1] + b[0] * a[1], a[1] * b[1])


def _subtract(a: Pair, b: Pair) -> Pair:
    return (a[0] * b[1] - b[0] * a[1], a[1] * b[1])


def _multiply(a: Pair, b: Pair) -> Pair:
    return (a[0] * b[0], a[1] * b[1])


def _divide(a: Pair, b: Pair) -> Pair | None:
    if b[0] > 0:
        return (a[0] * b[1], a[1] * b[0])
    return (-a[0] * b[1], -a[1] * b[0]) if b[0] else None


_OPERATIONS: dict[str, Callable[[Pair, Pair], Pair | None]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
}


def _smaller(a: Pair, b: Pair) -> Pair:
    return a if a[0] * b[1] <= b[0] * a[1] else b


def _larger(a: Pair, b: Pair) -> Pair:
    return a if a[0] * b[1] >= b[0] * a[1] else b


def _extreme(choose: Callable[[Pair, Pair], Pair]) -> Callable[[Node], Exact]:
    def compile_extreme(node: Node) -> Exact:
        runs = [compile_exact(operand) for operand in node.operands]

        def run(values: Values) -> Pair | None:
            best: Pair | None = None
            for each in runs:
                value = each(values)
                if value is None:
                    return None
                best = value if best is None else choose(best, value)
            return best

        return run

    return compile_extreme


def _clamp(node: Node) -> Exact:
    what, low, high = (compile_exact(operand) for operand in node.operands)

    def run(values: Values) -> Pair | None:
        x, lowest, highest = what(values), low(values), high(values)
        if x is None or lowest is None or highest is None:
            return None
        return _smaller(_larger(x, lowest), highest)

    return run


def _one(operate: Callable[[Pair], Pair | None]) -> Callable[[Node], Exact]:
    """Operations on one number, which may be unmeasured."""

    def compile_one(node: Node) -> Exact:
        (what,) = (compile_exact(operand) for operand in node.operands)

        def run(values: Values) -> Pair | None:
            x = what(values)
            return None if x is None else operate(x)

        return run

    return compile_one


def _negative(x: Pair) -> Pair:
    return (-x[0], x[1])


def _round(x: Pair) -> Pair:
    whole, rest = divmod(x[0], x[1])
    return (whole + (2 * rest > x[1] or (2 * rest == x[1] and whole % 2)), 1)


def _log10(x: Pair) -> Pair | None:
    if x[0] <= 0:
        return None
    try:
        quotient = x[0] / x[1]  # correctly rounded, as the division of two integers is
    except OverflowError:
        quotient = math.inf
    if quotient == 0 or math.isinf(quotient):
        return pair(math.log10(x[0]) - math.log10(x[1]))
    return pair(math.log10(quotient))


def _convert(node: Node) -> Exact:
    (what,) = (compile_exact(operand) for operand in node.operands)
    numerator, denominator = node.value.numerator, node.value.denominator

    def run(values: Values) -> Pair | None:
        x = what(values)
        return None if x is None else (x[0] * numerator, x[1] * denominator)

    return run


def _compare(node: Node) -> Exact:
    runs = [compile_exact(operand) for operand in node.operands]
    first, rest = runs[0], list(zip([COMPARISONS[sign] for sign in node.comparisons], runs[1:], strict=True))

    def run(values: Values) -> bool:
        a = first(values)
        for holds, each in rest:
            b = each(values)
            if a is None or b is None or not holds(a[0] * b[1], b[0] * a[1]):
                return False
            a = b
        return True

    return run


def _and(node: Node) -> Exact:
    runs = [compile_exact(operand) for operand in node.operands]

    def run(values: Values) -> bool:
        for each in runs:  # noqa: SIM110 - all() of a generator takes twice as long
            if not each(values):
                return False
        return True

    return run


def _or(node: Node) -> Exact:
    runs = [compile_exact(operand) for operand in node.operands]
    return lambda values: any(run(values) for run in runs)


def _not(node: Node) -> Exact:
    (what,) = (compile_exact(operand) for operand in node.operands)
    return lambda values: not what(values)


def _measured(node: Node) -> Exact:
    (what,) = (compile_exact(operand) for operand in node.operands)
    return lambda values: what(values) is not None


def _otherwise(node: Node) -> Exact:
    what, instead = (compile_exact(operand) for operand in node.operands)

    def run(values: Values) -> Pair | None:
        x = what(values)
        return instead(values) if x is None else x

    return run


def _if(node: Node) -> Exact:
    holds, then, otherwise = (compile_exact(operand) for operand in node.operands)
    return lambda values: then(values) if holds(values) else otherwise(values)


_COMPILERS: dict[str, Callable[[Node], Exact]] = {
    "number": _number,
    "unit": _number,
    "input": _input,
    "convert": _convert,
    "negative": _one(_negative),
    "compare": _compare,
    "and": _and,
    "or": _or,
    "not": _not,
    "clamp": _clamp,
    "min": _extreme(_smaller),
    "max": _extreme(_larger),
    "round": _one(_round),
    "log10": _one(_log10),
    "measured": _measured,
    "otherwise": _otherwise,
    "if_": _if,
}
