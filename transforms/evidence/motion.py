"""Features of motion: speeds, straightness, implied speeds between fixes, rest and jitter of a phone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.limits import (
    EXCURSION_ACCURACY_M,
    EXCURSION_MPS,
    MIN_PATH_M,
    MIN_PATH_STEPS,
    MIN_RIDDEN_M,
    MIN_SPEEDS,
    MIN_STEP_S,
    MIN_STOPPED_STEPS,
    REST_ACCEL_VAR,
    RETURN_M,
    RIDDEN_STEP_MS,
    RIDING_MPS,
    STOPPED_MPS,
    STOPPED_STEP_MS,
    UNKNOWN_ACCURACY_M,
)
from monsoon.transforms.evidence.ragged import Bools, Floats, Ints, ratio, two_largest
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


def speed_cv(window: Window) -> Measured:
    """Coefficient of variation of the speed over the window: its standard deviation / its mean.

    Of the stated speeds or of those between the fixes, whichever is steadier: a made-up trail may state either.

    Range: 0 and up. Direction: low points to fraud on a straight path (`fraud.md`, route_linearity: below 0.05).
    Missing input: null with fewer than MIN_SPEEDS speeds of one kind, or where all are 0. Rests on: the reports with
    a speed of that kind. Source: `fraud.md`, features, route_linearity.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 15, 30, 45], speed_mps=[2.0, 6.0, 2.0, 6.0])
    >>> speed_cv(window)
    (array([0.5]), array([4]))
    """
    between = np.full(len(window.span.rows), np.nan)
    between[window.span.follows] = window.step_m / _step_s(window)
    (stated_cv, stated), (fixes_cv, fixes) = (_variation(window, each) for each in (window["speed_mps"], between))
    steadier = np.isnan(stated_cv) | (fixes_cv < stated_cv)
    return np.where(steadier, fixes_cv, stated_cv), np.where(steadier, fixes, stated)


def _variation(window: Window, speed: Floats) -> Measured:
    variance, count = speed_variance_30min(window, speed)
    return ratio(np.sqrt(variance), ratio(window.span.total(speed, ~np.isnan(speed)), count)), count


def still_while_moving(window: Window) -> Measured:
    """Share of the path's length that was ridden while the phone lay still: with accel_var below REST_ACCEL_VAR.

    A step of the path is that from the report before, at most RIDDEN_STEP_MS ago. It counts where the report at its end
    states accel_var, which is of the time since, and is ridden where it is longer than both accuracies together: fixes
    of a phone on a table wander, too.

    Range: 0..1. Direction: high points strongly to fraud: fixes that ride and a phone that does not. Missing input:
    null where fewer than MIN_RIDDEN_M were ridden; an accuracy that is not stated is UNKNOWN_ACCURACY_M, in the rider's
    favor. Rests on: the steps ridden. Source: `fraud.md`, features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> north = [28.6 + 0.002 * step for step in range(5)]  # 222 m each
    >>> window, _ = one_rider(range(0, 75, 15), lat=north, accuracy_m=[9.0] * 5, accel_var=[0, 0, 0, 0, 2.5])
    >>> share, steps = still_while_moving(window)
    >>> round(float(share[0]), 6), int(steps[0])
    (0.75, 4)
    """
    at = window.span.follows
    accuracy_m = np.nan_to_num(window["accuracy_m"], nan=UNKNOWN_ACCURACY_M)
    query, accel_var = window.span.query[at], window["accel_var"][at]
    counts = ~np.isnan(accel_var) & (window.step_ms <= RIDDEN_STEP_MS)
    ridden = counts & (window.step_m > accuracy_m[at - 1] + accuracy_m[at])
    still = ridden & (accel_var < REST_ACCEL_VAR)
    path_m, ridden_m, still_m = (
        np.bincount(query[each], window.step_m[each], len(window)) for each in (counts, ridden, still)
    )
    share = np.where(ridden_m >= MIN_RIDDEN_M, np.minimum(ratio(still_m, path_m), 1.0), np.nan)
    return share, np.bincount(query[ridden], minlength=len(window))


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


def fast_excursions(window: Window) -> Measured:
    """How often the window's fixes went elsewhere at an implied speed above EXCURSION_MPS (70 m/s); out and back is one
    excursion.

    Only fixes that state an accuracy of at most EXCURSION_ACCURACY_M count. A jump is a step between neighbors of them
    that is so fast. It ends the excursion that an earlier jump began, if it leads to where a rider may be who never
    left: not further from the fix before the excursion than RIDING_MPS allows since, nor than RETURN_M. It belongs to
    that excursion, too, if it follows at once on its last jump. Any other begins one.

    Range: 0 and up, a count. Direction: high points to fraud, two and more strongly: one is a receiver's error. Missing
    input: null with fewer than 2 such fixes. Rests on: the steps between them. Source: `fraud.md`, the guard, motion;
    which jumps belong together is this project's reading (docs/interpretations.md#evidence).

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> lat = [28.6, 28.7, 28.7, 28.6, 28.6, 28.7]  # out, back, and out again
    >>> window, _ = one_rider(range(0, 90, 15), lat=lat, accuracy_m=[9.0] * 6)
    >>> fast_excursions(window)
    (array([2.]), array([5]))
    """
    fix = np.flatnonzero(window["accuracy_m"] <= EXCURSION_ACCURACY_M)
    query, fixes = window.span.query[fix], _Fixes.of(window, fix)
    step = np.flatnonzero(np.diff(query) == 0)
    over_m, time_s = fixes.apart(step, step + 1)
    steps = np.bincount(query[step], minlength=len(window))
    excursions = np.zeros(len(window))
    jumps = step[over_m > EXCURSION_MPS * time_s]
    began = fixes.begin_excursions(jumps, query)
    np.add.at(excursions, query[jumps[began]], 1.0)
    return np.where(steps >= 1, excursions, np.nan), steps


@dataclass(frozen=True, eq=False)
class _Fixes:
    """Some fixes of windows, in their order."""

    lat: Floats
    lon: Floats
    accuracy_m: Floats
    time_ms: Ints

    @staticmethod
    def of(window: Window, at: Ints) -> _Fixes:
        return _Fixes(*(window[name][at] for name in ("lat", "lon", "accuracy_m", "event_time_ms")))

    def apart(self, first: Ints | int, second: Ints | int) -> tuple[Floats, Floats]:
        """Distance beyond both accuracies (m) and time (s, at least MIN_STEP_S) from one fix to the other."""
        away_m = distance_m(self.lat[first], self.lon[first], self.lat[second], self.lon[second])
        time_s = np.maximum((self.time_ms[second] - self.time_ms[first]) / 1000.0, MIN_STEP_S)
        return np.maximum(away_m - self.accuracy_m[first] - self.accuracy_m[second], 0.0), time_s

    def begin_excursions(self, jumps: Ints, query: Ints) -> Bools:
        """Which of the jumps, each from the fix of that number to the next, begin an excursion."""
        begins = np.zeros(len(jumps), dtype=np.bool_)
        left = last = -1  # the fix before the excursion that lasts, and its last jump
        for number, jump in enumerate(jumps.tolist()):
            if left >= 0 and query[left] == query[jump]:
                over_m, time_s = (float(each) for each in self.apart(left, jump + 1))
                if over_m <= min(RIDING_MPS * time_s, RETURN_M):
                    left = -1
                    continue
                if jump == last + 1:
                    last = jump
                    continue
            begins[number] = True
            left = last = jump
        return begins


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
