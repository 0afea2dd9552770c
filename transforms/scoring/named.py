"""The named scores of a product, from evidence: one claim exactly, or columns of riders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from monsoon.transforms.product.terms import FormulaScore, WeightedScore

_DECIMALS = 6
"""As features: a published score is written to a millionth."""


def score_value(terms: FormulaScore | WeightedScore, inputs: Mapping[str, Any]) -> float | None:
    """A claim's score to a millionth, within [0, 1]; None where nothing that it rests on was measured.

    `inputs` are the features and facts that its formulas name, None = not measured.
    """
    if isinstance(terms, FormulaScore):
        value = terms.formula.number(inputs)
    else:
        total = weights = 0.0
        for part in terms.parts:
            measured = part.value.number(inputs)
            if measured is not None:
                total += part.weight * min(max(measured, 0.0), 1.0)
                weights += part.weight
        value = total / weights if weights else None
    return None if value is None else round(min(max(value, 0.0), 1.0), _DECIMALS)


def score_columns(terms: FormulaScore | WeightedScore, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The same for float64 columns (n,), NaN = not measured; a row's result depends on that row alone."""
    if isinstance(terms, FormulaScore):
        value = np.asarray(terms.formula.columns(columns), dtype=np.float64)
    else:
        parts = [np.clip(np.asarray(part.value.columns(columns), dtype=np.float64), 0.0, 1.0) for part in terms.parts]
        total, weights = np.zeros(len(parts[0])), np.zeros(len(parts[0]))
        for part, values in zip(terms.parts, parts, strict=True):
            known = ~np.isnan(values)
            total = np.where(known, total + part.weight * np.where(known, values, 0.0), total)
            weights = np.where(known, weights + part.weight, weights)
        value = np.full(len(total), np.nan)
        np.divide(total, weights, out=value, where=weights > 0)
    return np.round(np.clip(value, 0.0, 1.0), _DECIMALS)
