"""The arithmetic of a claim's payouts, step by step, ending in what the payout records come to.

Every step is computed from the amounts of the record (`payout_terms`) as the settlement does it
(`monsoon.transforms.adjudication.settlement`), and compared with what the record says was paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from monsoon.transforms.adjudication.money import MINIMUM_PAYOUT_PAISE
from monsoon.transforms.calendar import local_minute
from monsoon.transforms.explanation.records import (
    SETTLED,
    ClaimRecords,
    Record,
    instalments_paise,
    number_of,
    paise,
    terms_of,
)
from monsoon.transforms.explanation.text import amount_line, money, quantity
from monsoon.transforms.product import Product
from monsoon.transforms.product.terms import Level, Trigger
from monsoon.transforms.product.wording.phrases import Section, formula_words, listed

_CAPS = {
    "local_day": "the disruptions of the day {}",
    "iso_week": "the disruptions of the week {}",
    "coverage_period": "the coverage period that began at {}",
}
_KNOWN = frozenset(
    ("daily_wage_inr", "level", "gross_inr", "trust_tier", "formula", "inputs", "overlap_inr", "activity", *_CAPS)
)
"""Fields of payout_terms; all others are supplements of the product."""

_NOTHING = {
    "overlap": "what the overlap rule leaves is under Rs 1",
    "below_minimum": "what is left is under Rs 1",
    "duplicate": 'a rule "once per ..." of the product lets one claim be paid, and another one was',
    "cap_reached": "what the caps leave is under Rs 1",
}
"""Why an eligible claim is paid nothing, by reason code."""


class Cap(NamedTuple):
    """A cap that a record states, in paise; `used_paise` is what was paid in its period before."""

    per: str
    period: str
    limit_paise: int
    used_paise: int


@dataclass(frozen=True)
class Calculation:
    """One application of overlap, caps and minimum to a gross amount."""

    gross_paise: int
    overlap_paise: int
    before_paise: int
    caps: tuple[Cap, ...]

    @staticmethod
    def of(claim: Record, before_paise: int) -> Calculation | None:
        """Of a revision, of which so much had been paid before; None where it does not state all steps."""
        terms = terms_of(claim)
        gross, overlap = paise(terms.get("gross_inr")), paise(terms.get("overlap_inr"))
        if gross is None or overlap is None:
            return None
        caps = []
        for per in _CAPS:
            cap = terms.get(per)
            if not isinstance(cap, Mapping):
                continue
            limit, used = paise(cap.get("limit_inr")), paise(cap.get("used_inr"))
            if limit is None or used is None:
                return None
            caps.append(Cap(per, _period(per, cap.get("period")), limit, used))
        return Calculation(gross, overlap, before_paise, tuple(caps))

    @property
    def due_paise(self) -> int:
        """What the overlap rule and earlier instalments leave."""
        return max(0, self.gross_paise - self.overlap_paise - self.before_paise)

    @property
    def room_paise(self) -> int:
        """What the caps leave."""
        return max(0, min([self.due_paise, *(cap.limit_paise - cap.used_paise for cap in self.caps)]))

    @property
    def pays_paise(self) -> int:
        """The instalment, if no rule "once per ..." excludes it."""
        return self.room_paise if self.room_paise >= MINIMUM_PAYOUT_PAISE else 0

    def lines(self) -> list[str]:
        """The steps from the gross amount to the instalment, indented by two."""
        lines = [
            amount_line("Gross amount", self.gross_paise, 2),
            amount_line("less what overlapping claims of the rider pay", -self.overlap_paise, 2),
        ]
        if self.before_paise:
            lines.append(amount_line("less earlier instalments of this claim", -self.before_paise, 2))
        lines.append(amount_line("= due", self.due_paise, 2))
        lines += [
            f"  Cap for {_CAPS[cap.per].format(cap.period)}: {money(cap.limit_paise)}, of which "
            f"{money(cap.used_paise)} was paid before; it leaves {money(max(0, cap.limit_paise - cap.used_paise))}."
            for cap in self.caps
        ]
        if self.caps:
            lines.append(amount_line("= due within the caps", self.room_paise, 2))
        return lines


@dataclass(frozen=True)
class Arithmetic:
    """The lines, the sum that they end in (`paid_paise`), and what the payout records come to."""

    lines: tuple[str, ...]
    paid_paise: int
    payouts_paise: int


def arithmetic(records: ClaimRecords, product: Product | None) -> Arithmetic:
    """The arithmetic of all instalments of a claim up to its last revision."""
    lines: list[str] = []
    payouts = {number_of(each, place): each for place, each in enumerate(records.payouts)}
    paid_paise, payments = 0, instalments_paise(records.revisions)
    for place, payment in enumerate(payments):
        claim = payment.record
        lines.append(f"Instalment {place}, decided with revision {claim['revision']}:")
        lines += _indented(_gross(claim, records, product))
        calculation = Calculation.of(claim, payment.before_paise)
        if calculation is None:
            lines.append("  The record does not state the steps from the gross amount on.")
            instalment_paise = payment.paise
        else:
            lines += calculation.lines()
            instalment_paise = calculation.pays_paise
        if instalment_paise != payment.paise:
            lines.append(
                f"  The records disagree: this comes to {money(instalment_paise)}, and revision {claim['revision']} "
                f"states {money(payment.paise)} (payout_inr)."
            )
            instalment_paise = payment.paise
        lines.append(amount_line(f"= instalment {place}", instalment_paise, 2))
        payout = payouts.get(place)
        lines += _indented(_instructed(payout, claim, instalment_paise, records))
        if payout is not None:
            paid_paise += instalment_paise
    lines += _unpaid(records, product, sum(payment.paise for payment in payments))
    payouts_paise = sum(each["amount_paise"] for each in records.payouts)
    if payouts_paise != paid_paise:
        lines.append(
            f"The records disagree: the instalments that were paid come to {money(paid_paise)}, the payout records to "
            f"{money(payouts_paise)}. The folder may be incomplete; replay its input again."
        )
    count = len(records.payouts)
    lines.append(amount_line(f"Paid in all, by {count} payout record{'s' * (count != 1)}", payouts_paise))
    return Arithmetic(tuple(lines), paid_paise, payouts_paise)


def arithmetic_section(records: ClaimRecords, product: Product | None) -> Section:
    """The section of the arithmetic."""
    return Section("Payout, step by step", arithmetic(records, product).lines)


def _gross(claim: Record, records: ClaimRecords, product: Product | None) -> list[str]:
    """Where the gross amount comes from: formula, inputs, supplements."""
    terms, trigger = terms_of(claim), _trigger(records, product)
    level = _level(trigger, terms.get("level"))
    lines = []
    if isinstance(formula := terms.get("formula"), str):
        lines.append(f"Formula of the product: {' '.join(formula.split())}")
        if product is not None and level is not None and level.pays.text == formula:
            lines.append(f"  in words: {formula_words(level.pays, product)}")
    inputs = terms.get("inputs")
    for name, value in inputs.items() if isinstance(inputs, Mapping) else ():
        unit = str(dict(level.pays.inputs).get(name, "1")) if level else "1"
        lines.append(f"  {name} = {quantity(value, unit)}")
    supplements = {} if trigger is None else {each.name: each for each in trigger.supplements}
    for name, added in terms.items():
        if name in _KNOWN or not (added is None or isinstance(added, bool)):
            continue
        words = ""
        if added and product is not None and name in supplements:
            words = f" ({formula_words(supplements[name].amount, product)})"
        state = {None: "not known, or not due yet", True: f"added to the gross amount{words}", False: "not due"}[added]
        lines.append(f"Supplement {name}: {state}")
    return lines


def _unpaid(records: ClaimRecords, product: Product | None, before_paise: int) -> list[str]:
    """The last revision's arithmetic, where it pays nothing (more), or nothing yet."""
    claim = records.claim
    payments = instalments_paise(records.revisions)
    if payments and payments[-1].record is claim:
        return []
    status, reason = claim["status"], next(iter(claim["reasons"]), None)
    if before_paise:
        gross = paise(terms_of(claim).get("gross_inr"))
        now = "" if gross is None else f" (gross amount now: {money(gross)})"
        return [f"Revision {claim['revision']} pays nothing more{now}; what was paid before it stays paid."]
    calculation = Calculation.of(claim, 0)
    if calculation is None:
        return ["No amount was computed: the claim came to no payout before its amount mattered."]
    if status not in SETTLED:
        would_be = f"Nothing is paid yet: {status.replace('_', ' ')}. If it is approved, it comes to:"
        return [
            would_be,
            *_indented(_gross(claim, records, product)),
            *calculation.lines(),
            amount_line("= would be paid, as far as known now", calculation.pays_paise, 2),
        ]
    lines = ["What it came to:", *_indented(_gross(claim, records, product)), *calculation.lines()]
    if reason in _NOTHING:
        lines.append(f"  Nothing is paid: {_NOTHING[reason]} ({reason}).")
    if reason == "duplicate" and product is not None:
        rules = "; ".join(f"once per {listed([each.replace('_', ' ') for each in by])}" for by in product.once)
        lines.append(f"  The product's rules: {rules}.")
    return lines


def _instructed(payout: Record | None, claim: Record, amount_paise: int, records: ClaimRecords) -> list[str]:
    """What became of an instalment: a payout record, or a place in a reserve's queue."""
    decided_ms = claim["decided_at"]
    about = [each for each in records.notifications if each.get("amount_paise") == amount_paise]
    queued = [each for each in about if each["kind"] == "queued" and each["event_time"] >= decided_ms]
    if payout is None:
        if not queued:
            return ["No payout record and no notification says what became of it."]
        withdrawn = [
            each for each in about if each["kind"] == "withdrawn" and each["event_time"] > queued[-1]["event_time"]
        ]
        if withdrawn:
            return [f"It waited for a reserve, and was withdrawn at {local_minute(withdrawn[-1]['event_time'])}."]
        return [f"The reserve of its area is used up: it waits since {local_minute(queued[-1]['event_time'])}."]
    waited = ""
    if payout["created_at"] > decided_ms:
        waited = f"; it waited for a reserve since {local_minute(decided_ms)}"
    wrong = ""
    if payout["amount_paise"] != amount_paise:
        wrong = f" The records disagree: it states {money(payout['amount_paise'])}."
    return [f"Payout record {payout['reference_id']}, {local_minute(payout['created_at'])}{waited}.{wrong}"]


def _trigger(records: ClaimRecords, product: Product | None) -> Trigger | None:
    disruption = records.disruption
    if product is None or disruption is None:
        return None
    return next((each for each in product.triggers if each.name == disruption["trigger"]), None)


def _level(trigger: Trigger | None, name: Any) -> Level | None:
    return None if trigger is None else next((each for each in trigger.levels if each.name == name), None)


def _period(per: str, period: Any) -> str:
    return local_minute(period) if per == "coverage_period" and isinstance(period, int) else str(period)


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
