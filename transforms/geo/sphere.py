"""Great-circle distances, vectorized."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the WGS84 ellipsoid (IUGG); the product specification prescribes it."""

EARTH_RADIUS_M = EARTH_RADIUS_KM * 1000.0


def distance_m(
    lat1: npt.ArrayLike, lon1: npt.ArrayLike, lat2: npt.ArrayLike, lon2: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Great-circle distance in meters between points in degrees, by the haversine formula.

    Arguments broadcast against each other; the result has their common shape. NaN in, NaN out.
    """
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    haversine = np.sin((phi2 - phi1) / 2) ** 2
    haversine = haversine + np.cos(phi1) * np.cos(phi2) * np.sin((np.radians(lon2) - np.radians(lon1)) / 2) ** 2
    return _arc_m(haversine)


def _arc_m(haversine: Any) -> npt.NDArray[np.float64]:
    # Rounding may push antipodal points a hair above 1.
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
