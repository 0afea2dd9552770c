"""A product compiled for adjudication: every version's formulas and rules, by name.

Interpretations of the specification: docs/interpretations.md#claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache, partial
from typing import Any

from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.decision import DecisionRules
from monsoon.transforms.adjudication.payout import CACHE_SIZE, Amount, PayoutCalculator, paise_by, policy_input
from monsoon.transforms.calendar import clock_hour, iso_week, local_day
from monsoon.transforms.product import Product
from monsoon.transforms.product.terms import OnceBy, Per

Period = tuple[str, Any]
"""A cap's `per`, and the day, the week, or the policy and when its period began."""

OnceKey = tuple[Any, ...]
"""Of claims with the same key only one may be paid."""


class VersionRules:
    """One version of a product."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.decision = DecisionRules(product)
        self.payout_calculators = {trigger.name: PayoutCalculator(product, trigger) for trigger in product.triggers}
        self.supplements = {each.name: each for trigger in product.triggers for each in trigger.supplements}
        self._limits = [
            (cap.per, Amount(cap.limit.names, partial(policy_input, product), paise_by(cap.limit)))
            for cap in product.caps
        ]
        self._once_keys = lru_cache(maxsize=CACHE_SIZE)(partial(_once_keys, product.once))

    def limits_paise(self, claim: Claim) -> list[tuple[Per, int]]:
        """The claim's caps, in the order of the product file."""
        return [(per, limit.paise(claim)) for per, limit in self._limits]

    def once_keys(self, claim: Claim) -> tuple[OnceKey, ...]:
        """The keys of which only one claim of a rider may be paid, one for each rule "once per ..."."""
        update = claim.update
        return self._once_keys(update.peril, update.start_ms, update.confirmed_at_ms)


class ProductRules:
    """All versions of a product."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self._only = None if product.earlier else VersionRules(product)
        self._versions = {} if self._only else {each.from_ms: VersionRules(each) for each in product.versions}
        self.versions = tuple(self._versions.values()) if self._only is None else (self._only,)

    def of(self, claim: Claim) -> VersionRules:
        """The version that decides a claim: the one in force when its disruption began."""
        return self._only or self._versions[self.product.at(claim.update.start_ms).from_ms]

    @cached_property
    def pers(self) -> Sequence[Per]:
        """The periods of all versions' caps and supplements."""
        found: set[Per] = set()
        for version in self.product.versions:
            found.update(cap.per for cap in version.caps)
        return sorted(found)


def period_of(per: Per, claim: Claim) -> Period:
    """The period of a kind to which a claim belongs."""
    if per == "coverage_period":
        return per, (claim.terms.policy_id, claim.terms.period_start_ms)
    start_ms = claim.update.start_ms
    return per, local_day(start_ms) if per == "local_day" else iso_week(start_ms)


def _once_keys(
    once: Sequence[tuple[OnceBy, ...]], peril: str, start_ms: int, confirmed_at_ms: int
) -> tuple[OnceKey, ...]:
    values = {
        "peril": peril,
        "local_day_of_start": local_day(start_ms),
        "clock_hour_of_confirmation": clock_hour(confirmed_at_ms),
    }
    return tuple((by, *(values[each] for each in by)) for by in once)


@lru_cache(maxsize=64)
def rules_of(product: Product) -> ProductRules:
    """The rules of a product, made once: the machines of all riders share them."""
    return ProductRules(product)
