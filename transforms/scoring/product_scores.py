"""The named scores of a product (such as `anomaly` and `trust`): of one claim, or of a column of claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from monsoon.transforms.product.terms import FormulaScore, WeightedScore

_DECIMALS = 6
"""As features: a published score is written to a millionth."""


def score_value(terms: FormulaScore | WeightedScore, inputs: Mapping[str, Any]) -> float | None:
    """A product's named score of one claim: a formula, or a weighted mean of parts such as OffShift's trust.

    `inputs` are the features and facts that its formulas name, None = not measured.

    Range: 0..1, to a millionth; what lies beyond is clamped, each part too. Direction: as its product says: `anomaly`
    high and `trust` low speak against the claim. Missing input: a part that was not measured leaves the mean and the
    other weights are renormalised; where the measured weights come to less than the score's `mean_from`, each missing
    part counts `unmeasured` instead. None where nothing that it rests on was measured. Source: the product's file.

    >>> from types import SimpleNamespace as Terms
    >>> part = lambda name, weight: Terms(weight=weight, value=Terms(number=lambda inputs: inputs[name]))
    >>> score = WeightedScore((part("cell", 0.6), part("app", 0.4)))
    >>> score_value(score, {"cell": 1.0, "app": 0.5}), score_value(score, {"cell": None, "app": 0.5})
    (0.8, 0.5)
    >>> score_value(score, {"cell": None, "app": None}) is None
    True
    """
    if isinstance(terms, FormulaScore):
        value = terms.formula.number(inputs)
    else:
        parts = [part.value.number(inputs) for part in terms.parts]
        instead = _value_of_unmeasured(terms, [each is not None for each in parts]) if None in parts else None
        total = weights = 0.0
        for part, measured in zip(terms.parts, parts, strict=True):
            counts = instead if measured is None else 0.0 if measured < 0.0 else 1.0 if measured > 1.0 else measured
            if counts is not None:
                total += part.weight * counts
                weights += part.weight
        value = total / weights if weights else None
    return None if value is None else round(min(max(value, 0.0), 1.0), _DECIMALS)


def score_columns(terms: FormulaScore | WeightedScore, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """`score_value` for float64 columns (n,), NaN = not measured; a row's result depends on that row alone."""
    if isinstance(terms, FormulaScore):
        value = np.asarray(terms.formula.columns(columns), dtype=np.float64)
    else:
        parts = part_columns(terms, columns)
        instead = _by_measured_parts(parts, lambda measured: _value_of_unmeasured(terms, measured))
        parts = [np.where(np.isnan(values), instead, values) for values in parts]
        total, weights = np.zeros(len(parts[0])), np.zeros(len(parts[0]))
        for part, values in zip(terms.parts, parts, strict=True):
            known = ~np.isnan(values)
            total = np.where(known, total + part.weight * np.where(known, values, 0.0), total)
            weights = np.where(known, weights + part.weight, weights)
        value = np.full(len(total), np.nan)
        np.divide(total, weights, out=value, where=weights > 0)
    return np.round(np.clip(value, 0.0, 1.0), _DECIMALS)


def measured_share(terms: FormulaScore | WeightedScore, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """How much of a score was measured, float64 (n,) in [0, 1]: the weights of the measured parts as a share of
    all weights. Of a formula 1 where it was measured, else 0."""
    if isinstance(terms, FormulaScore):
        return (~np.isnan(score_columns(terms, columns))).astype(np.float64)
    total = sum(terms.whole_weights)
    return _by_measured_parts(part_columns(terms, columns), lambda measured: _measured_weight(terms, measured) / total)


def part_columns(terms: WeightedScore, columns: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The columns of a score's parts before weighting, float64 (n,) in [0, 1] each, NaN = not measured."""
    return [np.clip(np.asarray(part.value.columns(columns), dtype=np.float64), 0.0, 1.0) for part in terms.parts]


def _value_of_unmeasured(terms: WeightedScore, measured: Sequence[bool]) -> float | None:
    """The value that stands for each unmeasured part; None: unmeasured parts are left out of the mean."""
    return terms.unmeasured if _measured_weight(terms, measured) < terms.least_whole_weight else None


def _measured_weight(terms: WeightedScore, measured: Sequence[bool]) -> int:
    return sum(weight for weight, known in zip(terms.whole_weights, measured, strict=True) if known)


def _by_measured_parts(parts: Sequence[np.ndarray], value: Callable[[Sequence[bool]], float | None]) -> np.ndarray:
    """`value` of each row's measured parts (a bool per part), float64 (n,), NaN for None; called once per distinct
    combination."""
    measured, which = np.unique(~np.isnan(np.stack(parts, axis=1)), axis=0, return_inverse=True)
    values = [value(row) for row in measured.tolist()]
    return np.array([np.nan if each is None else each for each in values], dtype=np.float64)[which.reshape(-1)]
