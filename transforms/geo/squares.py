"""A coarse summary of where records lie: the ids of the occupied squares of a grid of 0.1 degrees.

A city takes a few ids, however many records lie in it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.sphere import distance_m

_PER_DEG = 10
_COLUMNS = 360 * _PER_DEG + 1
_MAX_PAIRS = 4096 * 4096 // 4
"""Distances computed at once, to bound the memory."""


def grid_squares(lat: npt.ArrayLike, lon: npt.ArrayLike) -> list[int]:
    """The ids of the distinct squares that hold these positions (degrees, WGS84), ascending.

    An id numbers the squares from the south pole in rows of 3,601, west to east from longitude -180.
    """
    row = np.floor((np.asarray(lat, dtype=np.float64) + 90.0) * _PER_DEG).astype(np.int64)
    column = np.floor((np.asarray(lon, dtype=np.float64) + 180.0) * _PER_DEG).astype(np.int64)
    distinct: list[int] = np.unique(row * _COLUMNS + column).tolist()
    return distinct


def any_squares_within(squares: Collection[int], others: Collection[int], max_distance_km: float) -> bool:
    """Whether the center of one of `squares` is at most `max_distance_km` from that of one of `others`.

    A center is at most 8 km from any position in its square. False where either is empty.
    """
    lat, lon = _centers(squares)
    other_lat, other_lon = _centers(others)
    step = max(1, _MAX_PAIRS // max(1, len(other_lat)))
    for start in range(0, len(lat), step):
        some = slice(start, start + step)
        if (distance_m(lat[some, None], lon[some, None], other_lat, other_lon) <= max_distance_km * 1000.0).any():
            return True
    return False


def _centers(squares: Collection[int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    row, column = np.divmod(np.array(sorted(squares), dtype=np.int64), _COLUMNS)
    return (row + 0.5) / _PER_DEG - 90.0, (column + 0.5) / _PER_DEG - 180.0
