"""Orders that riders completed in some time, and how far that lies below what they usually do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monsoon.transforms.trail import Trail

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Orders:
    """Orders of a trail's riders, by sums over its rows."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        stated = trail.orders_completed >= 0
        # Sums may wrap around at a hostile count; the difference of two wraps back.
        self._orders = np.concatenate(([0], np.cumsum(np.where(stated, trail.orders_completed, 0))))
        self._stated = np.concatenate(([0], np.cumsum(stated)))

    def completed(self, rider: npt.ArrayLike, start_ms: npt.ArrayLike, end_ms: npt.ArrayLike) -> Floats:
        """Orders of each rider (code in the trail, -1 unknown) with start < event_time <= end; NaN where no report
        there states them."""
        lo, hi = self._trail.rows_between(rider, start_ms, end_ms)
        orders = (self._orders[hi] - self._orders[lo]).astype(np.float64)
        return np.where(self._stated[hi] > self._stated[lo], orders, np.nan)


def drop_of(orders: Floats, mean: Floats) -> Floats:
    """The share by which orders lie below the mean, 0..1; 0 where the mean is 0, NaN where either is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        drop = np.clip((mean - orders) / mean, 0.0, 1.0)
    return np.where((mean <= 0) & ~np.isnan(orders), 0.0, drop)


def sigma_of(orders: Floats, mean: Floats, deviation: Floats) -> Floats:
    """How many of their standard deviations orders lie below the mean; NaN where one of the three is, or is 0 that
    divides."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(deviation > 0, (mean - orders) / deviation, np.nan)
