"""The moments at which a claim may need a score or a re-read, derived from the updates of its disruption and its
rider's answers alone.

An engine whose operators form no cycle measures evidence before a claim is adjudicated. Whether a claim will be held,
and so scored again, or its rider be asked, is not known then; the moments at which it may be are.
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


class RereadTime(NamedTuple):
    """The confirmation of a claim's disruption, when its rider may have been asked, and the moment of the re-read (ms):
    that of an answer, or, with an empty `answer_id`, the end of the wait."""

    confirmed_at_ms: int
    asked_at_ms: int
    at_ms: int
    answer_id: str = ""


def scoring_times(
    product: Product, updates: Sequence[DisruptionUpdate], activity_results: Sequence[ActivityResult] = ()
) -> set[ScoringTime]:
    """Every moment at which the machine may score one rider's claim on one disruption.

    `updates` and `activity_results` are all of that rider and disruption, as far as they are known: a claim that waits
    for an activity test is not scored before. A claim is scored when it opens, when it opens again after a withdrawal
    and when its gross amount rises, and after each of these whenever a hold that may follow runs out and uses a new
    score. Riders' answers need no score, but a re-read (`reread_times`).
    """
    first, known, rules = _first_scores(product, updates, activity_results)
    waits_ms = {wait_ms for each in rules for wait_ms in each.decision.rescore_delays_ms}
    scored_at = set(first)
    for at_ms in {moment.at_ms for moment in first}:
        scored_at.update([each for each in known if each.at_ms == at_ms])
        for due_ms in [at_ms + wait for wait in waits_ms]:
            scored_at.update(
                [ScoringTime(each.confirmed_at_ms, due_ms, rescored=True) for each in known if each.at_ms <= due_ms]
            )
    return scored_at


def reread_times(
    product: Product,
    updates: Sequence[DisruptionUpdate],
    activity_results: Sequence[ActivityResult],
    first_answer_ms: int,
    answers: Sequence[tuple[int, str]] = (),
) -> set[RereadTime]:
    """Every moment at which the machine may take a re-read of one rider's claim on one disruption: for every asking at
    the first of the confirming `answers` (moment in ms, id) that come in time, and at the end of its wait if the rider
    had answered by then (`first_answer_ms`: ever first; where that was to this asking, no other answer counts).

    The rider may be asked whenever the claim is scored, and when a hold runs out.
    """
    first, known, rules = _first_scores(product, updates, activity_results)
    delays_ms = {delay_ms for each in rules for delay_ms in each.decision.asking_delays_ms}
    waits_ms = {wait_ms for each in rules for wait_ms in each.decision.answer_waits_ms}
    found: set[RereadTime] = set()
    for asked_ms in {moment.at_ms + delay_ms for moment in first for delay_ms in delays_ms}:
        for until_ms in {asked_ms + wait_ms for wait_ms in waits_ms}:
            moments = sorted((at_ms, answer_id) for at_ms, answer_id in answers if asked_ms < at_ms <= until_ms)[:1]
            if moments and asked_ms < first_answer_ms < moments[0][0]:
                moments.clear()
            if first_answer_ms <= until_ms:
                moments.append((until_ms, ""))
            for at_ms, answer_id in moments:
                confirmations = {each.confirmed_at_ms for each in known if each.at_ms <= at_ms}
                found |= {RereadTime(confirmed_ms, asked_ms, at_ms, answer_id) for confirmed_ms in confirmations}
    return found


def _first_scores(
    product: Product, updates: Sequence[DisruptionUpdate], activity_results: Sequence[ActivityResult]
) -> tuple[set[ScoringTime], list[ScoringTime], list[VersionRules]]:
    """When one rider's claims on one disruption are scored without having been held; the confirmations that were known,
    each with the moment of its update; and the rules of the claims."""
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
    return scored_at, known, [rules.of(each.claim) for each in projected.values()]


def rescore_delays_ms(product: Product) -> frozenset[int]:
    """How long after its first score a claim may be scored again, at the end of a hold, under any version."""
    return frozenset(wait for version in rules_of(product).versions for wait in version.decision.rescore_delays_ms)


def reread_delays_ms(product: Product) -> frozenset[int]:
    """How long after its first score the wait for a rider's answer may end, under any version."""
    return frozenset(
        delay_ms + wait_ms
        for version in rules_of(product).versions
        for delay_ms in version.decision.asking_delays_ms
        for wait_ms in version.decision.answer_waits_ms
    )


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
