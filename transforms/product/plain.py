"""Checked terms as plain values, for `monsoon products show` and whoever wants to compare two versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from monsoon.transforms.expressions import Expression
from monsoon.transforms.product.terms import Comparison, Product


def plain_terms(product: Product) -> dict[str, Any]:
    """One version of a product as mappings, lists, text and numbers, under the names of `terms.py`, units in them.

    Formulas are their text, white space settled; comparisons too. What is absent is null; other versions are left out.
    """
    return {name: value for name, value in _plain(product).items() if name != "earlier"}


def _plain(value: Any) -> Any:
    if isinstance(value, Expression):
        return " ".join(value.text.split())
    if isinstance(value, Comparison):
        return str(value)
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value
