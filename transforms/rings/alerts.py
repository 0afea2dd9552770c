"""What is known of rings at a moment: the rings, and the standing of a claim."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from monsoon.transforms.identifiers import ring_alert_id
from monsoon.transforms.rings.limits import WEIGHT_SCALE


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
    is left. `ring_id` is a function of product, trigger and the ring's earliest claim, so it stays while the ring
    grows.
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


def alert_record(alert: RingAlert) -> dict[str, Any]:
    """An alert in the contract's form (contracts/ring_alert.schema.json)."""
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
