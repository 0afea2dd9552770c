"""Rides along streets: from waypoint to waypoint, junction by junction, with stops at lights, doors and in the rain.

Waypoints are correlated: each lies around a point between the one before and the rider's base. Every second one is a
customer. Arrays are (times, riders). All figures are modeled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.scenarios.streets import BLOCK_M, junction

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SUBSTEP_S = 7.5
ROAM_M = (500.0, 1_100.0)
"""How far riders roam around their bases, about."""
RED_LIGHT_SHARE = 0.35
KEEPS_DIRECTION = 0.7
HEAVY_RAIN_MM_H = 10.0
SLOWEST_WAIT = 0.5
"""Where work is slow, so is waiting for the next order, but not slower than that."""
SHELTERS_PER_MIN = 0.05
"""Chance to stop under a roof in heavy rain, by minute."""


@dataclass(frozen=True)
class Trail:
    """Where riders are at each time: position (m), speed (m/s), whether they stand, ride to a customer, how many orders
    they have delivered so far, and at which pace they work, 0 under a roof where rain keeps them."""

    u: Floats
    v: Floats
    speed_mps: Floats
    stands: Flags
    on_trip: Flags
    delivered: NDArray[np.int64]
    pace: Floats


def ride(
    rng: np.random.Generator,
    base_u: Floats,
    base_v: Floats,
    roam_m: Floats,
    pace: Floats,
    rain_mm_h: Floats,
    step_s: float,
    has_depot: Flags | None = None,
) -> Trail:
    """Trails of riders who start at their bases, one row each `step_s` (a multiple of SUBSTEP_S).

    Who has a depot, at the base, fetches every order there. `pace` (0: no work, 1: as usual) and the rain are (times,
    riders).
    """
    times, riders = pace.shape
    has_depot = np.zeros(riders, bool) if has_depot is None else has_depot
    u, v = junction(base_u), junction(base_v)
    target_u, target_v = u + BLOCK_M, v.copy()
    ahead_u, ahead_v = np.ones(riders), np.zeros(riders)
    left_m = np.full(riders, BLOCK_M)
    cruise = rng.normal(8.0, 1.2, riders).clip(5, 11)
    speed, wait_s = cruise.copy(), rng.gamma(2.0, 60.0, riders)
    sheltered_s = np.zeros(riders)  # of the wait, its last part: what rain has added
    legs = np.zeros(riders, np.int64)
    found = Trail(
        u=np.empty(pace.shape),
        v=np.empty(pace.shape),
        speed_mps=np.empty(pace.shape),
        stands=np.empty(pace.shape, bool),
        on_trip=np.empty(pace.shape, bool),
        delivered=np.empty(pace.shape, np.int64),
        pace=np.empty(pace.shape),
    )
    for time in range(times):
        slowed = pace[time] * (1 - 0.4 * np.clip(rain_mm_h[time] / 40, 0, 1))
        wet = rain_mm_h[time] > HEAVY_RAIN_MM_H
        shelter = wet & (rng.random(riders) < SHELTERS_PER_MIN * step_s / 60)
        longer_s = np.where(shelter, np.maximum(wait_s, rng.gamma(2.0, 300.0, riders)), wait_s)
        sheltered_s = sheltered_s + np.where(shelter, longer_s - np.maximum(wait_s, 0.0), 0.0)
        wait_s = longer_s
        found.pace[time] = np.where((sheltered_s > 0) & (wait_s <= sheltered_s), 0.0, slowed)
        for _ in range(round(step_s / SUBSTEP_S)):
            goes = (wait_s <= 0) & (slowed > 0)
            wait_s = wait_s - SUBSTEP_S * np.maximum(slowed, SLOWEST_WAIT)
            sheltered_s = np.minimum(sheltered_s, np.maximum(wait_s, 0.0))
            speed = 0.8 * speed + 0.2 * cruise * slowed + 0.6 * rng.standard_normal(riders)
            speed = np.clip(speed, 1.0, 14.0)
            moved = np.where(goes, np.minimum(speed * SUBSTEP_S, left_m), 0.0)
            u, v, left_m = u + ahead_u * moved, v + ahead_v * moved, left_m - moved
            there = np.flatnonzero(goes & (left_m <= 1e-6))
            if len(there):
                u[there], v[there], left_m[there] = junction(u[there]), junction(v[there]), BLOCK_M
                arrived = there[(np.abs(target_u[there] - u[there]) + np.abs(target_v[there] - v[there])) < 1]
                stop = rng.random(len(there)) < RED_LIGHT_SHARE
                wait_s[there[stop]] = rng.gamma(2.0, 14.0, int(stop.sum()))
                at_customer = legs[arrived] % 2 == 1
                wait_s[arrived] = np.where(
                    at_customer,
                    60 + rng.gamma(2.0, 50.0, len(arrived)),
                    90 + rng.lognormal(np.log(300), 0.7, len(arrived)),
                )
                legs[arrived] += 1
                fetches = arrived[(legs[arrived] % 2 == 0) & has_depot[arrived]]
                _next_waypoints(rng, arrived, (u, v), (base_u, base_v), roam_m, (target_u, target_v), fetches)
                _turn(rng, there, (target_u - u, target_v - v), (ahead_u, ahead_v))
        found.u[time], found.v[time] = u, v
        stands = (wait_s > 0) | (slowed <= 0)
        found.speed_mps[time] = np.where(stands, 0.0, speed)
        found.stands[time], found.on_trip[time] = stands, legs % 2 == 1
        found.delivered[time] = legs // 2
    return found


def usual_orders_per_hour(rng: np.random.Generator) -> tuple[float, float]:
    """Mean and standard deviation of what riders deliver in an hour in which nothing hinders them."""
    riders, hours, step_s = 64, 5, 60.0
    steps = round(hours * 3600 / step_s)
    place = np.zeros(riders)
    free = np.ones((steps, riders))
    delivered = ride(rng, place, place, rng.uniform(*ROAM_M, riders), free, 0 * free, step_s).delivered
    by_hour = np.diff(delivered[:: round(3600 / step_s)], axis=0)
    return float(by_hour.mean()), float(by_hour.std())


def _next_waypoints(
    rng: np.random.Generator,
    who: NDArray[np.int64],
    at: tuple[Floats, Floats],
    base: tuple[Floats, Floats],
    roam_m: Floats,
    target: tuple[Floats, Floats],
    fetches: NDArray[np.int64],
) -> None:
    """New targets of riders `who`: a step of a random walk that is drawn back to the base, on a junction; of riders
    `fetches` the base itself."""
    for now, home, goal in zip(at, base, target, strict=True):
        drawn = home[who] + 0.5 * (now[who] - home[who]) + roam_m[who] * 0.8 * rng.standard_normal(len(who))
        goal[who] = junction(drawn)
        goal[fetches] = junction(home[fetches])
    same = who[np.abs(target[0][who] - at[0][who]) + np.abs(target[1][who] - at[1][who]) < 1]
    target[0][same] += BLOCK_M


def _turn(
    rng: np.random.Generator, who: NDArray[np.int64], to_go: tuple[Floats, Floats], ahead: tuple[Floats, Floats]
) -> None:
    """Directions of riders `who` at a junction: often straight on where that leads nearer, else by the longer way."""
    east, north = to_go[0][who], to_go[1][who]
    nearer = ahead[0][who] * east + ahead[1][who] * north > 1
    keeps = nearer & (rng.random(len(who)) < KEEPS_DIRECTION)
    along = rng.random(len(who)) * (np.abs(east) + np.abs(north)) < np.abs(east)
    ahead[0][who] = np.where(keeps, ahead[0][who], np.where(along, np.sign(east), 0.0))
    ahead[1][who] = np.where(keeps, ahead[1][who], np.where(along, 0.0, np.sign(north)))
