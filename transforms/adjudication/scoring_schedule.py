"""When a claim may ask for a score, told from what is said of its disruption alone.

An engine whose operators form no circle measures evidence before a claim is adjudicated: whether a claim will be held,
and so judged again, is not known then. The moments at which it may be are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monsoon.transforms.adjudication.claims import ActivityResult, Claim, DisruptionUpdate, order_at_one_moment
from monsoon.transforms.adjudication.eligibility import assess
from monsoon.transforms.adjudication.rules import VersionRules, rules_of
from monsoon.transforms.product import Product


class Moment(NamedTuple):
    """A claim as confirmed at one moment, judged at another (ms)."""

    confirmed_at_ms: int
    at_ms: int


def scoring_moments(
    product: Product, updates: Sequence[DisruptionUpdate], activity_results: Sequence[ActivityResult] = ()
) -> set[Moment]:
    """Every moment at which the machine may ask for the score of one rider's claim on one disruption.

    `updates` and `findings` are all of that rider and disruption, as far as they are known: of a claim that waits
    for an activity test nothing is asked before. A claim asks when it opens, when it opens again after a withdrawal
    and when its gross amount rises, and each time once more whenever a hold that may follow runs out and looks at a
    new score. Riders' answers ask for nothing: they end a hold early, and need no score.
    """
    rules = rules_of(product)
    watched: dict[str, _Watched] = {}
    asking: set[Moment] = set()
    known: list[Moment] = []
    items: list[DisruptionUpdate | ActivityResult] = [*updates, *activity_results]
    for item in sorted(items, key=lambda item: (item.at_ms, order_at_one_moment(item))):
        if isinstance(item, ActivityResult):
            for each in watched.values():
                each.claim.activity_results[f"{item.kind}/{item.confirmed_at_ms}"] = item
        elif item.withdrawn or item.terms is None:
            for each in watched.values():
                each.stands, each.gone = False, True
        else:
            known.append(Moment(item.confirmed_at_ms, item.at_ms))
            each = watched.setdefault(item.terms.policy_id, _Watched(Claim("", item, item.terms)))
            each.claim.update, each.gone = item, False
        for each in watched.values():
            if each.asks(rules.of(each.claim)):
                asking.add(Moment(each.claim.update.confirmed_at_ms, item.at_ms))
    waits_ms = {wait for each in watched.values() for wait in rules.of(each.claim).decision.waits_ms}
    for at_ms in {moment.at_ms for moment in asking}:
        asking.update(Moment(confirmed, at_ms) for confirmed, known_at_ms in known if known_at_ms == at_ms)
        for due_ms in (at_ms + wait for wait in waits_ms):
            asking.update(Moment(confirmed, due_ms) for confirmed, known_at_ms in known if known_at_ms <= due_ms)
    return asking


def rescore_waits_ms(product: Product) -> frozenset[int]:
    """How long after its first score a claim may be scored again, at the end of a hold, under any version."""
    return frozenset(wait for version in rules_of(product).versions for wait in version.decision.waits_ms)


@dataclass(slots=True)
class _Watched:
    """A claim as the machine will have it, but for what it is paid."""

    claim: Claim
    stands: bool = False
    gone: bool = False
    gross_paise: int = 0

    def asks(self, version: VersionRules) -> bool:
        """Whether the machine may ask for a score as things stand now."""
        assessment = None if self.gone else assess(version, self.claim)
        if assessment is None:
            return False
        refused = assessment.refused is not None or assessment.review is not None
        supplements = {} if refused else version.payout_calculators[self.claim.update.trigger].supplements(self.claim)
        gross_paise = assessment.gross_paise + sum(paise or 0 for paise in supplements.values())
        rises = not self.stands or gross_paise > self.gross_paise
        self.stands, self.gross_paise = True, gross_paise
        return rises and not refused
