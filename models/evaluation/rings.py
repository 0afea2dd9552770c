"""Ring alerts against the rings that a simulation has: precision and recall by members' claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monsoon.models.evaluation import targets
from monsoon.models.evaluation.claims import ClaimFacts
from monsoon.models.evaluation.measures import Measure
from monsoon.models.rates import Rate

FULL_EVIDENCE = "ring"
"""The kind of attackers who share phones, accounts, a place and a network, so that recall is to be expected; others
who act together (`ring` of labels.csv) count for precision."""
NONE_FOUND = "no claim is in a ring"
NONE_TRIED = "no claim of such a ring"


@dataclass(frozen=True, slots=True)
class RingMember:
    """A claim that was in a ring."""

    scenario: str
    claim_id: str


def ring_members(scenario: str, alerts: Iterable[Mapping[str, Any]]) -> set[RingMember]:
    """The claims of raised alerts (contracts/ring_alert.schema.json); a ring that is lifted when its evidence expires
    was one."""
    return {
        RingMember(scenario, claim) for alert in alerts if alert["state"] == "raised" for claim in alert["claim_ids"]
    }


def ring_measures(product: str, claims: Sequence[ClaimFacts], members: set[RingMember]) -> list[Measure]:
    """Precision: of the claims that were in a ring, those of attackers who act together. Recall: of the eligible claims
    of FULL_EVIDENCE those that were. And honest riders' claims that were."""
    found = [claim for claim in claims if RingMember(claim.scenario, claim.claim_id) in members]
    in_ring = {(claim.scenario, claim.claim_id) for claim in found}
    counted = [claim for claim in claims if claim.counted]
    tried = [claim for claim in counted if claim.kind == FULL_EVIDENCE and claim.eligible]
    honest = [claim for claim in counted if claim.honest]

    def among(of: Sequence[ClaimFacts]) -> Rate:
        return Rate(sum((claim.scenario, claim.claim_id) in in_ring for claim in of), len(of))

    rates = (
        (targets.RING_PRECISION, Rate(sum(bool(c.ring) and not c.honest for c in found), len(found)), NONE_FOUND),
        (targets.RING_RECALL, among(tried), NONE_TRIED),
        (targets.STRANGERS, among(honest), ""),
    )
    return [
        Measure(product, name, rate.share if rate.total else None, rate, "" if rate.total else without)
        for name, rate, without in rates
    ]
