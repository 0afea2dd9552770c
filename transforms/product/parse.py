"""Parses the document of a product file into checked terms: the shape first, then what only the whole file shows.

Interpretations of the specification: docs/interpretations.md#product-files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from monsoon.transforms.calendar import moment_with_offset
from monsoon.transforms.documents import LineOf, Path, fault_lines, faults_of, quoted, value_or_none, with_integers
from monsoon.transforms.expressions import Unit
from monsoon.transforms.product import document as sections
from monsoon.transforms.product.decisions import DecisionReader
from monsoon.transforms.product.faults import FaultCollector
from monsoon.transforms.product.formulas import FormulaReader
from monsoon.transforms.product.old_names import with_present_names
from monsoon.transforms.product.premium_reader import PlanAmounts, PremiumReader
from monsoon.transforms.product.premium_terms import PremiumTerms
from monsoon.transforms.product.quantities import amount, bare_number
from monsoon.transforms.product.terms import (
    ALWAYS_MS,
    HOUR_MS,
    AlertWindow,
    Cap,
    Lockout,
    Plan,
    Product,
    ProductError,
    SyndicateRule,
)
from monsoon.transforms.product.trigger_terms import TriggerReader

_RUPEES, _METERS = Unit.parse("INR"), Unit.parse("m")
_YEARS = range(2000, 2100)


def content_version(content: bytes) -> str:
    """The version of a product or model file: 12 hexadecimal digits of its content's BLAKE2 hash."""
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def parse_product(
    document: object,
    *,
    version: str,
    where: str,
    line_of: LineOf | None = None,
    models: Collection[str] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Product:
    """The checked terms of one product file.

    Args:
        document: the decoded file.
        version: of the content, as `content_version` has it.
        where: the file's name for messages.
        line_of: the line of each value in the file.
        models: the model folders that scores may name; None: any.
        warn: called with one line, with file and line number, for each name that the next release will not read.

    Raises:
        ProductError: all faults of the file's shape (`document.py`), or, if it has none, all others; each with file,
            line, field, the bad value and the nearest right one.
    """
    present, old_names = with_present_names(document)
    faults = [*old_names.faults, *map(old_names.as_written, faults_of(present, sections.ProductSection))]
    if not faults:
        report, terms = FaultCollector(), msgspec.convert(with_integers(present), sections.ProductSection)
        product = _Parser(terms, version, models, report).product()
        faults = [old_names.as_written(fault) for fault in report.faults]
        if not faults:
            if warn is not None:
                for line in fault_lines(old_names.warnings(), document, where, line_of):
                    warn(line)
            return product
    raise ProductError.of(fault_lines(faults, document, where, line_of))


class _Parser:
    """One file of the right shape. What has a fault becomes None, and the report prevents its use."""

    def __init__(
        self, terms: sections.ProductSection, version: str, models: Collection[str] | None, report: FaultCollector
    ) -> None:
        self._terms, self._version, self._models, self._report = terms, version, models, report
        self._formulas = FormulaReader(report, self._units_of_plans())

    def product(self) -> Product:
        terms, formulas = self._terms, self._formulas
        triggers = TriggerReader(terms, formulas).triggers()
        plans = {name: self._plan(name, plan) for name, plan in terms.plans.items()}
        self._every_trigger_is_covered()
        self._cap_periods_differ()
        return Product(
            name=terms.name,
            title=terms.title,
            version=self._version,
            zone_resolution=terms.zone_resolution,
            plans=plans,
            triggers=triggers,
            caps=tuple(
                Cap(cap.per, formulas.payout(cap.limit, formulas.policy, ("caps", index, "limit")))
                for index, cap in enumerate(terms.caps)
            ),
            decision=DecisionReader(terms, formulas, self._models).decision(),
            presence_margin_m=self._amount(terms.presence_margin, _METERS, ("presence_margin",)),
            waiting_ms=formulas.duration_ms(terms.waiting_period, ("waiting_period",)),
            overlap_same_peril_only=terms.overlap == "same_peril",
            once=terms.once,
            lockout=self._lockout(),
            alert_window=self._alert_window(),
            syndicate=self._syndicate(),
            premium=self._premium(plans),
            from_ms=self._from_ms(),
        )

    def _units_of_plans(self) -> dict[str, Unit]:
        """The plans' own terms by name; every plan has the same, of the same units."""
        units: dict[str, Unit] = {}
        names = list(self._terms.plans)
        for plan_name, plan in self._terms.plans.items():
            path: Path = ("plans", plan_name, "terms")
            for term, value in plan.terms.items():
                found = self._report.attempt((*path, term), amount, value)
                if found is not None and units.setdefault(term, found[1]) != found[1]:
                    problem = f"{quoted(value)} is in {found[1]}; {units[term]}, as in other plans, is wanted here"
                    self._report.add((*path, term), problem)
        for term in units:
            for absent in [name for name in names if term not in self._terms.plans[name].terms]:
                self._report.add(("plans", absent), f'the term "{term}" is missing; every plan has the same terms')
        return units

    def _plan(self, name: str, plan: sections.PlanSection) -> Plan:
        path: Path = ("plans", name)
        there = [trigger.name for trigger in self._terms.triggers]
        covered = tuple(there) if plan.triggers == "all" else plan.triggers
        for index, trigger in enumerate(covered):
            self._report.known((*path, "triggers", index), trigger, there, "trigger")
        if plan.choice is not UNSET and plan.choice > len(there):
            self._report.add((*path, "choice"), f"{plan.choice} is more than the {len(there)} triggers there are")
        elif plan.choice is not UNSET and len(covered) > plan.choice:
            self._report.add((*path, "triggers"), f"{len(covered)} triggers by default, and {plan.choice} to choose")
        return Plan(
            name=name,
            terms={term: bare_number(value) for term, value in plan.terms.items()},
            triggers=covered,
            choice=value_or_none(plan.choice),
            bridge=plan.bridge,
            price_inr=None if plan.price is UNSET else self._amount(plan.price, _RUPEES, (*path, "price")),
            duration_ms=None
            if plan.duration is UNSET
            else self._formulas.positive_duration_ms(plan.duration, (*path, "duration")),
        )

    def _every_trigger_is_covered(self) -> None:
        plans = self._terms.plans.values()
        if any(plan.triggers == "all" or plan.choice is not UNSET for plan in plans):
            return
        covered = {name for plan in plans for name in plan.triggers}
        for index, trigger in enumerate(self._terms.triggers):
            if trigger.name not in covered:
                self._report.add(("triggers", index), "no plan covers this trigger")

    def _cap_periods_differ(self) -> None:
        periods = [cap.per for cap in self._terms.caps]
        for index, per in enumerate(periods):
            if per in periods[:index]:
                self._report.add(("caps", index, "per"), f"{quoted(per)} has a cap already")

    def _amount(self, text: str, unit: Unit, path: Path) -> Any:
        found = self._report.attempt(path, amount, text)
        if found is not None and found[1] != unit:
            self._report.add(path, f"{quoted(text)} is in {found[1]}; {unit} is wanted here")
        return None if found is None else found[0]

    def _lockout(self) -> Lockout | None:
        terms, path = self._terms.lockout, ("lockout",)
        if terms is UNSET:
            return None
        return Lockout(
            terms.alert,
            self._formulas.comparison(terms.breach, terms.alert, (*path, "breach")),
            self._formulas.duration_ms(terms.before, (*path, "before")),
            self._formulas.duration_ms(terms.ended_within, (*path, "ended_within")),
        )

    def _alert_window(self) -> AlertWindow | None:
        terms, path = self._terms.alert_window, ("alert_window",)
        if terms is UNSET:
            return None
        return AlertWindow(
            terms.alert,
            self._formulas.comparison(terms.breach, terms.alert, (*path, "breach")),
            self._formulas.positive_duration_ms(terms.within, (*path, "within")),
        )

    def _syndicate(self) -> SyndicateRule | None:
        terms = self._terms.syndicate
        if terms is UNSET:
            return None
        return SyndicateRule(
            needed=terms.needed,
            subscriptions=terms.subscriptions,
            subscriptions_within_ms=self._formulas.positive_duration_ms(
                terms.subscriptions_within, ("syndicate", "subscriptions_within")
            ),
            riders_on_a_device=terms.riders_on_a_device,
            towers=terms.towers,
            payout_accounts=terms.payout_accounts,
            resting_accel_var=terms.resting_accel_var,
        )

    def _premium(self, plans: Mapping[str, Plan]) -> PremiumTerms | None:
        if self._terms.premium is UNSET:
            return None
        amounts = {
            name: PlanAmounts(plan.price_inr, None if plan.duration_ms is None else plan.duration_ms / HOUR_MS)
            for name, plan in plans.items()
        }
        return PremiumReader(self._terms.premium, amounts, self._formulas, self._report).terms()

    def _from_ms(self) -> int:
        text = self._terms.in_force_from
        if text is UNSET:
            return ALWAYS_MS
        moment = moment_with_offset(text)
        if moment is None or moment.year not in _YEARS:
            years = f"a moment of {_YEARS.start} to {_YEARS.stop - 1} with an offset"
            self._report.add(("in_force_from",), f'{quoted(text)} is not {years}, like "2026-04-01T00:00:00+05:30"')
            return ALWAYS_MS
        return round(moment.timestamp() * 1000)
