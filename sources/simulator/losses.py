"""The income that a simulated storm truly takes: what basis risk is measured against.

It follows from what the simulation does to a rider's work, not from what a phone reports: at every step of the shift
the share of the usual pace that rain, shelter, hindrances and a logged-out app take.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

LOSS_COLUMNS = ("shift_hours", "lost_hours", "lost_income_inr")
"""Of labels: hours of the shift within the storm's period, hours and rupees lost; null for who attacks, 0 for who does
not work."""
DAY_HOURS = 8
"""Hours for which a policy's daily wage is earned, as in the products' hourly wage."""


class ShiftHours(NamedTuple):
    """Per rider, float64 (R,): the hours of the shift, and those lost."""

    shift: NDArray[np.float64]
    lost: NDArray[np.float64]


class Block(NamedTuple):
    """What one block of riders does: their reports, and the hours that they truly lose."""

    telemetry: pl.DataFrame
    hours: ShiftHours


def shift_hours(pace: NDArray[np.float64], working: NDArray[np.bool_], step_ms: int) -> ShiftHours:
    """Hours worked and lost of riders by steps (R, T): `pace` of work, 1 as usual and 0 none, and who is on shift."""
    step_h = step_ms / 3_600_000
    lost = np.where(working, 1.0 - np.clip(pace, 0.0, 1.0), 0.0)
    return ShiftHours(working.sum(axis=1) * step_h, lost.sum(axis=1) * step_h)


def with_losses(labels: pl.DataFrame, hours: Iterable[ShiftHours], daily_wage_inr: NDArray[np.float64]) -> pl.DataFrame:
    """The labels with LOSS_COLUMNS; `hours` by block in the order of the labels, wages a rider each."""
    parts = list(hours)
    shift, lost = (np.round(np.concatenate([part[at] for part in parts]), 4) for at in (0, 1))
    lost_inr = np.round(lost * daily_wage_inr / DAY_HOURS, 2)
    honest = pl.col("kind") == "honest"
    return labels.with_columns(
        pl.when(honest).then(pl.Series(name, values)).alias(name)
        for name, values in zip(LOSS_COLUMNS, (shift, lost, lost_inr), strict=True)
    )
