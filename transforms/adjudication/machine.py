"""Adjudication: one keyed state machine per rider and product.

Everything that concerns a rider at one moment is decided together (`decide`), so that the order in which it arrives
is nothing: withdrawals first, then what is to be paid in the order of the overlap rule, then the caps in theirs.
Published revisions are never edited; what was paid stays paid and counts as paid in every rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

from monsoon.transforms.adjudication.claims import Claim, Happening, Score, Terms, claim_record, payout_record
from monsoon.transforms.adjudication.money import times_paise
from monsoon.transforms.adjudication.settlement import Award, settle
from monsoon.transforms.adjudication.tiers import Tier, first_tier, tier_after_hold
from monsoon.transforms.identifiers import claim_id, reference_id
from monsoon.transforms.product import Product
from monsoon.transforms.triggers.machine import END_OF_TIME_MS

STATE_VERSION = 1
_WITHDRAWN_PAID = ("paid_before_withdrawal",)
_LEVEL_FELL = ("paid_above_corrected_level",)
REVIEW_REASONS = frozenset(_WITHDRAWN_PAID + _LEVEL_FELL)
"""Reasons of claims that stay paid and are listed for review."""

Scorer = Callable[[Claim, int], Score]
"""The evidence of a claim and its score at a moment (ms), from records with event time up to that moment."""

Published = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""Claim revisions and payout instructions, in the order in which they were decided."""


class RiderMachine:
    """Drive in event time: `decide` at each moment with something to say, and at `next_due_ms` for timers."""

    def __init__(self, product: Product, model_version: str, scorer: Scorer) -> None:
        self._product = product
        self._model_version = model_version
        self._scorer = scorer
        self._claims: dict[str, Claim] = {}

    @property
    def next_due_ms(self) -> int | None:
        """When the earliest hold or step-up runs out."""
        return min((claim.due_ms for claim in self._claims.values() if claim.due_ms is not None), default=None)

    def decide(self, at_ms: int, happenings: Iterable[Happening]) -> Published:
        """Everything that concerns the rider at one moment, timers that run out then included."""
        before = {name: _published_view(claim) for name, claim in self._claims.items()}
        asking: dict[str, Claim] = {}
        for happening in sorted(happenings, key=lambda item: (not item.withdrawn, item.disruption_id)):
            for claim in self._take_in(happening, at_ms):
                asking[claim.claim_id] = claim
        for claim in self._claims.values():
            if claim.due_ms is not None and claim.due_ms <= at_ms and self._run_out(claim, at_ms):
                asking[claim.claim_id] = claim
        self._settle(list(asking.values()), at_ms)
        return self._publish(before, at_ms)

    # What happened to a disruption, taken into the rider's claims.

    def _take_in(self, happening: Happening, at_ms: int) -> list[Claim]:
        """Brings the rider's claims on a disruption up to date; returns those that now ask for money."""
        mine = [claim for claim in self._claims.values() if claim.happening.disruption_id == happening.disruption_id]
        if happening.withdrawn or happening.terms is None:
            for claim in mine:
                self._withdraw(claim, happening)
            return []
        name = claim_id(happening.terms.policy_id, happening.disruption_id)
        if name not in self._claims:
            self._claims[name] = Claim(name, happening, happening.terms)
        claim = self._claims[name]
        if claim.status == "withdrawn":
            claim.status = None
        elif REVIEW_REASONS.intersection(claim.reasons):
            claim.reasons = ()
        claim.happening = happening
        gross_paise = gross_of(self._product, claim.happening, claim.terms)
        rose, claim.gross_paise = gross_paise > claim.gross_paise, gross_paise
        if claim.status is None:
            return [claim]
        if claim.paid_paise and gross_paise < claim.total_paid_paise:
            claim.reasons = _LEVEL_FELL
        if rose and claim.status in ("approved", "ineligible"):
            return [claim]
        return []

    def _withdraw(self, claim: Claim, happening: Happening) -> None:
        # A withdrawn disruption whose end was never seen ceased to be when it was withdrawn.
        end_ms = claim.happening.end_ms if claim.happening.end_ms is not None else happening.at_ms
        claim.happening = replace(claim.happening, at_ms=happening.at_ms, end_ms=end_ms)
        claim.due_ms = None
        if claim.paid_paise:
            claim.reasons = _WITHDRAWN_PAID
        else:
            claim.status = "withdrawn"
            claim.reasons = ("disruption_withdrawn",) if happening.withdrawn else ("not_present",)

    def _run_out(self, claim: Claim, at_ms: int) -> bool:
        """A hold or step-up has run out; true if the claim now asks for money."""
        claim.due_ms = None
        if claim.status == "step_up":
            claim.status, claim.reasons = "manual_review", ("step_up_unanswered", *claim.reasons)
            return False
        claim.score = self._scorer(claim, at_ms)
        if tier_after_hold(self._product.decision, claim.score) == "approve":
            return True
        self._step_up(claim, at_ms)
        return False

    # Money: what the claims of one moment are paid, or why they are held or refused.

    def _settle(self, asking: list[Claim], at_ms: int) -> None:
        everyone, caps = self._claims.values(), self._product.caps
        tiers = {claim.claim_id: self._tier(claim, at_ms) for claim in asking}
        paying = [claim for claim in asking if tiers[claim.claim_id] == "approve"]
        awards = settle(paying, everyone, caps)
        for claim in paying:
            self._pay(claim, awards[claim.claim_id])
        for claim in asking:
            if tiers[claim.claim_id] == "approve":
                continue
            would_be = settle([claim], everyone, caps)[claim.claim_id]
            if not would_be.instalment_paise:
                self._pay(claim, would_be)  # holding a rider for nothing helps nobody
                continue
            claim.applied = dict(would_be.applied)
            if tiers[claim.claim_id] == "soft_hold":
                self._hold(claim, at_ms)
            else:
                self._step_up(claim, at_ms)

    def _tier(self, claim: Claim, at_ms: int) -> Tier:
        """Approve, or hold as the score demands; a claim once approved is not judged again for its top-up."""
        if claim.status in ("approved", "soft_hold"):
            return "approve"
        if claim.score is None:
            claim.score = self._scorer(claim, at_ms)
        return first_tier(self._product.decision, claim.score, claim.terms.trust_tier)

    def _hold(self, claim: Claim, at_ms: int) -> None:
        claim.status = "soft_hold"
        claim.reasons = () if claim.score is None else claim.score.weightiest
        claim.due_ms = at_ms + self._product.decision.hold_ms

    def _step_up(self, claim: Claim, at_ms: int) -> None:
        claim.status = "step_up"
        claim.reasons = () if claim.score is None else claim.score.weightiest
        claim.due_ms = at_ms + self._product.decision.step_up_ms

    def _pay(self, claim: Claim, award: Award) -> None:
        claim.applied, claim.due_ms = dict(award.applied), None
        if award.instalment_paise:
            claim.paid_paise.append(award.instalment_paise)
            claim.status = "approved"
            claim.reasons = () if award.reason is None else (award.reason,)
        elif not claim.paid_paise:
            claim.status, claim.reasons = "ineligible", (str(award.reason),)
        elif award.reason == "cap_reached":
            claim.reasons = ("cap_partial",)

    # What is published, and the state as data.

    def _publish(self, before: dict[str, tuple[Any, ...]], at_ms: int) -> Published:
        claims: list[dict[str, Any]] = []
        payouts: list[dict[str, Any]] = []
        for name in sorted(self._claims):
            claim = self._claims[name]
            if before.get(name) == _published_view(claim):
                continue
            claim.revision += 1
            claims.append(
                claim_record(
                    claim,
                    decided_at_ms=at_ms,
                    product=self._product.name,
                    product_version=self._product.version,
                    model_version=self._model_version,
                )
            )
            already = before[name][-1] if name in before else 0
            payouts.extend(
                payout_record(
                    claim, reference_id=reference_id(name, instalment), instalment=instalment, created_at_ms=at_ms
                )
                for instalment in range(already, len(claim.paid_paise))
            )
        return claims, payouts

    def to_payload(self) -> dict[str, Any]:
        """The state as plain data, with its version."""
        return {"version": STATE_VERSION, "claims": [asdict(self._claims[name]) for name in sorted(self._claims)]}

    def restore(self, payload: dict[str, Any]) -> None:
        """Takes over a state from `to_payload`; raises ValueError for one of another version."""
        if payload.get("version") != STATE_VERSION:
            raise ValueError(f"rider state of version {payload.get('version')!r}; this code reads {STATE_VERSION}")
        self._claims = {}
        for saved in payload["claims"]:
            happening = dict(saved["happening"])
            seen = happening.pop("terms")
            score = saved["score"]
            self._claims[saved["claim_id"]] = Claim(
                **{
                    **saved,
                    "happening": Happening(**happening, terms=None if seen is None else Terms(**seen)),
                    "terms": Terms(**saved["terms"]),
                    "score": None if score is None else Score(**{**score, "weightiest": tuple(score["weightiest"])}),
                    "reasons": tuple(saved["reasons"]),
                }
            )


def gross_of(product: Product, happening: Happening, terms: Terms) -> int:
    """What a claim is worth under a revision of its disruption, in paise, before overlap and caps."""
    trigger = product.trigger(happening.trigger)
    pays = trigger.levels[trigger.level_rank(happening.level)].pays
    return times_paise(terms.daily_wage_inr, pays.share)


def run_rider(machine: RiderMachine, happenings: Iterable[Happening], until_ms: int = END_OF_TIME_MS) -> Published:
    """A machine through all its moments up to `until_ms`: what happens, and the timers in between.

    Nothing that happens up to then may come later.
    """
    moments = defaultdict(list)
    for happening in happenings:
        moments[happening.at_ms].append(happening)
    ahead = sorted(moments, reverse=True)
    claims: list[dict[str, Any]] = []
    payouts: list[dict[str, Any]] = []
    while True:
        due_ms = machine.next_due_ms
        at_ms = ahead.pop() if ahead and (due_ms is None or ahead[-1] <= due_ms) else due_ms
        if at_ms is None or at_ms > until_ms:
            return claims, payouts
        decided = machine.decide(at_ms, moments.get(at_ms, ()))
        claims.extend(decided[0])
        payouts.extend(decided[1])


def _published_view(claim: Claim) -> tuple[Any, ...]:
    """What a new revision would have to differ in; the number of instalments stands last."""
    return (claim.status, claim.reasons, claim.gross_paise, claim.happening.level, len(claim.paid_paise))
