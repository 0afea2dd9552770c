"""India's National Air Quality Index: sub-indices by pollutant, and the index that they make.

Source: Central Pollution Control Board, "National Air Quality Index", report of the expert group, 2014 (breakpoints,
averaging times, minimum data), and "About AQI" on the board's site. Concentrations are running means: 24 h, for CO and
O3 8 h.

Interpretations of the specification: docs/interpretations.md#air.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_INDICES = (0.0, 50.0, 51.0, 100.0, 101.0, 200.0, 201.0, 300.0, 301.0, 400.0, 401.0, 500.0)
"""Lowest and highest index of Good, Satisfactory, Moderate, Poor, Very Poor and Severe."""


@dataclass(frozen=True)
class Pollutant:
    """A pollutant of the index: `unit` of its concentration, the hours of its mean, the highest concentration of each
    band from Good to Very Poor, and the step from there to the lowest of the next, as the table prints them."""

    unit: str
    mean_h: int
    highest: tuple[float, float, float, float, float]
    step: float

    @property
    def knots(self) -> tuple[float, ...]:
        """The concentrations of `_INDICES`.

        Severe is printed without an upper end. It is taken to be as wide as Very Poor, as in the board's calculator.
        """
        *_, poor, very_poor = self.highest
        ends = (*self.highest, very_poor + (very_poor - poor))
        starts = (0.0, *(round(end + self.step, 6) for end in self.highest))
        return tuple(knot for band in zip(starts, ends, strict=True) for knot in band)


POLLUTANTS: Mapping[str, Pollutant] = {
    "pm25": Pollutant("ug/m3", 24, (30, 60, 90, 120, 250), 1),
    "pm10": Pollutant("ug/m3", 24, (50, 100, 250, 350, 430), 1),
    "no2": Pollutant("ug/m3", 24, (40, 80, 180, 280, 400), 1),
    "so2": Pollutant("ug/m3", 24, (40, 80, 380, 800, 1600), 1),
    "o3": Pollutant("ug/m3", 8, (50, 100, 168, 208, 748), 1),
    "nh3": Pollutant("ug/m3", 24, (200, 400, 800, 1200, 1800), 1),
    "co": Pollutant("mg/m3", 8, (1.0, 2.0, 10.0, 17.0, 34.0), 0.1),
    "pb": Pollutant("ug/m3", 24, (0.5, 1.0, 2.0, 3.0, 3.5), 0.1),
}

MIN_HOURS_OF_24 = 16
"""Hours of data that a 24 h mean needs, by the report; of 8 h it needs the same two thirds, rounded up."""
MIN_POLLUTANTS = 3
PARTICLES = ("pm25", "pm10")
"""One of them must be among the pollutants of an index."""


def min_hours(pollutant: str) -> int:
    """Hours of data that the pollutant's mean needs: 16 of 24, 6 of 8."""
    return -(-POLLUTANTS[pollutant].mean_h * MIN_HOURS_OF_24 // 24)


def cpcb_sub_index(pollutant: str, mean: ArrayLike) -> Floats:
    """The sub-index (0 to 500, not yet rounded) of running means in the pollutant's unit; NaN stays NaN.

    Within a band linear from its lowest to its highest printed concentration, and between two bands linear too, so that
    the index has no gap: PM2.5 of 30, 30.5, 31 and 60 ug/m3 are 50, 50.5, 51 and 100. Beyond Severe it stays 500.
    Raises ValueError for a pollutant that the index lacks and for a negative concentration.
    """
    if pollutant not in POLLUTANTS:
        raise ValueError(f"no pollutant {pollutant!r} in the index; there are: {', '.join(POLLUTANTS)}")
    column = np.asarray(mean, np.float64)
    if (column < 0).any():
        raise ValueError(f"a concentration of {pollutant} below zero: {column[column < 0].min():g}")
    return np.asarray(np.interp(column, POLLUTANTS[pollutant].knots, _INDICES))


def rounded_index(index: ArrayLike) -> Floats:
    """An index as it is published, to the nearest whole number, halves upwards; NaN stays NaN."""
    exact = np.round(np.asarray(index, np.float64), 9)  # a half of exact arithmetic, and not just below
    return np.asarray(np.floor(exact + 0.5))


@dataclass(frozen=True)
class CpcbAqi:
    """Indices, one a row: `index` as published (NaN where no pollutant is known), `worst` the position in `pollutants`
    of the sub-index that it is (-1: none), `complete` where the board would call it the AQI."""

    pollutants: tuple[str, ...]
    index: Floats
    worst: NDArray[np.int64]
    complete: NDArray[np.bool_]


def cpcb_aqi(means: Mapping[str, ArrayLike]) -> CpcbAqi:
    """The index of running means by pollutant, columns of one length (NaN: not known).

    The worst sub-index is the index. The board calls it the AQI from three pollutants on, PM2.5 or PM10 among them;
    with fewer it publishes the sub-indices, and so does this, with `complete` false: as the AQI is the worst
    sub-index, the worst of those known can only be lower than the AQI, never higher. Raises ValueError as
    `cpcb_sub_index`, and for no pollutant at all.
    """
    if not means:
        raise ValueError("an index needs at least one pollutant")
    names = tuple(sorted(means))
    table = np.stack([np.atleast_1d(rounded_index(cpcb_sub_index(name, means[name]))) for name in names])
    known = ~np.isnan(table)
    some = known.any(axis=0)
    worst = np.where(some, np.argmax(np.where(known, table, -1.0), axis=0), -1)
    index = np.where(some, np.take_along_axis(table, np.maximum(worst, 0)[None], axis=0)[0], np.nan)
    particles = np.array([name in PARTICLES for name in names])
    complete = (known.sum(axis=0) >= MIN_POLLUTANTS) & known[particles].any(axis=0)
    return CpcbAqi(names, index, worst, complete)
