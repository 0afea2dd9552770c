"""Formulas of product files: a closed grammar over named inputs that carry units (docs/products.md, "Formulas").

Belongs here: reading a formula's text into a checked tree, evaluating it exactly or on columns, putting it into words.
Does not: which inputs a product offers, and what is done with the result.
"""

from monsoon.transforms.expressions.errors import ExpressionError
from monsoon.transforms.expressions.expression import Expression
from monsoon.transforms.expressions.in_words import comparisons, describe
from monsoon.transforms.expressions.units import DIMENSIONLESS, UNIT_NAMES, Unit

__all__ = ["DIMENSIONLESS", "UNIT_NAMES", "Expression", "ExpressionError", "Unit", "comparisons", "describe"]
