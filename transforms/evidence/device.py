"""What the phone says of itself: mock locations, acceleration, battery."""

from __future__ import annotations

import numpy as np

from monsoon.transforms.evidence.baselines import BatteryBaseline
from monsoon.transforms.evidence.limits import MIN_BATTERY_BLOCKS, MIN_DRAIN_MS, MIN_DRAIN_SD_PCT_H
from monsoon.transforms.evidence.ragged import Floats, Ints, over
from monsoon.transforms.evidence.window import Queries, Window

Measured = tuple[Floats, Ints]
"""A feature's values, NaN = not measured, and the number of reports that each rests on."""

_MS_PER_HOUR = 3_600_000


def mock_location_share(window: Window) -> Measured:
    """Share of reports with mock_location or mock_setting true, of those that report either."""
    stated = window["mock"] >= 0
    reports = window.span.count(stated)
    return over(window.span.count(window["mock"] == 1), reports), reports


def accelerometer_variance(window: Window) -> Measured:
    """Median accel_var, (m/s^2)^2."""
    return window.median(window["accel_var"], ~np.isnan(window["accel_var"]))


def battery_drain_z(window: Window, queries: Queries, baseline: BatteryBaseline) -> Measured:
    """Drain rate in the window against the half hours before it with the same phone, in standard deviations.

    Only reports that say the phone is not charging count; a window in which it charged has no rate.
    """
    span = window.span
    percent, charging = window["battery_pct"], window["charging"]
    used = (charging == 0) & ~np.isnan(percent)
    query = span.query[used]
    high, low = np.full(len(window), -np.inf), np.full(len(window), np.inf)
    np.maximum.at(high, query, percent[used])
    np.minimum.at(low, query, percent[used])
    first, last = np.zeros(len(window)), np.zeros(len(window))
    time_ms = window["event_time_ms"][used].astype(np.float64)
    first[query[::-1]] = time_ms[::-1]
    last[query] = time_ms
    reports = span.count(used)
    good = (reports > 0) & (last - first >= MIN_DRAIN_MS) & (span.count(charging == 1) == 0)
    rate = np.full(len(window), np.nan)
    rate[good] = (high - low)[good] / (last - first)[good] * _MS_PER_HOUR
    blocks, mean, sd = baseline.before(queries, window.last_device)
    z = (rate - mean) / np.maximum(sd, MIN_DRAIN_SD_PCT_H)
    return np.where(blocks >= MIN_BATTERY_BLOCKS, z, np.nan), reports
