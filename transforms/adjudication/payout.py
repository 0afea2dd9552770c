"""Gross payouts before overlap and caps: the formulas of a product over the inputs of policy, disruption and telemetry.

The same inputs occur by the thousand, so every amount is cached by its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from monsoon.transforms.adjudication.claims import ActivityResult, Claim, DisruptionUpdate
from monsoon.transforms.adjudication.money import paise_of
from monsoon.transforms.expressions import Expression
from monsoon.transforms.product import Product
from monsoon.transforms.product.terms import HOUR_MS, Supplement, Trigger

_HOURS_A_DAY = 8
"""Of work, for the hourly wage."""

CACHE_SIZE = 4096
"""Amounts cached per formula."""


class Input(NamedTuple):
    """One input of a payout formula: `stated` reads it from a claim (None: not known), `exact` makes it the number in
    the unit that `monsoon.transforms.product.inputs` declares."""

    stated: Callable[[Claim], Any]
    exact: Callable[[Any], Any] | None = None

    def value(self, claim: Claim) -> Any:
        """The exact number; None: not known."""
        return self.of(self.stated(claim))

    def of(self, stated: Any) -> Any:
        """The exact number of what was stated."""
        return stated if stated is None or self.exact is None else self.exact(stated)


InputSource = Callable[[str], Input]
"""Finds an input by its name."""


Paise = TypeVar("Paise", int, int | None)


class Amount(Generic[Paise]):
    """An amount of money that depends on named inputs of claims, cached by these. `compute` takes their exact numbers
    by name."""

    def __init__(
        self, names: Iterable[str], source: InputSource, compute: Callable[[Mapping[str, Any]], Paise]
    ) -> None:
        self.inputs = {name: source(name) for name in sorted(names)}
        self._stated = tuple(each.stated for each in self.inputs.values())
        self._compute: Callable[[Mapping[str, Any]], Paise] = compute
        self._known: dict[tuple[Any, ...], Paise] = {}

    def paise(self, claim: Claim) -> Paise:
        """The amount of a claim."""
        key = tuple([stated(claim) for stated in self._stated])
        if key in self._known:
            return self._known[key]
        if len(self._known) >= CACHE_SIZE:
            self._known.clear()
        exact = {name: each.of(stated) for (name, each), stated in zip(self.inputs.items(), key, strict=True)}
        paise = self._known[key] = self._compute(exact)
        return paise


def paise_by(formula: Expression) -> Callable[[Mapping[str, Any]], int]:
    """A formula's amount by its inputs: 0 where an input is not measured or the formula divides by zero."""

    def paise(inputs: Mapping[str, Any]) -> int:
        value = formula.value(inputs)
        return 0 if value is None else paise_of(Fraction(value))

    return paise


class PayoutCalculator:
    """The gross amounts of claims on one trigger of one version of a product."""

    def __init__(self, product: Product, trigger: Trigger) -> None:
        self._product, self.trigger = product, trigger
        self.by_duration = trigger.pays_by_duration
        self._amounts = {
            level.name: Amount(level.pays.names, self._input, paise_by(level.pays)) for level in trigger.levels
        }
        self._formulas = {level.name: level.pays.text for level in trigger.levels}
        self._supplements = [
            (each, Amount(each.when.names | each.amount.names, self._input, _supplement_paise(each)))
            for each in trigger.supplements
        ]

    def gross_paise(self, claim: Claim) -> int | None:
        """The gross amount without supplements, of a claim that has its activity result if it needs one; None: not
        known yet, because it depends on the end of the disruption."""
        if self.by_duration and self.absent_since_ms(claim.update) is None:
            return None
        return self._amounts[claim.update.level].paise(claim)

    def absent_since_ms(self, update: DisruptionUpdate) -> int | None:
        """When a disruption that has ended had ceased; None while it has not ended."""
        if update.end_ms is None:
            return None
        if update.absent_since_ms is not None:
            return update.absent_since_ms
        return update.end_ms - self.trigger.clear_after_ms

    def supplements(self, claim: Claim) -> dict[str, int | None]:
        """Each further instalment of the claim's plan in paise (0: its condition does not hold), by name; None: not
        known, because the disruption has not ended or an input was not stated."""
        if not self._supplements:
            return {}
        plan = self._product.plan_of(claim.terms.plan)
        if plan is None:
            return {}
        ended = claim.update.end_ms is not None
        return {
            each.name: amount.paise(claim) if ended and amount.inputs else None
            for each, amount in self._supplements
            if plan[0].name in each.plans
        }

    def arithmetic(self, claim: Claim) -> dict[str, Any]:
        """The formula and its inputs, for the record."""
        level = claim.update.level
        inputs = {name: each.value(claim) for name, each in self._amounts[level].inputs.items()}
        return {
            "formula": self._formulas[level],
            "inputs": {name: None if value is None else float(value) for name, value in inputs.items()},
        }

    def _input(self, name: str) -> Input:
        if name == "disrupted_hours":
            return Input(self._disrupted_ms, _hours)
        if name in _WEEK_INPUTS:
            return Input(lambda claim: values_of(claim, "work").get(name), _fraction)
        if name == self.trigger.metric:
            if self.trigger.activity is not None:
                return Input(lambda claim: values_of(claim, "activity").get("rain"))
            return Input(lambda claim: claim.update.severity)
        if name == "sigma":
            return Input(lambda claim: values_of(claim, "activity").get("sigma"), _fraction)
        return policy_input(self._product, name)

    def _disrupted_ms(self, claim: Claim) -> int | None:
        absent_ms = self.absent_since_ms(claim.update)
        return None if absent_ms is None else absent_ms - claim.update.start_ms


def _supplement_paise(supplement: Supplement) -> Callable[[Mapping[str, Any]], int | None]:
    amount_paise = paise_by(supplement.amount)

    def paise(inputs: Mapping[str, Any]) -> int | None:
        if any(value is None for value in inputs.values()):
            return None
        return amount_paise(inputs) if supplement.when.value(inputs) else 0

    return paise


_WEEK_INPUTS = ("orders_so_far", "hours_so_far")

_LARGEST_DENOMINATOR = 1_000_000
"""Of hours in whole minutes, or of a quotient of decimals with three places; far below what a double tells apart."""


@lru_cache(maxsize=CACHE_SIZE)
def _fraction(value: float) -> Fraction:
    """A measured double as the fraction it approximates: 33 h 20 min are 100/3 h, and 100 orders in them are a pace for
    exactly 120 in 40 h, where the double would give a little less."""
    return Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)


@lru_cache(maxsize=CACHE_SIZE)
def _hours(ms: int) -> Fraction:
    return Fraction(ms, HOUR_MS)


@lru_cache(maxsize=CACHE_SIZE)
def _hourly_wage(daily_wage_inr: float) -> Fraction:
    return Fraction(Decimal(repr(daily_wage_inr))) / _HOURS_A_DAY


def policy_input(product: Product, name: str) -> Input:
    """An amount that the policy or its plan states; None where the version of the product has no such plan."""

    @lru_cache(maxsize=CACHE_SIZE)
    def plan_term(text: str) -> Any:
        plan = product.plan_of(text)
        return None if plan is None else plan[0].terms[name]

    return _POLICY_INPUTS.get(name) or Input(lambda claim: claim.terms.plan, plan_term)


def _shift_earnings(claim: Claim) -> float:
    terms = claim.terms
    return terms.daily_wage_inr if terms.shift_baseline_inr is None else terms.shift_baseline_inr


_POLICY_INPUTS = {
    "daily_wage": Input(lambda claim: claim.terms.daily_wage_inr),
    "hourly_wage": Input(lambda claim: claim.terms.daily_wage_inr, _hourly_wage),
    "shift_earnings": Input(_shift_earnings),
    "slab_orders": Input(lambda claim: claim.terms.slab_orders),
    "planned_hours": Input(lambda claim: claim.terms.planned_hours_week),
}


def activity_result_of(claim: Claim, kind: str) -> ActivityResult | None:
    """The claim's activity result of a kind, for the present confirmation of its disruption."""
    return claim.activity_results.get(f"{kind}/{claim.update.confirmed_at_ms}") if claim.activity_results else None


def activity_of(claim: Claim) -> ActivityResult | None:
    """The result of the claim's activity test, if there is one yet."""
    return activity_result_of(claim, "activity")


def values_of(claim: Claim, kind: str) -> Mapping[str, float | None]:
    """The values of an activity result; empty without one."""
    activity_result = activity_result_of(claim, kind)
    return {} if activity_result is None else activity_result.values
