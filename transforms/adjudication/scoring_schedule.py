"""The moments at which a claim may need a score, derived from the updates of its disruption alone.

An engine whose operators form no cycle measures evidence before a claim is adjudicated. Whether a claim will be held,
and so scored again, is not known then; the moments at which it may be are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monsoon.transforms.adjudication.claims import ActivityResult, Claim, DisruptionUpdate, processing_order
from monsoon.transforms.adjudication.eligibility import assess
from monsoon.transforms.adjudication.rules import VersionRules, rules_of
from monsoon.transforms.product import Product


class ScoringTime(NamedTuple):
    """The confirmation of a claim's disruption, the moment of the score (ms), and whether it is a re-score."""

    confirmed_at_ms: int
    at_ms: int
    rescored: bool = False


def scoring_times(
    product: Product, updates: Sequence[DisruptionUpdate], activity_results: Sequence[ActivityResult] = ()
) -> set[ScoringTime]:
    """Every moment at which the machine may score one rider's claim on one disruption.

    `updates` and `activity_results` are all of that rider and disruption, as far as they are known: a claim that waits
    for an activity test is not scored before. A claim is scored when it opens, when it opens again after a withdrawal
    and when its gross amount rises, and after each of these whenever a hold that may follow runs out and uses a new
    score. Riders' answers need no score: they end a hold early.
    """
    rules = rules_of(product)
    projected: dict[str, _ProjectedClaim] = {}
    scored_at: set[ScoringTime] = set()
    known: list[ScoringTime] = []
    items: list[DisruptionUpdate | ActivityResult] = [*updates, *activity_results]
    if len(items) > 1:
        items.sort(key=lambda item: (item.at_ms, processing_order(item)))
    for item in items:
        if isinstance(item, ActivityResult):
            for each in projected.values():
                each.claim.activity_results[f"{item.kind}/{item.confirmed_at_ms}"] = item
        elif item.withdrawn or item.terms is None:
            for each in projected.values():
                each.stands, each.gone = False, True
        else:
            known.append(ScoringTime(item.confirmed_at_ms, item.at_ms))
            each = projected.setdefault(item.terms.policy_id, _ProjectedClaim(Claim("", item, item.terms)))
            each.claim.update, each.gone = item, False
        for each in projected.values():
            if each.needs_score(rules.of(each.claim)):
                scored_at.add(ScoringTime(each.claim.update.confirmed_at_ms, item.at_ms))
    waits_ms: set[int] = set()
    for each in projected.values():
        waits_ms |= rules.of(each.claim).decision.rescore_delays_ms
    for at_ms in {moment.at_ms for moment in scored_at}:
        scored_at.update([each for each in known if each.at_ms == at_ms])
        for due_ms in [at_ms + wait for wait in waits_ms]:
            scored_at.update(
                [ScoringTime(each.confirmed_at_ms, due_ms, rescored=True) for each in known if each.at_ms <= due_ms]
            )
    return scored_at


def rescore_delays_ms(product: Product) -> frozenset[int]:
    """How long after its first score a claim may be scored again, at the end of a hold, under any version."""
    return frozenset(wait for version in rules_of(product).versions for wait in version.decision.rescore_delays_ms)


@dataclass(slots=True)
class _ProjectedClaim:
    """A claim as the machine will have it, apart from payments."""

    claim: Claim
    stands: bool = False
    gone: bool = False
    gross_paise: int = 0

    def needs_score(self, version: VersionRules) -> bool:
        """Whether the machine may score the claim now."""
        assessment = None if self.gone else assess(version, self.claim)
        if assessment is None:
            return False
        refused = assessment.refused is not None or assessment.review is not None
        supplements = {} if refused else version.payout_calculators[self.claim.update.trigger].supplements(self.claim)
        gross_paise = assessment.gross_paise + sum(paise or 0 for paise in supplements.values())
        rises = not self.stands or gross_paise > self.gross_paise
        self.stands, self.gross_paise = True, gross_paise
        return rises and not refused
