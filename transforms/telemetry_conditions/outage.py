"""What the model `outage` looks at: the silence of a zone's riders, told apart from riders who go offline.

In an outage most riders of one platform fall silent at nearly the same time, in the middle of trips, without having
gone offline, while those of other platforms work on. Riders who stop do so one by one, between trips, say that they
are offline, or stop on every platform at once; a crowd of made-up riders has little trust.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.ragged import Floats, Ints, over
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_conditions.silent_quorum import MICRO, TALLIES, quorum_weight

Verdict = Literal["REAL_OUTAGE", "RIDERS_OFFLINE"]

UNLIKE_OUTAGES = 0.40
"""The calibrated risk from which on a silence is none of an outage: 1 in 100 of the real ones is as unlike the rest."""

MIN_GROUPS = 3
"""With fewer independent groups of features measured nothing is held against the riders."""

MIN_RIDERS = 10
"""A share, a mean or a spread of fewer riders says nothing."""

OUTAGE_FEATURES = (
    "silent_share",
    "others_silent_share",
    "offline_share",
    "on_trip_share",
    "quiet_spread_min",
    "mean_trust",
    "battery_pct",
)
"""In the order in which `outage_features` computes them; the model folder says the model's own."""


def outage_features(tallies: Ints) -> dict[str, Floats]:
    """The features of each question, float64 (questions,), NaN = not measured, from the tallies of all riders.

    silent_share: of the platform's riders who worked in the zone, those who fell silent; others_silent_share: the same
    of other platforms' riders; offline_share: of the silent, those who said so; on_trip_share: those whose last report
    was on a trip, where any rider's was (not every app tells); quiet_spread_min: standard deviation of the time of the
    last report, min; mean_trust: of the silent; battery_pct: mean at the last report.
    """
    column = {name: tallies[:, place].astype(np.float64) for place, name in enumerate(TALLIES)}
    silent = _enough(column["silent"])
    mean_s = over(column["quiet_s"], silent)
    variance_s2 = np.maximum(over(column["quiet_s2"], silent) - mean_s * mean_s, 0.0)
    return {
        "silent_share": over(column["silent"], _enough(column["worked"])),
        "others_silent_share": over(column["others_silent"], _enough(column["others_worked"])),
        "offline_share": over(column["silent_offline"], silent),
        "on_trip_share": over(column["silent_on_trip"], np.where(column["worked_on_trip"] > 0, silent, 0.0)),
        "quiet_spread_min": np.sqrt(variance_s2) / 60,
        "mean_trust": over(column["trust_micro"], _enough(column["trust_riders"])) / MICRO,
        "battery_pct": over(column["battery_cpct"], _enough(column["battery_riders"])) / 100,
    }


def real_outages(model: Scorer, tallies: Ints) -> npt.NDArray[np.bool_]:
    """Whether the model calls each question's silence REAL_OUTAGE; where too little was measured it does, in the
    riders' favor: the quorum itself must still be reached."""
    if not len(tallies):
        return np.empty(0, dtype=np.bool_)
    scores = model.score(outage_features(tallies))
    return (scores.measured_groups < MIN_GROUPS) | ~(scores.risk >= UNLIKE_OUTAGES)


def quorum_values(tallies: Ints, model: Scorer | None) -> Floats:
    """What a silent quorum comes to, float64 (questions,): the sum of the trust that counts, 0 where the model calls
    the silence RIDERS_OFFLINE (None: there is no model to ask)."""
    weight = quorum_weight(tallies)
    return weight if model is None else np.where(real_outages(model, tallies), weight, 0.0)


def verdicts(model: Scorer, tallies: Ints) -> list[Verdict]:
    """The same in words."""
    return ["REAL_OUTAGE" if real else "RIDERS_OFFLINE" for real in real_outages(model, tallies).tolist()]


def _enough(counts: Floats) -> Floats:
    """The counts, 0 where they are too small to divide by."""
    return np.where(counts >= MIN_RIDERS, counts, 0.0)
