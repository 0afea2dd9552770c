"""What was known of riders' claims, from the records of a replay or of the live job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from monsoon.feature_store.definitions import feature_set, pair_id
from monsoon.feature_store.versions import FeatureVersions
from monsoon.transforms.claim_scores import ClaimMoment, claims_before

_SCORES = ("trust_score", "anomaly_score", "ring_score")


def rider_claims(claims: Iterable[Mapping[str, Any]], disruptions: Iterable[Mapping[str, Any]]) -> FeatureVersions:
    """rider_claims: a version for each moment at which a claim of the rider on a product was decided; revisions of
    claims and disruptions in any order."""
    about = feature_set("rider_claims")
    confirmed_ms: dict[str, int] = {}
    for record in sorted(disruptions, key=lambda each: (each["disruption_id"], each["revision"])):
        confirmed_ms.setdefault(record["disruption_id"], record["confirmed_at"])
    by_rider: dict[str, list[Mapping[str, Any]]] = {}
    for record in claims:
        by_rider.setdefault(pair_id(record["worker_id"], record["product"]), []).append(record)
    names: list[str] = []
    times: list[int] = []
    rows: list[list[float]] = []
    for name, revisions in sorted(by_rider.items()):
        revisions.sort(key=lambda each: (each["decided_at"], each["claim_id"], each["revision"]))
        known: dict[str, ClaimMoment] = {}
        for place, record in enumerate(revisions):
            at_ms, claim_id = record["decided_at"], record["claim_id"]
            known.setdefault(claim_id, ClaimMoment(at_ms, confirmed_ms.get(record["disruption_id"], at_ms)))
            if place + 1 < len(revisions) and revisions[place + 1]["decided_at"] == at_ms:
                continue  # of several decisions at one moment the version has the last
            scores = [np.nan if record.get(score) is None else record[score] for score in _SCORES]
            names.append(name)
            times.append(at_ms)
            # A claim confirmed at this very moment is one of those up to it.
            rows.append([claims_before(known.values(), at_ms + 1, at_ms), float(bool(record.get("ring_id"))), *scores])
    values = np.array(rows, dtype=np.float64).reshape(-1, 2 + len(_SCORES))
    columns = dict(zip(("claims_7d", "ring_member", *_SCORES), values.T, strict=True))
    return FeatureVersions.of(about, names, times, times, columns)
