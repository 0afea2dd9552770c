"""The heat index of the US National Weather Service.

Source: NWS Weather Prediction Center, "The Heat Index Equation": the regression of L. P. Rothfusz (Technical Attachment
SR 90-23, 1990) to Steadman's table, its two adjustments, and the simple formula below 80 F.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MIN_TEMPERATURE_C = -60.0
MAX_TEMPERATURE_C = 65.0
"""The range of a reading of temperature_c: outside, it is a fault, not weather: no air was ever above 56.7 C."""
LOWEST_HEAT_INDEX_C = -60.0
HIGHEST_HEAT_INDEX_C = 100.0
"""The range of a reading of heat_index_c."""


def heat_index_c(temperature_c: ArrayLike, relative_humidity_pct: ArrayLike) -> Floats:
    """The heat index (C) of air temperature (C, -60 to 65) and relative humidity (%, 0 to 100); NaN where either is.

    The simple formula stands where it gives less than 80 F; it is already the mean of the temperature and an estimate,
    which is how the NWS describes it. Beyond Steadman's table (hotter and more humid than weather has been) the
    regression is followed as it is; there it is far above any threshold. Raises ValueError for input out of range.
    """
    celsius, humidity = np.broadcast_arrays(
        np.asarray(temperature_c, np.float64), np.asarray(relative_humidity_pct, np.float64)
    )
    if ((celsius < MIN_TEMPERATURE_C) | (celsius > MAX_TEMPERATURE_C)).any():
        raise ValueError(f"a temperature outside {MIN_TEMPERATURE_C:g} to {MAX_TEMPERATURE_C:g} C")
    if ((humidity < 0) | (humidity > 100)).any():
        raise ValueError("a relative humidity outside 0 to 100 %")
    t = celsius * 1.8 + 32
    simple = 0.5 * (t + 61.0 + (t - 68.0) * 1.2 + humidity * 0.094)
    fahrenheit = np.where(simple < 80.0, simple, _rothfusz_f(t, humidity))
    return np.asarray((fahrenheit - 32) / 1.8)


def _rothfusz_f(t: Floats, rh: Floats) -> Floats:
    """The regression with its adjustments, in F of F and %."""
    full = (
        -42.379 + 2.04901523 * t + 10.14333127 * rh - 0.22475541 * t * rh - 0.00683783 * t * t
        - 0.05481717 * rh * rh + 0.00122874 * t * t * rh + 0.00085282 * t * rh * rh - 0.00000199 * t * t * rh * rh
    )  # fmt: skip
    dry = (13 - rh) / 4 * np.sqrt(np.maximum(17 - np.abs(t - 95), 0) / 17)
    humid = (rh - 85) / 10 * ((87 - t) / 5)
    full = full - np.where((rh < 13) & (t >= 80) & (t <= 112), dry, 0)
    return np.asarray(full + np.where((rh > 85) & (t >= 80) & (t <= 87), humid, 0))
