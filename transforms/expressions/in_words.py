"""A formula in plain words, for the wording of a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from monsoon.transforms.expressions.expression import Expression
from monsoon.transforms.expressions.tree import Node
from monsoon.transforms.expressions.units import DIMENSIONLESS, UNIT_NAMES, Unit

_PHRASE, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN, _ATOM = range(9)
"""Precedence of phrases; one of lower precedence than its context goes into parentheses."""

_UNIT_WORDS = {
    "degC": "°C",
    "m2_s4": "(m/s2)2",
    "orders_h": "orders per hour",
    "INR_h": "Rs per hour",
}
_WHOLE = {"INR": "rupee", "paise": "paisa", "h": "hour", "min": "minute", "s": "second", "d": "day", "%": "percent"}
_COMPARED = {"<": "is below", "<=": "is at most", ">": "is above", ">=": "is at least", "==": "equals"}

Phrase = tuple[str, int]
"""Text and its precedence."""


def describe(
    expression: Expression, words: Mapping[str, str], flags: Mapping[str, tuple[str, str]] | None = None
) -> str:
    """The formula in words, its inputs named by `words` (an input without words: its name, with spaces for _).

    `flags` are inputs of 1 or 0: the words for `input == 1`, and those for `input == 0`.
    """
    return _Describer(words, flags or {}).phrase_of(expression.tree)[0]


def comparisons(expression: Expression, words: Mapping[str, str]) -> list[tuple[frozenset[str], str]]:
    """The comparisons of a formula in words, in the order of its text, each with the inputs that it uses."""
    describer, found, ahead = _Describer(words, {}), [], [expression.tree]
    while ahead:
        node = ahead.pop(0)
        if node.kind == "compare":
            found.append((frozenset(node.inputs()), describer.comparison(node)))
        else:
            ahead = [*node.operands, *ahead]
    return found


class _Describer:
    def __init__(self, words: Mapping[str, str], flags: Mapping[str, tuple[str, str]]) -> None:
        self.words, self.flags = words, flags

    def phrase_of(self, node: Node) -> Phrase:
        if node.kind == "convert":
            return self.phrase_of(node.operands[0])
        if node.kind == "number":
            return node.name, _ATOM
        if node.kind == "unit":
            return _amount_words("1", node.name), _ATOM
        if node.kind == "input":
            return self.words.get(node.name, node.name.replace("_", " ")), _ATOM
        if node.kind == "compare":
            return self.comparison(node), _COMPARISON
        if (amount := _amount(node)) is not None:
            return amount, _ATOM
        if node.kind == "measured":
            return f"{self.parenthesized(node.operands[0], _ATOM)} is measured", _COMPARISON
        if (share := _share(node)) is not None:
            return f"{share}% of {self.phrase_of(node.operands[1])[0]}", _PRODUCT
        if node.kind in _INFIX:
            return self.infix(node)
        if node.kind == "not" and node.operands[0].kind == "measured":
            return f"{self.parenthesized(node.operands[0].operands[0], _ATOM)} is not measured", _COMPARISON
        if node.kind in ("negative", "not"):
            sign, precedence = ("-", _SIGN) if node.kind == "negative" else ("not ", _NOT)
            return sign + self.parenthesized(node.operands[0], _ATOM), precedence
        if node.kind in _PHRASES:
            return _PHRASES[node.kind](node, [self.parenthesized(each, _OR) for each in node.operands])
        return f"{node.kind}({self.phrase_of(node.operands[0])[0]})", _ATOM

    def parenthesized(self, node: Node, precedence: int) -> str:
        words, own = self.phrase_of(node)
        return words if own >= precedence else f"({words})"

    def infix(self, node: Node) -> Phrase:
        sign, precedence, right = _INFIX[node.kind]
        first, *rest = node.operands
        phrases = [self.parenthesized(first, precedence), *[self.parenthesized(each, right) for each in rest]]
        return f" {sign} ".join(phrases), precedence

    def comparison(self, node: Node) -> str:
        if (flag := self.flag(node)) is not None:
            return flag
        first, *rest = [self.parenthesized(each, _SUM) for each in node.operands]
        parts, before = [], first
        for sign, after in zip(node.comparisons, rest, strict=True):
            parts.append(f"{before} {_COMPARED[sign]} {after}")
            before = after
        return " and ".join(parts)

    def flag(self, node: Node) -> str | None:
        """The words for `input == 1` or `input == 0` of a flag; None for anything else."""
        first, second, *more = node.operands
        if more or node.comparisons != ("==",) or first.name not in self.flags or second.kind != "number":
            return None
        raised, not_raised = self.flags[first.name]
        return {Fraction(1): raised, Fraction(0): not_raised}.get(second.value)


_INFIX = {
    "+": ("+", _SUM, _SUM),
    "-": ("-", _SUM, _PRODUCT),
    "*": ("x", _PRODUCT, _SIGN),
    "/": ("/", _PRODUCT, _SIGN),
    "and": ("and", _AND, _NOT),
    "or": ("or", _OR, _AND),
}


def _amount(node: Node) -> str | None:
    """`15 * mm_h` as "15 mm/h", `100 * INR` as "Rs 100"; None for anything else."""
    if node.kind != "*" or node.operands[1].kind != "unit":
        return None
    number, unit = node.operands
    sign = ""
    if number.kind == "negative":
        sign, number = "-", number.operands[0]
    if number.kind != "number":
        return None
    return sign + _amount_words(number.name, unit.name)


def _share(node: Node) -> str | None:
    """`0.50 * daily_wage` is "50" percent of an input; None for anything else."""
    if node.kind != "*" or node.operands[0].kind != "number" or node.operands[1].kind != "input":
        return None
    number, amount = node.operands
    if not 0 < number.value <= 1 or amount.unit == DIMENSIONLESS or (number.value * 10_000).denominator != 1:
        return None
    return f"{float(number.value * 100):g}"


def _amount_words(number: str, unit: str) -> str:
    if unit == "INR":
        return f"Rs {number}"
    if unit == "percent":
        return f"{number}%"
    if unit == "d":
        return f"{number} {'day' if number == '1' else 'days'}"
    return f"{number} {_UNIT_WORDS.get(unit, str(UNIT_NAMES[unit]))}"


def _whole(unit: Unit | None) -> str:
    if unit == DIMENSIONLESS:
        return "rounded to a whole number"
    symbol = str(unit)
    return f"rounded to the whole {_WHOLE[symbol]}" if symbol in _WHOLE else f"rounded to whole {symbol}"


def _extreme(phrases: list[str], of_two: str, of_more: str) -> Phrase:
    return f"the {of_two if len(phrases) == 2 else of_more} of {', '.join(phrases[:-1])} and {phrases[-1]}", _PHRASE


_PHRASES: dict[str, Callable[[Node, list[str]], Phrase]] = {
    "clamp": lambda node, phrases: (f"{phrases[0]}, between {phrases[1]} and {phrases[2]}", _PHRASE),
    "round": lambda node, phrases: (f"{phrases[0]}, {_whole(node.unit)}", _PHRASE),
    "otherwise": lambda node, phrases: (f"{phrases[0]}, or {phrases[1]} where that is not measured", _PHRASE),
    "if_": lambda node, phrases: (f"{phrases[1]} if {phrases[0]}, else {phrases[2]}", _PHRASE),
    "min": lambda node, phrases: _extreme(phrases, "smaller", "smallest"),
    "max": lambda node, phrases: _extreme(phrases, "larger", "largest"),
}
