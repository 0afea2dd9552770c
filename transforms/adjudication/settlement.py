"""Payouts of the approved claims of one moment: the overlap rule, the rules "once per ..." and the caps, each in its
own order.

A claim's payout depends on what overlapping claims before it pay, and that on the caps, which take larger claims first.
The two orders can conflict, so both rules are applied in turn until nothing changes.

Interpretations of the specification: docs/interpretations.md#claims.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.money import MINIMUM_PAYOUT_PAISE, rupees
from monsoon.transforms.adjudication.payment_history import PaymentHistory, tie_break
from monsoon.transforms.adjudication.rules import OnceKey, Period, period_of


class Award(NamedTuple):
    """`instalment_paise` to be paid now; `reason` where that is less than the claim's gross less what it was paid.

    `applied` has the amounts of the overlap rule and caps, in rupees.
    """

    instalment_paise: int
    reason: str | None
    applied: Mapping[str, Any]


def settle(paying: Sequence[Claim], payment_history: PaymentHistory) -> dict[str, Award]:
    """Awards by claim_id for the claims to be paid at one moment; `payment_history` has what the rider was paid before.

    Overlap: a claim pays only the excess of its gross over what the others pay for disruptions that overlap its own,
    taken in the order confirmed_at, larger gross, zone and claim_id. Caps and rules "once per ...": larger first, then
    by zone and claim_id; a cap that leaves something pays that part. Payouts under Rs 1 are not made.
    """
    if len(paying) == 1:  # no order to resolve
        claim = paying[0]
        others_paise = sum(other.total_paid_paise for other in payment_history.overlapping(claim))
        payable_paise = max(0, claim.gross_paise - others_paise)
        return {claim.claim_id: _award(claim, payable_paise, payment_history, _Consumed())}
    if not paying:
        return {}
    order = sorted(paying, key=lambda claim: (claim.update.confirmed_at_ms, -claim.gross_paise, *tie_break(claim)))
    paid: dict[str, int] | None = None
    awards: dict[str, Award] = {}
    for _ in range(len(order) + 1):
        payable = _payable(order, payment_history, paid)
        awards = _within_caps(order, payment_history, payable)
        after = {claim.claim_id: claim.total_paid_paise + awards[claim.claim_id].instalment_paise for claim in order}
        if after == paid:
            return awards
        paid = after
    return _settle_in_overlap_order(order, payment_history)


def _settle_in_overlap_order(order: Sequence[Claim], payment_history: PaymentHistory) -> dict[str, Award]:
    """Where alternation does not converge: claims in the order of the overlap rule, caps applied in that order too."""
    awards: dict[str, Award] = {}
    for claim in order:
        paid = {
            each.claim_id: each.total_paid_paise
            + (awards[each.claim_id].instalment_paise if each.claim_id in awards else 0)
            for each in order
        }
        payable = _payable(order, payment_history, paid)
        taken = _Consumed()
        for each in order:
            if each.claim_id in awards:
                taken.add(each, awards[each.claim_id].instalment_paise, payment_history)
        awards[claim.claim_id] = _award(claim, payable[claim.claim_id], payment_history, taken)
    return awards


def _payable(order: Sequence[Claim], payment_history: PaymentHistory, paid: Mapping[str, int] | None) -> dict[str, int]:
    """What the overlap rule leaves of each gross, given the payments of the last iteration (None: as without caps)."""
    payable: dict[str, int] = {}
    taken: list[tuple[Claim, int]] = []
    """Claims before this one that pay something, and how much in all."""
    for claim in order:
        name = claim.claim_id
        others_paise = sum(paise for other, paise in taken if payment_history.overlap(claim, other))
        others_paise += sum(
            other.total_paid_paise for other in payment_history.overlapping(claim) if other.claim_id not in payable
        )
        payable[name] = max(0, claim.gross_paise - others_paise)
        pays_paise = max(claim.total_paid_paise, payable[name]) if paid is None else paid[name]
        if pays_paise:
            taken.append((claim, pays_paise))
    return payable


class _Consumed:
    """What claims of the same moment, taken before, use of caps and rules "once per ..."."""

    def __init__(self) -> None:
        self.paise: dict[Period, int] = {}
        self.once: set[OnceKey] = set()

    def add(self, claim: Claim, instalment_paise: int, payment_history: PaymentHistory) -> None:
        if instalment_paise:
            for per in payment_history.rules.pers:
                period = period_of(per, claim)
                self.paise[period] = self.paise.get(period, 0) + instalment_paise
            self.once.update(payment_history.once_keys(claim))


def _within_caps(
    order: Sequence[Claim], payment_history: PaymentHistory, payable: Mapping[str, int]
) -> dict[str, Award]:
    taken, awards = _Consumed(), {}
    for claim in sorted(order, key=lambda claim: (-payable[claim.claim_id], *tie_break(claim))):
        award = awards[claim.claim_id] = _award(claim, payable[claim.claim_id], payment_history, taken)
        taken.add(claim, award.instalment_paise, payment_history)
    return awards


def _award(claim: Claim, payable_paise: int, payment_history: PaymentHistory, taken: _Consumed) -> Award:
    """The claim's award, given what the overlap rule leaves of it and what others of the moment use."""
    room_paise = claim.gross_paise
    applied: dict[str, Any] = {"overlap_inr": rupees(claim.gross_paise - payable_paise)}
    for per, limit_paise in payment_history.rules.of(claim).limits_paise(claim):
        period = period_of(per, claim)
        used_paise = payment_history.used_paise(period) + taken.paise.get(period, 0)
        applied[per] = {
            "period": claim.terms.period_start_ms if per == "coverage_period" else period[1],
            "limit_inr": rupees(limit_paise),
            "used_inr": rupees(used_paise),
        }
        room_paise = min(room_paise, limit_paise - used_paise)
    due_paise = max(0, payable_paise - claim.total_paid_paise)
    instalment_paise = min(due_paise, max(0, room_paise))
    if due_paise < MINIMUM_PAYOUT_PAISE:
        return Award(0, "overlap" if payable_paise < claim.gross_paise else "below_minimum", applied)
    if _is_duplicate(claim, payment_history, taken):
        return Award(0, "duplicate", applied)
    if instalment_paise < MINIMUM_PAYOUT_PAISE:
        return Award(0, "cap_reached", applied)
    return Award(instalment_paise, "cap_partial" if instalment_paise < due_paise else None, applied)


def _is_duplicate(claim: Claim, payment_history: PaymentHistory, taken: _Consumed) -> bool:
    """Whether a rule "once per ..." excludes the claim, because another claim was paid first. Held claims were not."""
    if claim.paid_paise:
        return False
    return any(
        key in taken.once or payment_history.is_taken(key, claim)
        for key in payment_history.rules.of(claim).once_keys(claim)
    )
