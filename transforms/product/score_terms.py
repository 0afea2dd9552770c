"""The scores of a product, as typed and checked terms: a model's, a formula's, weighted parts'."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

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

    @cached_property
    def whole_weights(self) -> tuple[int, ...]:
        """The weights in a unit of which each is a multiple: 0.25 + 0.20 + 0.15 reach 0.60 in any order."""
        weights = [Fraction(repr(part.weight)) for part in self.parts]
        per_unit = math.lcm(*(weight.denominator for weight in weights))
        return tuple(int(weight * per_unit) for weight in weights)

    @cached_property
    def least_whole_weight(self) -> int:
        """What the whole weights of the measured parts must come to, for a mean of these alone."""
        return math.ceil(Fraction(repr(self.mean_from)) * sum(self.whole_weights))


ScoreTerms = ModelScore | FormulaScore | WeightedScore
