"""Features of the device: mock locations, acceleration, battery."""

from __future__ import annotations

import numpy as np

from monsoon.transforms.evidence.baselines import BatteryBaseline
from monsoon.transforms.evidence.limits import MIN_BATTERY_BLOCKS, MIN_DRAIN_MS, MIN_DRAIN_SD_PCT_H
from monsoon.transforms.evidence.ragged import Floats, Ints, ratio
from monsoon.transforms.evidence.window import Queries, Window

Measured = tuple[Floats, Ints]
"""A feature's values, NaN = not measured, and the number of reports that each rests on."""

_MS_PER_HOUR = 3_600_000


def mock_location_share(window: Window) -> Measured:
    """Share of the window's reports with mock_location true (this fix is fake), of those that state it.

    Range: 0..1. Direction: high points strongly to fraud: any report above 0. Missing input: null where no report
    states the flag. Rests on: the reports that state it. Source: `fraud.md`, features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 15, 30], mock=[1, 0, None])
    >>> mock_location_share(window)
    (array([0.5]), array([2]))
    """
    return _share(window, "mock")


def mock_setting_share(window: Window) -> Measured:
    """Share of the window's reports with mock_setting true (an app for fake fixes is selected), of those that state it.

    Range: 0..1. Direction: high points weakly to fraud: developers and repair shops leave it on. Missing input: null
    where no report states the flag. Rests on: the reports that state it. Source: `fraud.md`, features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 15, 30], mock_setting=[1, 1, None])
    >>> mock_setting_share(window), mock_location_share(window)
    ((array([1.]), array([2])), (array([nan]), array([0])))
    """
    return _share(window, "mock_setting")


def _share(window: Window, flag: str) -> Measured:
    """Share of the window's reports with a flag set, of those that state it."""
    reports = window.span.count(window[flag] >= 0)
    return ratio(window.span.count(window[flag] == 1), reports), reports


def accelerometer_variance(window: Window) -> Measured:
    """Median accel_var over the window, (m/s^2)^2: how much the phone shook.

    Range: 0 and up. Direction: low points to fraud; near 0 is a phone at rest indoors (`products.md`, offshift, counts
    from 2e-4). Missing input: null without a report that states it. Rests on: the reports that do. Source: `fraud.md`,
    features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 15, 30, 45], accel_var=[0.5, 1.5, None, 9.0])
    >>> accelerometer_variance(window)
    (array([1.5]), array([3]))
    """
    return window.median(window["accel_var"], ~np.isnan(window["accel_var"]))


def battery_drain_z(window: Window, queries: Queries, baseline: BatteryBaseline) -> Measured:
    """Drain rate of the window against the same phone's half hours before it, in standard deviations.

    The rate is (highest - lowest charge) / time, in percent per hour, over reports that state that the phone is not
    charging.

    Range: any number. Direction: low points weakly to fraud: a phone that navigates in the rain drains faster than one
    on a table. Missing input: null where a report states charging, none states not charging, these span less
    than MIN_DRAIN_MS, or fewer than MIN_BATTERY_BLOCKS half hours came before. Rests on: the window's reports that
    state a charge. Source: `fraud.md`, features; the least deviation, MIN_DRAIN_SD_PCT_H, is what a gauge of whole
    percents tells.
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
