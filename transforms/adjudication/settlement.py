"""What the claims that ask for money at one moment are paid: the overlap rule and the caps, each in its own order.

What a claim may be paid depends on what overlapping claims before it pay, and that on the caps, which are taken larger
first. The two orders can cross, so both rules are applied in turn until nothing changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.money import MINIMUM_PAYOUT_PAISE, rupees, times_paise
from monsoon.transforms.calendar import iso_week, local_day
from monsoon.transforms.product import Cap


@dataclass(frozen=True, slots=True)
class Award:
    """`instalment_paise` to be paid now; `reason` where that is less than the claim's gross less what it was paid.

    `applied` says how overlap and caps came to it, in rupees.
    """

    instalment_paise: int
    reason: str | None
    applied: Mapping[str, Any] = field(default_factory=dict)


def settle(paying: Sequence[Claim], everyone: Collection[Claim], caps: Sequence[Cap]) -> dict[str, Award]:
    """Awards by claim_id for the claims to be paid at one moment; `everyone` are all the rider's claims of the product.

    Overlap: a claim pays only the excess of its gross over what the others pay for disruptions that overlap its own,
    taken in the order confirmed_at, larger gross, claim_id. Caps: larger first, then claim_id; one that leaves
    something pays that part. Payouts under Rs 1 are not made.
    """
    order = sorted(paying, key=lambda claim: (claim.happening.confirmed_at_ms, -claim.gross_paise, claim.claim_id))
    before = {claim.claim_id: claim.total_paid_paise for claim in everyone}
    paid: dict[str, int] | None = None
    awards: dict[str, Award] = {}
    for _ in range(len(order) + 1):
        payable = _payable(order, everyone, before, paid)
        awards, after = _within_caps(order, everyone, before, payable, caps)
        if after == paid:
            break
        paid = after
    return awards


def _payable(
    order: Sequence[Claim], everyone: Collection[Claim], before: Mapping[str, int], paid: Mapping[str, int] | None
) -> dict[str, int]:
    """What the overlap rule leaves of each gross, given what the last turn paid (None: as if there were no caps)."""
    payable: dict[str, int] = {}
    for claim in order:
        others_paise = 0
        for other in everyone:
            name = other.claim_id
            if other is claim or not other.overlaps(claim):
                continue
            taken_before = name in payable
            if taken_before and paid is None:
                others_paise += max(before[name], payable[name])
            else:
                others_paise += paid[name] if taken_before and paid is not None else before[name]
        payable[claim.claim_id] = max(0, claim.gross_paise - others_paise)
    return payable


def _within_caps(
    order: Sequence[Claim],
    everyone: Collection[Claim],
    before: Mapping[str, int],
    payable: Mapping[str, int],
    caps: Sequence[Cap],
) -> tuple[dict[str, Award], dict[str, int]]:
    """The awards, and what every claim is paid in all after them."""
    after = dict(before)
    awards = {}
    for claim in sorted(order, key=lambda claim: (-payable[claim.claim_id], claim.claim_id)):
        name = claim.claim_id
        room_paise, applied = _room_paise(claim, everyone, after, caps)
        due_paise = max(0, payable[name] - before[name])
        instalment_paise = min(due_paise, room_paise)
        reason = None
        if instalment_paise < MINIMUM_PAYOUT_PAISE:
            if due_paise >= MINIMUM_PAYOUT_PAISE:
                reason = "cap_reached"
            else:
                reason = "overlap" if payable[name] < claim.gross_paise else "below_minimum"
            instalment_paise = 0
        elif instalment_paise < due_paise:
            reason = "cap_partial"
        overlap = {"overlap_inr": rupees(claim.gross_paise - payable[name])}
        awards[name] = Award(instalment_paise, reason, overlap | applied)
        after[name] += instalment_paise
    return awards, after


def _room_paise(
    claim: Claim, everyone: Collection[Claim], paid: Mapping[str, int], caps: Sequence[Cap]
) -> tuple[int, dict[str, Any]]:
    """What the caps leave for this claim, and each cap's arithmetic."""
    room_paise = claim.gross_paise
    applied: dict[str, Any] = {}
    for cap in caps:
        period = _period(cap, claim.happening.start_ms)
        used_paise = sum(paid[other.claim_id] for other in everyone if _period(cap, other.happening.start_ms) == period)
        limit_paise = times_paise(claim.terms.daily_wage_inr, cap.times)
        applied[cap.per] = {"period": period, "limit_inr": rupees(limit_paise), "used_inr": rupees(used_paise)}
        room_paise = min(room_paise, limit_paise - used_paise)
    return max(0, room_paise), applied


def _period(cap: Cap, start_ms: int) -> str:
    return local_day(start_ms) if cap.per == "local_day" else iso_week(start_ms)
