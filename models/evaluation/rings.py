"""Ring alerts against the rings that a simulation has: precision and recall by members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monsoon.models.evaluation import targets
from monsoon.models.evaluation.claims import ClaimFacts
from monsoon.models.evaluation.measures import Measure
from monsoon.models.rates import Rate

NOT_PUBLISHED = "no ring alerts are published"


@dataclass(frozen=True, slots=True)
class RingMember:
    """A claim in a ring that was raised and not lifted since."""

    scenario: str
    claim_id: str


def ring_members(scenario: str, alerts: Iterable[Mapping[str, Any]]) -> set[RingMember]:
    """Claims of alerts (ring_id, claims, state: raised or lifted), in the order in which they were published.

    A claim that was ever in a ring counts, unless the last alert of that ring lifts it.
    """
    claims: dict[str, set[str]] = defaultdict(set)
    for alert in alerts:
        if alert["state"] == "lifted":
            claims[alert["ring_id"]].clear()
        else:
            claims[alert["ring_id"]].update(alert["claims"])
    return {RingMember(scenario, claim) for of_ring in claims.values() for claim in of_ring}


def ring_measures(product: str, claims: Sequence[ClaimFacts], members: set[RingMember] | None) -> list[Measure]:
    """Precision, recall, and honest riders in a ring. `members`: of all scenarios; None where no alert is published.

    Precision: of the claims in rings those of attackers of a ring. Recall: of the eligible claims of attackers of rings
    of three members and more those in one.
    """
    names = (targets.RING_PRECISION, targets.RING_RECALL, targets.STRANGERS)
    if members is None:
        return [Measure(product, name, None, None, NOT_PUBLISHED) for name in names]
    sizes: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    counted = [claim for claim in claims if claim.eligible and not claim.truthful]
    for claim in counted:
        sizes[claim.scenario, claim.ring].add(claim.worker_id)
    true = {claim for claim in counted if claim.ring and not claim.honest}
    large = [claim for claim in true if len(sizes[claim.scenario, claim.ring]) >= 3]
    found = [claim for claim in claims if RingMember(claim.scenario, claim.claim_id) in members]
    in_ring = set(found)
    honest = [claim for claim in counted if claim.honest]
    rates = (
        Rate(sum(claim.ring is not None and not claim.honest for claim in found), len(found)),
        Rate(sum(claim in in_ring for claim in large), len(large)),
        Rate(sum(claim in in_ring for claim in honest), len(honest)),
    )
    return [
        Measure(product, name, rate.share if rate.total else None, rate)
        for name, rate in zip(names, rates, strict=True)
    ]
