"""Features and verdict of the model `outage`: whether riders of a zone fell silent by an outage or went offline.

In an outage most riders of one platform fall silent at nearly the same time, in the middle of trips, without having
gone offline, while those of other platforms work on. Riders who stop do so one by one, between trips, report that they
are offline, or stop on every platform at once; a crowd of fake riders has little trust.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.ragged import Floats, Ints, ratio
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_conditions.silent_quorum import MICRO, TALLIES, quorum_weight

Verdict = Literal["REAL_OUTAGE", "RIDERS_OFFLINE"]

MAX_OUTAGE_RISK = 0.40
"""The calibrated risk from which on a silence is not an outage: 1 in 100 real outages has this risk or more."""

MIN_GROUPS = 3
"""With fewer independent groups of features measured the verdict is REAL_OUTAGE."""

MIN_RIDERS = 10
"""Shares, means and standard deviations of fewer riders are not measured."""

OUTAGE_FEATURES = (
    "silent_share",
    "others_silent_share",
    "offline_share",
    "on_trip_share",
    "quiet_spread_min",
    "mean_trust",
    "battery_pct",
)
"""In the order in which `outage_features` computes them; the model's own order is in its folder."""


def outage_features(tallies: Ints) -> dict[str, Floats]:
    """The features of each query, float64 (queries,), NaN = not measured, from the tallies of all riders.

    silent_share: of the platform's riders who worked in the zone, those who fell silent; others_silent_share: the same
    of other platforms' riders; offline_share: of the silent, those who reported offline; on_trip_share: those whose
    last report was on a trip, where any rider's was (not every app states it); quiet_spread_min: standard deviation of
    the time of the last report, min; mean_trust: of the silent; battery_pct: mean at the last report.
    """
    column = {name: tallies[:, place].astype(np.float64) for place, name in enumerate(TALLIES)}
    silent = _enough(column["silent"])
    mean_s = ratio(column["quiet_s"], silent)
    variance_s2 = np.maximum(ratio(column["quiet_s2"], silent) - mean_s * mean_s, 0.0)
    return {
        "silent_share": ratio(column["silent"], _enough(column["worked"])),
        "others_silent_share": ratio(column["others_silent"], _enough(column["others_worked"])),
        "offline_share": ratio(column["silent_offline"], silent),
        "on_trip_share": ratio(column["silent_on_trip"], np.where(column["worked_on_trip"] > 0, silent, 0.0)),
        "quiet_spread_min": np.sqrt(variance_s2) / 60,
        "mean_trust": ratio(column["trust_micro"], _enough(column["trust_riders"])) / MICRO,
        "battery_pct": ratio(column["battery_cpct"], _enough(column["battery_riders"])) / 100,
    }


def real_outages(model: Scorer, tallies: Ints) -> npt.NDArray[np.bool_]:
    """Whether the verdict on each query is REAL_OUTAGE; where too little was measured it is, in the riders' favor: the
    quorum itself must still be reached."""
    if not len(tallies):
        return np.empty(0, dtype=np.bool_)
    scores = model.score(outage_features(tallies))
    return (scores.measured_groups < MIN_GROUPS) | ~(scores.risk >= MAX_OUTAGE_RISK)


def quorum_values(tallies: Ints, model: Scorer | None) -> Floats:
    """The value of a silent quorum, float64 (queries,): the sum of the trust that counts, 0 where the model's verdict
    is RIDERS_OFFLINE (None: no model)."""
    weight = quorum_weight(tallies)
    return weight if model is None else np.where(real_outages(model, tallies), weight, 0.0)


def verdicts(model: Scorer, tallies: Ints) -> list[Verdict]:
    """The verdicts as text."""
    return ["REAL_OUTAGE" if real else "RIDERS_OFFLINE" for real in real_outages(model, tallies).tolist()]


def _enough(counts: Floats) -> Floats:
    """The counts, 0 where they are too small to divide by."""
    return np.where(counts >= MIN_RIDERS, counts, 0.0)
