"""The features of a model: their order, units and sensor groups, and which groups a row measured."""

from typing import Literal

import msgspec
import numpy as np


class Feature(msgspec.Struct, frozen=True):
    """One column of the model's input.

    `group`: its sensor group. `points_to_fraud`: whether high values, low values or both point to fraud.
    `honest_median`: the median of honest claims, which replaces the value when `Scorer.explain` occludes the feature.
    """

    name: str
    unit: str
    group: str
    points_to_fraud: Literal["high", "low", "both"]
    honest_median: float


class FeatureList(msgspec.Struct, frozen=True):
    """`groups`: sensor groups; group g is bit g of the availability mask. `features`: the model's input columns in
    order, sorted by group."""

    groups: tuple[str, ...]
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    def group_starts(self) -> np.ndarray:
        """The index of each group's first feature, int (groups,).

        Raises ValueError unless features are sorted by group, no group is empty, and there are at most 16.
        """
        order = [self.groups.index(feature.group) for feature in self.features]
        if order != sorted(order) or len(set(order)) != len(self.groups) or len(self.groups) > 16:
            raise ValueError("features must stand group by group, at most 16 groups, none of them empty")
        return np.searchsorted(order, np.arange(len(self.groups)))


def measured_masks(rows: np.ndarray, group_starts: np.ndarray) -> np.ndarray:
    """Per row the sensor groups with at least one measured (not NaN) feature, uint16 (n,), bit g = group g.

    >>> rows = np.array([[0.1, np.nan, 3.0], [np.nan, np.nan, np.nan]], dtype=np.float32)
    >>> measured_masks(rows, np.array([0, 1, 2]))  # three groups of one feature each
    array([5, 0], dtype=uint16)
    """
    measured = np.logical_or.reduceat(~np.isnan(rows), group_starts, axis=1)
    bits = np.zeros((len(rows), 16), dtype=bool)
    bits[:, : len(group_starts)] = measured
    return np.packbits(bits, axis=1, bitorder="little").view("<u2")[:, 0]
