"""From a formula's text to its checked tree. Python's parser reads it; nothing is ever run that a table here lacks.

The text is first split into the grammar's own tokens, so that whatever else Python allows (strings, attributes,
subscripts, keywords, other scripts) never reaches the parser; of the parser's tree only listed nodes are taken.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from types import EllipsisType

from monsoon.transforms.expressions.errors import ExpressionError, error_at
from monsoon.transforms.expressions.exact import constant
from monsoon.transforms.expressions.tree import Node
from monsoon.transforms.expressions.units import DIMENSIONLESS, UNIT_NAMES, Unit
from monsoon.transforms.spelling import closest_name

MAX_LENGTH = 2000
MAX_DEPTH = 64
_LARGEST = Fraction(10) ** 30
"""Constants stay within 1e-30..1e30, so that no formula is slow or leaves the range of doubles by itself."""

SIGNATURES = {
    "clamp": "clamp(x, low, high)",
    "min": "min(a, b, ...)",
    "max": "max(a, b, ...)",
    "round": "round(x)",
    "log10": "log10(x)",
    "measured": "measured(x)",
    "otherwise": "otherwise(x, y)",
    "if_": "if_(condition, a, b)",
}
_WORDS = {"and", "or", "not"}
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.]))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<power>\*\*|//)|(?P<mark><=|>=|==|[-+*/(),<>])",
    re.ASCII,
)
_HINTS = {"=": "==", "!": "not (a == b)", "&": "and", "|": "or", "%": "percent", "^": "x * x", "~": "not"}
_INSTEAD = {"if": "if_(condition, a, b)", "else": "if_(condition, a, b)", "is": "==", "None": "measured(x)"}
_ARITHMETIC: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: dict[type[ast.AST], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "=="}


def read(text: str, inputs: Mapping[str, Unit | None], result: Unit | EllipsisType | None = ...) -> Node:
    """The checked tree of `text`; arguments and errors are those of `Expression.parse`."""
    _check_inputs(inputs)
    formula = _tokens_checked(text)
    begin = len(formula) - len(formula.lstrip())
    try:
        parsed = ast.parse(formula.strip(), mode="eval").body
    except SyntaxError as error:
        at = min(begin + max((error.offset or 1) - 1, 0), len(text))
        raise error_at(text, at, "this is not a formula") from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("this is not a formula, or nested too deeply") from None
    try:
        return _Reader(text, formula, begin, inputs).whole(parsed, result)
    except RecursionError:
        raise ExpressionError(f"a formula is at most {MAX_DEPTH} levels deep") from None


def _check_inputs(inputs: Mapping[str, Unit | None]) -> None:
    for name in inputs:
        if name in UNIT_NAMES or name in SIGNATURES or keyword.iskeyword(name) or not name.isidentifier():
            raise ExpressionError(f"an input cannot be named {name!r}: a unit, a function or no name at all")


def _tokens_checked(text: str) -> str:
    """The text with blanks for every white space, if it consists of the grammar's tokens; positions stay."""
    if not isinstance(text, str):
        raise ExpressionError(f"a formula is text, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"a formula is at most {MAX_LENGTH} characters long, this one {len(text)}")
    if not text.strip():
        raise ExpressionError("the formula is empty")
    parts, at, depth = [], 0, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            kind = "is not a number" if text[at].isdigit() else "is no part of a formula"
            raise error_at(text, at, f"{text[at]!r} {kind}", _HINTS.get(text[at]))
        token = match[0]
        if match.lastgroup == "power":
            raise error_at(text, at, f"{token} is no part of a formula")
        if keyword.iskeyword(token) and token not in _WORDS:
            raise error_at(text, at, f"{token!r} is no part of a formula", _INSTEAD.get(token))
        depth += (token == "(") - (token == ")")
        if not 0 <= depth <= MAX_DEPTH:
            raise error_at(text, at, "this parenthesis closes none" if depth < 0 else "too many parentheses")
        parts.append(" " * len(token) if match.lastgroup == "space" else token)
        at = match.end()
    if depth:
        raise error_at(text, len(text), "a parenthesis is not closed")
    return "".join(parts)


class _Reader:
    """Takes the listed nodes of Python's tree, each with its unit checked."""

    def __init__(self, text: str, formula: str, begin: int, inputs: Mapping[str, Unit | None]) -> None:
        self.text = text
        self.formula = formula
        self.begin = begin
        self.inputs = inputs

    def whole(self, parsed: ast.expr, result: Unit | EllipsisType | None) -> Node:
        node = self.node(parsed, 1)
        if result is ...:
            return node
        wanted, found = _named(result), f"{_named(node.unit)}: {self.text!r}"
        if result is None or node.unit is None:
            if result is not node.unit:
                raise ExpressionError(f"{wanted} is wanted here, and this is {found}")
            return node
        if node.is_zero_literal():
            return Node("number", result, name=node.name)
        if node.unit.dimension != result.dimension:
            raise ExpressionError(f"{wanted} is wanted here, and this is {found}")
        return _converted(node, result)

    def node(self, parsed: ast.expr, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.error(parsed, f"a formula is at most {MAX_DEPTH} levels deep")
        read_kind = _READERS.get(type(parsed))
        if read_kind is None:
            raise self.error(parsed, "this is no part of a formula")
        node = read_kind(self, parsed, depth)
        if node.operands and node.unit is not None and node.is_constant():
            value = constant(node)
            if value is None:
                raise self.error(parsed, "this is never measured: a division by zero, or a logarithm of nothing")
            self.check_size(parsed, value)
        return node

    def error(self, parsed: ast.AST, problem: str, suggestion: str | None = None) -> ExpressionError:
        return error_at(self.text, self.begin + getattr(parsed, "col_offset", 0), problem, suggestion)

    def check_size(self, parsed: ast.expr, value: Fraction) -> None:
        if value and not 1 / _LARGEST <= abs(value) <= _LARGEST:
            raise self.error(parsed, "a constant is at least 1e-30 and at most 1e30")

    def number(self, parsed: ast.expr, depth: int) -> Node:
        literal = self.formula[self.begin + parsed.col_offset : self.begin + (parsed.end_col_offset or 0)]
        exponent = literal.lower().partition("e")[2]
        if len(exponent.lstrip("+-0")) > 2 or len(literal) > 64:
            raise self.error(parsed, "a constant is at least 1e-30 and at most 1e30")
        value = Fraction(Decimal(literal))
        self.check_size(parsed, value)
        return Node("number", DIMENSIONLESS, name=literal, value=value)

    def name(self, parsed: ast.expr, depth: int) -> Node:
        assert isinstance(parsed, ast.Name)
        name = parsed.id
        if name in self.inputs:
            return Node("input", self.inputs[name], name=name)
        if name in UNIT_NAMES:
            return Node("unit", UNIT_NAMES[name], name=name, value=Fraction(1))
        if name in SIGNATURES:
            raise self.error(parsed, f"{name} is a function: {SIGNATURES[name]}")
        raise self.error(parsed, f"unknown name {name!r}", closest_name(name, {*self.inputs, *UNIT_NAMES}))

    def unary(self, parsed: ast.expr, depth: int) -> Node:
        assert isinstance(parsed, ast.UnaryOp)
        if isinstance(parsed.op, ast.Not):
            return Node("not", None, (self.condition(parsed.operand, depth),))
        if isinstance(parsed.op, ast.USub):
            operand = self.quantity(parsed.operand, depth)
            return Node("negative", operand.unit, (operand,))
        raise self.error(parsed, "a sign of its own is no part of a formula")

    def arithmetic(self, parsed: ast.expr, depth: int) -> Node:
        assert isinstance(parsed, ast.BinOp)
        kind = _ARITHMETIC.get(type(parsed.op))
        if kind is None:
            raise self.error(parsed, "only + - * / are part of a formula")
        left, right = self.quantity(parsed.left, depth), self.quantity(parsed.right, depth)
        if kind in "+-":
            operands = self.alike((parsed.left, parsed.right), (left, right))
            return Node(kind, operands[0].unit, operands)
        assert left.unit is not None
        assert right.unit is not None
        unit = left.unit * right.unit if kind == "*" else left.unit / right.unit
        return _converted(Node(kind, unit, (left, right)), unit.normalized())

    def comparison(self, parsed: ast.expr, depth: int) -> Node:
        assert isinstance(parsed, ast.Compare)
        comparisons = tuple(_COMPARISONS.get(type(sign), "") for sign in parsed.ops)
        if "" in comparisons:
            raise self.error(parsed, "only < <= > >= == compare in a formula")
        parts = (parsed.left, *parsed.comparators)
        operands = self.alike(parts, [self.quantity(each, depth) for each in parts])
        return Node("compare", None, operands, comparisons=comparisons)

    def logic(self, parsed: ast.expr, depth: int) -> Node:
        assert isinstance(parsed, ast.BoolOp)
        kind = "and" if isinstance(parsed.op, ast.And) else "or"
        return Node(kind, None, tuple(self.condition(each, depth) for each in parsed.values))

    def call(self, parsed: ast.expr, depth: int) -> Node:
        assert isinstance(parsed, ast.Call)
        name = parsed.func.id if isinstance(parsed.func, ast.Name) else ""
        if name not in SIGNATURES:
            problem = f"unknown function {name!r}" if name else "only a function's name is called"
            raise self.error(parsed.func, problem, closest_name(name, SIGNATURES))
        wanted = SIGNATURES[name].count(",") + 1
        enough = len(parsed.args) >= 2 if name in ("min", "max") else len(parsed.args) == wanted
        if parsed.keywords or not enough:
            raise self.error(parsed, f"{name} is written {SIGNATURES[name]}")
        if name == "measured":
            return Node(name, None, (self.node(parsed.args[0], depth + 1),))
        if name == "if_":
            holds, *parts = parsed.args
            branches = self.alike(parts, [self.quantity(each, depth) for each in parts])
            return Node(name, branches[0].unit, (self.condition(holds, depth), *branches))
        operands = self.alike(parsed.args, [self.quantity(each, depth) for each in parsed.args])
        if name == "log10":
            return self.logarithm(parsed, operands[0])
        if name == "clamp" and operands[1].is_constant() and operands[2].is_constant():
            low, high = constant(operands[1]), constant(operands[2])
            if low is not None and high is not None and low > high:
                raise self.error(parsed, "the low end of this clamp lies above its high end")
        return Node(name, operands[0].unit, operands)

    def logarithm(self, parsed: ast.expr, operand: Node) -> Node:
        assert operand.unit is not None
        if operand.unit.dimension != DIMENSIONLESS:
            raise self.error(parsed, f"log10 takes a number without unit, and this is {_named(operand.unit)}")
        return Node("log10", DIMENSIONLESS, (_converted(operand, DIMENSIONLESS),))

    def quantity(self, parsed: ast.expr, depth: int) -> Node:
        node = self.node(parsed, depth + 1)
        if node.unit is None:
            raise self.error(parsed, "a number is wanted here, and this is a condition")
        return node

    def condition(self, parsed: ast.expr, depth: int) -> Node:
        node = self.node(parsed, depth + 1)
        if node.unit is not None:
            raise self.error(parsed, f"a condition is wanted here, and this is {_named(node.unit)}")
        return node

    def alike(self, parts: Sequence[ast.expr], operands: Sequence[Node]) -> tuple[Node, ...]:
        """The operands in the unit of the first that is no plain 0; an error if their dimensions differ."""
        unit = next((each.unit for each in operands if not each.is_zero_literal()), None)
        if unit is None:
            return tuple(operands)
        for part, each in zip(parts, operands, strict=True):
            assert each.unit is not None
            if not each.is_zero_literal() and each.unit.dimension != unit.dimension:
                raise self.error(part, f"{_named(unit)} and {_named(each.unit)} do not mix")
        return tuple(
            Node("number", unit, name=each.name) if each.is_zero_literal() else _converted(each, unit)
            for each in operands
        )


_READERS: dict[type[ast.expr], Callable[[_Reader, ast.expr, int], Node]] = {
    ast.Constant: _Reader.number,
    ast.Name: _Reader.name,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.arithmetic,
    ast.Compare: _Reader.comparison,
    ast.BoolOp: _Reader.logic,
    ast.Call: _Reader.call,
}


def _named(unit: Unit | None) -> str:
    if unit is None:
        return "a condition"
    return f"a number in {unit}" if unit.powers else "a number without unit"


def _converted(node: Node, unit: Unit) -> Node:
    """The node in another unit of its dimension."""
    assert node.unit is not None
    if node.unit == unit:
        return node
    return Node("convert", unit, (node,), value=node.unit.scale / unit.scale)
