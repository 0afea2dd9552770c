"""Errors in time: autoregressive series with heavy tails, and bursts of two states. Arrays are (times, series)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def autoregressive(
    rng: np.random.Generator, times: int, series: int, correlation: float, freedom: float | None = None
) -> Floats:
    """AR(1) of unit scale and lag-1 `correlation`; innovations are normal, or Student's t of `freedom` degrees."""
    shape = (times, series)
    found = rng.standard_normal(shape) if freedom is None else rng.standard_t(freedom, shape)
    fresh = np.sqrt(1 - correlation**2)
    for time in range(1, times):
        found[time] = correlation * found[time - 1] + fresh * found[time]
    return found


def bursts(rng: np.random.Generator, times: int, series: int, share: Floats | float, length: float) -> Flags:
    """A Markov chain of two states (Gilbert's channel): true in a `share` of times, for `length` on average."""
    dice = rng.random((times, series))
    leave, enter = 1 / length, share / ((1 - share) * length)
    found = np.empty((times, series), bool)
    state = rng.random(series) < share
    for time in range(times):
        state = np.where(state, dice[time] >= leave, dice[time] < enter)
        found[time] = state
    return found
