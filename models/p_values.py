"""A calibration that keeps the conformal p-value itself: the risk is 1 - p."""

from collections.abc import Callable

import numpy as np

from monsoon.transforms.scoring.calibration import MICRO, Calibration, MaskKnots

MIN_ROWS = 300


def fit_p_values(
    path_quanta: Callable[[np.ndarray], np.ndarray], honest: np.ndarray, strongest: np.ndarray
) -> Calibration:
    """The curve of a model with one sensor group, from honest rows, float32 (n, features), that the forest was not
    fitted on; path_quanta: rows -> int64 (n,).

    p = (1 + honest rows at least as anomalous) / (1 + honest rows), larger between two honest rows. What is more
    anomalous than all of them has the least p there is, which says no more; the risk ranks it by path length, up to 1
    at the row `strongest`. Raises ValueError for fewer rows than MIN_ROWS.
    """
    if len(honest) < MIN_ROWS:
        raise ValueError(f"{len(honest)} calibration rows; p-values need {MIN_ROWS}")
    paths = np.sort(path_quanta(honest))
    knots = np.unique(paths)
    p = (1 + np.searchsorted(paths, knots, side="right")) / (1 + len(paths))
    least, floor = int(knots[0]) - 1, int(path_quanta(strongest.astype(np.float32)[None, :])[0])
    before = [(floor, 0.0)] if floor < least else []
    before.append((least, 1 / (1 + len(paths))))
    all_paths = [path for path, _ in before] + knots.tolist()
    risks = np.rint((1 - np.concatenate(([value for _, value in before], p))) * MICRO).astype(int)
    return Calibration(len(paths), ((1.0, 0.0), (0.0, 1.0)), (MaskKnots(1, tuple(all_paths), tuple(risks.tolist())),))
