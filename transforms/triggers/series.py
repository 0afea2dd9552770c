"""The result of a trigger: series of zones that the same stations cover in the same order of distance, with what was
published for them.

In a city of thousands of zones there are a few dozen series; a machine runs for each, and its events apply to every
zone of it. Zones with a threshold of their own are series of their own, and so are, for a trigger with a telemetry
condition, zones with different telemetry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.machine import Revision

Cells = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Series:
    """A trigger and platform in zones (uint64 cells) that the same stations cover, and all that was published."""

    trigger: Trigger
    platform: str | None
    zones: Cells
    revisions: tuple[Revision, ...]


@dataclass(frozen=True)
class TelemetryQueries:
    """Queries of telemetry: for each of these moments (int64, ms) and each of these zones (uint64 cells)."""

    platform: str | None
    zones: Cells
    moments_ms: npt.NDArray[np.int64]
