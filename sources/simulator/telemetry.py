"""One block of riders' telemetry: when they report, where they are, and every column of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.simulator import positioning, radio, sensors
from monsoon.sources.simulator.arrival import received_ms
from monsoon.sources.simulator.city import City
from monsoon.sources.simulator.hindrances import hindered
from monsoon.sources.simulator.identifiers import keyed_hashes
from monsoon.sources.simulator.losses import Block, ShiftHours, shift_hours
from monsoon.sources.simulator.movement import Motion, clock_rate, lay_roads, locate
from monsoon.sources.simulator.population import HONEST, Population, of_week_before, rng_of
from monsoon.sources.simulator.storm import DAY_MS, Storm
from monsoon.sources.simulator.weather import place_rain_mm_h

BLOCK_RIDERS = 128
"""Riders of one block; part of what a seed means, so never a tuning knob."""
STEP_MS = 15_000
JITTER_MS = 2_500
EDGE_MS = 4 * 60_000
"""The app shows offline this long at either end of a shift."""
LOSS = 0.02
BURST_STEPS = 8
APP_STATES = pl.Series(["offline", "online", "on_trip"])

TELEMETRY_SCHEMA: dict[str, Any] = {
    "event_id": pl.String,
    "worker_id": pl.String,
    "device_id": pl.String,
    "event_time": pl.Int64,
    "lat": pl.Float64,
    "lon": pl.Float64,
    "accuracy_m": pl.Float64,
    "speed_mps": pl.Float64,
    "mock_location": pl.Boolean,
    "mock_setting": pl.Boolean,
    "accel_var": pl.Float64,
    "pressure_hpa": pl.Float64,
    "cn0_dbhz": pl.Float64,
    "agc_db": pl.Float64,
    "gnss_time": pl.Int64,
    "network_time": pl.Int64,
    "bssids": pl.List(pl.String),
    "cell": pl.String,
    "battery_pct": pl.Float64,
    "charging": pl.Boolean,
    "ip_prefix": pl.String,
    "platform": pl.String,
    "app_state": pl.String,
    "orders_completed": pl.Int64,
}
RECEIVED_SCHEMA: dict[str, Any] = {"received_time": pl.Int64}
"""The column added where the storm has a gateway."""


def telemetry_schema(storm: Storm) -> dict[str, Any]:
    """The columns of the storm's telemetry, with their types."""
    return TELEMETRY_SCHEMA | (RECEIVED_SCHEMA if storm.modeled.riders.gateway is not None else {})


@dataclass(frozen=True)
class Reports:
    """The block's reports before their columns: rows in order of rider and time.

    `rider` counts within the block, `step` from the window's start; `hours`, by rider and not by row, are those of the
    shift and those lost, reported or not; `false` marks reports that claim to be
    elsewhere, `home` those of an attacker's phone, which lies at home throughout, `logged_out` those whose app a
    hindrance has put offline; `x`, `y` (m) are where the phone is.
    """

    riders: Population
    city: City
    seed: int
    steps: int
    hours: ShiftHours
    rider: NDArray[np.int64]
    step: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    motion: Motion
    sheltering: NDArray[np.bool_]
    logged_out: NDArray[np.bool_]
    false: NDArray[np.bool_]
    home: NDArray[np.bool_]
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rider)

    def episodes(self, rng: np.random.Generator, every: int) -> NDArray[np.float64]:
        """A uniform number that stays for `every` steps of a rider: the dice of whatever lasts a while."""
        return rng.random((len(self.riders), self.steps // every + 1))[self.rider, self.step // every]

    def drift(self, rng: np.random.Generator, every: int) -> NDArray[np.float64]:
        """About unit normal, wandering from one value to the next over `every` steps."""
        knots = rng.standard_normal((len(self.riders), self.steps // every + 2), dtype=np.float32)
        at, part = np.divmod(self.step, every)
        part = part / every
        value: NDArray[np.float64] = knots[self.rider, at] * (1 - part) + knots[self.rider, at + 1] * part
        return value

    def of_device(self, draw: int) -> NDArray[np.float64]:
        """About unit normal per report, fixed by its device."""
        from_hashes = sensors.device_normal(self.seed, self.riders.device, draw)
        per_report: NDArray[np.float64] = from_hashes[self.rider]
        return per_report


def simulated_block(storm: Storm, city: City, riders: Population, number: int, seed: int, population: int) -> Block:
    """The telemetry of block `number` (`riders`, of `population` in all), see `telemetry_schema`: the storm's history,
    if it asks for one, oldest week first, then the storm itself; each by rider and time. The hours are the storm's.

    A function of its arguments alone: each block has its own random numbers, whichever is generated first.
    """
    history = storm.modeled.riders.history
    weeks = range(history.weeks if history else 0, -1, -1)
    played = [_week(storm, city, riders, number, seed, population, week) for week in weeks]
    return Block(pl.concat(each.telemetry for each in played), played[-1].hours)


def _week(storm: Storm, city: City, riders: Population, number: int, seed: int, population: int, week: int) -> Block:
    """The block in the storm's hours `week` weeks before it; 0: in the storm."""
    if week:
        riders = of_week_before(riders, week, seed)
    rng = rng_of(seed, 1, number, week) if week else rng_of(seed, 1, number)
    reports = _reports(rng, storm, city, riders, seed, week)
    place, blocked = positioning.positions(rng, reports)
    columns = {
        "event_time": reports.time_ms,
        **place,
        **sensors.columns(rng, reports, storm.modeled.riders.altitude_m),
        **radio.columns(rng, reports, blocked, ~np.isnan(place["speed_mps"]), population),
    }
    state = _app_state(reports)
    untold = pl.Series(~riders.shares_activity[reports.rider])
    workers = pl.Series("worker_id", riders.worker_ids(seed)).gather(reports.rider)
    frame = pl.DataFrame(columns, nan_to_null=True).with_columns(
        workers,
        pl.Series("device_id", keyed_hashes("d", seed, riders.device)).gather(reports.rider),
        pl.Series("platform", list(storm.platforms)).gather(riders.platform[reports.rider]),
        APP_STATES.gather(state).set(untold, None).alias("app_state"),
        pl.Series("orders_completed", _orders(reports)).set(untold, None),
        pl.concat_str(
            pl.lit("e"), workers.str.slice(1), pl.lit(f"-{week}w" if week else "-"), pl.Series(reports.step)
        ).alias("event_id"),
    )
    gateway = storm.modeled.riders.gateway
    if gateway is not None:
        start_ms = storm.time_ms(storm.modeled.riders.start) - 7 * DAY_MS * week - JITTER_MS
        arrived = received_ms(rng_of(seed, 7, number, week), gateway, reports.rider, reports.time_ms, start_ms)
        frame = frame.with_columns(pl.Series("received_time", arrived))
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in telemetry_schema(storm).items())
    return Block(frame, reports.hours)


def _reports(rng: np.random.Generator, storm: Storm, city: City, riders: Population, seed: int, week: int) -> Reports:
    terms = storm.modeled.riders
    back_ms = 7 * DAY_MS * week
    start_ms, end_ms = storm.time_ms(terms.start) - back_ms, storm.time_ms(terms.end) - back_ms
    steps = -(-(end_ms - start_ms) // STEP_MS)
    times_ms = start_ms + STEP_MS * np.arange(steps)
    places = sorted({district.place for district in terms.districts})
    rain_at = np.stack([place_rain_mm_h(storm, place, times_ms) for place in places])
    rain = rain_at[np.array([places.index(district.place) for district in terms.districts])[riders.district]]

    roads = lay_roads(rng, riders, city, (end_ms - start_ms) / 3_600_000)
    rate = clock_rate(rng, rain, STEP_MS / 1000)
    hindrances = hindered(storm, riders, seed, times_ms)
    if hindrances is not None:
        rate = rate * hindrances.pace
    begun = times_ms >= riders.shift_start_ms[:, None]
    clock_s = np.cumsum(rate * begun, axis=1) * (STEP_MS / 1000)

    honest = riders.kind == HONEST
    wet = np.where(honest[:, None], np.clip(rain / 40, 0, 1), 0.0)
    burst = np.repeat(rng.random((len(riders), steps // BURST_STEPS + 1)), BURST_STEPS, axis=1)[:, :steps]
    lost = (rng.random(rain.shape) < LOSS) | (burst < 0.015 + 0.06 * wet)
    on = begun & (times_ms < riders.away_ms[:, None])
    on |= (times_ms >= riders.attack_ms[:, None]) & (times_ms < riders.shift_end_ms[:, None])
    if hindrances is not None:
        lost |= hindrances.silent
    if week and terms.history is not None:
        lost |= np.arange(steps) % (terms.history.report_every_s * 1000 // STEP_MS) != 0
    rider, step = np.nonzero(on & ~lost)
    working = begun & (times_ms < riders.shift_end_ms[:, None])
    pace = rate if hindrances is None else np.where(hindrances.offline, 0.0, rate)

    jitter_ms = rng.integers(-JITTER_MS, JITTER_MS + 1, len(rider))
    rate_now = rate[rider, step]
    motion = locate(roads, rider, clock_s[rider, step] + rate_now * jitter_ms / 1000, rate_now)
    home = ~honest[rider]
    return Reports(
        riders=riders,
        city=city,
        seed=seed,
        steps=steps,
        hours=shift_hours(pace, working, STEP_MS),
        rider=rider,
        step=step,
        time_ms=times_ms[step] + jitter_ms,
        motion=motion,
        sheltering=rate_now == 0,
        logged_out=np.zeros(len(rider), bool) if hindrances is None else hindrances.offline[rider, step],
        false=home & (times_ms[step] >= riders.attack_ms[rider]),
        home=home,
        x=np.where(home, riders.home_x[rider], motion.x),
        y=np.where(home, riders.home_y[rider], motion.y),
    )


def _app_state(reports: Reports) -> NDArray[np.int64]:
    """0 offline at the shift's edges (logged out, or an attacker who does not yet pretend), 2 on a trip, else 1."""
    riders, rider = reports.riders, reports.rider
    edge = reports.time_ms < riders.shift_start_ms[rider] + EDGE_MS
    edge |= reports.time_ms >= riders.shift_end_ms[rider] - EDGE_MS
    edge |= (reports.home & ~reports.false) | reports.logged_out
    return np.where(edge, 0, np.where(reports.motion.on_trip & ~reports.home, 2, 1))


def _orders(reports: Reports) -> NDArray[np.int64]:
    """Deliveries finished since the rider's previous report; an attacker delivers nothing."""
    since = np.diff(reports.motion.delivered, prepend=0)
    first = np.diff(reports.rider, prepend=-1) != 0
    return np.where(first | reports.home, 0, np.maximum(since, 0))
