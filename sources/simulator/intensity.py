"""A storm weaker or stronger than the one of its file."""

from __future__ import annotations

import math

from msgspec.structs import replace

from monsoon.sources.simulator.storm import Storm
from monsoon.sources.simulator.terms import Curve, Intensity, Pm25, RainPart, RainRate, RainTotal, Series, Steps

MAX_FACTOR = 1.5
SCALED_METRICS = ("rain_mm_h", "rain_mm_24h", "wind_kmh", "aqi")
"""Of series that give a metric's own values; a factor of a temperature, a visibility or a flag would mean nothing."""


def factor_of(intensity: Intensity, normal: float) -> float:
    """The factor of an occurrence from a standard normal number, rounded to a thousandth."""
    factor = intensity.median * math.exp(intensity.sigma * normal)
    return round(min(max(factor, intensity.min), MAX_FACTOR), 3)


def with_intensity(storm: Storm, factor: float) -> Storm:
    """The storm with its rain, PM2.5, AQI and wind times `factor`, and with the first figures of corrections, too."""
    if factor == 1.0:
        return storm
    modeled, published = storm.modeled, storm.published
    corrections = tuple(
        replace(each, first=None if each.first is None else each.first * factor)
        if each.metric in SCALED_METRICS
        else each
        for each in modeled.corrections
    )
    return replace(
        storm,
        published=replace(published, series={name: _scaled(each, factor) for name, each in published.series.items()}),
        modeled=replace(
            modeled,
            series={name: _scaled(each, factor) for name, each in modeled.series.items()},
            corrections=corrections,
        ),
    )


def _scaled(series: Series, factor: float) -> Series:
    if isinstance(series, RainTotal):
        parts = tuple(RainPart(part.start, part.end, part.mm * factor) for part in series.parts)
        return replace(series, mm=series.mm * factor, parts=parts)
    if isinstance(series, RainRate):
        return replace(series, mm_h=_times(series.mm_h, factor))
    if isinstance(series, Pm25):
        return replace(series, ug_m3=_times(series.ug_m3, factor))
    if isinstance(series, Steps | Curve) and series.metric in SCALED_METRICS:
        return replace(series, points=tuple((time, value * factor) for time, value in series.points))
    return series


def _times(values: tuple[float | None, ...], factor: float) -> tuple[float | None, ...]:
    return tuple(None if value is None else value * factor for value in values)
