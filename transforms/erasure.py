"""What of records is evidence of a rider's location, and who was erased: pure functions.

An erased rider is known by a hash of the id alone, so that the list of them names nobody to who reads it; whoever has
an id can look it up, as the refusal of later reports needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FEATURES_WITHOUT_LOCATION = frozenset(
    {
        "subscription_alert_gap_s",
        "stated_wage_ratio",
        "claims_7d",
        "account_age_d",
        "claim_burst_rank",
        "ring_score",
    }
)
"""Features of claims that rest on policies and claims; all others rest on reports of phones."""


def worker_hash(worker_id: str) -> str:
    """By what the list of erased riders names one: 32 hexadecimal digits."""
    return hashlib.blake2b(worker_id.encode(), digest_size=16, person=b"monsoon-erased").hexdigest()


@dataclass(frozen=True, slots=True)
class ErasedWorkers:
    """By the hash of the erased riders' ids: before which event time (ms) no report of theirs is taken."""

    before_ms: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.before_ms)

    def joined(self, more: Iterable[tuple[str, int]]) -> ErasedWorkers:
        """These and further ones (hash and moment); of one rider the latest moment counts."""
        before_ms = dict(self.before_ms)
        for name, at_ms in more:
            before_ms[name] = max(at_ms, before_ms.get(name, 0))
        return ErasedWorkers(before_ms)

    def refused(
        self, workers: Sequence[str], worker: npt.NDArray[Any], event_time_ms: npt.NDArray[Any]
    ) -> npt.NDArray[np.bool_]:
        """Which reports (bool) are not taken; `worker` are codes of riders in `workers`."""
        ends_ms = [self.before_ms.get(worker_hash(name), 0) for name in workers]
        if not any(ends_ms):
            return np.zeros(len(worker), dtype=np.bool_)
        found: npt.NDArray[np.bool_] = event_time_ms < np.array(ends_ms, dtype=np.int64)[worker]
        return found


@dataclass(frozen=True, slots=True)
class Scope:
    """What is erased: of a rider (None: of everybody), with a time before `before_ms`."""

    worker_id: str | None
    before_ms: int

    def has(self, worker_id: Any, at_ms: Any) -> bool:
        """Whether a record of a rider and a time is meant. One that states no time is, where its rider is named."""
        if self.worker_id is not None and worker_id != self.worker_id:
            return False
        if isinstance(at_ms, bool) or not isinstance(at_ms, int | float):
            return self.worker_id is not None
        return bool(at_ms < self.before_ms)


def without_location(claim: Mapping[str, Any]) -> dict[str, Any]:
    """A claim's record without what reports told: the decision, its reasons, scores and amounts stay."""
    kept = {
        name: value if name in FEATURES_WITHOUT_LOCATION else None for name, value in claim.get("features", {}).items()
    }
    weightiest = [name for name in claim.get("weightiest_features", ()) if name in FEATURES_WITHOUT_LOCATION]
    erased = {
        "features": kept,
        "feature_reports": {},
        "weightiest_features": weightiest,
        "guard": [],
        "reread": None,
    }
    return {name: erased.get(name, value) for name, value in claim.items()}
