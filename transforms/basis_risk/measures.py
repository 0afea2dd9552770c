"""The measures of basis risk of a group of riders, with percentile bootstrap bounds.

All sums are of integers (paise, riders), so that groups add up to their total exactly, and a resample is the same on
every machine. B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, for the bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

DEFAULT_RESAMPLES = 1_000
CONFIDENCE = 0.95
"""Between the 2.5th and the 97.5th percentile of the resamples."""
_CELLS_AT_ONCE = 2_000_000
"""Draws in memory at a time; part of what a seed means."""
_MIN_DEFINED = 0.5
"""Share of the resamples in which a correlation must be defined for it to have bounds."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LossAndPayment:
    """Riders whose loss is measured, one element each (n,): what they lost and were paid in paise (int64), whether the
    loss counts as one (bool), and the code of their zone (int64)."""

    lost_paise: Ints
    paid_paise: Ints
    is_loss: npt.NDArray[np.bool_]
    zone: Ints

    def __len__(self) -> int:
        return len(self.zone)


class Estimate(NamedTuple):
    """A measure and its bounds; NaN where it is not defined."""

    value: float
    low: float
    high: float


MEASURES = (
    "paid_without_loss",
    "paid_without_loss_inr",
    "loss_without_payment",
    "loss_without_payment_inr",
    "shortfall_per_rider_inr",
    "excess_per_rider_inr",
    "correlation",
)
"""Riders paid without a loss, and what they were paid; riders with a loss and no payment, and what they lost; the mean
of max(loss - paid, 0) and of max(paid - loss, 0); Pearson's correlation of loss and payment."""
_TOTALS, _PER_RIDER = MEASURES[:4], MEASURES[4:6]
_SCALE = (1, 100, 1, 100, 100, 100)
"""Of the sums, to riders and rupees."""


@dataclass(frozen=True)
class GroupMeasures:
    """The measures of one group; `resampled` says of what the bootstrap draws, `clusters` of how many."""

    riders: int
    riders_paid: int
    riders_with_loss: int
    lost_paise: int
    paid_paise: int
    resampled: str
    clusters: int
    measures: Mapping[str, Estimate]


def group_measures(
    group: LossAndPayment, rng: np.random.Generator, resamples: int = DEFAULT_RESAMPLES
) -> GroupMeasures:
    """The measures of a group.

    Zones are resampled where the group has several, since riders of one zone share the trigger and are not independent;
    riders where it has one; `rng` draws them. Bounds of a total are those of its mean times the group's riders. Where
    the percentiles leave out the value itself, as they can of a skewed measure, they are widened to it.
    """
    sums = _sums(group)
    zones, cluster = np.unique(group.zone, return_inverse=True)
    by_zone = len(zones) > 1
    if by_zone:
        clustered = np.zeros((len(zones), sums.shape[1]), np.int64)
        np.add.at(clustered, cluster.reshape(-1), sums)
    else:
        clustered = sums
    point = sums.sum(axis=0, keepdims=True)
    values = _of_sums(point, len(group))[0]
    drawn = _of_sums(_resampled(clustered, resamples, rng), len(group)) if len(group) else np.empty((0, len(MEASURES)))
    estimates = {}
    for column, measure in enumerate(MEASURES):
        estimates[measure] = _bounded(float(values[column]), drawn[:, column])
    return GroupMeasures(
        riders=len(group),
        riders_paid=int((group.paid_paise > 0).sum()),
        riders_with_loss=int(group.is_loss.sum()),
        lost_paise=int(group.lost_paise.sum()),
        paid_paise=int(group.paid_paise.sum()),
        resampled="zone" if by_zone else "rider",
        clusters=len(clustered),
        measures=estimates,
    )


def _sums(group: LossAndPayment) -> Ints:
    """What the measures are sums of, by rider: int64 (n, 12). Loss and payment are centered, for their squares."""
    lost, paid = group.lost_paise, group.paid_paise
    for_nothing, unpaid = (paid > 0) & ~group.is_loss, (paid == 0) & group.is_loss
    x, y = (each - (int(each.sum()) // max(len(each), 1)) for each in (lost, paid))
    columns = (
        np.ones(len(group), np.int64),
        for_nothing,
        np.where(for_nothing, paid, 0),
        unpaid,
        np.where(unpaid, lost, 0),
        np.maximum(lost - paid, 0),
        np.maximum(paid - lost, 0),
        x,
        y,
        x * x,
        y * y,
        x * y,
    )
    return np.stack([np.asarray(column, np.int64) for column in columns], axis=1)


def _resampled(clustered: Ints, resamples: int, rng: np.random.Generator) -> Ints:
    """The sums of `resamples` draws of as many clusters as there are, with replacement: int64 (resamples, 12)."""
    count = len(clustered)
    at_once = max(1, _CELLS_AT_ONCE // count)
    found = []
    for begin in range(0, resamples, at_once):
        draws = min(at_once, resamples - begin)
        drawn = rng.integers(0, count, (draws, count)) + count * np.arange(draws)[:, None]
        times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        found.append(times @ clustered)  # of integers: exact in any order
    return np.concatenate(found)


def _of_sums(sums: Ints, riders: int) -> npt.NDArray[np.float64]:
    """MEASURES of each row of sums, float64 (rows, 7), of a group of so many riders."""
    n = sums[:, 0].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, 1:7] / n[:, None] / np.array(_SCALE)
        totals = means[:, : len(_TOTALS)] * riders
        x, y, xx, yy, xy = (sums[:, column] / n for column in range(7, 12))
        x_variance, y_variance = xx - x * x, yy - y * y
        # What rounding leaves of a constant is no variance.
        varies = (x_variance > 1e-9 * np.maximum(xx, 1)) & (y_variance > 1e-9 * np.maximum(yy, 1))
        correlation = np.where(varies, (xy - x * y) / np.sqrt(x_variance * y_variance), np.nan)
    return np.column_stack([totals, means[:, len(_TOTALS) :], np.clip(correlation, -1, 1)])


def _bounded(value: float, drawn: npt.NDArray[np.float64]) -> Estimate:
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value) or len(defined) < max(1, _MIN_DEFINED * len(drawn)):
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(defined, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Estimate(value, min(float(low), value), max(float(high), value))
