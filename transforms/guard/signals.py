"""The signals of the guard: what contradicts a rider's location, each from a sensor group of its own (`fraud.md`, "The
guard"). This is the only list of them, of their thresholds and of what they have to rest on.

Interpretations of the specification: docs/interpretations.md#the-guard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.evidence.ragged import Bools, Floats, Ints

NULL, CLEAR, STRONG = -1, 0, 1
"""What a signal says: nothing was measured, no contradiction, a contradiction."""


@dataclass(frozen=True)
class Condition:
    """What makes a signal strong: a comparison of a feature (or of an input of the guard) with a threshold, over at
    least `min_reports` of what the feature rests on; `also` must hold as well."""

    feature: str
    comparison: Literal["<", "<=", ">", ">="]
    threshold: float
    unit: str
    min_reports: int = 0
    also: Condition | None = None

    def holds(self, values: Floats) -> Bools:
        """Where the comparison holds; nowhere for NaN."""
        return np.asarray(_COMPARE[self.comparison](values, self.threshold))

    def holds_for(self, value: float) -> bool:
        """Whether it holds for one value."""
        return bool(_COMPARE[self.comparison](value, self.threshold))


_COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}

RING, RIDERS_ON_PAYOUT_ACCOUNT, RIDERS_ON_DEVICE = "ring", "riders_on_payout_account", "riders_on_device_28d"
"""Inputs of the guard that are no features of evidence."""

SIGNALS: Mapping[str, tuple[Condition, ...]] = {
    "mock": (Condition("mock_location_share", ">", 0.0, "share", 1),),
    "radio": (
        Condition("gnss_cn0_agc_anomaly", ">=", 0.5, "share", 5),
        Condition("gnss_network_time_delta_s", ">", 5.0, "s", 3),
    ),
    "cell": (Condition("cell_tower_zone_match", "<=", 0.0, "share", 3),),
    "wifi": (Condition("bssid_fix_match", "<=", 0.0, "share", 3),),
    "motion": (
        Condition("still_while_moving", ">=", 0.8, "share"),
        Condition("route_linearity", ">", 0.995, "ratio", 20, also=Condition("speed_cv", "<", 0.05, "ratio", 20)),
        Condition("fast_excursions", ">=", 2.0, "count"),
    ),
    "ring": (Condition(RING, ">=", 1.0, "count"),),
    "device": (
        Condition(RIDERS_ON_DEVICE, ">", 2.0, "count"),
        Condition(RIDERS_ON_PAYOUT_ACCOUNT, ">", 2.0, "count"),
    ),
}
"""A signal is strong where one of its conditions holds; in the order in which they are named as reasons."""

GUARD_FEATURES = tuple(
    dict.fromkeys(
        each.feature
        for conditions in SIGNALS.values()
        for condition in conditions
        for each in (condition, condition.also)
        if each is not None and each.feature not in (RING, RIDERS_ON_PAYOUT_ACCOUNT)
    )
)
"""The features of evidence that signals rest on."""


@dataclass(frozen=True, eq=False)
class Signal:
    """One signal of some claims, an element each: `status` int8 (NULL, CLEAR or STRONG) and the condition that it rests
    on, by its place in SIGNALS (-1: nothing was measured), with that one's value, threshold and number of reports."""

    name: str
    status: npt.NDArray[np.int8]
    condition: Ints
    value: Floats
    threshold: Floats
    reports: Ints


def signals_of(evidence: Evidence, ring: Floats, riders_on_payout_account: Floats) -> dict[str, Signal]:
    """All signals of claims, by name in the order of SIGNALS.

    `evidence` has one element per claim. `ring` is 1 for a member of a ring, 0 for none; `riders_on_payout_account`
    counts the riders on the claim's payout account that have no squad in common; NaN = not known.

    Of the conditions of a signal one is strong where it holds over enough reports, clear where it does not hold, and
    null where it was not measured, or holds over too few reports, or `also` was not measured. The signal is strong if
    one of them is, else clear if one is, else null. Missing input never makes a signal strong.

    >>> import numpy as np
    >>> names = {condition.feature for conditions in SIGNALS.values() for condition in conditions} | {"speed_cv"}
    >>> values = dict.fromkeys(names, np.full(3, np.nan)) | {"cell_tower_zone_match": np.array([0.0, 0.0, 0.4])}
    >>> reports = dict.fromkeys(names, np.zeros(3, int)) | {"cell_tower_zone_match": np.array([3, 2, 1])}
    >>> signals = signals_of(Evidence(values, reports), np.zeros(3), np.full(3, np.nan))
    >>> signals["cell"].status.tolist(), signals["mock"].status.tolist(), signals["ring"].status.tolist()
    ([1, -1, 0], [-1, -1, -1], [0, 0, 0])
    """
    given = {RING: ring, RIDERS_ON_PAYOUT_ACCOUNT: riders_on_payout_account}
    values = {**evidence.values, **given}
    reports = {**evidence.reports, **{name: np.zeros(len(column), dtype=np.int32) for name, column in given.items()}}
    return {name: _signal(name, conditions, values, reports) for name, conditions in SIGNALS.items()}


def _signal(
    name: str,
    conditions: tuple[Condition, ...],
    values: Mapping[str, Floats],
    reports: Mapping[str, npt.NDArray[np.int32]],
) -> Signal:
    count = len(values[conditions[0].feature])
    status, rests_on = np.full(count, NULL, dtype=np.int8), np.full(count, -1, dtype=np.int64)
    value, threshold = np.full(count, np.nan), np.full(count, np.nan)
    of_reports = np.zeros(count, dtype=np.int64)
    for place, condition in enumerate(conditions):
        found = _status(condition, values, reports)
        # The first of those that say most.
        better = (found > status) | ((rests_on < 0) & ~np.isnan(values[condition.feature]))
        status[better], rests_on[better] = found[better], place
        value[better], threshold[better] = values[condition.feature][better], condition.threshold
        of_reports[better] = reports[condition.feature][better]
    return Signal(name, status, rests_on, value, threshold, of_reports)


def _status(
    condition: Condition, values: Mapping[str, Floats], reports: Mapping[str, npt.NDArray[np.int32]]
) -> npt.NDArray[np.int8]:
    value = values[condition.feature]
    holds = condition.holds(value)
    found = np.where(np.isnan(value), NULL, np.where(holds, STRONG, CLEAR))
    found[holds & (reports[condition.feature] < condition.min_reports)] = NULL
    if condition.also is not None:
        found = np.where(found == STRONG, _status(condition.also, values, reports), found)
    return found.astype(np.int8)
