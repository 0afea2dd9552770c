"""What the claims that ask for money at one moment are paid: the overlap rule and the caps, each in its own order.

What a claim may be paid depends on what overlapping claims before it pay, and that on the caps, which are taken larger
first. The two orders can cross, so both rules are applied in turn until nothing changes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.money import MINIMUM_PAYOUT_PAISE, rupees, times_paise
from monsoon.transforms.calendar import iso_week, local_day
from monsoon.transforms.product import Cap

_STILL_OPEN_MS = 2**63
_Period = tuple[str, str]
"""A cap's `per` and the day or week."""


@dataclass(frozen=True, slots=True)
class Award:
    """`instalment_paise` to be paid now; `reason` where that is less than the claim's gross less what it was paid.

    `applied` says how overlap and caps came to it, in rupees.
    """

    instalment_paise: int
    reason: str | None
    applied: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """The claims of one rider and product that were paid: what of each cap they use, and when they end.

    A disruption's start names it and never changes. Where its end does, `take_out` the claim first, `enter` it after.
    """

    def __init__(self, caps: Sequence[Cap]) -> None:
        self.caps = caps
        self._used_paise: Counter[_Period] = Counter()
        self._paid: dict[str, Claim] = {}
        self._by_end: list[tuple[int, str]] = []
        """(end of the disruption in ms, claim_id) of what was paid, sorted."""

    def enter(self, claim: Claim) -> None:
        """A claim with all its instalments; one without any is of no account."""
        if claim.paid_paise:
            self._change(claim, claim.total_paid_paise)
            self._paid[claim.claim_id] = claim
            insort(self._by_end, _end(claim))

    def take_out(self, claim: Claim) -> None:
        """Forgets a claim, as it was entered."""
        if self._paid.pop(claim.claim_id, None) is not None:
            self._change(claim, -claim.total_paid_paise)
            self._by_end.pop(bisect_left(self._by_end, _end(claim)))

    def used_paise(self, period: _Period) -> int:
        return self._used_paise[period]

    def overlapping(self, claim: Claim) -> Iterator[Claim]:
        """The other claims that were paid for disruptions that overlap this one's."""
        first = bisect_left(self._by_end, (claim.happening.start_ms + 1, ""))
        for _, name in self._by_end[first:]:
            other = self._paid[name]
            if other is not claim and other.overlaps(claim):
                yield other

    def may_touch(self, claim: Claim, other: Claim) -> bool:
        """Whether what one of two claims is paid may change what is left for the other."""
        return claim.overlaps(other) or bool(_periods(self.caps, claim) & _periods(self.caps, other))

    def _change(self, claim: Claim, paise: int) -> None:
        for period in _periods(self.caps, claim):
            self._used_paise[period] += paise


def settle(paying: Sequence[Claim], ledger: Ledger) -> dict[str, Award]:
    """Awards by claim_id for the claims to be paid at one moment; the ledger holds what the rider was paid before.

    Overlap: a claim pays only the excess of its gross over what the others pay for disruptions that overlap its own,
    taken in the order confirmed_at, larger gross, claim_id. Caps: larger first, then claim_id; one that leaves
    something pays that part. Payouts under Rs 1 are not made.
    """
    order = sorted(paying, key=lambda claim: (claim.happening.confirmed_at_ms, -claim.gross_paise, claim.claim_id))
    paid: dict[str, int] | None = None
    awards: dict[str, Award] = {}
    for _ in range(len(order) + 1):
        payable = _payable(order, ledger, paid)
        awards = _within_caps(order, ledger, payable)
        after = {claim.claim_id: claim.total_paid_paise + awards[claim.claim_id].instalment_paise for claim in order}
        if after == paid or len(order) == 1:
            break  # of one claim there is nothing to cross
        paid = after
    return awards


def _payable(order: Sequence[Claim], ledger: Ledger, paid: Mapping[str, int] | None) -> dict[str, int]:
    """What the overlap rule leaves of each gross, given what the last turn paid (None: as if there were no caps)."""
    payable: dict[str, int] = {}
    taken: list[tuple[Claim, int]] = []
    """Claims taken before, and what each of them pays in all, if it pays anything."""
    for claim in order:
        name = claim.claim_id
        others_paise = sum(paise for other, paise in taken if other.overlaps(claim))
        others_paise += sum(
            other.total_paid_paise for other in ledger.overlapping(claim) if other.claim_id not in payable
        )
        payable[name] = max(0, claim.gross_paise - others_paise)
        pays_paise = max(claim.total_paid_paise, payable[name]) if paid is None else paid[name]
        if pays_paise:
            taken.append((claim, pays_paise))
    return payable


def _within_caps(order: Sequence[Claim], ledger: Ledger, payable: Mapping[str, int]) -> dict[str, Award]:
    given_paise: Counter[_Period] = Counter()
    awards = {}
    for claim in sorted(order, key=lambda claim: (-payable[claim.claim_id], claim.claim_id)):
        name = claim.claim_id
        room_paise = claim.gross_paise
        applied: dict[str, Any] = {"overlap_inr": rupees(claim.gross_paise - payable[name])}
        for cap in ledger.caps:
            period = _period(cap.per, claim.happening.start_ms)
            used_paise = ledger.used_paise(period) + given_paise[period]
            limit_paise = times_paise(claim.terms.daily_wage_inr, cap.times)
            applied[cap.per] = {"period": period[1], "limit_inr": rupees(limit_paise), "used_inr": rupees(used_paise)}
            room_paise = min(room_paise, limit_paise - used_paise)
        due_paise = max(0, payable[name] - claim.total_paid_paise)
        instalment_paise = min(due_paise, max(0, room_paise))
        reason = None
        if instalment_paise < MINIMUM_PAYOUT_PAISE:
            if due_paise >= MINIMUM_PAYOUT_PAISE:
                reason = "cap_reached"
            else:
                reason = "overlap" if payable[name] < claim.gross_paise else "below_minimum"
            instalment_paise = 0
        elif instalment_paise < due_paise:
            reason = "cap_partial"
        awards[name] = Award(instalment_paise, reason, applied)
        for period in _periods(ledger.caps, claim):
            given_paise[period] += instalment_paise
    return awards


def _periods(caps: Sequence[Cap], claim: Claim) -> set[_Period]:
    return {_period(cap.per, claim.happening.start_ms) for cap in caps}


@lru_cache(maxsize=4096)
def _period(per: str, start_ms: int) -> _Period:
    return per, local_day(start_ms) if per == "local_day" else iso_week(start_ms)


def _end(claim: Claim) -> tuple[int, str]:
    end_ms = claim.happening.end_ms
    return (_STILL_OPEN_MS if end_ms is None else end_ms), claim.claim_id
