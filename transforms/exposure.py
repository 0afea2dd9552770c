"""Exposure: the reserve of a product for the disruptions that start on one day in one cell, and the queue of payouts
beyond it.

A state machine for each product, day and cell, driven in event time. A payout within the reserve is passed on; one that
would exceed it is queued whole, and so is every later one: first in, first out. A raised reserve releases the queue
from its head. Nothing is paid beyond the current reserve, and nothing is lost.

Interpretations of the specification: docs/interpretations.md#reserves.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import h3.api.basic_str as h3
from msgspec import Struct
from msgspec.structs import replace

from monsoon.transforms.adjudication.money import MAXIMUM_PAISE
from monsoon.transforms.calendar import day_end_ms, local_day
from monsoon.transforms.geo.cells import RESERVE_RESOLUTION
from monsoon.transforms.identifiers import reserve_alert_id

WITHDRAWN_PAID = "paid_before_withdrawal"
"""The reason of a claim that was withdrawn after its payout had been instructed."""


@dataclass(frozen=True, slots=True, order=True)
class ReserveBucket:
    """The key of a reserve: a product, a local day of the disruption's start, a cell of RESERVE_RESOLUTION.

    Records and state call it `pool`.
    """

    product: str
    day: str
    cell: str

    @property
    def name(self) -> str:
        return f"{self.product}/{self.day}/{self.cell}"


@lru_cache(maxsize=65_536)
def reserve_bucket_of(product: str, zone: str, start_ms: int) -> ReserveBucket:
    """The bucket of a disruption in a zone (H3, hexadecimal); for a zone larger than the cell, that of its center."""
    finer = h3.get_resolution(zone) >= RESERVE_RESOLUTION
    relative = h3.cell_to_parent if finer else h3.cell_to_center_child
    return ReserveBucket(product, local_day(start_ms), relative(zone, RESERVE_RESOLUTION))


@dataclass(frozen=True, slots=True)
class Reserve:
    """A reserve as stated by a record (contracts/reserve.schema.json)."""

    pool: ReserveBucket
    event_time_ms: int
    reserve_id: str
    amount_paise: int

    @staticmethod
    def of(record: Mapping[str, Any]) -> Reserve:
        """From a record of the contract; a cell in capitals is the same cell."""
        pool = ReserveBucket(record["product"], record["day"], record["cell"].lower())
        return Reserve(pool, record["event_time"], record["reserve_id"], record["amount_paise"])


class Instruction(Struct, frozen=True):
    """A payout as a rider's machine made it, in the contract's form; `reasons` are those of the claim's revision."""

    pool: ReserveBucket
    payout: dict[str, Any]
    reasons: tuple[str, ...] = ()

    @property
    def amount_paise(self) -> int:
        amount: int = self.payout["amount_paise"]
        return amount

    @property
    def place(self) -> tuple[int, int, str, int]:
        """Its position in the queue: by created_at, larger amount first, claim_id, instalment."""
        payout = self.payout
        return payout["created_at"], -payout["amount_paise"], payout["claim_id"], payout["instalment"]


class AwardStatus(Struct, frozen=True):
    """Whether the payouts of a claim stand from a moment on (ms), or its disruption was withdrawn."""

    pool: ReserveBucket
    at_ms: int
    claim_id: str
    stands: bool


class PayoutTransition(Struct, frozen=True):
    """A transition of a payout at a moment (ms): `paid` passes it on, `queued` queues it, `withdrawn` removes it from
    the queue. `waited`: it was in the queue, or had been removed from it, before."""

    kind: Literal["paid", "queued", "withdrawn"]
    at_ms: int
    instruction: Instruction
    waited: bool = False

    @property
    def payout(self) -> dict[str, Any]:
        """The payout instruction; of one that waited, created when it was released."""
        payout = self.instruction.payout
        return {**payout, "created_at": self.at_ms} if self.waited else payout


@dataclass(slots=True)
class ReserveDecisions:
    """Transitions and alerts (contracts/reserve_alert.schema.json), each bucket's in event-time order."""

    transitions: list[PayoutTransition] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def payouts(self) -> list[dict[str, Any]]:
        """The payout instructions to be paid."""
        return [transition.payout for transition in self.transitions if transition.kind == "paid"]


@dataclass(slots=True)
class BucketState:
    """The state of a bucket without its queue. `stated` is the current reserve: event_time (ms), id, paise."""

    pool: ReserveBucket
    stated: tuple[int, str, int] | None = None
    paid_paise: int = 0
    last_ms: int = 0
    """The last event, or the end of the day if that is later."""


Event = Reserve | Instruction | AwardStatus


class ReserveBook:
    """The state machine of one bucket. `run` takes all events up to a moment, in any order; none of that time may come
    later."""

    def __init__(self, account: BucketState) -> None:
        self.account = account
        self._queue: list[Instruction] = []
        self._aside: list[Instruction] = []
        """Removed from the queue because their claim was withdrawn; queued again if the claim is confirmed again."""
        self._queued_paise = 0
        self._queued_claims: Counter[str] = Counter()

    def resume(self, queue: Iterable[Instruction], aside: Iterable[Instruction]) -> None:
        """Restores the queue and the payouts removed from it, in any order."""
        self._aside = list(aside)
        for instruction in queue:
            self._enqueue(instruction)

    @property
    def waits(self) -> bool:
        """Whether a payout is queued."""
        return bool(self._queue)

    @property
    def held(self) -> list[Instruction]:
        """The payouts queued or removed from the queue."""
        return [*self._queue, *self._aside]

    def run(self, events: Iterable[Event], done_ms: int) -> ReserveDecisions:
        """The decisions on events; those up to `done_ms` are late and take effect after it."""
        moments: dict[int, list[Event]] = defaultdict(list)
        for event in events:
            moments[max(_time_ms(event), done_ms + 1)].append(event)
        decided = ReserveDecisions()
        for at_ms in sorted(moments):
            self._decide(at_ms, moments[at_ms], decided)
        return decided

    def _decide(self, at_ms: int, events: list[Event], decided: ReserveDecisions) -> None:
        """One moment: reserves first, then withdrawals, then the queue, then new payouts."""
        self.account.last_ms = max(self.account.last_ms, at_ms, day_end_ms(self.account.pool.day))
        transitions: list[PayoutTransition] = []
        for event in events:
            if isinstance(event, Reserve):
                stated = (event.event_time_ms, event.reserve_id, event.amount_paise)
                self.account.stated = max(stated, self.account.stated or stated)
        by_time: dict[int, list[Instruction | AwardStatus]] = defaultdict(list)
        for event in events:
            if not isinstance(event, Reserve):
                by_time[_time_ms(event)].append(event)
        for time_ms in sorted(by_time):  # more than one only if they are late
            stands = {event.claim_id: event.stands for event in by_time[time_ms] if isinstance(event, AwardStatus)}
            transitions.extend(self._set_aside(at_ms, {claim for claim, still in stands.items() if not still}))
            transitions.extend(self._take_back(at_ms, {claim for claim, still in stands.items() if still}))
            transitions.extend(self._release(at_ms))
            new = (event for event in by_time[time_ms] if isinstance(event, Instruction))
            for instruction in sorted(new, key=lambda each: each.place):
                fits = not self._queue and self._fits(instruction)
                if fits:
                    self._pay(instruction)
                else:
                    self._enqueue(instruction)
                transitions.append(PayoutTransition("paid" if fits else "queued", at_ms, instruction))
        transitions.extend(self._release(at_ms))
        # Of several transitions of one payout at a moment only the last counts.
        transitions = list({transition.instruction.place: transition for transition in transitions}.values())
        decided.transitions.extend(transitions)
        alert = self._alert(at_ms, transitions)
        if alert is not None:
            decided.alerts.append(alert)

    def _fits(self, instruction: Instruction) -> bool:
        stated = self.account.stated
        return stated is None or self.account.paid_paise + instruction.amount_paise <= stated[2]

    def _pay(self, instruction: Instruction) -> None:
        self.account.paid_paise = min(self.account.paid_paise + instruction.amount_paise, MAXIMUM_PAISE)

    def _enqueue(self, instruction: Instruction) -> None:
        insort(self._queue, instruction, key=lambda each: each.place)
        self._queued_paise += instruction.amount_paise
        self._queued_claims[instruction.payout["claim_id"]] += 1

    def _left(self, instruction: Instruction) -> None:
        claim = instruction.payout["claim_id"]
        self._queued_paise -= instruction.amount_paise
        self._queued_claims[claim] -= 1
        if not self._queued_claims[claim]:
            del self._queued_claims[claim]

    def _release(self, at_ms: int) -> list[PayoutTransition]:
        released = []
        for instruction in self._queue:
            if not self._fits(instruction):
                break
            self._pay(instruction)
            self._left(instruction)
            released.append(PayoutTransition("paid", at_ms, instruction, waited=True))
        del self._queue[: len(released)]
        return released

    def _set_aside(self, at_ms: int, claims: set[str]) -> list[PayoutTransition]:
        gone = [each for each in self._queue if each.payout["claim_id"] in claims] if claims else []
        if not gone:
            return []
        self._queue = [each for each in self._queue if each.payout["claim_id"] not in claims]
        self._aside.extend(gone)
        for instruction in gone:
            self._left(instruction)
        because = ("disruption_withdrawn",)
        return [PayoutTransition("withdrawn", at_ms, replace(each, reasons=because), waited=True) for each in gone]

    def _take_back(self, at_ms: int, claims: set[str]) -> list[PayoutTransition]:
        back = sorted((e for e in self._aside if e.payout["claim_id"] in claims), key=lambda each: each.place)
        if not back:
            return []
        self._aside = [each for each in self._aside if each.payout["claim_id"] not in claims]
        for instruction in back:
            self._enqueue(instruction)
        return [PayoutTransition("queued", at_ms, each, waited=True) for each in back]

    def _alert(self, at_ms: int, transitions: list[PayoutTransition]) -> dict[str, Any] | None:
        """The alert of a moment at which the queue changed."""
        joined = [transition for transition in transitions if transition.kind == "queued"]
        left = [transition for transition in transitions if transition.kind != "queued" and transition.waited]
        if not joined and not left:
            return None
        pool, stated = self.account.pool, self.account.stated
        assert stated is not None  # nothing is queued without a reserve
        moved = sorted(left or joined, key=lambda transition: transition.instruction.place)
        return {
            "alert_id": reserve_alert_id(pool.product, pool.day, pool.cell, at_ms),
            "event_time": at_ms,
            "product": pool.product,
            "day": pool.day,
            "cell": pool.cell,
            "state": "released" if left else "exhausted",
            "reserve_paise": stated[2],
            "paid_paise": self.account.paid_paise,
            "queued_paise": min(self._queued_paise, MAXIMUM_PAISE),
            "queued_claims": len(self._queued_claims),
            "claim_ids": list(dict.fromkeys(transition.instruction.payout["claim_id"] for transition in moved)),
        }


def _time_ms(event: Event) -> int:
    if isinstance(event, Instruction):
        created_at: int = event.payout["created_at"]
        return created_at
    return event.event_time_ms if isinstance(event, Reserve) else event.at_ms


def instructions_of(
    claims: Iterable[Mapping[str, Any]], payouts: Iterable[dict[str, Any]], starts_ms: Mapping[str, int]
) -> tuple[list[Instruction], list[AwardStatus]]:
    """The payouts and claim revisions that riders' machines published, as events of buckets.

    `claims` and `payouts` are records of the contracts, each payout beside the revision that approved it; `starts_ms`:
    the starts of disruptions by disruption_id.
    """
    pools: dict[str, ReserveBucket] = {}
    reasons: dict[tuple[str, int], tuple[str, ...]] = {}
    standings = []
    for claim in claims:
        name = claim["claim_id"]
        pool = pools[name] = reserve_bucket_of(claim["product"], claim["zone"], starts_ms[claim["disruption_id"]])
        reasons[name, claim["decided_at"]] = tuple(claim["reasons"])
        if claim["revision"] and claim["status"] in ("approved", "withdrawn"):
            stands = claim["status"] == "approved" and WITHDRAWN_PAID not in claim["reasons"]
            standings.append(AwardStatus(pool, claim["decided_at"], name, stands))
    instructions = [
        Instruction(pools[each["claim_id"]], each, reasons[each["claim_id"], each["created_at"]]) for each in payouts
    ]
    return instructions, standings


def unlimited(instructions: Iterable[Instruction]) -> ReserveDecisions:
    """The decisions where no reserve was ever stated: every payout is paid."""
    return ReserveDecisions([PayoutTransition("paid", each.payout["created_at"], each) for each in instructions])


def within_reserves(
    events: Iterable[Event], books: dict[ReserveBucket, ReserveBook] | None = None, done_ms: int = -1
) -> ReserveDecisions:
    """The decisions on events of any buckets, bucket by bucket, after all decisions up to `done_ms`.

    `books` are those of before, to which new ones are added; None: there are none.
    """
    books = {} if books is None else books
    by_reserve_bucket: dict[ReserveBucket, list[Event]] = defaultdict(list)
    for event in events:
        by_reserve_bucket[event.pool].append(event)
    decided = ReserveDecisions()
    for pool in sorted(by_reserve_bucket):
        book = books.setdefault(pool, ReserveBook(BucketState(pool)))
        decisions = book.run(by_reserve_bucket[pool], done_ms)
        decided.transitions.extend(decisions.transitions)
        decided.alerts.extend(decisions.alerts)
    return decided
