"""The scores of a product, as typed and checked terms: a model's, a formula's, weighted parts'."""

from __future__ import annotations

from dataclasses import dataclass

from monsoon.transforms.expressions import Expression

MIN_P = 1e-4
"""The smallest share of honest claims that a model's scale can resolve (`scoring/calibration.py`)."""


@dataclass(frozen=True)
class CutOff:
    """On a product's scale of a model score: the share `honest_beyond` of honest claims scores above `at`."""

    at: float
    honest_beyond: float


MODEL_SCALE = (CutOff(0.40, 1e-2), CutOff(0.72, 1e-3))
"""A model's own scale (`scoring/calibration.py`)."""


@dataclass(frozen=True)
class ModelScore:
    """A calibrated risk from a model of `models/onnx/`, on the scale that the cut-offs set; without any, the model's
    own."""

    model: str
    cut_offs: tuple[CutOff, ...] = ()


@dataclass(frozen=True)
class FormulaScore:
    """A formula over evidence."""

    formula: Expression


@dataclass(frozen=True)
class WeightedPart:
    name: str
    weight: float
    value: Expression


@dataclass(frozen=True)
class WeightedScore:
    """The weighted mean of parts; one that was not measured leaves the sum, and the weights are renormalized. Where the
    weights of the measured ones sum to less than `mean_from` of all, those not measured count `unmeasured` instead."""

    parts: tuple[WeightedPart, ...]
    unmeasured: float = 0.0
    mean_from: float = 0.0


ScoreTerms = ModelScore | FormulaScore | WeightedScore
