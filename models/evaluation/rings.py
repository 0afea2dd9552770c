"""Ring alerts against the rings that a simulation has: precision and recall by members' claims."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monsoon.models.evaluation import targets
from monsoon.models.evaluation.claims import ClaimFacts
from monsoon.models.evaluation.measures import Measure
from monsoon.models.rates import Rate

RING = "ring"
"""The kind of attackers who share phones, accounts, a place and a network, so that recall is to be expected; others
who act together (`ring` of labels.csv) count for precision."""
PART_EVIDENCE = "ring_part_evidence"
"""The condition of those of them of whom each shares 60% of these things; they have measures of their own."""
NONE_FOUND = "no claim is in a ring"
NONE_TRIED = "no claim of such a ring"


@dataclass(frozen=True, slots=True)
class RingMember:
    """A claim that was in the ring of this id."""

    scenario: str
    claim_id: str
    ring: str


def ring_members(scenario: str, alerts: Iterable[Mapping[str, Any]]) -> set[RingMember]:
    """The claims of raised alerts (contracts/ring_alert.schema.json); a ring that is lifted when its evidence expires
    was one."""
    return {
        RingMember(scenario, claim, alert["ring_id"])
        for alert in alerts
        if alert["state"] == "raised"
        for claim in alert["claim_ids"]
    }


def ring_measures(product: str, claims: Sequence[ClaimFacts], members: set[RingMember]) -> list[Measure]:
    """Precision: of the claims that were in a ring, those of attackers who act together. Recall: of the eligible claims
    of RING, but for those of PART_EVIDENCE, those that were. And honest riders' claims that were."""
    in_ring = {(member.scenario, member.claim_id) for member in members}
    found = [claim for claim in claims if (claim.scenario, claim.claim_id) in in_ring]
    counted = [claim for claim in claims if claim.counted]
    tried = [claim for claim in counted if claim.kind == RING and claim.condition != PART_EVIDENCE and claim.eligible]
    honest = [claim for claim in counted if claim.honest]
    return [
        _measure(product, targets.RING_PRECISION, _precision(found), NONE_FOUND),
        _measure(product, targets.RING_RECALL, _among(in_ring, tried), NONE_TRIED),
        _measure(product, targets.STRANGERS, _among(in_ring, honest), ""),
    ]


def part_evidence_measures(claims: Sequence[ClaimFacts], members: set[RingMember]) -> list[Measure]:
    """Over all products: precision of the rings that a claim of PART_EVIDENCE was in, and recall of these claims."""
    of = {(claim.scenario, claim.claim_id) for claim in claims if claim.condition == PART_EVIDENCE}
    rings = {(each.scenario, each.ring) for each in members if (each.scenario, each.claim_id) in of}
    in_ring = {(each.scenario, each.claim_id) for each in members if (each.scenario, each.ring) in rings}
    tried = [each for each in claims if each.condition == PART_EVIDENCE and each.counted and each.eligible]
    found = [claim for claim in claims if (claim.scenario, claim.claim_id) in in_ring]
    return [
        _measure(targets.ALL, targets.PART_RING_PRECISION, _precision(found), NONE_FOUND),
        _measure(targets.ALL, targets.PART_RING_RECALL, _among(in_ring, tried), NONE_TRIED),
    ]


def _precision(found: Sequence[ClaimFacts]) -> Rate:
    return Rate(sum(bool(claim.ring) and not claim.honest for claim in found), len(found))


def _among(in_ring: Collection[tuple[str, str]], claims: Sequence[ClaimFacts]) -> Rate:
    return Rate(sum((claim.scenario, claim.claim_id) in in_ring for claim in claims), len(claims))


def _measure(product: str, name: str, rate: Rate, without: str) -> Measure:
    return Measure(product, name, rate.share if rate.total else None, rate, "" if rate.total else without)
