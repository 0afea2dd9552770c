"""A number of a product file varied: which one a dotted path names, the values it takes, the document with each.

    kawaach.triggers.rain.full=60..140:20
    kawaach.triggers.rain.levels.full.breach=60,75,100

A path has the names of fields as the file has them. An item of a list is named by its `name`, `part` or `per`, else by
its place from 0. `levels` may be left out, and so may the `breach` at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from monsoon.transforms.documents import did_you_mean, quoted
from monsoon.transforms.product.terms import ProductError

Keys = tuple[str | int, ...]
"""Where in a document a value is."""

MAX_VALUES = 1000
"""Of one variation; a grid has the product of these."""

_NAMES = ("name", "part", "per")
"""The fields by which an item of a list is named."""
_FIXED = {"choice": "it decides which policies are valid"}
"""Numbers that cannot vary after the input was read, each with the reason."""
_NUMBER = re.compile(r"(?:(?<![^\s=<>(,*/])-)?(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_MAX_DIGITS = 18


@dataclass(frozen=True)
class Variation:
    """The values that one number of one product takes."""

    product: str
    path: tuple[str, ...]
    values: tuple[Decimal, ...]

    @property
    def name(self) -> str:
        """As it was given: `kawaach.triggers.rain.full`."""
        return ".".join((self.product, *self.path))


def parse_variation(text: str) -> Variation:
    """A variation as a command states it: PRODUCT.PATH=FIRST..LAST:STEP, or =VALUE,VALUE.

    Raises ProductError, which names the part that is wrong.
    """
    where, equals, stated = text.partition("=")
    product, *path = (part.strip() for part in where.split("."))
    if not equals or not path or not all((product, *path)):
        raise ProductError(f"--vary {text!r}: not PRODUCT.PATH=FIRST..LAST:STEP or PRODUCT.PATH=VALUE,VALUE")
    try:
        values = _range(stated) if ".." in stated else [_number(value) for value in stated.split(",")]
    except ValueError as error:
        raise ProductError(f"--vary {text!r}: {error}") from error
    if repeated := sorted({value for value in values if values.count(value) > 1}):
        raise ProductError(f"--vary {text!r}: {plain(repeated[0])} is there twice")
    return Variation(product, tuple(path), tuple(values))


def plain(value: Decimal) -> str:
    """A number as a file would state it: without exponent, without zeros at the end."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def keys_of(document: Any, path: Sequence[str], where: str) -> Keys:
    """The place in a document that a path names: a number, or a text with one number in it.

    Raises ProductError for a name that is not there, with the one that was meant, and for what is no number to vary;
    `where` names the file.
    """
    node, keys = document, list[str | int]()
    for place, step in enumerate(path):
        at = ".".join(map(str, path[:place])) or "the file"
        key, node = _step(node, step, f"{where}: {at}")
        keys += key
    while isinstance(node, Mapping) and "breach" in node:
        node = node["breach"]
        keys.append("breach")
    here = f"{where}: {'.'.join(path)}"
    if keys[-1] in _FIXED:
        raise ProductError(f"{here}: cannot vary, since {_FIXED[str(keys[-1])]}; replay with a product file instead")
    if isinstance(node, Mapping | list):
        raise ProductError(f"{here}: no number but a section; it has {', '.join(_names(node))}")
    _placed(node, Decimal(0), here)
    return tuple(keys)


def with_value(document: Any, keys: Keys, value: Decimal) -> Any:
    """A copy of a document with the number at a place replaced; what is on no way to it is shared."""
    if not keys:
        return _placed(document, value, "")
    key, *rest = keys
    copy = dict(document) if isinstance(document, Mapping) else list(document)
    copy[key] = with_value(document[key], tuple(rest), value)  # type: ignore[index]
    return copy


def _range(text: str) -> list[Decimal]:
    ends, colon, stated = text.partition(":")
    first, last = (_number(end) for end in ends.split("..", 1))
    if not colon:
        raise ValueError("a range needs a step: FIRST..LAST:STEP")
    step = _number(stated)
    if step <= 0:
        raise ValueError(f"the step {plain(step)} is not above 0")
    if first > last:
        raise ValueError(f"the range is empty: {plain(first)} is above {plain(last)}")
    count = int((last - first) / step) + 1
    if count > MAX_VALUES:
        raise ValueError(f"{count:,} values; {MAX_VALUES:,} are the most")
    return [first + number * step for number in range(count)]


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or len(value.as_tuple().digits) > _MAX_DIGITS or abs(value.adjusted()) > _MAX_DIGITS:
        raise ValueError(f"{text.strip()!r} is no number")
    return value


def _step(node: Any, step: str, where: str) -> tuple[list[str | int], Any]:
    """The keys of a step, and the value there."""
    if isinstance(node, Mapping) and step in node:
        return [step], node[step]
    if isinstance(node, Mapping) and isinstance(levels := node.get("levels"), list):
        named = [number for number, level in enumerate(levels) if level.get("name") == step]
        if named:
            return ["levels", named[0]], levels[named[0]]
    if isinstance(node, list):
        names = _names(node)
        if step in names:
            return [names.index(step)], node[names.index(step)]
    names = _names(node)
    if not names:
        raise ProductError(f"{where}: a value, which has no {quoted(step)} in it")
    raise ProductError(f"{where}: no {quoted(step)}{did_you_mean(step, names)}; there are: {', '.join(names)}")


def _names(node: Any) -> list[str]:
    """What a step from a section or a list may be called."""
    if isinstance(node, list):
        return [
            next((str(item[name]) for name in _NAMES if isinstance(item, Mapping) and name in item), str(number))
            for number, item in enumerate(node)
        ]
    if not isinstance(node, Mapping):
        return []
    levels = node.get("levels")
    return [*node, *(_names(levels) if isinstance(levels, list) else [])]


def _placed(leaf: Any, value: Decimal, where: str) -> Any:
    """What a number, or a text with one number, becomes with another; raises ProductError where it is neither."""
    if isinstance(leaf, int | float) and not isinstance(leaf, bool):
        return int(value) if value == value.to_integral_value() else float(value)
    found = list(_NUMBER.finditer(leaf)) if isinstance(leaf, str) else []
    if len(found) != 1:
        has = f"{len(found)} numbers" if found else "no number"
        raise ProductError(f"{where}: {quoted(leaf)} has {has}; a value with one can vary")
    return leaf[: found[0].start()] + plain(value) + leaf[found[0].end() :]
