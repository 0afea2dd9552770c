"""Decision rules over a claim's scores and evidence. Missing evidence counts neither way; a score on too few signals
leads to nothing stricter than a soft hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from monsoon.transforms.adjudication.claims import Claim, ClaimScore
from monsoon.transforms.adjudication.facts import CLAIM_FACTS
from monsoon.transforms.adjudication.payout import activity_of
from monsoon.transforms.product import Hold, Product, Rule
from monsoon.transforms.product.old_names import HOLDS

APPROVE, MANUAL_REVIEW = "approve", "manual_review"
UNSCORED = "score_missing"
"""Reason of a claim in manual review because no score arrived. No rule's reason, and nothing against the rider."""


class Outcome(NamedTuple):
    """`then`: approve, manual_review or the name of a hold; `reason`: the rule's own, if it names one."""

    then: str
    reason: str | None


class DecisionRules:
    """The rules of one version of a product."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._decision = product.decision
        self.holds = product.decision.holds
        soft = (hold.name for hold in self.holds.values() if hold.status == "soft_hold")
        self.first_soft_hold: str | None = next(soft, None)
        self._scored = {name: any(rule.when is not None for rule in hold.then) for name, hold in self.holds.items()}

    def first(self, claim: Claim, score: ClaimScore) -> Outcome:
        """The outcome of a claim's first score."""
        rule = self._applying(self._decision.first, claim, score)
        if self._exceeds_evidence(rule, score):
            return Outcome(self.first_soft_hold or APPROVE, rule.reason)
        return Outcome(rule.then, rule.reason)

    def after(self, hold: str, claim: Claim, score: ClaimScore) -> Outcome:
        """The outcome of a hold that has run out."""
        rule = self._applying(self.holds[hold].then, claim, score)
        if self._exceeds_evidence(rule, score):
            return Outcome(APPROVE, None)
        return Outcome(rule.then, rule.reason)

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
        roots = {rule.then for rule in self._decision.first}
        if self.first_soft_hold is not None:
            roots.add(self.first_soft_hold)
        found: set[int] = set()
        ahead = [(name, 0) for name in roots if name in self.holds]
        seen = set(ahead)
        while ahead:
            name, since_ms = ahead.pop()
            hold, until_ms = self.holds[name], since_ms + self.holds[name].wait_ms
            if self._scored[name]:
                found.add(until_ms)
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
