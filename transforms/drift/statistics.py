"""The statistics of a drift report: PSI, the uniformity of p-values, and what exceeds a rate by more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monsoon.transforms.scoring.calibration import RISK_KNOTS

ALARM_P = 1e-4
"""An alert is raised for what chance alone brings about less often than this. A report makes some hundred tests."""

_CONTINUITY = 0.5
"""Added to each bin's count, so that an empty one has a logarithm."""


def bin_counts(values: npt.NDArray[np.float64], edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """How many values, none of them NaN, lie in each bin; bins as of `FeatureReference`.

    >>> bin_counts(np.array([0.0, 0.5, 1.0, 3.0]), (0.0, 1.0))
    array([1, 2, 1])
    """
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)


def psi(counts: npt.NDArray[np.int64], shares: Sequence[float]) -> npt.NDArray[np.float64]:
    """The population stability index of counts (..., bins) against the shares of a reference (bins), none of them 0.

    Range: 0 and up; customarily a shift is small from 0.1 and large from 0.25. Direction: high is a shift. Missing
    input: counts of 0 in all bins give the PSI of a uniform distribution. Source: sum of (p - q) ln(p / q) over the
    bins.

    >>> float(psi(np.array([50, 50]), (0.5, 0.5)))
    0.0
    """
    padded = counts + _CONTINUITY
    found, expected = padded / padded.sum(axis=-1, keepdims=True), np.asarray(shares)
    return np.asarray(((found - expected) * np.log(found / expected)).sum(axis=-1))


def p_values_of(risks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The conformal p-values that risks stand for: the scale of `transforms/scoring/calibration.py` read backwards.

    Range: 1e-4 to 1. Direction: low points to fraud. Missing input: NaN stays NaN. Source: `RISK_KNOTS`.

    >>> p_values_of(np.array([0.0, 0.4, 0.72, 1.0])).round(6)
    array([1.e+00, 1.e-02, 1.e-03, 1.e-04])
    """
    ps, at = zip(*RISK_KNOTS, strict=True)
    return np.asarray(10.0 ** np.interp(risks, at, np.log10(ps)))


def excess_of_small_p(
    p_values: npt.NDArray[np.float64], at: Sequence[float], shares: Sequence[float]
) -> tuple[float, float]:
    """The one-sided Kolmogorov-Smirnov statistic of p-values, and the p-value of that statistic.

    It is the most by which the share of p-values at or below a point exceeds both the point itself (uniformity) and
    what training had there (`shares` at the points `at`). Conformal p-values of honest claims with ties are larger than
    uniform ones, never smaller: only an excess of small ones speaks against the calibration. The p-value is the bound
    of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, exp(-2 n d^2), which holds for every n. Without
    p-values: 0 and 1.

    >>> excess_of_small_p(np.array([0.001, 0.5, 0.9, 1.0]), (0.01, 0.1, 1.0), (0.0, 0.1, 1.0))[0]
    0.24
    """
    if not len(p_values):
        return 0.0, 1.0
    found = np.searchsorted(np.sort(p_values), at, side="right") / len(p_values)
    excess = max(0.0, float((found - np.maximum(at, shares)).max()))
    return round(excess, 6), round(math.exp(-2.0 * len(p_values) * excess * excess), 6)


def is_beyond_chance(events: int, trials: int, rate: float) -> bool:
    """Whether so many events or more, each of the trials an event with probability `rate`, have a binomial probability
    below `ALARM_P`.

    >>> is_beyond_chance(3, 20, 0.1), is_beyond_chance(30, 200, 0.02)
    (False, True)
    """
    if events <= trials * rate:
        return False
    if rate <= 0.0:
        return True
    if rate >= 1.0:
        return False
    odds = rate / (1.0 - rate)
    ways = math.lgamma(trials + 1) - math.lgamma(events + 1) - math.lgamma(trials - events + 1)
    term = total = math.exp(ways + events * math.log(odds) + trials * math.log1p(-rate))
    for each in range(events, trials):  # terms fall from here on
        term *= (trials - each) / (each + 1) * odds
        total += term
        if term < total * 1e-12:
            break
    return total < ALARM_P
