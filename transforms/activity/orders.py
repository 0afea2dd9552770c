"""Orders that riders completed in a window, and their drop below the rider's own mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.arrival import rows_received_later
from monsoon.transforms.telemetry_table import TelemetryTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NANO = 1e9
_WHOLE_UP_TO = 2.0**53
"""Integers below it are exact as doubles, and so is their difference."""


class Orders:
    """Orders of a telemetry table's riders, by sums over its rows."""

    def __init__(self, telemetry: TelemetryTable) -> None:
        self._telemetry = telemetry
        stated = telemetry.orders_completed >= 0
        # Sums may wrap around at a hostile count; the difference of two wraps back.
        self._orders = np.concatenate(([0], np.cumsum(np.where(stated, telemetry.orders_completed, 0))))
        self._stated = np.concatenate(([0], np.cumsum(stated)))

    def completed(
        self, rider: npt.ArrayLike, start_ms: npt.ArrayLike, end_ms: npt.ArrayLike, received_by_ms: npt.ArrayLike
    ) -> Floats:
        """Orders of each rider (code in the telemetry table, -1 unknown) with start < event_time <= end; NaN where no
        report there states them. Reports received later than a moment do not count."""
        lo, hi = self._telemetry.rows_between(rider, start_ms, end_ms)
        orders, stated = self._orders[hi] - self._orders[lo], self._stated[hi] - self._stated[lo]
        query, row = rows_received_later(self._telemetry, lo, hi, received_by_ms)
        np.subtract.at(orders, query, self._orders[row + 1] - self._orders[row])
        np.subtract.at(stated, query, self._stated[row + 1] - self._stated[row])
        return np.where(stated > 0, orders.astype(np.float64), np.nan)


def drop_of(orders: Floats, mean: Floats) -> Floats:
    """The share by which orders lie below the mean, 0..1; 0 where the mean is 0, NaN where either is."""
    return np.where((mean <= 0) & ~np.isnan(orders), 0.0, np.clip(_below(orders, mean, mean), 0.0, 1.0))


def sigma_of(orders: Floats, mean: Floats, deviation: Floats) -> Floats:
    """How many of their standard deviations orders lie below the mean; NaN where one of the three is, or is 0 that
    divides."""
    return np.where(deviation > 0, _below(orders, mean, deviation), np.nan)


def deviation_used(deviation: Floats, mean: Floats, share: float) -> Floats:
    """The standard deviation that counts: as stated, but at least so large a share of the mean; NaN where either is.

    The least is rounded to a billionth, so that the quotient by it is as exact as by one that is stated.
    """
    return np.maximum(deviation, np.rint(mean * share * _NANO) / _NANO)


def _below(orders: Floats, mean: Floats, by: Floats) -> Floats:
    """(mean - orders) / by, of decimals: 1 below 2.8 by 1 is 1.8, and reaches it, where doubles leave a little less.

    As near as a double is to the exact quotient, if all three are below 9 million and have at most nine decimals.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        whole_mean, whole_orders, whole_by = (np.rint(each * _NANO) for each in (mean, orders, by))
        exact = (whole_mean / _NANO == mean) & (whole_by / _NANO == by)
        for whole in (whole_mean, whole_orders, whole_by):
            exact &= np.abs(whole) < _WHOLE_UP_TO
        return np.where(exact, (whole_mean - whole_orders) / whole_by, (mean - orders) / by)
