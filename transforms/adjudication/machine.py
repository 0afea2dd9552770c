"""Adjudication: one keyed state machine per rider and product.

Everything that concerns a rider at one moment is decided together (`decide`), so that the order in which it arrives
is nothing: withdrawals first, then what is to be paid in the order of the overlap rule, then the caps in theirs.
Published revisions are never edited; what was paid stays paid and counts as paid in every rule.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

from monsoon.transforms.adjudication.claims import Claim, Happening, Score, Terms, claim_record, payout_record
from monsoon.transforms.adjudication.money import times_paise
from monsoon.transforms.adjudication.settlement import Award, Ledger, settle
from monsoon.transforms.adjudication.tiers import Tier, first_tier, tier_after_hold
from monsoon.transforms.identifiers import claim_id, reference_id
from monsoon.transforms.product import Product
from monsoon.transforms.triggers.history import END_OF_TIME_MS

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
        self._start_with(())

    def _start_with(self, claims: Iterable[Claim]) -> None:
        self._claims: dict[str, Claim] = {}
        self._claims_on: dict[str, list[Claim]] = {}
        """By disruption_id."""
        self._ledger = Ledger(self._product.caps)
        self._timers: list[tuple[int, str]] = []
        """(moment, claim_id), a heap; one that the claim is no longer due at is moot."""
        self._changed: set[str] = set()
        for claim in claims:
            self._add(claim)
            self._ledger.enter(claim)
            self._wait_until(claim, claim.due_ms)

    @property
    def next_due_ms(self) -> int | None:
        """When the earliest hold or step-up runs out."""
        while self._timers and self._claims[self._timers[0][1]].due_ms != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def decide(self, at_ms: int, happenings: Iterable[Happening]) -> Published:
        """Everything that concerns the rider at one moment, timers that run out then included."""
        taken_in = sorted(happenings, key=lambda item: (not item.withdrawn, item.disruption_id))
        due = self._due_by(at_ms)
        concerned = [claim for happening in taken_in for claim in self._claims_on.get(happening.disruption_id, ())]
        before = {claim.claim_id: _published_view(claim) for claim in [*concerned, *due]}
        asking: dict[str, Claim] = {}
        touched = set(before)
        for happening in taken_in:
            for claim in self._take_in(happening):
                asking[claim.claim_id] = claim
        for claim in due:
            if claim.due_ms is not None and claim.due_ms <= at_ms and self._run_out(claim, at_ms):
                asking[claim.claim_id] = claim
        self._settle(list(asking.values()), at_ms)
        touched.update(asking)
        self._changed |= touched
        return self._publish(touched, before, at_ms)

    def _due_by(self, at_ms: int) -> list[Claim]:
        """The claims whose hold or step-up runs out by `at_ms`, in the order of their timers."""
        found: dict[str, Claim] = {}
        while (due_ms := self.next_due_ms) is not None and due_ms <= at_ms:
            name = heapq.heappop(self._timers)[1]
            found[name] = self._claims[name]
        return list(found.values())

    def _wait_until(self, claim: Claim, due_ms: int | None) -> None:
        claim.due_ms = due_ms
        if due_ms is not None:
            heapq.heappush(self._timers, (due_ms, claim.claim_id))

    def _add(self, claim: Claim) -> None:
        self._claims[claim.claim_id] = claim
        self._claims_on.setdefault(claim.happening.disruption_id, []).append(claim)

    # What happened to a disruption, taken into the rider's claims.

    def _take_in(self, happening: Happening) -> list[Claim]:
        """Brings the rider's claims on a disruption up to date; returns those that now ask for money."""
        if happening.withdrawn or happening.terms is None:
            for claim in self._claims_on.get(happening.disruption_id, ()):
                self._withdraw(claim, happening)
            return []
        name = claim_id(happening.terms.policy_id, happening.disruption_id)
        if name not in self._claims:
            self._add(Claim(name, happening, happening.terms))
        claim = self._claims[name]
        if claim.status == "withdrawn":
            claim.status = None
        elif REVIEW_REASONS.intersection(claim.reasons):
            claim.reasons = ()
        self._revise(claim, happening)
        gross_paise = gross_of(self._product, claim.happening, claim.terms)
        rose, claim.gross_paise = gross_paise > claim.gross_paise, gross_paise
        if claim.status is None:
            return [claim]
        if claim.paid_paise and gross_paise < claim.total_paid_paise:
            claim.reasons = _LEVEL_FELL
        if rose and claim.status in ("approved", "ineligible"):
            return [claim]
        return []

    def _revise(self, claim: Claim, happening: Happening) -> None:
        self._ledger.take_out(claim)
        claim.happening = happening
        self._ledger.enter(claim)

    def _withdraw(self, claim: Claim, happening: Happening) -> None:
        # A withdrawn disruption whose end was never seen ceased to be when it was withdrawn.
        end_ms = claim.happening.end_ms if claim.happening.end_ms is not None else happening.at_ms
        self._revise(claim, replace(claim.happening, at_ms=happening.at_ms, end_ms=end_ms))
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
        tiers = {claim.claim_id: self._tier(claim, at_ms) for claim in asking}
        paying = [claim for claim in asking if tiers[claim.claim_id] == "approve"]
        awards = settle(paying, self._ledger)
        for claim in paying:
            self._pay(claim, awards[claim.claim_id])
        for claim in asking:
            if tiers[claim.claim_id] == "approve":
                continue
            would_be = settle([claim], self._ledger)[claim.claim_id]
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
        self._wait_until(claim, at_ms + self._product.decision.hold_ms)

    def _step_up(self, claim: Claim, at_ms: int) -> None:
        claim.status = "step_up"
        claim.reasons = () if claim.score is None else claim.score.weightiest
        self._wait_until(claim, at_ms + self._product.decision.step_up_ms)

    def _pay(self, claim: Claim, award: Award) -> None:
        claim.applied, claim.due_ms = dict(award.applied), None
        if award.instalment_paise:
            self._ledger.take_out(claim)
            claim.paid_paise.append(award.instalment_paise)
            self._ledger.enter(claim)
            claim.status = "approved"
            claim.reasons = () if award.reason is None else (award.reason,)
        elif not claim.paid_paise:
            claim.status, claim.reasons = "ineligible", (str(award.reason),)
        elif award.reason == "cap_reached":
            claim.reasons = ("cap_partial",)

    # What is published, and the state as data.

    def _publish(self, touched: Iterable[str], before: dict[str, tuple[Any, ...]], at_ms: int) -> Published:
        claims: list[dict[str, Any]] = []
        payouts: list[dict[str, Any]] = []
        for name in sorted(touched):
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

    @property
    def is_empty(self) -> bool:
        """Whether there is no claim, so that a new machine would do as well."""
        return not self._claims

    @property
    def published(self) -> dict[str, str]:
        """The status of each claim's last revision, by claim_id."""
        return {name: str(claim.status) for name, claim in self._claims.items() if claim.revision >= 0}

    @property
    def starts_ms(self) -> dict[str, int]:
        """When the disruptions of its claims began, by disruption_id."""
        return {claim.happening.disruption_id: claim.happening.start_ms for claim in self._claims.values()}

    def take_changed(self) -> list[Claim]:
        """The claims that may have changed since the last call; they make a machine anew by `resume`."""
        changed = [self._claims[name] for name in sorted(self._changed)]
        self._changed.clear()
        return changed

    def resume(self, claims: Iterable[Claim]) -> None:
        """Takes over all claims of a rider."""
        self._start_with(claims)

    def forget(self, before_ms: int) -> set[str]:
        """Drops settled claims of disruptions that were over, and of which nothing was said, since a moment.

        A claim stays while another that is not so old overlaps it or shares a cap's period with it. Returns the
        ids of those that were dropped.
        """
        old = {name for name, claim in self._claims.items() if _is_over(claim, before_ms)}
        young = [claim for name, claim in self._claims.items() if name not in old]
        gone = {name for name in old if not any(self._ledger.may_touch(self._claims[name], claim) for claim in young)}
        if gone:
            self._start_with([claim for name, claim in self._claims.items() if name not in gone])
        return gone

    def to_payload(self) -> dict[str, Any]:
        """The state as plain data, with its version."""
        return {"version": STATE_VERSION, "claims": [asdict(self._claims[name]) for name in sorted(self._claims)]}

    def restore(self, payload: dict[str, Any]) -> None:
        """Takes over a state from `to_payload`; raises ValueError for one of another version."""
        if payload.get("version") != STATE_VERSION:
            raise ValueError(f"rider state of version {payload.get('version')!r}; this code reads {STATE_VERSION}")
        self._start_with(_claim(saved) for saved in payload["claims"])


def _is_over(claim: Claim, before_ms: int) -> bool:
    happening = claim.happening
    last_ms = max(happening.at_ms, happening.start_ms if happening.end_ms is None else happening.end_ms)
    over = happening.end_ms is not None or claim.status == "withdrawn"
    return over and claim.due_ms is None and last_ms < before_ms


def _claim(saved: dict[str, Any]) -> Claim:
    happening, score = dict(saved["happening"]), saved["score"]
    seen = happening.pop("terms")
    return Claim(
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
        decided = machine.decide(at_ms, moments.pop(at_ms, ()))
        claims.extend(decided[0])
        payouts.extend(decided[1])


def _published_view(claim: Claim) -> tuple[Any, ...]:
    """What a new revision would have to differ in; the number of instalments stands last."""
    return (claim.status, claim.reasons, claim.gross_paise, claim.happening.level, len(claim.paid_paise))
