"""Positions of cell towers and access points, by the telemetry table's codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.telemetry_table import TelemetryTable


@dataclass(frozen=True, eq=False)
class References:
    """Positions in degrees and ranges in meters, float64, one element per code of `trail.cells` and
    `trail.bssids`; NaN where the place is not known.
    """

    cell_lat: npt.NDArray[np.float64]
    cell_lon: npt.NDArray[np.float64]
    cell_range_m: npt.NDArray[np.float64]
    bssid_lat: npt.NDArray[np.float64]
    bssid_lon: npt.NDArray[np.float64]

    @staticmethod
    def none(telemetry: TelemetryTable) -> References:
        """Nothing is located."""
        cells, bssids = np.full(len(telemetry.cells), np.nan), np.full(len(telemetry.bssids), np.nan)
        return References(cells, cells, cells, bssids, bssids)
