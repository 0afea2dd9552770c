"""Accelerometer, barometer and battery: the phone's sensors while riding and at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.simulator.identifiers import unit_hash
from monsoon.sources.simulator.movement import AT_CUSTOMER, AT_DEPOT, LIGHT, RIDING

if TYPE_CHECKING:
    from monsoon.sources.simulator.telemetry import Reports

Floats = NDArray[np.float64]

# Medians of accel_var, (m/s^2)^2, and spreads of its logarithm. Riding and rest after the recordings named in
# docs/storms.md#compared-with-recordings; idling and the hand are modeled.
RIDING_VAR, RIDING_SPREAD = 1.7, 1.0
IDLING_VAR, IDLING_SPREAD = 0.12, 0.8
HAND_VAR, HAND_SPREAD = 0.08, 1.2
WALKING_VAR, WALKING_SPREAD = 9.0, 0.6
REST_VAR = np.array([6e-4, 1.5e-4, 7e-5])
"""A phone lying still, by device tier, entry first: its sensor's noise."""
REST_SPREAD = 0.4

SEA_LEVEL_HPA = 1_002.0
HPA_PER_M = 0.117


def device_normal(seed: int, devices: NDArray[np.int64], draw: int) -> Floats:
    """About unit normal (sum of three uniforms) per device, the same in every block."""
    total = sum(unit_hash(seed + 1, devices, 100 + 3 * draw + i) for i in range(3))
    return 2.0 * (np.asarray(total) - 1.5)


def columns(rng: np.random.Generator, reports: Reports, altitude_m: float) -> dict[str, Floats]:
    """accel_var, pressure_hpa, battery_pct and charging (1, 0); NaN where the phone lacks the sensor."""
    riders, rider = reports.riders, reports.rider
    battery, charging = _battery(rng, reports)
    return {
        "accel_var": np.where(riders.has_accelerometer[rider], np.round(_accel_var(rng, reports), 6), np.nan),
        "pressure_hpa": np.where(riders.has_barometer[rider], _pressure_hpa(rng, reports, altitude_m), np.nan),
        "battery_pct": battery,
        "charging": charging,
    }


def _accel_var(rng: np.random.Generator, reports: Reports) -> Floats:
    n = len(reports)
    doing, dice = reports.motion.doing, rng.random(n)
    posture = reports.episodes(rng, 20)  # where the phone is for 5 min: on the table, in the hand, in a pocket
    stop = np.isin(doing, (AT_DEPOT, AT_CUSTOMER)) | reports.sheltering
    lying = (stop & (posture < 0.10)) | (reports.home & (posture < 0.8))
    rest = REST_VAR[reports.riders.tier[reports.rider]] * np.exp(0.3 * reports.of_device(1))
    walking = stop & (doing == AT_CUSTOMER) & (dice < 0.4)
    choices = [lying, walking, reports.home | stop, doing == LIGHT, doing == RIDING]
    median = np.select(choices, [rest, WALKING_VAR, HAND_VAR, IDLING_VAR, RIDING_VAR])
    spread = np.select(choices, [REST_SPREAD, WALKING_SPREAD, HAND_SPREAD, IDLING_SPREAD, RIDING_SPREAD])
    # The road shakes a faster rider more.
    pace = np.where(median == RIDING_VAR, np.clip(reports.motion.speed_mps / 6, 0.2, 1.6), 1.0)
    value = median * pace * np.exp(spread * rng.standard_normal(n, dtype=np.float32))
    # A phone on the table is taken up for a moment now and then.
    taken = lying & (dice > 0.96)
    value = np.where(taken, HAND_VAR * np.exp(HAND_SPREAD * rng.standard_normal(n, dtype=np.float32)), value)
    return np.maximum(value, 0.5 * rest)  # no phone shakes less than it does on a table


def _pressure_hpa(rng: np.random.Generator, reports: Reports, altitude_m: float) -> Floats:
    """Weather, height above the sea and the device's own offset; hPa."""
    hours = reports.time_ms / 3_600_000
    weather = 1.4 * np.cos(2 * np.pi * hours / 12) + 0.9 * np.sin(2 * np.pi * hours / 31)
    ground_m = altitude_m + 6 * np.sin(reports.x / 2_500) + 5 * np.cos(reports.y / 3_500)
    floor_m = rng.uniform(0, 15, len(reports.riders))[reports.rider] * reports.home
    hpa = SEA_LEVEL_HPA + weather - HPA_PER_M * (ground_m + floor_m) + 0.9 * reports.of_device(2)
    return np.round(hpa + 0.05 * rng.standard_normal(len(reports), dtype=np.float32), 2)


def _battery(rng: np.random.Generator, reports: Reports) -> tuple[Floats, Floats]:
    """Charge (%) and whether it is charging: drained by the hour, filled in stretches of half an hour."""
    count, steps = len(reports.riders), reports.steps
    at_home = reports.riders.kind != 0
    drain = np.where(at_home, rng.uniform(2.5, 7, count), rng.uniform(4, 10, count)) / 240
    half_hours = rng.random((count, steps // 120 + 1)) < np.where(at_home, 0.2, 0.07)[:, None]
    charging = np.repeat(half_hours, 120, axis=1)[:, :steps]
    begun = np.zeros((count, steps), bool)
    begun[reports.rider, reports.step] = True
    begun = np.maximum.accumulate(begun, axis=1)
    change = np.where(charging, 0.15, -drain[:, None]) * begun
    level = rng.uniform(50, 100, count)[:, None] + np.cumsum(change, axis=1)
    # Below 15% the power bank comes out; what the chain above would take further down stays there.
    low = level < 15
    level, charging = np.clip(level, 15, 100), charging | low
    row = reports.rider, reports.step
    return np.round(level[row]), charging[row].astype(np.float64)
