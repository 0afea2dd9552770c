"""The US Air Quality Index of PM2.5, and the concentration that such an index stands for.

Source: US EPA, "Technical Assistance Document for the Reporting of Daily Air Quality", EPA-454/B-18-007 (2018, with
the breakpoints of 2012: 78 FR 3086) and EPA-454/B-24-002 (May 2024, with those of 89 FR 16202, in force from 6 May
2024). The scale is not India's: 150 ug/m3 of PM2.5 is 200 on the table of 2012 and 323 on CPCB's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Table = Literal["us_epa_2012", "us_epa_2024"]

TABLE_2024_FROM_MS = 1_714_953_600_000
"""6 May 2024, 00:00 UTC."""

_BANDS: Mapping[str, tuple[tuple[float, float, float, float], ...]] = {
    "us_epa_2012": (
        (0.0, 12.0, 0, 50), (12.1, 35.4, 51, 100), (35.5, 55.4, 101, 150), (55.5, 150.4, 151, 200),
        (150.5, 250.4, 201, 300), (250.5, 350.4, 301, 400), (350.5, 500.4, 401, 500),
    ),
    "us_epa_2024": (
        (0.0, 9.0, 0, 50), (9.1, 35.4, 51, 100), (35.5, 55.4, 101, 150), (55.5, 125.4, 151, 200),
        (125.5, 225.4, 201, 300), (225.5, 325.4, 301, 500),
    ),
}  # fmt: skip
"""Lowest and highest concentration (ug/m3), lowest and highest index."""


def us_epa_table_at(time_ms: int) -> Table:
    """The table in force at a moment, for providers that follow the EPA."""
    return "us_epa_2024" if time_ms >= TABLE_2024_FROM_MS else "us_epa_2012"


def us_epa_aqi_of_pm25(ug_m3: ArrayLike, table: Table) -> Floats:
    """The US index, whole numbers, of PM2.5 concentrations (ug/m3); NaN stays NaN.

    As the document says: the concentration is cut to a tenth and the index rounded; beyond 500 the last band goes on.
    Raises ValueError for a negative concentration and for an unknown table.
    """
    column = np.asarray(ug_m3, np.float64)
    if (column < 0).any():
        raise ValueError(f"a PM2.5 concentration below zero: {column[column < 0].min():g} ug/m3")
    tenths = np.floor(np.round(column * 10, 6)) / 10  # 35.4 is 353.99999 tenths
    return np.floor(_along(tenths, *_knots(table)) + 0.5)


def pm25_ug_m3_of_us_epa_aqi(aqi: ArrayLike, table: Table) -> Floats:
    """The PM2.5 concentration (ug/m3) that a US index of PM2.5 stands for; NaN stays NaN.

    An index is whole, so that the concentration is right to within 1 ug/m3. Raises ValueError for a negative index and
    for an unknown table.
    """
    column = np.asarray(aqi, np.float64)
    if (column < 0).any():
        raise ValueError(f"an index below zero: {column[column < 0].min():g}")
    concentrations, indices = _knots(table)
    return _along(column, indices, concentrations)


def _knots(table: str) -> tuple[Floats, Floats]:
    if table not in _BANDS:
        raise ValueError(f"no table {table!r}; there are: {', '.join(_BANDS)}")
    low, high, low_index, high_index = np.array(_BANDS[table], np.float64).T
    return np.stack([low, high], 1).ravel(), np.stack([low_index, high_index], 1).ravel()


def _along(column: Floats, x: Floats, y: Floats) -> Floats:
    """Linear between the knots; beyond the last one as between the last two."""
    beyond = y[-1] + (column - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2])
    return np.asarray(np.where(column > x[-1], beyond, np.interp(column, x, y)))
