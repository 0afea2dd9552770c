"""One block of riders' telemetry: days of work before the storm, and the storm's own, as their phones report them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.scenarios import phones, surroundings
from monsoon.sources.scenarios.attacks import Claimed, claimed
from monsoon.sources.scenarios.conditions import ALL_SENSORS
from monsoon.sources.scenarios.motion import Trail, ride
from monsoon.sources.scenarios.noise import bursts
from monsoon.sources.scenarios.phones import Truth
from monsoon.sources.scenarios.riders import CAN_LACK, RANDOM_PATH, Riders, alert_of, platforms_of
from monsoon.sources.scenarios.streets import Streets
from monsoon.sources.scenarios.uploads import received_ms
from monsoon.sources.simulator.hindrances import hindered
from monsoon.sources.simulator.identifiers import keyed_hashes, unit_hash
from monsoon.sources.simulator.losses import Block, shift_hours
from monsoon.sources.simulator.population import rng_of
from monsoon.sources.simulator.storm import DAY_MS, MINUTE_MS, Storm
from monsoon.sources.simulator.telemetry import TELEMETRY_SCHEMA
from monsoon.sources.simulator.weather import place_rain_mm_h

BLOCK_RIDERS = 192
"""Riders of one block; part of what a seed means."""
STEP_MS = 15_000
HISTORY_DAYS = (1, 2, 5, 7, 14, 21)
HISTORY_HOURS = 4
HISTORY_STEP_MS = 120_000
LOST_SHARE, LOST_REPORTS = 0.03, 6.0
SOMETIMES_MS = 70 * MINUTE_MS
DEAD_ZONE_MS, BETWEEN_DEAD_ZONES_MS = 45 * MINUTE_MS, 10 * MINUTE_MS
QUORUM_ENDS_MS = 45 * MINUTE_MS
"""After the alert; a quarter of an hour later the false outage begins."""
VICTIMS = 5
WORKED_SHARE = 0.85
"""Of the days before the storm."""
COLUMNS_OF = {
    "accelerometer": ("accel_var",),
    "barometer": ("pressure_hpa",),
    "battery": ("battery_pct", "charging"),
    "cell": ("cell",),
    "clock": ("gnss_time", "network_time"),
    "signal": ("cn0_dbhz", "agc_db"),
    "wifi": ("bssids",),
}
"""The columns of each group of ALL_SENSORS."""
SCHEMA: dict[str, Any] = {**TELEMETRY_SCHEMA, "received_time": pl.Int64}

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class _Day:
    """Reports of the storm's day, or of those before it: arrays (times, riders), where a rider of several days has a
    column for each. `back`, by column: how many days before the storm; 0: the storm's."""

    riders: Riders
    back: Codes
    step_ms: int
    time_ms: Codes
    on: Flags
    logged_out: Flags
    trail: Trail
    truth: Truth
    false: Flags


def simulated_block(storm: Storm, streets: Streets, riders: Riders, number: int, seed: int, population: int) -> Block:
    """The block's reports, SCHEMA, by day and rider and time, and the hours lost on the storm's; `population` sizes the
    carriers' networks."""
    with_past = np.flatnonzero(riders.has_history)
    parts = []
    for days, who in ((HISTORY_DAYS[::-1], with_past), ((0,), np.arange(len(riders)))):
        rng = rng_of(seed, RANDOM_PATH + 1, number, days[0])
        if len(who):
            several = riders.part(np.tile(who, len(days)))
            day = _day(rng, storm, several, np.repeat(days, len(who)), seed)
            parts.append(_frame(rng, storm, streets, day, seed, population))
    working = (day.time_ms >= riders.start_ms) & (day.time_ms < riders.end_ms) & ~riders.has("at_home")
    working &= riders.has("reports") != "none"
    pace = np.where(day.logged_out, 0.0, day.trail.pace)
    return Block(pl.concat(parts), shift_hours(pace.T, working.T, STEP_MS))


def _day(rng: np.random.Generator, storm: Storm, riders: Riders, back: Codes, seed: int) -> _Day:
    begin_ms = storm.time_ms(storm.modeled.riders.start)
    before = bool(back.all())
    step_ms = HISTORY_STEP_MS if before else STEP_MS
    length_ms = HISTORY_HOURS * 3_600_000 if before else int(riders.end_ms.max()) - begin_ms
    times = max(1, -(-length_ms // step_ms))
    phase_ms = (unit_hash(seed, riders.rider, 80) * step_ms).astype(np.int64)
    at_ms = begin_ms + step_ms * np.arange(times)
    time_ms = at_ms[:, None] + phase_ms - back * DAY_MS
    pace, logged_out, silent = np.ones(time_ms.shape), np.zeros(time_ms.shape, bool), np.zeros(time_ms.shape, bool)
    rain = np.zeros(time_ms.shape)
    worked = unit_hash(seed, riders.rider * 64 + back, 81) < WORKED_SHARE
    on = np.broadcast_to(riders.has_history & worked, time_ms.shape)
    if not before:
        on = (time_ms >= riders.start_ms) & (time_ms < riders.end_ms)
        rain = _rain(storm, riders, at_ms)
        kept = hindered(storm, riders, seed, at_ms)
        if kept is not None:
            pace, logged_out, silent = kept.pace.T, kept.offline.T, kept.silent.T
    # Where nothing but a place is reported, no report is lost: with one less it would be another attack.
    scripted = riders.has("withheld_mask") == (1 << len(ALL_SENSORS)) - 1
    on = on & ~silent & ~(bursts(rng, times, len(riders), LOST_SHARE, LOST_REPORTS) & ~scripted)
    on &= _reporting(storm, riders, time_ms, before)
    has_depot = riders.of("squad")
    trail = ride(rng, riders.base_u, riders.base_v, riders.roam_m, pace, rain, step_ms / 1000, has_depot)
    at_home = np.broadcast_to(riders.has("at_home") & (back == 0), time_ms.shape)
    rests = bursts(rng, times, len(riders), np.where(at_home[0], 0.75, 0.12), 1_200_000 / step_ms)
    rests &= at_home | trail.stands
    u = np.where(at_home, riders.home_u, trail.u)
    v = np.where(at_home, riders.home_v, trail.v)
    speed = np.where(at_home, 0.0, trail.speed_mps)
    truth = Truth(u, v, speed, trail.stands | at_home, rests, time_ms, seed)
    false = (time_ms >= riders.attack_ms) & (time_ms < riders.stop_ms) & (riders.kind > 0) & (back == 0)
    return _Day(riders, back, step_ms, time_ms, on, logged_out, trail, truth, false)


def _rain(storm: Storm, riders: Riders, times_ms: Codes) -> Floats:
    """mm/h at each time (rows) and rider's district."""
    districts = storm.modeled.riders.districts
    at = {place: place_rain_mm_h(storm, place, times_ms) for place in {each.place for each in districts}}
    return np.stack([at[each.place] for each in districts], axis=1)[:, riders.district]


def _reporting(storm: Storm, riders: Riders, time_ms: Codes, before: bool) -> Flags:
    """Where the condition lets the phone report at all."""
    reports = riders.has("reports")
    found = np.broadcast_to(reports != "none", time_ms.shape).copy()
    if before:
        return found
    alert_ms = alert_of(storm)
    since_ms = time_ms - riders.attack_ms
    seldom = reports == "sometimes"
    found &= ~seldom | ((since_ms >= 0) & (since_ms % SOMETIMES_MS < STEP_MS))
    found &= (reports != "then_silent") | (time_ms < alert_ms + (45 + riders.rider % 30) * MINUTE_MS)
    working = (time_ms >= alert_ms - 15 * MINUTE_MS) & (time_ms < alert_ms + QUORUM_ENDS_MS)
    found &= (reports != "quorum") | working
    dead = (time_ms + riders.rider * MINUTE_MS) % (DEAD_ZONE_MS + BETWEEN_DEAD_ZONES_MS) < DEAD_ZONE_MS
    found &= ~(riders.of("dead_zone") & dead & (time_ms >= alert_ms - 60 * MINUTE_MS))
    return found


def _frame(
    rng: np.random.Generator, storm: Storm, streets: Streets, day: _Day, seed: int, population: int
) -> pl.DataFrame:
    riders, truth = day.riders, day.truth
    grid = _measured(rng, storm, day, claimed(rng, riders, day.trail, day.time_ms))
    rider, time = np.nonzero(day.on.T)
    at = (time, rider)
    rows: dict[str, Any] = {name: values[at] for name, values in grid.items()}
    true_ms, u, v = day.time_ms[at], truth.u[at], truth.v[at]
    rows["lat"], rows["lon"] = (np.round(x, 6) for x in streets.to_degrees(rows.pop("u"), rows.pop("v")))
    frame = pl.DataFrame(rows, nan_to_null=True).with_columns(
        pl.Series("event_time", true_ms + riders.clock_off_ms[rider]),
        surroundings.cells(streets, riders, rider, u, v, true_ms, rng.random(len(rider))).alias("cell"),
        surroundings.access_points(rng, streets, riders, rider, u, v, seed),
        surroundings.networks(riders, rider, u, v, true_ms, seed, population),
        pl.Series("received_time", received_ms(rng, riders, rider, true_ms, day.back[rider])),
    )
    frame = _identified(storm, frame, rider, time, day, seed)
    frame = _told(riders, frame, rider, day.false[at], rng)
    return frame.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def _measured(rng: np.random.Generator, storm: Storm, day: _Day, shown: Claimed) -> dict[str, NDArray[Any]]:
    """Columns of sensors and fixes over (times, riders), as the phone or the attacker makes them."""
    riders, truth, false = day.riders, day.truth, day.false
    has = {name: riders.has(name) for name in ("track", "radio", "replayed", "accelerometer")}
    moved = false & (has["track"] != "none")
    believed = replace(
        truth,
        u=np.where(moved, shown.u, truth.u),
        v=np.where(moved, shown.v, truth.v),
        speed_mps=np.where(moved, shown.speed_mps, truth.speed_mps),
        stands=np.where(moved, shown.speed_mps == 0, truth.stands),
        rests=truth.rests & ~moved,
    )
    blocked, blocked_as_shown = phones.blocked_skies(rng, truth, believed)
    fix = phones.fixes(rng, riders, believed, blocked_as_shown)
    # A mock app writes its own numbers; a transmitter and a replayed trace look like a receiver's fixes.
    made_up = moved & ~has["radio"] & ~has["replayed"] & (has["accelerometer"] != "ridden")
    fix["u"] = np.where(made_up, shown.u + shown.jitter_m * rng.standard_normal(truth.u.shape), fix["u"])
    fix["v"] = np.where(made_up, shown.v + shown.jitter_m * rng.standard_normal(truth.u.shape), fix["v"])
    fix["accuracy_m"] = np.where(made_up, shown.accuracy_m, fix["accuracy_m"])
    fix["speed_mps"] = np.where(made_up, np.round(shown.speed_mps, 2), fix["speed_mps"])

    still, ridden = phones.accel_variance(rng, riders, truth), phones.accel_variance(rng, riders, believed)
    shaken = np.round(rng.gamma(3.0, 0.8, truth.u.shape), 6)
    how = has["accelerometer"]
    accel = np.where(false & (how == "ridden"), ridden, np.where(false & (how == "shaken"), shaken, still))
    # Only who makes up the accelerometer makes up the satellites' signal, too.
    cn0, gain = phones.signal(rng, riders, truth, np.where(how == "ridden", blocked_as_shown, blocked))
    beamed = false & has["radio"]
    cn0 = np.where(
        beamed, phones.OPEN_SKY_DBHZ[riders.tier] + shown.lift_db + 0.4 * rng.standard_normal(cn0.shape), cn0
    )
    gain = gain - np.where(beamed, shown.gain_loss_db, 0)
    gnss_ms, network_ms = phones.clocks(rng, riders, truth)
    gnss_ms = gnss_ms + np.round(1000 * np.where(false, shown.clock_lag_s, 0)).astype(np.int64)
    level, charging = phones.battery(rng, riders, truth, day.step_ms / 1000)
    hpa = phones.pressure(rng, riders, truth, storm.modeled.riders.altitude_m)
    return {
        **fix,
        "accel_var": np.where(riders.has_accelerometer, accel, np.nan),
        "pressure_hpa": np.where(riders.has_barometer, hpa, np.nan),
        "cn0_dbhz": np.where(riders.has_signal, np.round(cn0, 1), np.nan),
        "agc_db": np.where(riders.has_agc, np.round(gain, 1), np.nan),
        "gnss_time": gnss_ms,
        "network_time": network_ms,
        "battery_pct": level,
        "charging": charging,
        "mock_location": false & riders.has("mock_location"),
        "mock_setting": (false | (riders.kind == 0)) & riders.has("mock_setting"),
    }


def _identified(storm: Storm, frame: pl.DataFrame, rider: Codes, time: Codes, day: _Day, seed: int) -> pl.DataFrame:
    """With ids, platform, app state and orders."""
    riders, at, stormy = day.riders, (time, rider), (day.back == 0)[rider]
    workers = riders.worker_ids(seed)
    second = riders.of("two_phones")[rider] & (day.time_ms[at] // (30 * MINUTE_MS) % 2 == 1)
    devices = keyed_hashes("d", seed ^ 0x5CE, np.concatenate([riders.device, riders.device + (1 << 40)]))
    offline = (riders.has("at_home")[rider] & ~day.false[at]) | day.logged_out[at]
    offline &= stormy
    state = np.where(
        offline, "offline", np.where(day.trail.on_trip[at] & ~riders.has("at_home")[rider], "on_trip", "online")
    )
    # Way 9: a little fewer orders than stated, in a steady beat.
    tiny = riders.of("way_9_tiny_deviation")[rider] & stormy
    since = np.diff(np.where(tiny, day.time_ms[at] // (30 * MINUTE_MS), day.trail.delivered[at]), prepend=0)
    first = np.diff(rider, prepend=-1) != 0
    idle = riders.has("at_home")[rider] & stormy & ~tiny
    orders = np.where(first | idle, 0, np.maximum(since, 0))
    untold = pl.Series(~riders.shares_activity[rider])
    # Way 12: ids of reports of one of the first riders.
    foreign = riders.of("way_12_foreign_event_ids") & (day.back == 0)
    named = np.where(foreign, riders.rider % VICTIMS, riders.rider)
    ids = keyed_hashes("r", seed, named)
    return frame.with_columns(
        pl.Series("worker_id", workers).gather(rider),
        pl.Series("device_id", devices).gather(rider + second * len(riders)),
        pl.Series("platform", list(platforms_of(storm))).gather(riders.platform[rider]),
        pl.Series("app_state", state).set(untold, None),
        pl.Series("orders_completed", orders).set(untold, None),
        pl.concat_str(
            pl.lit("t"),
            pl.Series(ids).gather(rider).str.slice(1),
            pl.lit("-"),
            pl.Series(day.back[rider]),
            pl.lit("-"),
            pl.Series(time),
        ).alias("event_id"),
    )


def _told(riders: Riders, frame: pl.DataFrame, rider: Codes, false: Flags, rng: np.random.Generator) -> pl.DataFrame:
    """The frame without what a phone lacks, loses or withholds."""
    loss = np.where(riders.of("sensor_loss_30"), 0.3, np.where(riders.of("sensor_loss_60"), 0.6, 0.0))[rider]
    withheld = riders.has("withheld_mask")[rider]
    gone = []
    for code, sensor in enumerate(ALL_SENSORS):
        lacks = np.where(riders.lacks >= 0, np.array(CAN_LACK)[riders.lacks], "")[rider] == sensor
        hidden = lacks | (false & ((withheld >> code) & 1 == 1))
        missing = pl.Series(hidden | (rng.random(len(rider)) < loss))
        gone += [pl.when(missing).then(None).otherwise(pl.col(name)).alias(name) for name in COLUMNS_OF[sensor]]
    return frame.with_columns(gone)
