"""What phones measure by themselves: fixes, accelerometer, barometer, battery, clock and satellite signal.

Fixes err by an autoregressive error with Student's t innovations; buildings throw some of them off for a while
(multipath). Arrays are (times, riders); NaN is null. All figures are modeled, by tier of the phone, entry first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.scenarios.noise import autoregressive, bursts
from monsoon.sources.scenarios.riders import Riders
from monsoon.sources.simulator.identifiers import unit_hash

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Times = NDArray[np.int64]

FIX_ERROR_M = np.array([6.0, 4.0, 2.6])
STUDENT_FREEDOM = 5.0
MULTIPATH_SHARE = np.array([0.012, 0.008, 0.004])
MULTIPATH_REPORTS = 5.0
TABLE_VARIANCE = np.array([6e-4, 1.8e-4, 9e-5])
"""Of a phone that lies still; (m/s^2)^2."""
OPEN_SKY_DBHZ = np.array([30.0, 32.5, 35.0])
GAIN_DB = np.array([39.0, 42.0, 46.0])
NETWORK_CLOCK_MS = np.array([140.0, 70.0, 40.0])
DRAIN_PCT_H = np.array([9.0, 7.0, 6.0])
WEEKS_1024_MS = 1_024 * 7 * 86_400_000


@dataclass(frozen=True)
class Truth:
    """Where phones are, how fast, whether they stand and lie on a table, and when (true ms since the epoch).

    `seed` is of what differs from phone to phone and stays.
    """

    u: Floats
    v: Floats
    speed_mps: Floats
    stands: Flags
    rests: Flags
    time_ms: Times
    seed: int


def device_draw(riders: Riders, seed: int, draw: int) -> Floats:
    """A number in [-1, 1) for each phone, the same on all of its days."""
    return np.asarray(2 * unit_hash(seed + 77, riders.device, draw) - 1)


def blocked_skies(rng: np.random.Generator, truth: Truth, shown: Truth) -> tuple[Flags, Flags]:
    """Where the sky is blocked: of the phone itself, and of what it shows; by houses, or by a roof where it rests."""
    times, count = truth.u.shape
    houses, roof = bursts(rng, times, count, 0.08, 10.0), rng.random(count) < 0.7
    return houses | (truth.rests & roof), houses | (shown.rests & roof)


def fixes(rng: np.random.Generator, riders: Riders, truth: Truth, blocked: Flags) -> dict[str, Floats]:
    """u, v, accuracy_m and speed_mps of the fixes."""
    times, count = truth.u.shape
    sigma = FIX_ERROR_M[riders.tier] * (1 + 0.25 * device_draw(riders, truth.seed, 1)) * np.where(blocked, 2.5, 1.0)
    error = [sigma / 1.6 * autoregressive(rng, times, count, 0.9, STUDENT_FREEDOM) for _ in range(2)]
    thrown = bursts(rng, times, count, MULTIPATH_SHARE[riders.tier], MULTIPATH_REPORTS)
    away = rng.gamma(2.0, 35.0, count)
    toward = rng.uniform(0, 2 * np.pi, count)
    u = truth.u + error[0] + np.where(thrown, away * np.cos(toward), 0)
    v = truth.v + error[1] + np.where(thrown, away * np.sin(toward), 0)
    accuracy = sigma * rng.lognormal(0.0, 0.2, (times, count)) + np.where(thrown, 0.7 * away, 0)
    speed = np.abs(truth.speed_mps + 0.25 * rng.standard_normal((times, count)) * np.where(truth.stands, 0.3, 1.0))
    return {"u": u, "v": v, "accuracy_m": np.round(accuracy, 1), "speed_mps": np.round(speed, 2)}


def accel_variance(rng: np.random.Generator, riders: Riders, truth: Truth) -> Floats:
    """Variance of acceleration: the road's by speed, the hand's where one stands, the sensor's own on a table."""
    shape = truth.u.shape
    rough = rng.gamma(2.2, 1 / 2.2, shape) * np.exp(0.3 * device_draw(riders, truth.seed, 2))
    riding = (0.3 + 0.2 * truth.speed_mps) * rough
    held = np.exp(rng.normal(np.log(0.06), 0.9, shape))
    table = TABLE_VARIANCE[riders.tier] * np.exp(0.25 * rng.standard_normal(shape))
    value = np.where(truth.stands, held, riding)
    lifted = rng.random(shape) < 0.03
    value = np.where(truth.rests & ~lifted, table, value)
    return np.round(np.maximum(value, 0.6 * TABLE_VARIANCE[riders.tier]), 6)


def pressure(rng: np.random.Generator, riders: Riders, truth: Truth, altitude_m: float) -> Floats:
    """Air pressure (hPa): one weather for all, the ground's height, the phone's own offset."""
    days = truth.time_ms / 86_400_000
    weather = 1_004 + 2.1 * np.sin(2 * np.pi * days / 3.7) + 1.1 * np.cos(4 * np.pi * days)
    ground_m = altitude_m + 4 * np.cos(truth.u / 1_900) * np.sin(truth.v / 2_700)
    offset = 1.2 * device_draw(riders, truth.seed, 3)
    return np.round(weather - ground_m / 8.6 + offset + 0.06 * rng.standard_normal(truth.u.shape), 2)


def battery(rng: np.random.Generator, riders: Riders, truth: Truth, step_s: float) -> tuple[Floats, Flags]:
    """Charge (%) and whether it is charged, from a power bank whenever it is at 20%, and at times before."""
    times, count = truth.u.shape
    drain = DRAIN_PCT_H[riders.tier] * (1 + 0.3 * device_draw(riders, truth.seed, 6)) * step_s / 3600
    drain = drain * rng.lognormal(0.0, 0.1, count)
    charge = 0.5 * step_s / 60
    on = bursts(rng, times, count, 0.1, 1_800 / step_s)
    level = np.empty((times, count))
    now, plugged = rng.uniform(45, 100, count), np.zeros(count, bool)
    charging = np.empty((times, count), bool)
    for time in range(times):
        plugged = on[time] | (now < 20) | (plugged & (now < 30))
        now = np.clip(now + np.where(plugged, charge, -drain), 1, 100)
        level[time], charging[time] = now, plugged
    return np.round(level), charging


def signal(rng: np.random.Generator, riders: Riders, truth: Truth, blocked: Flags) -> tuple[Floats, Floats]:
    """C/N0 (dB-Hz) and gain (dB) under the sky as it is."""
    times, count = blocked.shape
    cn0 = (
        OPEN_SKY_DBHZ[riders.tier] + 1.5 * device_draw(riders, truth.seed, 4) + autoregressive(rng, times, count, 0.95)
    )
    cn0 = cn0 - np.where(blocked, rng.uniform(5.5, 9.0, count), 0) + 0.3 * rng.standard_normal(blocked.shape)
    gain = GAIN_DB[riders.tier] + 2 * device_draw(riders, truth.seed, 5) + 0.5 * autoregressive(rng, times, count, 0.98)
    return cn0, gain + 0.2 * rng.standard_normal(blocked.shape)


def clocks(rng: np.random.Generator, riders: Riders, truth: Truth) -> tuple[Times, Times]:
    """gnss_time and network_time (ms) of the fixes; one old phone in the condition counts weeks from 0 again."""
    fix_ms = truth.time_ms - np.round(rng.beta(2, 3, truth.u.shape) * 950).astype(np.int64)
    spread = NETWORK_CLOCK_MS[riders.tier]
    own = spread * rng.standard_t(4.0, len(riders))
    network_ms = fix_ms + np.round(own + 0.4 * spread * rng.standard_normal(truth.u.shape)).astype(np.int64)
    gnss_ms = fix_ms - np.where(riders.of("gnss_week_rollover"), WEEKS_1024_MS, 0)
    return gnss_ms, network_ms
