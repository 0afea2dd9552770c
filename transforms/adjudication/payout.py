"""Gross payouts before overlap and caps: the formulas of a product over the inputs of policy, disruption and telemetry.

The same inputs occur by the thousand, so every amount is cached by its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from monsoon.transforms.adjudication.claims import ActivityResult, Claim, DisruptionUpdate, PolicyTerms
from monsoon.transforms.adjudication.money import paise_of
from monsoon.transforms.expressions import Expression
from monsoon.transforms.product import Product
from monsoon.transforms.product.terms import HOUR_MS, Level, Trigger

_HOURS_A_DAY = 8
"""Of work, for the hourly wage."""

CACHE_SIZE = 4096
"""Amounts cached per formula."""


class Amount:
    """One formula for an amount of money, by its inputs."""

    def __init__(self, formula: Expression) -> None:
        self.formula = formula
        self.names = tuple(sorted(formula.names))
        self._known: dict[tuple[Any, ...], int] = {}

    def paise(self, inputs: Mapping[str, Any]) -> int:
        """0 where an input is not measured or the formula divides by zero."""
        names = self.names
        key = tuple([inputs[name] for name in names])
        known = self._known.get(key)
        if known is None:
            value = self.formula.value(inputs)
            known = paise_of(Fraction(value)) if value is not None else 0
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[key] = known
        return known


class PayoutCalculator:
    """The gross amounts of claims on one trigger of one version of a product."""

    def __init__(self, product: Product, trigger: Trigger) -> None:
        self._product, self.trigger = product, trigger
        self.by_duration = trigger.pays_by_duration
        self._amounts = {level.name: Amount(level.pays) for level in trigger.levels}
        self._supplements = [
            (each, Amount(each.amount), each.when.names | each.amount.names) for each in trigger.supplements
        ]

    def level(self, update: DisruptionUpdate) -> Level:
        """The level that a disruption has reached."""
        return next(level for level in self.trigger.levels if level.name == update.level)

    def gross_paise(self, claim: Claim) -> int | None:
        """The gross amount without supplements; None: not known yet, because it depends on the end of the disruption or
        an activity test."""
        if self.by_duration and self.absent_since_ms(claim.update) is None:
            return None
        if self.trigger.activity is not None and activity_of(claim) is None:
            return None
        amount = self._amounts[claim.update.level]
        return amount.paise(self._inputs(claim, amount.names))

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
        plan = self._product.plan_of(claim.terms.plan)
        found: dict[str, int | None] = {}
        for each, amount, names in self._supplements:
            if plan is None or plan[0].name not in each.plans:
                continue
            inputs = self._inputs(claim, tuple(names)) if claim.update.end_ms is not None else {}
            if not inputs or any(value is None for value in inputs.values()):
                found[each.name] = None
            else:
                found[each.name] = amount.paise(inputs) if each.when.value(inputs) else 0
        return found

    def arithmetic(self, claim: Claim) -> dict[str, Any]:
        """The formula and its inputs, for the record."""
        amount = self._amounts[claim.update.level]
        inputs = self._inputs(claim, amount.names)
        return {
            "formula": amount.formula.text,
            "inputs": {name: None if inputs[name] is None else float(inputs[name]) for name in amount.names},
        }

    def _inputs(self, claim: Claim, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: self._input(claim, name) for name in names}

    def _input(self, claim: Claim, name: str) -> Any:
        """One input of a payout formula, in the unit that `monsoon.transforms.product.inputs` declares."""
        terms, update = claim.terms, claim.update
        if name == "disrupted_hours":
            absent_ms = self.absent_since_ms(update)
            return None if absent_ms is None else Fraction(absent_ms - update.start_ms, HOUR_MS)
        if name in _WEEK_INPUTS:
            return _fraction(values_of(claim, "work").get(name))
        if name == self.trigger.metric:
            activity = values_of(claim, "activity")
            return activity.get("rain") if self.trigger.activity is not None else update.severity
        if name == "sigma":
            return _fraction(values_of(claim, "activity").get("sigma"))
        return policy_input(self._product, terms, name)


_WEEK_INPUTS = ("orders_so_far", "hours_so_far")

_LARGEST_DENOMINATOR = 1_000_000
"""Of hours in whole minutes, or of a quotient of decimals with three places; far below what a double tells apart."""


def _fraction(value: float | None) -> Fraction | None:
    """A measured double as the fraction it approximates: 33 h 20 min are 100/3 h, and 100 orders in them are a pace for
    exactly 120 in 40 h, where the double would give a little less."""
    return None if value is None else Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)


def policy_input(product: Product, terms: PolicyTerms, name: str) -> Any:
    """An amount that the policy or its plan states; None where the version of the product has no such plan."""
    stated = _POLICY_INPUTS.get(name)
    if stated is not None:
        return stated(terms)
    plan = product.plan_of(terms.plan)
    return None if plan is None else plan[0].terms[name]


@lru_cache(maxsize=CACHE_SIZE)
def _hourly_wage(daily_wage_inr: float) -> Fraction:
    return Fraction(Decimal(repr(daily_wage_inr))) / _HOURS_A_DAY


_POLICY_INPUTS = {
    "daily_wage": lambda terms: terms.daily_wage_inr,
    "hourly_wage": lambda terms: _hourly_wage(terms.daily_wage_inr),
    "shift_earnings": lambda terms: (
        terms.daily_wage_inr if terms.shift_baseline_inr is None else terms.shift_baseline_inr
    ),
    "slab_orders": lambda terms: terms.slab_orders,
    "planned_hours": lambda terms: terms.planned_hours_week,
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
