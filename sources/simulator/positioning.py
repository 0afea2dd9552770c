"""Reported positions: honest satellite fixes with their errors, and the three kinds of spoofing.

Fixes of a modern phone: accuracy 3-8 m in the open (docs/storms.md#compared-with-recordings). Under a blocked sky the
error grows, a fix may be lost to the network location, and now and then one is far off. `speed_mps` is NaN without a
fix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.simulator.movement import AT_CUSTOMER, AT_DEPOT
from monsoon.sources.simulator.population import (
    FLAG_LOCATION,
    FLAG_NOW_AND_THEN,
    FLAG_SETTING,
    LINE,
    MOCK_APP,
    RADIO_SPOOF,
    RIDE,
    STATIC,
    WANDER,
)

if TYPE_CHECKING:
    from monsoon.sources.simulator.telemetry import Reports

Floats = NDArray[np.float64]
Columns = dict[str, Floats]

ERROR_M = np.array([7.0, 4.5, 3.2])
"""Typical error of a fix in the open by device tier, entry first."""
FAR_OFF = np.array([1.2e-3, 6e-4, 3e-4])
"""Share of fixes that are hundreds of meters off, by device tier; four times that under a blocked sky."""


def blocked_sky(rng: np.random.Generator, reports: Reports) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Reports under a flyover, in a lane or indoors, in episodes of 3 min: of the phone, and of the road claimed."""
    dice = reports.episodes(rng, 12)
    stopped = np.isin(reports.motion.doing, (AT_DEPOT, AT_CUSTOMER)) | reports.sheltering
    road = np.where(stopped, dice < 0.35, dice < 0.08)
    phone = np.where(reports.home, dice < 0.7, road)
    return phone, np.where(reports.false, road, phone)


def positions(rng: np.random.Generator, reports: Reports) -> tuple[Columns, NDArray[np.bool_]]:
    """lat, lon, accuracy_m, speed_mps, mock_location and mock_setting (1, 0, NaN); and which reports lack the sky."""
    n = len(reports)
    tier = reports.riders.tier[reports.rider]
    indoors, blocked = blocked_sky(rng, reports)
    kind = reports.riders.kind[reports.rider]
    track = reports.riders.track[reports.rider]
    forged = reports.false & (kind == MOCK_APP)
    beamed = reports.false & (kind == RADIO_SPOOF)

    # Where the fix would be without error: the phone itself, or the track that is claimed.
    x, y, speed = reports.x.copy(), reports.y.copy(), np.where(reports.home, 0.0, reports.motion.speed_mps)
    claimed_x, claimed_y, claimed_speed = _claimed(rng, reports, track)
    for column, claimed in ((x, claimed_x), (y, claimed_y), (speed, claimed_speed)):
        column[reports.false] = claimed[reports.false]

    error_m = ERROR_M[tier] * np.exp(0.35 * reports.drift(rng, 8)) * np.where(blocked, 3.0, 1.0)
    no_fix = rng.random(n) < np.where(blocked, 0.15, 0.004)
    no_fix[reports.false] = False
    error_m = np.where(no_fix, rng.lognormal(np.log(35), 0.5, n), error_m)
    # Error wanders over a minute or two; a third of it is new at each fix.
    fresh = rng.standard_normal((2, n), dtype=np.float32)
    error_x = error_m / 1.5 * (0.9 * reports.drift(rng, 6) + 0.35 * fresh[0])
    error_y = error_m / 1.5 * (0.9 * reports.drift(rng, 6) + 0.35 * fresh[1])
    far = rng.random(n) < FAR_OFF[tier] * np.where(blocked, 4, 1)
    angle, away = rng.uniform(0, 2 * np.pi, n), rng.lognormal(np.log(350), 0.8, n)
    error_x = np.where(far, away * np.cos(angle), error_x)
    error_y = np.where(far, away * np.sin(angle), error_y)
    # Half of the fixes that are far off know it.
    accuracy = error_m * np.exp(0.15 * rng.standard_normal(n, dtype=np.float32))
    accuracy = np.where(far & (rng.random(n) < 0.5), away * 0.6, accuracy)

    # A spoofed receiver sees a steady sky; a mock app writes what it likes.
    style = rng.integers(0, 4, len(reports.riders))[reports.rider]
    shown = np.array([3.0, 5.0, 10.0, 20.0])[style]
    jitters = (track == WANDER) & (style < 2)
    error_x = np.where(beamed, 0.25 * error_x, np.where(forged, 1.5 * jitters * fresh[0], error_x))
    error_y = np.where(beamed, 0.25 * error_y, np.where(forged, 1.5 * jitters * fresh[1], error_y))
    accuracy = np.where(forged, shown, np.where(beamed, np.minimum(accuracy, 6.0), accuracy))
    steady = np.abs(speed + 0.3 * rng.standard_normal(n, dtype=np.float32))
    stationary = 0.12 * np.abs(rng.standard_normal(n, dtype=np.float32)) * (rng.random(n) < 0.5)
    measured = np.where(speed > 0.5, steady, stationary)
    measured = np.where(forged, np.where(style == 3, 0.0, speed), measured)

    lat, lon = reports.city.to_degrees(x + error_x, y + error_y)
    mock_location, mock_setting = _mock_flags(rng, reports)
    return {
        "lat": np.round(lat, 6),
        "lon": np.round(lon, 6),
        "accuracy_m": np.round(accuracy, 1),
        "speed_mps": np.where(no_fix, np.nan, np.round(measured, 2)),
        "mock_location": mock_location,
        "mock_setting": mock_setting,
    }, indoors


def _claimed(rng: np.random.Generator, reports: Reports, track: NDArray[np.int8]) -> tuple[Floats, Floats, Floats]:
    """Position (m) and speed (m/s) of each report's claimed track; meaningless for who claims none."""
    riders, rider = reports.riders, reports.rider
    count = len(riders)
    angle, away = rng.uniform(0, 2 * np.pi, count), 700 * np.sqrt(rng.random(count))
    x0 = reports.city.depot_x[riders.depot] + away * np.cos(angle)
    y0 = reports.city.depot_y[riders.depot] + away * np.sin(angle)
    heading = rng.uniform(0, 2 * np.pi, count)
    pace, reach = rng.uniform(3, 9, count), rng.uniform(700, 2_000, count)
    seconds = (reports.time_ms - riders.attack_ms[rider]) / 1000
    # Line: to and fro at one speed. Wander: two slow sines, a few hundred meters wide.
    run = np.mod(pace[rider] * seconds, 2 * reach[rider])
    along = np.minimum(run, 2 * reach[rider] - run)
    slow, slower = 2 * np.pi / 700, 2 * np.pi / 1_900
    wander_x = 120 * np.sin(slow * seconds) + 180 * np.sin(slower * seconds)
    wander_y = 120 * np.sin(slow * 1.3 * seconds) + 180 * np.cos(slower * seconds)
    wander_speed = np.hypot(
        120 * slow * np.cos(slow * seconds) + 180 * slower * np.cos(slower * seconds),
        120 * slow * 1.3 * np.cos(slow * 1.3 * seconds) - 180 * slower * np.sin(slower * seconds),
    )
    ways = [track == RIDE, track == STATIC, track == LINE, track == WANDER]
    x, y = x0[rider], y0[rider]
    return (
        np.select(ways, [reports.motion.x, x, x + along * np.cos(heading[rider]), x + wander_x]),
        np.select(ways, [reports.motion.y, y, y + along * np.sin(heading[rider]), y + wander_y]),
        np.select(ways, [reports.motion.speed_mps, np.zeros(len(rider)), pace[rider], wander_speed]),
    )


def _mock_flags(rng: np.random.Generator, reports: Reports) -> tuple[Floats, Floats]:
    """mock_location and mock_setting as 1, 0 or NaN (the phone does not report it)."""
    flags = reports.riders.flags[reports.rider]
    now_and_then = (flags == FLAG_NOW_AND_THEN) & (reports.episodes(rng, 40) < 0.2)
    location = (flags == FLAG_LOCATION) & reports.false & (rng.random(len(reports)) < 0.92)
    setting = now_and_then | (reports.false & np.isin(flags, (FLAG_LOCATION, FLAG_SETTING)))
    silent = rng.random(len(reports.riders)) < 0.12
    untold = silent[reports.rider] & ~np.isin(flags, (FLAG_SETTING, FLAG_NOW_AND_THEN))
    return location.astype(np.float64), np.where(untold, np.nan, setting)
