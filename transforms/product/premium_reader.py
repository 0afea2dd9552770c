"""Reads the section `premium` of a product file into checked terms: what only the whole section shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import EllipsisType
from typing import Any

from msgspec import UNSET

from monsoon.transforms.documents import Path, did_you_mean, quoted
from monsoon.transforms.expressions import Expression, ExpressionError, Unit
from monsoon.transforms.product.faults import FaultCollector
from monsoon.transforms.product.formulas import FormulaReader
from monsoon.transforms.product.premium_document import PremiumInputSection, PremiumSection
from monsoon.transforms.product.premium_terms import (
    MAX_PREMIUM_INR,
    PREVIOUS_PREMIUM,
    RESERVED_LINES,
    SUBTOTAL,
    PremiumInput,
    PremiumLine,
    PremiumTerms,
)
from monsoon.transforms.product.quantities import amount, share

_RUPEES, _HOURS = Unit.parse("INR"), Unit.parse("h")


@dataclass(frozen=True)
class PlanAmounts:
    """What premiums know of a plan: its price and hours, None where the file states none."""

    price_inr: float | None
    hours: float | None


class PremiumReader:
    """Reads the section `premium` of a file of the right shape; faults go to the collector."""

    def __init__(
        self, section: PremiumSection, plans: Mapping[str, PlanAmounts], formulas: FormulaReader, report: FaultCollector
    ) -> None:
        self._section, self._plans, self._formulas, self._report = section, plans, formulas, report
        self._known: dict[str, Unit | None] = {}
        self._plan_terms = {name: self._stated_of(plan) for name, plan in plans.items()}

    def terms(self) -> PremiumTerms | None:
        """The checked terms; None where there is a fault."""
        section, before = self._section, len(self._report.faults)
        self._read_plan_terms()
        plan_names = dict(self._known)
        inputs = {name: self._input(name, each) for name, each in section.inputs.items()}
        factors = {name: self._factor(name, text) for name, text in section.factors.items()}
        lines = self._lines()
        unit_paise = 100 if section.rounding == "rupee" else 1
        min_paise = self._limits("min", section.min, plan_names, unit_paise, up=True)
        max_paise = self._limits("max", section.max, plan_names, unit_paise, up=False)
        max_change = self._max_change(inputs)
        bonus = None
        if section.bonus_cover is not UNSET:
            bonus = self._formulas.formula(section.bonus_cover, self._known, _HOURS, ("premium", "bonus_cover"))
        for plan in min_paise if len(self._report.faults) == before else ():
            if min_paise[plan] > max_paise[plan]:
                problem = f"of the plan {plan} the largest premium is below the smallest"
                self._report.add(("premium", "max"), problem)
        if len(self._report.faults) > before:
            return None
        return PremiumTerms(
            inputs=inputs,
            plan_terms=self._plan_terms,
            factors=factors,
            lines=lines,
            unit_paise=unit_paise,
            min_paise=min_paise,
            max_paise=max_paise,
            max_change=max_change,
            bonus_cover=bonus,
        )

    @staticmethod
    def _stated_of(plan: PlanAmounts) -> dict[str, float]:
        return {name: value for name, value in (("plan_price", plan.price_inr), ("plan_hours", plan.hours)) if value}

    def _read_plan_terms(self) -> None:
        """What formulas know of plans: price and hours, where every plan states them, and the section's own amounts."""
        for name, unit in (("plan_price", _RUPEES), ("plan_hours", _HOURS)):
            if all(name in terms for terms in self._plan_terms.values()):
                self._known[name] = unit
        section = self._section.plans
        units: dict[str, Unit] = {}
        for plan, terms in section.items():
            if not self._report.known(("premium", "plans", plan), plan, self._plans, "plan"):
                continue
            for term, value in terms.items():
                path: Path = ("premium", "plans", plan, term)
                found = self._report.attempt(path, amount, value)
                if found is None:
                    continue
                if units.setdefault(term, found[1]) != found[1]:
                    self._report.add(path, f"{quoted(value)} is in {found[1]}; {units[term]}, as in other plans")
                self._plan_terms[plan][term] = found[0]
        for term in units:
            for plan in self._plans:
                if term not in self._plan_terms[plan]:
                    problem = f'the plan {plan} has no "{term}"; every plan has the same amounts'
                    self._report.add(("premium", "plans"), problem)
        for term, unit in units.items():
            self._take(term, unit, ("premium", "plans"))

    def _take(self, name: str, unit: Unit | None, path: Path) -> None:
        """Makes a name known to the formulas that follow."""
        if name in self._known or name in (SUBTOTAL, *RESERVED_LINES):
            self._report.add(path, f"{quoted(name)} is taken already; give it another name")
        try:
            Expression.parse("1", {name: unit})
        except ExpressionError as error:
            self._report.add(path, str(error))
        else:
            self._known[name] = unit

    def _input(self, name: str, section: PremiumInputSection) -> PremiumInput:
        path: Path = ("premium", "inputs", name)
        choices, unit = self._choices(section, path), Unit()
        if choices is not None:
            numbers, unit = choices
            low, high = min(numbers.values(), default=0.0), max(numbers.values(), default=0.0)
        else:
            numbers = None
            unit = self._report.attempt((*path, "unit"), Unit.parse, section.unit) or Unit()
            assert section.min is not UNSET
            assert section.max is not UNSET
            low, high = section.min, section.max
            if low > high:
                self._report.add((*path, "max"), f"{high:g} is below {low:g}, the least")
        if section.optional and section.default is not UNSET:
            self._report.add((*path, "optional"), "it has a default, so that no rider is without it")
        self._take(name, unit, path)
        default = self._default(section, numbers, (low, high), path)
        return PremiumInput(name, section.meaning, str(unit), low, high, numbers, default, section.optional)

    def _choices(self, section: PremiumInputSection, path: Path) -> tuple[dict[str, float], Unit] | None:
        if section.choices is UNSET:
            return None
        numbers: dict[str, float] = {}
        unit: Unit | None = None
        for choice, value in section.choices.items():
            found = self._report.attempt((*path, "choices", choice), amount, value)
            if found is None:
                continue
            unit = found[1] if unit is None else unit
            if found[1] != unit:
                problem = f"{quoted(value)} is in {found[1]}; {unit}, as of other choices, is wanted here"
                self._report.add((*path, "choices", choice), problem)
            numbers[choice] = found[0]
        return numbers, unit or Unit()

    def _default(
        self,
        section: PremiumInputSection,
        choices: Mapping[str, float] | None,
        limits: tuple[float, float],
        path: Path,
    ) -> float | None:
        value, path = section.default, (*path, "default")
        if value is UNSET:
            return None
        if choices is not None:
            if not isinstance(value, str) or not self._report.known(path, value, choices, "choice"):
                if not isinstance(value, str):
                    self._report.add(path, f"{quoted(value)} is none of {', '.join(choices)}")
                return None
            return choices[value]
        if isinstance(value, str) or not limits[0] <= value <= limits[1]:
            self._report.add(path, f"{quoted(value)} is no number from {limits[0]:g} to {limits[1]:g}")
            return None
        return float(value)

    def _factor(self, name: str, text: str) -> Any:
        path: Path = ("premium", "factors", name)
        found = self._any(text, ..., path)
        self._take(name, Unit() if found is None else found.unit, path)
        return found

    def _any(self, text: str, result: Unit | EllipsisType | None, path: Path) -> Any:
        """A formula over what is known so far; `...`: of any unit."""
        if result is not ...:
            return self._formulas.formula(text, self._known, result, path)
        try:
            return Expression.parse(text, self._known)
        except ExpressionError as error:
            self._report.add(path, f"{quoted(text)}: {error}")
            return None

    def _lines(self) -> tuple[PremiumLine, ...]:
        lines = []
        for index, section in enumerate(self._section.lines):
            path: Path = ("premium", "lines", index)
            if index == 1:
                self._known[SUBTOTAL] = _RUPEES
            amount_inr = self._any(section.amount, _RUPEES, (*path, "amount"))
            when = None if section.when is UNSET else self._any(section.when, None, (*path, "when"))
            if index == 0 and amount_inr is not None:
                self._base_needs_no_optional(amount_inr, (*path, "amount"))
            if amount_inr is not None and not amount_inr.names:
                self._size(Fraction(amount_inr.value({})), (*path, "amount"))
            lines.append(PremiumLine(section.name, amount_inr, when))
            self._take(section.name, _RUPEES, (*path, "name"))
        return tuple(lines)

    def _base_needs_no_optional(self, base: Expression, path: Path) -> None:
        optional = [name for name in sorted(base.names) if self._is_optional(name)]
        if optional:
            problem = f"the first line depends on {optional[0]}, which is optional: riders without it would pay nothing"
            self._report.add(path, problem)

    def _is_optional(self, name: str) -> bool:
        section = self._section.inputs.get(name)
        return section is not None and section.optional

    def _size(self, value: Fraction, path: Path) -> None:
        if abs(value) > MAX_PREMIUM_INR:
            self._report.add(path, f"Rs {float(value):,.0f} is more than Rs {MAX_PREMIUM_INR:,}, the most")

    def _limits(
        self, field: str, text: str, known: Mapping[str, Unit | None], unit_paise: int, *, up: bool
    ) -> dict[str, int]:
        """The limit of each plan in paise, rounded into the range to a whole unit."""
        path: Path = ("premium", field)
        try:
            found = Expression.parse(text, known, _RUPEES)
        except ExpressionError as error:
            self._report.add(path, f"{quoted(text)}: {error} (a limit depends on the plan alone)")
            return {}
        limits = {}
        for plan, terms in self._plan_terms.items():
            if not found.names <= set(terms):
                continue  # has a fault already
            value = found.value(terms)
            if value is None or value < 0:
                self._report.add(path, f"of the plan {plan} it is not measured, or below 0")
                continue
            self._size(Fraction(value), path)
            units = Fraction(value) * 100 / unit_paise
            limits[plan] = int(-(-units // 1) if up else units // 1) * unit_paise
        return limits

    def _max_change(self, inputs: Mapping[str, PremiumInput]) -> float | None:
        value, path = self._section.max_change, ("premium", "max_change")
        if value is UNSET:
            return None
        previous = inputs.get(PREVIOUS_PREMIUM)
        if previous is None:
            hint = did_you_mean(PREVIOUS_PREMIUM, inputs)
            self._report.add(path, f'there is no input "{PREVIOUS_PREMIUM}" from which a change counts{hint}')
        elif previous.unit != "INR" or not previous.optional or previous.min < 0:
            self._report.add(
                ("premium", "inputs", PREVIOUS_PREMIUM),
                "it is in INR, from 0, and optional: a new rider has no premium before",
            )
        found: float | None = self._report.attempt(path, share, value)
        return found
