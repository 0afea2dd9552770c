"""Adjudication: one keyed state machine per rider and product.

All inputs of a rider at one moment are decided together (`decide`), so that their order of arrival does not matter:
withdrawals first, then other revisions, activity results, links, answers, and holds that run out; then payouts in the
order of the overlap rule, then the caps in theirs. Published revisions are never edited; what was paid stays paid and
counts as paid in every rule.

Interpretations of the specification: docs/interpretations.md#claims.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from monsoon.transforms.adjudication.answers import DENIED, RefusedAnswer, refusal_reason
from monsoon.transforms.adjudication.claims import (
    ActivityResult,
    AdjudicationInput,
    Answer,
    Claim,
    DisruptionUpdate,
    LinkUpdate,
    processing_order,
)
from monsoon.transforms.adjudication.decision import APPROVE, MANUAL_REVIEW, UNSCORED, Outcome
from monsoon.transforms.adjudication.eligibility import LEVEL_FELL, NOT_MEASURED, WITHDRAWN_PAID, assess
from monsoon.transforms.adjudication.formula_scores import with_formula_scores
from monsoon.transforms.adjudication.linked import apply_links, linked_reread, linked_score
from monsoon.transforms.adjudication.payment_history import PaymentHistory
from monsoon.transforms.adjudication.records import PublishedView, claim_record, payout_records, reasons_of
from monsoon.transforms.adjudication.rules import ProductRules, rules_of
from monsoon.transforms.adjudication.settlement import Award, settle
from monsoon.transforms.adjudication.supplements import add_supplements
from monsoon.transforms.adjudication.timers import ClaimTimers
from monsoon.transforms.adjudication.verification import Scorer, outcome_of, reread_of
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.product import Product

ClaimOutputs = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""Claim revisions and payout instructions, in the order in which they were decided."""


class RiderMachine:
    """The claims of one rider on one product. Event time: call `decide` at each moment with inputs, and at
    `next_due_ms` for its timers."""

    def __init__(self, product: Product, model_version: str, scorer: Scorer) -> None:
        self._product, self._model_version, self._scorer = product, model_version, scorer
        self._rules: ProductRules = rules_of(product)
        self._refused: list[RefusedAnswer] = []
        self._reset(())

    def _scored(self, claim: Claim, at_ms: int) -> bool:
        """Scores the claim by its evidence at a moment, with the scores of its version of the product; false where no
        score arrived: the claim keeps the one that it had."""
        score = self._scorer(claim, at_ms)
        if score is None:
            return False
        claim.score = with_formula_scores(self._rules.of(claim).product, claim, linked_score(claim, score))
        return True

    def _reset(self, claims: Iterable[Claim]) -> None:
        self._claims: dict[str, Claim] = {}
        self._claims_on: dict[str, list[Claim]] = {}
        """By disruption_id."""
        self._history = PaymentHistory(self._rules)
        self._timers = ClaimTimers(self._claims)
        self._changed: set[str] = set()
        self._before: dict[str, PublishedView | None] = {}
        """The claims touched in the current call of `decide`, as they were published before; None: not yet."""
        for claim in claims:
            self._add(claim)
            self._history.add(claim)
            self._timers.set(claim, claim.due_ms)

    @property
    def next_due_ms(self) -> int | None:
        """When the earliest hold or step-up verification expires; None if no claim waits."""
        return self._timers.next_ms

    def decide(self, at_ms: int, items: Iterable[AdjudicationInput]) -> ClaimOutputs:
        """Processes the rider's inputs of one moment, and the timers that run out then.

        All inputs of one moment come in one call; the same input again changes nothing.
        """
        ordered = list(items)
        if len(ordered) > 1:
            ordered.sort(key=processing_order)
        due = self._timers.take_due(at_ms)
        for claim in due:
            self._touch(claim)
        to_decide: dict[str, Claim] = {}
        released: set[str] = set()
        for item in ordered:
            if isinstance(item, DisruptionUpdate):
                claims = self._apply_update(item)
            elif isinstance(item, ActivityResult):
                claims = self._apply_activity_result(item)
            elif isinstance(item, LinkUpdate):
                claims = self._apply_links(item)
            else:
                claims = self._apply_answer(item, released)
            for claim in claims:
                to_decide[claim.claim_id] = claim
        for claim in due:
            if claim.due_ms is not None and claim.due_ms <= at_ms and self._run_out(claim, at_ms):
                to_decide[claim.claim_id] = claim
                released.add(claim.claim_id)
        if to_decide:
            self._settle(list(to_decide.values()), released, at_ms)
        before, self._before = self._before, {}
        self._changed.update(before)
        return self._publish(before, at_ms)

    def take_refused(self) -> list[RefusedAnswer]:
        """The answers refused since the last call, in the order of their moments."""
        refused, self._refused = self._refused, []
        return refused

    def _touch(self, claim: Claim) -> None:
        """Keeps what was published of a claim that may change now; of a new one that is nothing."""
        if claim.claim_id not in self._before:
            self._before[claim.claim_id] = PublishedView.of(claim)

    def _add(self, claim: Claim) -> None:
        self._claims[claim.claim_id] = claim
        self._claims_on.setdefault(claim.update.disruption_id, []).append(claim)

    # Inputs applied to the rider's claims; each method returns the claims to decide.

    def _apply_update(self, update: DisruptionUpdate) -> list[Claim]:
        """A revision of a disruption."""
        if update.withdrawn or update.terms is None:
            for withdrawn in self._claims_on.get(update.disruption_id, ()):
                self._touch(withdrawn)
                self._withdraw(withdrawn, update)
            return []
        name = claim_id(update.terms.policy_id, update.disruption_id)
        claim = self._claims.get(name)
        if claim is None:
            claim = Claim(name, update, update.terms)
            self._before[name] = None
            self._add(claim)
        else:
            self._touch(claim)
            self._revise(claim, update)
        return [claim] if self._reassess(claim) else []

    def _apply_activity_result(self, activity_result: ActivityResult) -> list[Claim]:
        """An activity result, for the claims on its disruption."""
        to_decide = []
        for claim in self._claims_on.get(activity_result.disruption_id, ()):
            self._touch(claim)
            claim.activity_results[f"{activity_result.kind}/{activity_result.confirmed_at_ms}"] = activity_result
            if not claim.update.withdrawn and self._reassess(claim):
                to_decide.append(claim)
        return to_decide

    def _apply_links(self, update: LinkUpdate) -> list[Claim]:
        """What is known of a claim's links to others."""
        if (claim := self._claims.get(update.claim_id)) is not None:
            self._touch(claim)
            if reasons := apply_links(claim, update):
                self._review(claim, None, reasons)
        return []

    def _apply_answer(self, answer: Answer, released: set[str]) -> list[Claim]:
        claim = self._claims.get(answer.claim_id)
        if claim is not None:
            self._touch(claim)
            if claim.answer_id == answer.answer_id:
                return []
        why = refusal_reason(answer, claim)
        if why is not None or claim is None:
            refused = RefusedAnswer(answer, why or "unknown_claim")
            if refused not in self._refused:
                self._refused.append(refused)
            return []
        claim.answer_id, claim.confirmed = answer.answer_id, answer.confirms
        if not answer.confirms:
            self._review(claim, DENIED)
            return []
        if not self._look_again(claim, answer.at_ms, answer.answer_id):
            return []
        claim.due_ms, claim.hold = None, None
        released.add(claim.claim_id)
        return [claim]

    def _look_again(self, claim: Claim, at_ms: int, answer_id: str = "") -> bool:
        """Takes the re-read of a claim whose rider confirmed it: when the answer comes, and without an `answer_id` when
        the wait is over. True if it is released; else it waits on, or goes to manual review."""
        hold = self._rules.of(claim).decision.hold_of(claim)
        claim.reread = linked_reread(claim, reread_of(self._scorer, claim, hold, at_ms, answer_id))
        if claim.reread.outcome == "waits" and answer_id:
            return False
        outcome = outcome_of(claim.reread)
        if outcome.then == APPROVE:
            return True
        self._hold_or_review(claim, outcome, at_ms)
        return False

    def _reassess(self, claim: Claim) -> bool:
        """Recomputes the gross amount; true if the claim is to be decided, for the first time or for a larger
        amount."""
        if claim.paid_paise:
            # The reasons of an earlier correction were about the disruption as it was before.
            claim.reasons = claim.paid_reasons
        version = self._rules.of(claim)
        assessment = assess(version, claim)
        if assessment is None:
            return False
        if claim.status == "withdrawn" or claim.reasons == (NOT_MEASURED,):
            claim.status, claim.reasons = None, ()
        before_paise = claim.gross_paise
        refused = assessment.refused is not None or assessment.review is not None
        supplements = {} if refused else version.payout_calculators[claim.update.trigger].supplements(claim)
        if supplements or claim.supplements:
            self._history.remove(claim)
            claim.base_paise, claim.supplements = assessment.gross_paise, supplements
            claim.supplemented = tuple(name for name in claim.supplemented if supplements.get(name))
            self._history.add(claim)
        claim.gross_paise = assessment.gross_paise + sum([supplements[name] or 0 for name in claim.supplemented])
        if claim.paid_paise and claim.gross_paise < claim.total_paid_paise:
            claim.reasons = LEVEL_FELL
        if refused:
            if not claim.paid_paise:
                self._refuse(claim, assessment.refused, assessment.review)
            return False
        if claim.status is None:
            return True
        asked_paise = assessment.gross_paise + sum([paise or 0 for paise in supplements.values()])
        return asked_paise > before_paise and claim.status in ("approved", "ineligible")

    def _refuse(self, claim: Claim, refused: str | None, review: str | None) -> None:
        claim.applied, claim.due_ms, claim.hold = {}, None, None
        claim.status = "manual_review" if refused is None else "ineligible"
        claim.reasons = (str(refused or review),)

    def _revise(self, claim: Claim, update: DisruptionUpdate) -> None:
        self._history.remove(claim)
        claim.update = update
        self._history.add(claim)

    def _withdraw(self, claim: Claim, update: DisruptionUpdate) -> None:
        # A withdrawn disruption without an end ended when it was withdrawn.
        end_ms = claim.update.end_ms if claim.update.end_ms is not None else update.at_ms
        self._revise(claim, replace(claim.update, at_ms=update.at_ms, end_ms=end_ms, withdrawn=True))
        claim.due_ms, claim.hold = None, None
        if claim.paid_paise:
            claim.reasons = WITHDRAWN_PAID
        elif claim.status is not None:  # nothing was published of one never decided
            claim.status = "withdrawn"
            claim.reasons = ("disruption_withdrawn",) if update.withdrawn else ("not_present",)

    # Decisions: rules, holds, answers.

    def _run_out(self, claim: Claim, at_ms: int) -> bool:
        """A hold or step-up has run out; true if the claim is approved."""
        rules = self._rules.of(claim).decision
        if claim.confirmed and rules.hold_of(claim).answered is not None:
            return self._look_again(claim, at_ms)
        hold = rules.hold_of(claim).name
        claim.due_ms, claim.hold = None, None
        if (rules.rescores(hold) or claim.score is None) and not self._scored(claim, at_ms):
            self._review(claim, UNSCORED)
            return False
        assert claim.score is not None
        outcome = rules.after(hold, claim, claim.score)
        if outcome.then == APPROVE:
            return True
        self._hold_or_review(claim, outcome, at_ms)
        return False

    def _outcome(self, claim: Claim, released: set[str], at_ms: int) -> Outcome:
        """The rules' outcome for a claim to decide; one once approved is not scored again for its top-up, and the
        rider's answer stands, with what the re-read after it said."""
        if claim.status == "approved" or claim.claim_id in released:
            return Outcome(APPROVE, None)
        if claim.confirmed and (claim.reread is None or claim.reread.outcome != "waits"):
            return Outcome(APPROVE, None) if claim.reread is None else outcome_of(claim.reread)
        if claim.confirmed is False:
            return Outcome(MANUAL_REVIEW, DENIED)
        if claim.score is None and not self._scored(claim, at_ms):
            return Outcome(MANUAL_REVIEW, UNSCORED)
        assert claim.score is not None
        return self._rules.of(claim).decision.first(claim, claim.score)

    def _hold_or_review(self, claim: Claim, outcome: Outcome, at_ms: int) -> None:
        """Puts the claim into a soft hold, a step-up verification or manual review."""
        if outcome.then == MANUAL_REVIEW:
            self._review(claim, outcome.reason, outcome.reasons)
            return
        hold = self._rules.of(claim).decision.holds[outcome.then]
        claim.status, claim.hold = hold.status, hold.name
        claim.reasons = outcome.reasons or reasons_of(claim, outcome.reason)
        self._timers.set(claim, at_ms + hold.wait_ms)
        if hold.answered is not None:
            claim.asked_until_ms = claim.due_ms

    def _review(self, claim: Claim, reason: str | None, reasons: tuple[str, ...] = ()) -> None:
        claim.status, claim.due_ms, claim.hold = "manual_review", None, None
        claim.reasons = reasons or reasons_of(claim, reason)

    # Payouts of the claims of one moment, or why they are held or refused.

    def _settle(self, to_decide: list[Claim], released: set[str], at_ms: int) -> None:
        paying: list[Claim] = []
        others: list[tuple[Claim, Outcome]] = []
        for claim in to_decide:
            outcome = self._outcome(claim, released, at_ms)
            if outcome.then == APPROVE:
                paying.append(claim)
            else:
                others.append((claim, outcome))
        for claim, award in self._awards(paying):
            self._pay(claim, award)
        for claim, outcome in others:
            ((_, would_be),) = self._awards([claim])
            if not would_be.instalment_paise:
                self._pay(claim, would_be)  # a hold would lead to no payout
                continue
            claim.applied = dict(would_be.applied)
            self._hold_or_review(claim, outcome, at_ms)

    def _awards(self, claims: Sequence[Claim]) -> list[tuple[Claim, Award]]:
        """What is to be paid now of each of some claims, with the supplements that are due to it."""
        add_supplements(claims, self._history)
        awards = settle(claims, self._history)
        return [(claim, awards[claim.claim_id]) for claim in claims]

    def _pay(self, claim: Claim, award: Award) -> None:
        claim.applied, claim.due_ms, claim.hold = dict(award.applied), None, None
        if award.instalment_paise:
            self._history.remove(claim)
            claim.paid_paise.append(award.instalment_paise)
            self._history.add(claim)
            claim.status = "approved"
            claim.reasons = claim.paid_reasons = () if award.reason is None else (award.reason,)
        elif not claim.paid_paise:
            claim.status, claim.reasons = "ineligible", (str(award.reason),)
        elif award.reason == "cap_reached":
            claim.reasons = claim.paid_reasons = ("cap_partial",)

    # Published records, and the state as data.

    def _publish(self, before: Mapping[str, PublishedView | None], at_ms: int) -> ClaimOutputs:
        claims: list[dict[str, Any]] = []
        payouts: list[dict[str, Any]] = []
        for name in sorted(before):
            claim, view = self._claims[name], before[name]
            if claim.status is None or view == PublishedView.of(claim):
                continue
            claim.revision += 1
            version = self._rules.of(claim)
            claims.append(claim_record(claim, version, self._product.name, self._model_version, at_ms))
            payouts += payout_records(claim, 0 if view is None else view.instalments, at_ms)
        return claims, payouts

    @property
    def claims(self) -> Collection[Claim]:
        """All claims."""
        return self._claims.values()

    @property
    def published_statuses(self) -> dict[str, str]:
        """The status of each claim with a published revision, by claim_id."""
        return {name: str(claim.status) for name, claim in self._claims.items() if claim.revision >= 0}

    @property
    def starts_ms(self) -> dict[str, int]:
        """When the disruptions of its claims began, by disruption_id."""
        return {claim.update.disruption_id: claim.update.start_ms for claim in self._claims.values()}

    def take_changed(self) -> list[Claim]:
        """The claims that may have changed since the last call; `resume` restores a machine from all of them."""
        changed = [self._claims[name] for name in sorted(self._changed)]
        self._changed.clear()
        return changed

    def resume(self, claims: Iterable[Claim]) -> None:
        """Restores the machine from all claims of a rider."""
        self._reset(claims)

    def expire(self, before_ms: int) -> set[str]:
        """Drops settled claims whose disruption ended, and was last revised, before a moment; returns their claim_ids.

        A claim stays while a later one may depend on it: their disruptions overlap, or they share a cap's period or a
        rule "once per ...".
        """
        old = {name for name, claim in self._claims.items() if claim.is_over(before_ms)}
        young = [claim for name, claim in self._claims.items() if name not in old]
        gone = {
            name for name in old if not any(self._history.may_interact(self._claims[name], claim) for claim in young)
        }
        if gone:
            self._reset([claim for name, claim in self._claims.items() if name not in gone])
        return gone
