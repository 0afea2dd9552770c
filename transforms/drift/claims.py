"""From the revisions of claims, in any order, to one row a claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import h3.api.basic_str as h3
import numpy as np
import numpy.typing as npt

from monsoon.transforms.adjudication.decision import UNSCORED
from monsoon.transforms.adjudication.eligibility import NOT_MEASURED
from monsoon.transforms.calendar import local_day
from monsoon.transforms.guard.signals import RING

CELL_RESOLUTION = 5
"""Of the H3 cells by which claims are reported: some 250 km2, a large part of a city; that of reserves and of the
surroundings of rings. A zone of a finer product has too few claims a day to say anything."""

HELD = frozenset({"soft_hold", "step_up", "manual_review"})
_ELIGIBLE = HELD | {"approved"}
NO_SUSPICION = frozenset({"nothing_measured", "too_few_peers", NOT_MEASURED, UNSCORED})
"""Reasons for which a product's text, or a fault of ours, holds a claim of which nobody is suspicious."""


@dataclass(frozen=True)
class DriftClaims:
    """One element a claim, ordered by first decision and claim_id.

    `days`: local day of its first revision. `cells`: parent of its zone. `features`: float64 by name, NaN = not
    measured, of its first revision with any. `evident`: some feature rests on a report of the rider's phone. `honest`:
    eligible, and no signal of the guard is strong in any revision, nor is it a member of a ring. `held`: some revision
    is held on suspicion. `slices`: text by dimension.
    """

    days: npt.NDArray[np.str_]
    cells: npt.NDArray[np.str_]
    workers: npt.NDArray[np.str_]
    features: Mapping[str, npt.NDArray[np.float64]]
    evident: npt.NDArray[np.bool_]
    honest: npt.NDArray[np.bool_]
    held: npt.NDArray[np.bool_]
    slices: Mapping[str, npt.NDArray[np.str_]]

    def __len__(self) -> int:
        return len(self.days)


def drift_claims(
    claims: Iterable[Mapping[str, Any]], platforms: Mapping[str, str | None], feature_names: Iterable[str]
) -> DriftClaims:
    """The columns of claims, given as revisions by contracts/claim.schema.json, in any order and possibly repeated.

    `platforms` are those of disruptions, by disruption_id; `feature_names` the features to take.
    """
    revisions: dict[str, dict[int, Mapping[str, Any]]] = {}
    for record in claims:
        revisions.setdefault(record["claim_id"], {})[record["revision"]] = record
    whole = [[of_claim[number] for number in sorted(of_claim)] for of_claim in revisions.values()]
    whole.sort(key=lambda each: (each[0]["decided_at"], each[0]["claim_id"]))
    firsts = [each[0] for each in whole]
    measured = [next((record for record in each if record.get("feature_reports")), each[0]) for each in whole]
    slices = {
        "product": [first["product"] for first in firsts],
        "peril": [first.get("peril") or "" for first in firsts],
        "platform": [platforms.get(first["disruption_id"]) or "" for first in firsts],
        "zone": [first["zone"] for first in firsts],
    }
    return DriftClaims(
        days=_texts([local_day(first["decided_at"]) for first in firsts]),
        cells=_texts([_cell_of(first["zone"]) for first in firsts]),
        workers=_texts([first["worker_id"] for first in firsts]),
        features={
            name: np.array([record["features"].get(name) for record in measured], dtype=np.float64)
            for name in feature_names
        },
        evident=np.array([bool(record.get("feature_reports")) for record in measured], dtype=bool),
        honest=np.array([_is_eligible(each) and not any(map(_is_suspect, each)) for each in whole], dtype=bool),
        held=np.array([any(map(_is_held, each)) for each in whole], dtype=bool),
        slices={dimension: _texts(values) for dimension, values in slices.items()},
    )


def _texts(values: list[str]) -> npt.NDArray[np.str_]:
    return np.array(values, dtype=np.str_)


def _is_eligible(revisions: Iterable[Mapping[str, Any]]) -> bool:
    return any(record["status"] in _ELIGIBLE for record in revisions)


def _is_suspect(record: Mapping[str, Any]) -> bool:
    signals = [*(record.get("guard") or ()), *((record.get("reread") or {}).get("guard") or ())]
    return RING in record["reasons"] or any(each["status"] == "strong" for each in signals)


def _is_held(record: Mapping[str, Any]) -> bool:
    return record["status"] in HELD and not NO_SUSPICION.intersection(record["reasons"])


@lru_cache(maxsize=65_536)
def _cell_of(zone: str) -> str:
    return h3.cell_to_parent(zone, min(CELL_RESOLUTION, h3.get_resolution(zone)))
