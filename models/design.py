"""A model's features, and the shape that each of them has for its forest.

A random split falls uniformly between a node's least and greatest value, so scale decides what a forest can see. Each
feature is therefore warped, in training only, onto a range of length 1 between ordinary and speaking as strongly
against as this feature can, on a linear or logarithmic scale and flat beyond both ends. The flat ordinary end makes
the forest one-sided: what is more ordinary than most is not held against anybody. The export maps the split
thresholds back, so scoring takes plain units (monsoon.models.forest_export).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from monsoon.transforms.scoring.features import Feature, FeatureList

# Of the calibration rows, this share have one strong feature contradicting: how often one sensor of an honest phone may
# lie without the training storms showing it. One contradicting sensor alone is then about 1 in 200, not unheard of.
FAULT_SHARE = 0.005

Warp = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FeatureDesign:
    """`fraud_end`: the value beyond which the feature contributes no more, from the specification of the evidence or,
    marked so, from measured phones. `ordinary`: the other end; None = the honest median. `strong`: the feature may by
    itself contradict a claim; the weak ones only add to others."""

    name: str
    unit: str
    group: str
    points_to_fraud: Literal["high", "low"]
    scale: Literal["linear", "log10"]
    fraud_end: float
    ordinary: float | None = None
    strong: bool = True


@dataclass(frozen=True)
class ModelDesign:
    """A model's name and its features, in input order, the features of a group side by side; and the share
    of its calibration rows that have one contradiction."""

    name: str
    features: tuple[FeatureDesign, ...]
    fault_share: float = FAULT_SHARE

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""
        return tuple(feature.name for feature in self.features)

    @property
    def groups(self) -> tuple[str, ...]:
        """Sensor groups, in the order of the mask's bits."""
        return tuple(dict.fromkeys(feature.group for feature in self.features))

    @property
    def strong(self) -> np.ndarray:
        """Places of the features that may by themselves contradict."""
        return np.flatnonzero([feature.strong for feature in self.features])

    @property
    def fraud_ends(self) -> np.ndarray:
        """The value beyond which each feature contributes no more, float64 (features,)."""
        return np.array([feature.fraud_end for feature in self.features])

    def honest_medians(self, rows: np.ndarray) -> np.ndarray:
        """Median of each feature over the rows that measured it, float32 (features,). Raises ValueError if none
        did."""
        empty = [self.names[index] for index in np.flatnonzero(np.isnan(rows).all(axis=0))]
        if empty:
            raise ValueError(f"no training row measures {', '.join(empty)}")
        return np.nanmedian(rows, axis=0).astype(np.float32)

    def feature_list(self, medians: np.ndarray) -> FeatureList:
        """The features as the model folder lists them."""
        features = (
            Feature(design.name, design.unit, design.group, design.points_to_fraud, float(median))
            for design, median in zip(self.features, medians, strict=True)
        )
        return FeatureList(self.groups, tuple(features))

    def warps(self, medians: np.ndarray) -> list[Warp]:
        """One non-decreasing function a feature, onto [0, 1] where high points to fraud and [-1, 0] where low does."""
        return [_warp(design, float(median)) for design, median in zip(self.features, medians, strict=True)]


def warp_rows(rows: np.ndarray, shapes: Sequence[Warp]) -> np.ndarray:
    """What the forest is fitted on, float32: each column of the float32 input, warped."""
    plain = rows.astype(np.float32).astype(np.float64)
    return np.column_stack([warp(plain[:, index]) for index, warp in enumerate(shapes)]).astype(np.float32)


def _warp(design: FeatureDesign, median: float) -> Warp:
    ordinary = median if design.ordinary is None else design.ordinary
    low, high = sorted((ordinary, design.fraud_end))
    if low == high:
        raise ValueError(f"{design.name}: the honest median is its strongest contradiction, {median:g}")
    base = 0.0 if design.points_to_fraud == "high" else -1.0
    if design.scale == "log10":
        start, span = np.log10(low), np.log10(high / low)
        return lambda x: base + (np.log10(np.clip(x, low, high)) - start) / span
    return lambda x: base + (np.clip(x, low, high) - low) / (high - low)
