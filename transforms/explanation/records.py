"""The records that concern one claim, as an output folder has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Record = Mapping[str, Any]

WAITING = ("soft_hold", "step_up")
"""Statuses of a claim that waits for a timer or an answer."""
SETTLED = ("approved", "ineligible", "withdrawn")
"""Statuses whose revisions state what was paid."""


@dataclass(frozen=True)
class ClaimRecords:
    """All revisions of a claim and of its disruption, each in their order, and what else names the claim.

    `others` are the last revisions of the rider's other claims on the same product.
    """

    revisions: Sequence[Record]
    disruptions: Sequence[Record] = ()
    payouts: Sequence[Record] = ()
    notifications: Sequence[Record] = ()
    reserve_alerts: Sequence[Record] = ()
    syndicate_alerts: Sequence[Record] = ()
    ring_alerts: Sequence[Record] = ()
    others: Sequence[Record] = ()

    def until(self, revision: int) -> ClaimRecords:
        """As of a revision: without later revisions, and without payouts of later revisions."""
        kept = tuple(each for each in self.revisions if each["revision"] <= revision)
        later = [each for each in self.revisions if each["revision"] > revision]
        until_ms = min((each["decided_at"] for each in later), default=2**62)
        instructed = sum(1 for each in instalments_paise(kept) if each.paise)
        return ClaimRecords(
            revisions=kept,
            disruptions=tuple(each for each in self.disruptions if revised_at(each) < until_ms)
            or tuple(self.disruptions[:1]),
            payouts=tuple(each for number, each in enumerate(self.payouts) if number_of(each, number) < instructed),
            notifications=tuple(each for each in self.notifications if each["event_time"] < until_ms),
            reserve_alerts=tuple(each for each in self.reserve_alerts if each["event_time"] < until_ms),
            syndicate_alerts=tuple(each for each in self.syndicate_alerts if each["event_time"] < until_ms),
            ring_alerts=tuple(each for each in self.ring_alerts if each["event_time"] < until_ms),
            others=self.others,
        )

    @property
    def claim(self) -> Record:
        """The last revision."""
        return self.revisions[-1]

    @property
    def disruption(self) -> Record | None:
        """The disruption as of the last revision of the claim."""
        return disruption_at(self.disruptions, self.claim["decided_at"])


class Payment(NamedTuple):
    """What a revision of a claim added to its payments, as `payout_inr` states it."""

    record: Record
    paise: int
    before_paise: int


def instalments_paise(revisions: Sequence[Record]) -> list[Payment]:
    """The payments of a claim's revisions, those that paid something."""
    found, paid = [], 0
    for each in revisions:
        total = paise(each.get("payout_inr"))
        if each["status"] in SETTLED and total is not None and total > paid:
            found.append(Payment(each, total - paid, paid))
            paid = total
    return found


class StatusRun(NamedTuple):
    """Consecutive revisions of one status: the first, the status before (None: there was none), and what follows."""

    first: Record
    before: Record | None
    after: Record | None


def status_runs(revisions: Sequence[Record]) -> list[StatusRun]:
    """The revisions by status, in their order."""
    firsts = [
        each for number, each in enumerate(revisions) if not number or revisions[number - 1]["status"] != each["status"]
    ]
    around = [None, *firsts, None]
    return [StatusRun(each, around[number], around[number + 2]) for number, each in enumerate(firsts)]


def disruption_at(disruptions: Sequence[Record], at_ms: int) -> Record | None:
    """The revision of a disruption that held at a moment; the first one before all."""
    held = [each for each in disruptions if revised_at(each) <= at_ms]
    return held[-1] if held else next(iter(disruptions), None)


def revised_at(disruption: Record) -> int:
    """From when a disruption's revision holds (ms)."""
    at_ms = disruption.get("revised_at")
    return at_ms if isinstance(at_ms, int) else int(disruption["confirmed_at"])


def number_of(payout: Record, place: int) -> int:
    """A payout's instalment; `place` where the record names none."""
    number = payout.get("instalment")
    return number if isinstance(number, int) else place


def terms_of(claim: Record) -> Record:
    """The payout terms of a claim; empty where it has none."""
    terms = claim.get("payout_terms")
    return terms if isinstance(terms, Mapping) else {}


def paise(amount_inr: Any) -> int | None:
    """Rupees of a record in paise; None for no number."""
    if isinstance(amount_inr, bool) or not isinstance(amount_inr, (int, float)):
        return None
    return round(amount_inr * 100)
