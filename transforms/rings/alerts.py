"""What is known of rings at a moment: the rings, and the standing of a claim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from monsoon.transforms.identifiers import ring_alert_id
from monsoon.transforms.rings.limits import WEIGHT_SCALE
from monsoon.transforms.scoring import Scorer

SYNDICATE = "syndicate"
"""The model that says how unlike honest linked groups a ring's is. It sends nobody to review and frees nobody."""


class RingEvidence(Struct, frozen=True, gc=False):
    """A resource that members of a ring share: its kind and name, how many members are linked by it, and its weight, in
    millionths (the largest, where it differs between pairs)."""

    kind: str
    resource: str
    riders: int
    weight_e6: int


class RingAlert(Struct, frozen=True, gc=False):
    """A ring as of a moment: `raised` when it is found or its claims change, `lifted` when it is none any more.

    `members` are worker_ids and `claims` their claim_ids that are linked within the ring; `held` are the claims of
    riders attached to it by one edge. All are sorted; of a lifted ring these are what they last were, and no evidence
    and no `features` of the group (`group_features.py`) are left. `ring_id` is a function of product, trigger and the
    ring's earliest claim, so it stays while the ring grows.
    """

    ring_id: str
    at_ms: int
    state: Literal["raised", "lifted"]
    product: str
    trigger: str
    members: tuple[str, ...]
    claims: tuple[str, ...]
    held: tuple[str, ...]
    evidence: tuple[RingEvidence, ...]
    features: dict[str, float]


def alert_records(alerts: Sequence[RingAlert], load_model: Callable[[str], Scorer]) -> list[dict[str, Any]]:
    """Alerts in the contract's form (contracts/ring_alert.schema.json), those of rings with the risk that the model
    SYNDICATE gives their groups; it is loaded where there are any."""
    records = [_record(alert) for alert in alerts]
    scored = [number for number, alert in enumerate(alerts) if alert.features]
    if scored:
        model = load_model(SYNDICATE)
        columns = {name: np.array([alerts[number].features[name] for number in scored]) for name in model.features}
        for number, risk in zip(scored, model.score(columns).risk.tolist(), strict=True):
            records[number] |= {"risk": risk, "model_version": model.version}
    return records


def _record(alert: RingAlert) -> dict[str, Any]:
    return {
        "alert_id": ring_alert_id(alert.ring_id, alert.at_ms),
        "ring_id": alert.ring_id,
        "event_time": alert.at_ms,
        "state": alert.state,
        "product": alert.product,
        "trigger": alert.trigger,
        "members": list(alert.members),
        "claim_ids": list(alert.claims),
        "held_claim_ids": list(alert.held),
        "evidence": [
            {
                "kind": each.kind,
                "resource": each.resource,
                "riders": each.riders,
                "weight": each.weight_e6 / WEIGHT_SCALE,
            }
            for each in alert.evidence
        ],
    }


class Standing(Struct, frozen=True, gc=False):
    """How a claim stands: its ring, whether it is `held` (attached by one edge) rather than a member, and its score.

    `score` is the feature ring_score: the weight of the claim's heaviest edge to a member, of two kinds that both count
    in full (`FULL_SCORE_WEIGHT_E6`). Range: 0.5..1; a claim that is in no ring and attached to none has no standing,
    and the score 0. The degrees, features too, are to how many other riders it has an edge by a place (access point or
    cell), and by a network.
    """

    ring_id: str
    held: bool
    score: float
    proximity_degree: int = 0
    shared_network_degree: int = 0
