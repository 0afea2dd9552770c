"""Decision rules over a claim's scores and evidence, and the guard beside them: the stricter of both counts. Missing
evidence counts neither way; a score on too few signals leads to nothing stricter than a soft hold.

Interpretations of the specification: docs/interpretations.md#the-guard.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from monsoon.transforms.adjudication.claims import Claim, ClaimScore, strong_signals
from monsoon.transforms.adjudication.facts import CLAIM_FACTS
from monsoon.transforms.adjudication.linked import RING_HELD
from monsoon.transforms.adjudication.payout import activity_of
from monsoon.transforms.evidence.limits import MAX_WAGE_RATIO
from monsoon.transforms.guard.verdicts import PASS, REVIEW, VERIFY, VERIFY_WAIT_MS, Verdict, verdict_of
from monsoon.transforms.product import Hold, Product, Rule
from monsoon.transforms.product.old_names import HOLDS

APPROVE, MANUAL_REVIEW = "approve", "manual_review"
UNSCORED = "score_missing"
"""Reason of a claim in manual review because no score arrived. No rule's reason, and nothing against the rider."""

UNANSWERED = "step_up_unanswered"
"""Reason of a claim whose rider was asked and did not answer in time."""

WAGE = "stated_wage_ratio"
"""Feature, measured where a stated wage decides the payout, and reason of a claim with more than MAX_WAGE_RATIO."""
VERIFICATION = Hold(
    name="guard:verify",
    status="step_up",
    wait_ms=VERIFY_WAIT_MS,
    then=(Rule(MANUAL_REVIEW, reason=UNANSWERED, certain=True),),
    answered=APPROVE,
)
"""The hold of a claim that the guard verifies, in every product. No hold of a product file can have its name."""

_STRICTNESS = {"soft_hold": 1, "step_up": 2}


class Outcome(NamedTuple):
    """`then`: approve, manual_review or the name of a hold; `reason`: the rule's own, if it names one; `reasons`: all
    of them, where the guard decides."""

    then: str
    reason: str | None
    reasons: tuple[str, ...] = ()


class DecisionRules:
    """The rules of one version of a product."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._decision = product.decision
        self.holds = {**product.decision.holds, VERIFICATION.name: VERIFICATION}
        soft = (hold.name for hold in product.decision.holds.values() if hold.status == "soft_hold")
        self.first_soft_hold: str | None = next(soft, None)
        self._scored = {name: any(rule.when is not None for rule in hold.then) for name, hold in self.holds.items()}

    def first(self, claim: Claim, score: ClaimScore) -> Outcome:
        """The outcome of a claim's first score, the guard's included."""
        rule = self._applying(self._decision.first, claim, score)
        if self._exceeds_evidence(rule, score):
            return self._guarded(Outcome(self.first_soft_hold or APPROVE, rule.reason), claim, score)
        return self._guarded(Outcome(rule.then, rule.reason), claim, score)

    def after(self, hold: str, claim: Claim, score: ClaimScore) -> Outcome:
        """The outcome of a hold that has run out without an answer, the guard's included."""
        if hold == VERIFICATION.name:
            return Outcome(MANUAL_REVIEW, None, (UNANSWERED, *strong_signals(score.guard)))
        rule = self._applying(self.holds[hold].then, claim, score)
        if self._exceeds_evidence(rule, score):
            return self._guarded(Outcome(APPROVE, None), claim, score)
        return self._guarded(Outcome(rule.then, rule.reason), claim, score)

    def _guarded(self, own: Outcome, claim: Claim, score: ClaimScore) -> Outcome:
        """The stricter of what the product's rules, the guard and a stated wage say; where a person looks at a claim
        anyway, the wage is one more reason."""
        outcome = self._with_guard(own, claim, score)
        if (score.features.get(WAGE) or 0.0) <= MAX_WAGE_RATIO:
            return outcome
        if outcome.then != MANUAL_REVIEW:
            return Outcome(MANUAL_REVIEW, None, (WAGE,))
        if outcome.reasons:
            return outcome._replace(reasons=(*outcome.reasons, WAGE))
        own_reason = () if outcome.reason is None else (outcome.reason,)
        return Outcome(MANUAL_REVIEW, None, (*own_reason, WAGE, *score.weightiest))

    def _with_guard(self, own: Outcome, claim: Claim, score: ClaimScore) -> Outcome:
        """The stricter of what the product's rules and the guard say to a claim: approval, a soft hold, a step-up,
        manual review. A step-up of both is the guard's verification; where both say the same, the guard's reasons come
        before the rule's own."""
        verdict = verdict_of(strong_signals(score.guard))
        if verdict.action == PASS and claim.ring_held:
            verdict = Verdict(VERIFY, (RING_HELD,))
        if verdict.action == PASS:
            return own
        guard = Outcome(MANUAL_REVIEW if verdict.action == REVIEW else VERIFICATION.name, None, verdict.reasons)
        lead = self._strictness(guard) - self._strictness(own)
        if lead < 0:
            return own
        return guard if lead or own.reason is None else guard._replace(reasons=(*guard.reasons, own.reason))

    def _strictness(self, outcome: Outcome) -> int:
        if outcome.then == APPROVE:
            return 0
        return 3 if outcome.then == MANUAL_REVIEW else _STRICTNESS[self.holds[outcome.then].status]

    def rescores(self, hold: str) -> bool:
        """Whether a hold's rules use a new score when it has run out."""
        return self._scored[hold]

    def hold_of(self, claim: Claim) -> Hold:
        """The hold of a claim; state of earlier releases has it under an old name, or without a name: then the first of
        the claim's status."""
        if claim.hold is not None:
            return self.holds.get(claim.hold) or self.holds[HOLDS[claim.hold]]
        return next(hold for hold in self.holds.values() if hold.status == claim.status)

    @cached_property
    def rescore_delays_ms(self) -> frozenset[int]:
        """The delays from its first score after which a claim may be scored again: a hold that it can have reached by
        then runs out and uses a new score."""
        return frozenset(until_ms for name, until_ms in self._hold_ends if self._scored[name])

    @cached_property
    def asking_delays_ms(self) -> frozenset[int]:
        """The delays from its first score after which its rider may be asked: none, and where a hold runs out that uses
        a new score or leads to a step-up."""
        steps_up = {name for name, hold in self.holds.items() if hold.answered is not None}
        asks = {name for name, hold in self.holds.items() if steps_up.intersection(rule.then for rule in hold.then)}
        return frozenset((0, *(until_ms for name, until_ms in self._hold_ends if self._scored[name] or name in asks)))

    @cached_property
    def answer_waits_ms(self) -> frozenset[int]:
        """How long a rider's answer may be waited for."""
        return frozenset(hold.wait_ms for hold in self.holds.values() if hold.answered is not None)

    @cached_property
    def _hold_ends(self) -> frozenset[tuple[str, int]]:
        """The holds that a claim can reach, each with the delays from its first score after which it runs out."""
        roots = {rule.then for rule in self._decision.first}
        if self.first_soft_hold is not None:
            roots.add(self.first_soft_hold)
        found: set[tuple[str, int]] = set()
        ahead = [(name, 0) for name in roots if name in self.holds]
        seen = set(ahead)
        while ahead:
            name, since_ms = ahead.pop()
            hold, until_ms = self.holds[name], since_ms + self.holds[name].wait_ms
            found.add((name, until_ms))
            steps = {(rule.then, until_ms) for rule in hold.then if rule.then in self.holds} - seen
            ahead.extend(steps)
            seen |= steps
        return frozenset(found)

    def _applying(self, rules: Sequence[Rule], claim: Claim, score: ClaimScore) -> Rule:
        inputs = RuleInputs(self._product, claim, score)
        for rule in rules:
            if rule.when is None or rule.when.value(inputs):
                return rule
        raise AssertionError("the last rule holds always")

    def _exceeds_evidence(self, rule: Rule, score: ClaimScore) -> bool:
        """Whether it is stricter than a soft hold, and rests on fewer signals than that requires."""
        if rule.certain or score.signals >= self._decision.signals_for_stricter or rule.then == APPROVE:
            return False
        return rule.then == MANUAL_REVIEW or self.holds[rule.then].status != "soft_hold"


class RuleInputs(dict[str, Any]):
    """The inputs of rules: scores, features, and facts, which are computed when a rule uses them."""

    __slots__ = ("_claim", "_product", "_score")

    def __init__(self, product: Product, claim: Claim, score: ClaimScore) -> None:
        super().__init__(score.features)
        self["anomaly"], self["trust"], self["signals"] = score.risk, score.trust, score.signals
        self._product, self._claim, self._score = product, claim, score

    def __missing__(self, name: str) -> Any:
        fact = CLAIM_FACTS.get(name)
        if fact is not None:
            claim = self._claim
            value = fact(self._product, claim.update, claim.terms, activity_of(claim))
        else:
            value = self._score.facts.get(name)
        self[name] = value
        return value
