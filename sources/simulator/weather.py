"""A storm's weather over time, and the readings that providers publish of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.simulator.storm import HOUR_MS, MINUTE_MS, Storm, StormError
from monsoon.sources.simulator.terms import (
    Correction,
    Curve,
    Feed,
    Pm25,
    RainRate,
    RainTotal,
    Steps,
)
from monsoon.transforms.atmosphere.cpcb import MIN_HOURS_OF_24, cpcb_sub_index
from monsoon.transforms.oracle_metrics import METRICS, MetricName
from monsoon.transforms.validation.fields import value_ranges

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Slip = Callable[[float], float]

READING_SCHEMA: dict[str, Any] = {
    "reading_id": pl.String,
    "revision": pl.Int64,
    "provider": pl.String,
    "quality": pl.String,
    "metric": pl.String,
    "platform": pl.String,
    "value": pl.Float64,
    "event_time": pl.Int64,
    "issued_time": pl.Int64,
    "lat": pl.Float64,
    "lon": pl.Float64,
    "radius_km": pl.Float64,
    "h3": pl.String,
    "wkt": pl.String,
}
OPTIONAL = ("platform", "h3", "wkt")
"""Columns that exist only where a reading of the storm has them."""
DECIMALS: dict[str, int] = {
    "rain_mm_h": 1,
    "rain_mm_24h": 1,
    "temperature_c": 1,
    "heat_index_c": 1,
    "travel_time_ratio": 2,
}
"""Digits that providers give after the point; the other metrics are whole numbers."""


def rain_mm(storm: Storm, series: str, since_ms: Times, until_ms: Times) -> Floats:
    """Rain (mm) of a series in each (since, until]; none for a series that is not of rain."""
    knots_ms, total_mm = _accumulated_rain(storm, series)
    return np.interp(until_ms, knots_ms, total_mm) - np.interp(since_ms, knots_ms, total_mm)


def place_rain_mm_h(storm: Storm, place: str, times_ms: Times) -> Floats:
    """The rain rate (mm/h) at a place over the 10 min before each time: its most trusted rain feed's series."""
    feeds = [f for f in storm.modeled.feeds if place in f.at and f.metric in ("rain_mm_24h", "rain_mm_h")]
    if not feeds:
        return np.zeros(len(times_ms))
    feed = min(feeds, key=lambda f: ("official", "secondary", "fallback").index(f.quality))
    return feed.gain * 6 * rain_mm(storm, feed.at[place], times_ms - 10 * MINUTE_MS, times_ms)


def _accumulated_rain(storm: Storm, series: str) -> tuple[Times, Floats]:
    """Times and the millimeters fallen up to them; linear in between."""
    figures = storm.series[series]
    if isinstance(figures, RainRate):
        rates = _gaps_filled(figures.mm_h)
        knots_ms = storm.time_ms(figures.start) + figures.step_min * MINUTE_MS * np.arange(len(rates) + 1)
        return knots_ms, np.concatenate([[0.0], np.cumsum(rates * figures.step_min / 60)])
    if isinstance(figures, RainTotal):
        return _spread(storm, figures)
    return np.zeros(1, np.int64), np.zeros(1)


def _spread(storm: Storm, figures: RainTotal) -> tuple[Times, Floats]:
    """A total laid over the storm's rain_spread: each published part keeps its own millimeters."""
    until_ms = storm.time_ms(figures.until)
    since_ms = until_ms - int(figures.hours * HOUR_MS)
    spread = [(storm.time_ms(s.start), storm.time_ms(s.end), s.share) for s in storm.modeled.rain_spread]
    parts = [(storm.time_ms(p.start), storm.time_ms(p.end), p.mm) for p in figures.parts]
    knots = {since_ms, until_ms}.union(*({start, end} for start, end, _ in [*spread, *parts]))
    knots_ms = np.array(sorted(k for k in knots if since_ms <= k <= until_ms), np.int64)
    middle_ms = (knots_ms[:-1] + knots_ms[1:]) / 2
    weight = np.zeros(len(middle_ms))
    for start, end, share in spread:
        inside = (start < middle_ms) & (middle_ms < end)
        weight[inside] += share * np.diff(knots_ms)[inside] / (end - start)
    mm = np.zeros(len(middle_ms))
    rest = np.ones(len(middle_ms), bool)
    for start, end, part_mm in parts:
        inside = (start < middle_ms) & (middle_ms < end)
        mm[inside] = part_mm * _proportions(weight[inside])
        rest &= ~inside
    mm[rest] = (figures.mm - sum(p.mm for p in figures.parts)) * _proportions(weight[rest])
    return knots_ms, np.concatenate([[0.0], np.cumsum(mm)])


def _proportions(weight: Floats) -> Floats:
    """Weights as shares of 1; even shares where none is given."""
    total = weight.sum()
    return weight / total if total > 0 else np.full(len(weight), 1 / max(1, len(weight)))


def _gaps_filled(values: tuple[float | None, ...]) -> Floats:
    """Missing slots by linear interpolation between their neighbors."""
    column = np.array([np.nan if value is None else value for value in values], np.float64)
    known = ~np.isnan(column)
    return np.interp(np.arange(len(column)), np.flatnonzero(known), column[known])


def _aqi(storm: Storm, figures: Pm25, gain: float, times_ms: Times) -> Floats:
    """The index of the running 24 h mean of `gain` x PM2.5; NaN where fewer than 16 hours are known."""
    hours_ms = storm.time_ms(figures.start) + figures.step_min * MINUTE_MS * np.arange(len(figures.ug_m3))
    values = np.array([np.nan if value is None else value for value in figures.ug_m3], np.float64)
    known = ~np.isnan(values)
    inside = (hours_ms > times_ms[:, None] - 24 * HOUR_MS) & (hours_ms <= times_ms[:, None]) & known
    count = inside.sum(axis=1)
    mean = np.where(inside, values, 0.0).sum(axis=1) / np.maximum(count, 1)
    enough = count * figures.step_min >= MIN_HOURS_OF_24 * 60
    return np.where(enough, cpcb_sub_index("pm25", gain * mean), np.nan)


def _values(storm: Storm, feed: Feed, series: str, times_ms: Times) -> Floats:
    """The series at these times as the feed has it, unrounded; NaN where it cannot be known."""
    figures = storm.series[series]
    if isinstance(figures, Pm25) and feed.metric == "aqi":
        return _aqi(storm, figures, feed.gain, times_ms) + feed.bias
    if isinstance(figures, RainTotal | RainRate) and feed.metric in ("rain_mm_24h", "rain_mm_h"):
        span_ms = 24 * HOUR_MS if feed.metric == "rain_mm_24h" else HOUR_MS
        return feed.gain * rain_mm(storm, series, times_ms - span_ms, times_ms) + feed.bias
    if isinstance(figures, Steps | Curve) and figures.metric == feed.metric:
        knots_ms, values = _points(storm, figures)
        if isinstance(figures, Curve):
            return feed.gain * np.interp(times_ms, knots_ms, values, left=np.nan, right=np.nan) + feed.bias
        at = np.searchsorted(knots_ms, times_ms, side="right") - 1
        return np.where(at >= 0, feed.gain * values[np.maximum(at, 0)] + feed.bias, np.nan)
    raise StormError(
        f"series {series!r} gives no {feed.metric}", f"storm {storm.name}", "Name a rain series for rain, pm25 for aqi."
    )


def _points(storm: Storm, figures: Steps | Curve) -> tuple[Times, Floats]:
    times_ms = [storm.time_ms(time) for time, _ in figures.points]
    return np.array(times_ms, np.int64), np.array([value for _, value in figures.points], np.float64)


def readings(storm: Storm, *, gridded_only: bool = False) -> pl.DataFrame:
    """Every reading of the storm, corrections as further revisions, sorted by id and revision; see READING_SCHEMA.

    `gridded_only` leaves the feeds of gridded products alone. Raises StormError where a feed and its series disagree,
    a value is outside its metric's range, or a correction has no reading.
    """
    rows: list[dict[str, Any]] = []
    for feed in storm.modeled.feeds:
        if feed.gridded or not gridded_only:
            for place, series in feed.at.items():
                rows += _feed_rows(storm, feed, place, series)
    table = pl.DataFrame(rows, schema=READING_SCHEMA).sort("reading_id", "revision")
    return table.drop(name for name in OPTIONAL if table[name].null_count() == table.height)


def _feed_rows(storm: Storm, feed: Feed, place: str, series: str) -> list[dict[str, Any]]:
    times_ms, values = _schedule(storm, feed, series)
    corrections = _corrections(storm, feed, place, times_ms)
    area = storm.places[place]
    disc = area.h3 is None and area.wkt is None
    voice = f"{feed.metric}-{feed.platform}" if feed.platform else feed.metric
    rows = []
    for time_ms, value in zip(times_ms.tolist(), values.tolist(), strict=True):
        row = {
            "reading_id": f"{feed.provider}-{voice}-{place}-{time_ms // MINUTE_MS}",
            "revision": 0,
            "provider": feed.provider,
            "quality": feed.quality,
            "metric": feed.metric,
            "platform": feed.platform,
            "value": value,
            "event_time": time_ms,
            "issued_time": time_ms + round(feed.delay_min * MINUTE_MS),
            "lat": area.lat if disc else None,
            "lon": area.lon if disc else None,
            "radius_km": area.radius_km if disc else None,
            "h3": area.h3,
            "wkt": area.wkt if area.h3 is None else None,
        }
        for revision, (first, issued_ms) in enumerate(corrections.get(time_ms, ()), 1):
            rows.append(row | {"value": first(value)})
            row |= {"revision": revision, "issued_time": issued_ms}
        rows.append(row)
    return rows


def _corrections(storm: Storm, feed: Feed, place: str, times_ms: Times) -> dict[int, list[tuple[Slip, int]]]:
    """By the time of a reading: its first value, and the times of the later ones, in order."""
    found: dict[int, list[tuple[Slip, int]]] = {}
    voice = (feed.provider, feed.metric, place, feed.platform)
    mine = [c for c in storm.modeled.corrections if (c.provider, c.metric, c.place, c.platform) == voice]
    for correction in sorted(mine, key=lambda c: storm.time_ms(c.issued)):
        first_ms = storm.time_ms(correction.time)
        last_ms = storm.time_ms(correction.until) if correction.until else first_ms
        corrected = times_ms[(times_ms >= first_ms) & (times_ms <= last_ms)]
        if not len(corrected):
            raise StormError(
                f"{feed.provider} has no {feed.metric} at {place} to correct at that time",
                f"storm {storm.name}, modeled.corrections",
                "A correction's time is that of a reading.",
            )
        for time_ms in corrected.tolist():
            found.setdefault(time_ms, []).append((_slip(correction), storm.time_ms(correction.issued)))
    return found


def _slip(correction: Correction) -> Slip:
    """The wrong figure, given the right one."""
    if correction.first is not None:
        return lambda value, first=correction.first: first  # type: ignore[misc]
    return lambda value, off_by=correction.off_by: round(value + off_by, 2)  # type: ignore[misc]


def _schedule(storm: Storm, feed: Feed, series: str) -> tuple[Times, Floats]:
    """Times of a feed's readings and their values; values that cannot be known are not read."""
    figures = storm.series[series]
    if feed.every_min is None:
        assert isinstance(figures, Steps)  # the file was checked
        times, values = _points(storm, figures)
        values = feed.gain * values + feed.bias
    else:
        every_ms = feed.every_min * MINUTE_MS
        phase_ms = (feed.offset_min - storm.utc_offset_min) * MINUTE_MS
        start_ms, end_ms = storm.time_ms(storm.modeled.readings.start), storm.time_ms(storm.modeled.readings.end)
        first_ms = start_ms + (phase_ms - start_ms) % every_ms
        times = np.arange(first_ms, end_ms + 1, every_ms, dtype=np.int64)
        values = np.round(_values(storm, feed, series, times), DECIMALS.get(feed.metric, 0))
    known = ~np.isnan(values)
    _require_range(storm, feed, series, values[known])
    for gap in feed.gaps:
        known &= (times < storm.time_ms(gap.start)) | (times >= storm.time_ms(gap.end))
    return times[known], values[known]


def _require_range(storm: Storm, feed: Feed, series: str, values: Floats) -> None:
    """Raises StormError where a reading would be a dead letter."""
    low, high = (0.0, 1.0) if METRICS[feed.metric].is_flag else value_ranges()[feed.metric]
    beyond = values[(values < low) | (values > high)]
    if len(beyond):
        raise StormError(
            f"{feed.provider} would report {feed.metric} of {beyond[0]:g}, which goes from {low:g} to {high:g}",
            f"storm {storm.name}, modeled.feeds",
            f"Mend the series {series!r}, or the feed's gain and bias.",
        )


def first_alert_ms(storm: Storm) -> int | None:
    """When word of the storm got round: its `alert`, else the first red alert, if one was given."""
    if storm.modeled.alert is not None:
        return storm.time_ms(storm.modeled.alert)
    metric: MetricName = "red_alert"
    alerts = [
        storm.time_ms(time)
        for feed in storm.modeled.feeds
        if feed.metric == metric
        for series in feed.at.values()
        for time, value in getattr(storm.series[series], "points", ())
        if value == 1
    ]
    return min(alerts, default=None)
