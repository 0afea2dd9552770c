"""Two-wheelers on a street grid: where each rider is, how fast, and doing what, at any moment.

A rider's day is a chain of legs (home to depot, depot to customer, customer to depot, ...), a leg six blocks along
a jittered grid with waits at lights between them and a stop at its end. The chain runs on the rider's own clock,
which heavy rain slows and shelter stops; so weather changes when a rider is somewhere, never where the road goes.
All figures of this module are modeled; docs/storms.md#compared-with-recordings says what they were compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.simulator.city import City
from monsoon.sources.simulator.population import HONEST, Population

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

BLOCKS = 6
PIECES = 2 * BLOCKS
"""Pieces of a leg: ride and wait in turn; the last wait is the stop."""
SECONDS_PER_LEG = 480.0
"""About the mean leg with its stop: decides how many legs are drawn."""
_USUAL_HOURS = 8.0
RAMP_S = 6.0
FASTEST_MPS = 16.0
SHELTER_STEP_S = 600.0

RIDING, LIGHT, AT_DEPOT, AT_CUSTOMER = range(4)


@dataclass(frozen=True)
class Roads:
    """The chains of R riders: piece ends on the rider's clock (R, S), nodes between them (R, S + 1)."""

    end_s: Floats
    x: Floats
    y: Floats
    doing: NDArray[np.int8]


@dataclass(frozen=True)
class Motion:
    """Where riders are, one row each: position (m), speed (m/s), `doing`, piece and finished deliveries."""

    x: Floats
    y: Floats
    speed_mps: Floats
    doing: NDArray[np.int8]
    piece: Codes
    delivered: Codes

    @property
    def on_trip(self) -> NDArray[np.bool_]:
        """On the way to a customer, or there: every second leg."""
        on: NDArray[np.bool_] = self.piece // PIECES % 2 == 1
        return on


def lay_roads(rng: np.random.Generator, riders: Population, city: City, hours: float) -> Roads:
    """Chains long enough for `hours` of riding; whoever is through waits at the last depot."""
    count = len(riders)
    legs = int(hours * 3600 / SECONDS_PER_LEG * 1.4) + 4
    ends_x, ends_y = _leg_ends(rng, riders, city, legs)
    turn = np.cumsum(rng.dirichlet(np.full(BLOCKS // 2, 3.0), (2, count, legs)), axis=3)
    # Blocks alternate between the grid's two directions: after block b, ceil(b / 2) steps one way, floor the other.
    step = np.arange(1, BLOCKS + 1)
    zero = np.zeros((count, legs, 1))
    along = np.concatenate([zero, turn[0]], axis=2)[:, :, (step + 1) // 2]
    across = np.concatenate([zero, turn[1]], axis=2)[:, :, step // 2]
    slope = np.radians(20.0)  # the grid's own direction
    east, north = np.diff(ends_x, axis=1)[:, :, None], np.diff(ends_y, axis=1)[:, :, None]
    u = (east * np.cos(slope) + north * np.sin(slope)) * along
    v = (-east * np.sin(slope) + north * np.cos(slope)) * across
    jitter = rng.normal(0, 15, (2, count, legs, BLOCKS))
    jitter[:, :, :, -1] = 0
    x = ends_x[:, :-1, None] + u * np.cos(slope) - v * np.sin(slope) + jitter[0]
    y = ends_y[:, :-1, None] + u * np.sin(slope) + v * np.cos(slope) + jitter[1]

    nodes_x = np.concatenate([ends_x[:, :1], x.reshape(count, -1)], axis=1)
    nodes_y = np.concatenate([ends_y[:, :1], y.reshape(count, -1)], axis=1)
    length = np.hypot(np.diff(nodes_x, axis=1), np.diff(nodes_y, axis=1)).reshape(count, legs, BLOCKS)
    cruise = rng.uniform(4.5, 11.5, length.shape) * rng.uniform(0.85, 1.15, (count, 1, 1))
    duration = np.empty((count, legs, PIECES))
    duration[:, :, 0::2] = length / cruise + 1.0
    duration[:, :, 1::2] = np.where(rng.random(length.shape) < 0.35, rng.exponential(20, length.shape), 0.0)
    to_depot = np.arange(legs) % 2 == 0
    wait_for_order = 60 + rng.gamma(1.2, 480, (count, legs))
    hand_over = 50 + rng.gamma(2.0, 55, (count, legs))
    duration[:, :, -1] = np.where(to_depot, wait_for_order, hand_over)
    doing = np.empty((count, legs, PIECES), np.int8)
    doing[:, :, 0::2], doing[:, :, 1::2] = RIDING, LIGHT
    doing[:, :, -1] = np.where(to_depot, AT_DEPOT, AT_CUSTOMER)

    # Each block's end stands twice: before and after the wait there.
    return Roads(
        end_s=np.cumsum(duration.reshape(count, -1), axis=1),
        x=np.concatenate([nodes_x[:, :1], np.repeat(nodes_x[:, 1:], 2, axis=1)], axis=1),
        y=np.concatenate([nodes_y[:, :1], np.repeat(nodes_y[:, 1:], 2, axis=1)], axis=1),
        doing=doing.reshape(count, -1),
    )


def usual_orders_per_hour(riders: Population, city: City, rng: np.random.Generator) -> tuple[float, float]:
    """Mean and standard deviation of what these riders deliver in an hour in which nothing hinders them."""
    delivered_s = lay_roads(rng, riders, city, _USUAL_HOURS).end_s[:, 2 * PIECES - 1 :: 2 * PIECES]
    counts = [((3600 * hour <= delivered_s) & (delivered_s < 3600 * (hour + 1))).sum(axis=1) for hour in range(1, 8)]
    return float(np.mean(counts)), float(np.std(counts))


def _leg_ends(rng: np.random.Generator, riders: Population, city: City, legs: int) -> tuple[Floats, Floats]:
    """Ends of the legs (R, legs + 1): home, then depot and customers in turn."""
    shape = (len(riders), legs + 1)
    angle = rng.uniform(0, 2 * np.pi, shape)
    away = np.clip(rng.lognormal(np.log(1_300), 0.5, shape), 300, 4_000)
    away[:, 1::2] = rng.uniform(5, 25, (len(riders), (legs + 1) // 2))  # a parking spot at the depot
    x = city.depot_x[riders.depot][:, None] + away * np.cos(angle)
    y = city.depot_y[riders.depot][:, None] + away * np.sin(angle)
    honest = riders.kind == HONEST
    x[honest, 0], y[honest, 0] = riders.home_x[honest], riders.home_y[honest]
    return x, y


def clock_rate(rng: np.random.Generator, rain_mm_h: Floats, step_s: float) -> Floats:
    """How fast each rider's clock runs at each step, given the rain there (R, T): 1 dry, 0 in shelter."""
    count, steps = rain_mm_h.shape
    every = int(SHELTER_STEP_S / step_s)
    shelter = np.repeat(rng.random((count, steps // every + 1)), every, axis=1)[:, :steps]
    heavy = np.clip((rain_mm_h - 8) / 40, 0, 1)
    rate = 1 - 0.35 * np.clip(rain_mm_h / 30, 0, 1)
    return np.where(shelter < 0.55 * heavy, 0.0, rate)


def locate(roads: Roads, rider: Codes, clock_s: Floats, rate: Floats) -> Motion:
    """Where the riders of rows `rider` are at their own clocks, which run at `rate`."""
    pieces = roads.end_s.shape[1]
    clock_s = np.clip(clock_s, 0.0, None)
    far = float(max(roads.end_s[:, -1].max(), clock_s.max(initial=0.0))) + 1
    ends = (roads.end_s + far * np.arange(len(roads.end_s))[:, None]).ravel()
    piece = np.searchsorted(ends, clock_s + far * rider, side="right") - rider * pieces
    through = piece >= pieces
    piece = np.minimum(piece, pieces - 1)
    flat = rider * pieces + piece
    end = roads.end_s.ravel()[flat]
    begin = np.where(piece > 0, roads.end_s.ravel()[np.maximum(flat - 1, 0)], 0.0)
    duration = np.maximum(end - begin, 1e-3)
    u = np.clip((clock_s - begin) / duration, 0, 1)
    ramp = np.clip(RAMP_S / duration, 0.05, 0.45)
    # A trapezoid of speed: up, steady, down; `share` is its integral.
    edge = np.minimum(u, 1 - u)
    low = edge < ramp
    part = np.where(low, edge * edge / (2 * ramp), edge - ramp / 2) / (1 - ramp)
    share = np.where(u <= 0.5, part, 1 - part)
    slope = np.where(low, edge / ramp, 1.0) / (1 - ramp)
    node = rider * (pieces + 1) + piece
    x0, y0 = roads.x.ravel()[node], roads.y.ravel()[node]
    dx, dy = roads.x.ravel()[node + 1] - x0, roads.y.ravel()[node + 1] - y0
    speed = np.minimum(np.hypot(dx, dy) / duration * slope * rate, FASTEST_MPS)
    # Every second leg ends at a customer; the order is delivered when that stop is over.
    delivered = np.where(through, pieces, piece) // (2 * PIECES)
    return Motion(
        x=x0 + dx * share,
        y=y0 + dy * share,
        speed_mps=np.where(through, 0.0, speed),
        doing=np.where(through, AT_DEPOT, roads.doing.ravel()[flat]).astype(np.int8),
        piece=piece,
        delivered=delivered,
    )
