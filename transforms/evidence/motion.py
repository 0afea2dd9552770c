"""Features of motion: speeds, straightness, implied speeds between fixes, jitter of a phone that stands still."""

from __future__ import annotations

import numpy as np

from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.limits import (
    MIN_PATH_M,
    MIN_PATH_STEPS,
    MIN_SPEEDS,
    MIN_STEP_S,
    MIN_STOPPED_STEPS,
    STOPPED_MPS,
    STOPPED_STEP_MS,
    UNKNOWN_ACCURACY_M,
)
from monsoon.transforms.evidence.ragged import Floats, ratio, two_largest
from monsoon.transforms.evidence.window import Window
from monsoon.transforms.geo.sphere import distance_m


def speeds_mps(window: Window) -> Floats:
    """Speed at each report: its own, else that from the previous report of the window, else NaN."""
    speed = window["speed_mps"].copy()
    at = window.span.follows
    derived = np.isnan(speed[at])
    speed[at[derived]] = window.step_m[derived] / _step_s(window)[derived]
    return speed


def speed_variance_30min(window: Window, speed: Floats) -> Measured:
    """Variance of speed over the window, (m/s)^2; a speed that is not stated is that from the report before.

    Range: 0 and up. Direction: low points to fraud where the rider claims to move. Missing input: null with fewer than
    MIN_SPEEDS speeds. Rests on: the reports with a speed. Source: `fraud.md`, features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 15, 30, 45], speed_mps=[2.0, 4.0, 2.0, 4.0])
    >>> speed_variance_30min(window, speeds_mps(window))
    (array([1.]), array([4]))
    """
    span = window.span
    measured = ~np.isnan(speed)
    count = span.count(measured)
    deviation = speed - ratio(span.total(speed, measured), count)[span.query]
    variance = ratio(span.total(deviation * deviation, measured), count)
    return np.where(count >= MIN_SPEEDS, variance, np.nan), count


def route_linearity(window: Window) -> Measured:
    """Net displacement / path length of the window, for paths of at least MIN_PATH_M and MIN_PATH_STEPS steps.

    Range: 0..1. Direction: high points to fraud: nobody rides straight through a city (`fraud.md`: above 0.995 at an
    even speed). Missing input: null for a shorter path, or one of fewer fixes. Rests on: the window's reports. Source:
    `fraud.md`, features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> north = [28.6 + 0.003 * step for step in range(10)]
    >>> window, _ = one_rider(range(0, 1000, 100), lat=north)
    >>> share, reports = route_linearity(window)
    >>> round(float(share[0]), 6), int(reports[0])
    (1.0, 10)
    """
    span, telemetry = window.span, window.telemetry
    path_m = np.bincount(span.query[span.follows], window.step_m, len(window))
    long_enough = np.flatnonzero((path_m >= MIN_PATH_M) & (span.lengths > MIN_PATH_STEPS))
    first, last = span.row(long_enough, np.zeros_like(long_enough)), span.last[long_enough]
    net_m = distance_m(telemetry.lat[first], telemetry.lon[first], telemetry.lat[last], telemetry.lon[last])
    linearity = np.full(len(window), np.nan)
    linearity[long_enough] = np.minimum(net_m / path_m[long_enough], 1.0)
    return linearity, span.lengths


def max_implied_speed_mps(window: Window) -> tuple[Measured, Measured]:
    """The largest and the second largest implied speed between neighboring reports of the window, m/s.

    (distance - both accuracies) / time; 0 where the fixes agree within their accuracies. Reports of one moment count as
    MIN_STEP_S apart; an accuracy that is not stated is UNKNOWN_ACCURACY_M, in the rider's favor.

    Range: 0 and up. Direction: high points to fraud (`fraud.md`: above 33 twice, or above 70 once). Missing input: null
    with fewer than 2 reports, the second with fewer than 3. Rests on: the steps between reports. Source: `fraud.md`,
    features, max_implied_speed_mps; the second is there because the rule says "twice".

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 10, 20], lat=[28.6, 28.61, 28.61], accuracy_m=[6.0, 6.0, 6.0])
    >>> (largest, _), (second, _) = max_implied_speed_mps(window)
    >>> round(float(largest[0]), 1), float(second[0])  # 1,112 m less 12 m in 10 s
    (110.0, 0.0)
    """
    span = window.span
    accuracy_m = np.nan_to_num(window["accuracy_m"], nan=UNKNOWN_ACCURACY_M)
    at = span.follows
    jump = np.maximum(window.step_m - accuracy_m[at - 1] - accuracy_m[at], 0.0) / _step_s(window)
    largest, second = two_largest(jump, span.query[at], len(window))
    steps = np.maximum(span.lengths - 1, 0)
    return (
        (np.where(steps >= 1, largest, np.nan), steps),
        (np.where(steps >= 2, second, np.nan), steps),
    )


def gps_jitter_m(window: Window, speed: Floats) -> Measured:
    """Root mean square distance of a fix from its place while stopped, m: the unrest of a receiver that stands still.

    From steps between two stopped fixes (below STOPPED_MPS) at most STOPPED_STEP_MS apart: two independent fixes lie
    apart by sqrt(2) times what one lies from its place.

    Range: 0 and up. Direction: low points to fraud; 0 is no receiver's. Missing input: null with fewer than
    MIN_STOPPED_STEPS such steps. Rests on: these steps. Source: `fraud.md`, features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider(range(0, 150, 15), speed_mps=[0.0] * 10)
    >>> gps_jitter_m(window, speeds_mps(window))
    (array([0.]), array([9]))
    """
    span = window.span
    stopped = speed < STOPPED_MPS
    at = span.follows
    still = stopped[at] & stopped[at - 1] & (window.step_ms <= STOPPED_STEP_MS)
    query, step_m = span.query[at[still]], window.step_m[still]
    steps = np.bincount(query, minlength=len(window))
    spread = np.sqrt(ratio(np.bincount(query, step_m * step_m, len(window)), 2 * steps))
    return np.where(steps >= MIN_STOPPED_STEPS, spread, np.nan), steps


def _step_s(window: Window) -> Floats:
    return np.maximum(window.step_ms / 1000.0, MIN_STEP_S)
