"""What attackers' phones show instead of where they are. Arrays are (times, riders), or by rider."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.scenarios.motion import Trail
from monsoon.sources.scenarios.riders import Riders

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Claimed:
    """The reported track (m, m/s); by rider, what a mock app writes beside it, and a transmitter's effect."""

    u: Floats
    v: Floats
    speed_mps: Floats
    jitter_m: Floats
    accuracy_m: Floats
    lift_db: Floats
    gain_loss_db: Floats
    clock_lag_s: Floats


def claimed(rng: np.random.Generator, riders: Riders, trail: Trail, time_ms: NDArray[np.int64]) -> Claimed:
    """What each rider would show who lies; who does not is not asked.

    A ride is a real trail of the district. A wanderer circles around his base at changing radius; a line goes to and
    fro along one street at one speed.
    """
    count, track = len(riders), riders.has("track")
    seconds = (time_ms - riders.attack_ms) / 1000
    pace, reach = rng.uniform(4, 9, count), rng.uniform(800, 1_600, count)
    run = np.mod(pace * np.maximum(seconds, 0), 2 * reach)
    along = np.where(run < reach, run, 2 * reach - run)
    turn, period_s = rng.uniform(0, 2 * np.pi, count), rng.uniform(500, 900, count)
    angle = turn + 2 * np.pi * seconds / period_s
    radius = 180 * (1 + 0.5 * np.sin(2 * np.pi * seconds / (2.7 * period_s)))
    wander_speed = np.abs(2 * np.pi / period_s * radius) * rng.uniform(0.9, 1.1, seconds.shape)
    base_u, base_v = riders.base_u, riders.base_v
    tracks = [track == "ride", track == "line", track == "wander"]
    u = np.select(tracks, [trail.u, base_u + along * np.cos(turn), base_u + radius * np.cos(angle)], base_u)
    v = np.select(tracks, [trail.v, base_v + along * np.sin(turn), base_v + radius * np.sin(angle)], base_v)
    speed = np.select(tracks, [trail.speed_mps, pace + 0 * seconds, wander_speed], 0.0 * seconds)
    lag_s = np.where(riders.has("radio"), rng.uniform(-12, 12, count), 0.0)
    lag_s = np.where(riders.has("replayed"), -rng.gamma(2.0, 8.0, count), lag_s)
    # Some transmitters match the power of the sky and only drown it in C/N0; the others are louder.
    matched = rng.random(count) < 0.35
    return Claimed(
        u=u,
        v=v,
        speed_mps=speed,
        jitter_m=np.where(rng.random(count) < 0.5, 0.0, rng.uniform(0.5, 4.0, count)),
        accuracy_m=rng.choice((1.0, 4.0, 8.0, 15.0), count),
        lift_db=np.where(matched, rng.uniform(6.5, 9.0, count), rng.uniform(2.5, 7.0, count)),
        gain_loss_db=np.where(matched, rng.uniform(-1.0, 1.0, count), rng.uniform(3.5, 9.0, count)),
        clock_lag_s=lag_s,
    )
