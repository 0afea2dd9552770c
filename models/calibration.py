"""Fits the calibration that monsoon.transforms.scoring.calibration reads."""

from collections.abc import Callable

import numpy as np

from monsoon.transforms.scoring.calibration import MICRO, RISK_KNOTS, Calibration, MaskKnots

# Counts of honest rows at least as anomalous where the curve gets a knot; dense where cut-offs lie.
KNOTS_PER_DECADE = 12


def risk_of(p: np.ndarray) -> np.ndarray:
    """Piecewise linear in log10(p) through RISK_KNOTS; 1 below the last."""
    ps, risks = zip(*reversed(RISK_KNOTS), strict=True)
    return np.interp(np.log10(p), np.log10(ps), risks)


def fit_calibration(
    path_quanta: Callable[[np.ndarray], np.ndarray],
    honest: np.ndarray,
    group_starts: np.ndarray,
    progress: Callable[[float], None] | None = None,
) -> Calibration:
    """One curve for each set of measured groups, from the same honest rows with the other groups masked.

    honest: float32 (n, features), rows that the forest was not fitted on and that measured every group (single
    features of a group may be NaN); path_quanta: rows -> int64 (n,). Raises ValueError for fewer than 10,000 rows,
    with which p = 1e-4 is out of reach.
    """
    if len(honest) < 10_000:
        raise ValueError(f"{len(honest)} calibration rows; p = 1e-4 needs 10,000")
    group_of = np.searchsorted(group_starts, np.arange(honest.shape[1]), side="right") - 1
    masks = []
    for mask in range(1, 1 << len(group_starts)):
        if progress is not None:
            progress(mask / (1 << len(group_starts)))
        shown = (mask >> group_of & 1).astype(bool)
        masks.append(_knots(mask, np.sort(path_quanta(np.where(shown, honest, np.float32(np.nan))))))
    return Calibration(len(honest), RISK_KNOTS, tuple(masks))


def _knots(mask: int, paths: np.ndarray) -> MaskKnots:
    """paths: sorted. The least path is the most anomalous row."""
    n = len(paths)
    ranks = np.geomspace(1, n, int(np.log10(n) * KNOTS_PER_DECADE)).round().astype(int)
    knots = np.unique(paths[ranks - 1])
    at_least_as_anomalous = np.searchsorted(paths, knots, side="right")
    risks = np.rint(risk_of((1 + at_least_as_anomalous) / (1 + n)) * MICRO).astype(int)
    return MaskKnots(mask, tuple(knots.tolist()), tuple(risks.tolist()))
