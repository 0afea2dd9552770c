"""When the gateway received each report, and what was sent long after it is said to have been made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.scenarios.riders import Riders
from monsoon.sources.simulator.storm import HOUR_MS, MINUTE_MS

Codes = NDArray[np.int64]

LATE_BATCH_MS = 50 * MINUTE_MS
"""Reports of a late uploader are kept so long, or up to five times that, and sent together."""


def received_ms(rng: np.random.Generator, riders: Riders, rider: Codes, true_ms: Codes, back: Codes) -> Codes:
    """Arrival of each report (ms since the epoch), which is of the day so many (`back`) before the storm."""
    delay = np.round(150 + rng.gamma(1.5, 500.0, len(rider))).astype(np.int64)
    found = true_ms + delay
    size = LATE_BATCH_MS * (1 + riders.rider % 5)[rider]
    batch = (true_ms // size + 1) * size + rng.integers(1_000, 20_000, len(rider))
    found = np.where(riders.of("late_upload")[rider] & (back == 0), np.maximum(batch, found), found)
    # Way 11: the days before were made up, and sent in the evening of the attack.
    evening = riders.attack_ms[rider] - 2 * HOUR_MS + delay
    made_up = riders.of("way_11_history_in_one_evening")[rider] & (back > 0)
    return np.asarray(np.where(made_up, np.maximum(evening, found), found))
