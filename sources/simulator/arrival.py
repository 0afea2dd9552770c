"""When the operator's gateway received the reports of riders' phones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.simulator.terms import Gateway

Times = NDArray[np.int64]

DELAY_SIGMA = 0.7
"""Of the logarithm of a delay: the longest of a hundred is five times the median (mobile networks have long tails)."""
RETRY_MS = (5_000, 60_000)
"""How long after its first arrival a report that the phone sent again arrives."""


def received_ms(
    rng: np.random.Generator, gateway: Gateway, rider: NDArray[np.int64], event_time_ms: Times, start_ms: int
) -> Times:
    """The arrival (ms since the epoch) of each report, never before it was made.

    `rider` counts from 0, `start_ms` is before all reports; spells without network begin there and end after
    `buffered_min` minutes each. What a phone kept during one arrives at its end, in one batch.
    """
    if not len(rider):
        return np.zeros(0, np.int64)
    spell_ms = gateway.buffered_min * 60_000
    spell = (event_time_ms - start_ms) // spell_ms
    shape = (int(rider.max()) + 1, int(spell.max()) + 1)
    is_buffered = rng.random(shape) < gateway.buffered_share
    batch_ms = _delays_ms(rng, gateway, shape)
    alone_ms = _delays_ms(rng, gateway, event_time_ms.shape)
    batch_arrival = start_ms + (spell + 1) * spell_ms + batch_ms[rider, spell]
    return np.where(is_buffered[rider, spell], batch_arrival, event_time_ms + alone_ms)


def arrived_again_ms(rng: np.random.Generator, received_time_ms: Times) -> Times:
    """The arrival of reports that the phone sent again because no answer came."""
    return received_time_ms + rng.integers(*RETRY_MS, len(received_time_ms), endpoint=True)


def _delays_ms(rng: np.random.Generator, gateway: Gateway, shape: tuple[int, ...]) -> Times:
    normal = rng.standard_normal(shape)
    return np.maximum(1, np.round(1000 * gateway.median_delay_s * np.exp(DELAY_SIGMA * normal))).astype(np.int64)
