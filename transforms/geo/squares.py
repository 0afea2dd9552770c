"""Where records lie, as squares of a tenth of a degree: a few numbers for a city, however many records."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.sphere import distance_m

_PER_DEG = 10
_COLUMNS = 360 * _PER_DEG + 1
_AT_ONCE = 4096


def squares_of(lat: npt.ArrayLike, lon: npt.ArrayLike) -> list[int]:
    """The distinct squares in which places lie (degrees, WGS84), ascending."""
    row = np.floor((np.asarray(lat, dtype=np.float64) + 90.0) * _PER_DEG).astype(np.int64)
    column = np.floor((np.asarray(lon, dtype=np.float64) + 180.0) * _PER_DEG).astype(np.int64)
    distinct: list[int] = np.unique(row * _COLUMNS + column).tolist()
    return distinct


def any_within(squares: Collection[int], others: Collection[int], km: float) -> bool:
    """Whether the centers of a square and of one of the others are at most `km` apart; a center is within 8 km of all
    that lies in its square."""
    lat, lon = _centers(squares)
    other_lat, other_lon = _centers(others)
    step = max(1, _AT_ONCE * _AT_ONCE // max(1, len(other_lat)) // 4)
    for start in range(0, len(lat), step):
        some = slice(start, start + step)
        if (distance_m(lat[some, None], lon[some, None], other_lat, other_lon) <= km * 1000.0).any():
            return True
    return False


def _centers(squares: Collection[int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    row, column = np.divmod(np.array(sorted(squares), dtype=np.int64), _COLUMNS)
    return (row + 0.5) / _PER_DEG - 90.0, (column + 0.5) / _PER_DEG - 180.0
