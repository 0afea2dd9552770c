"""Which claims of a bucket of riders were answered, and which re-reads of them may be needed when."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from monsoon.transforms.adjudication.scoring_schedule import RereadTime, reread_times
from monsoon.transforms.claim_scores import ScoringRequest
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.product_claims import ProductClaims


class AnsweredClaim(NamedTuple):
    """A claim that was confirmed by its rider."""

    disruption_id: str
    worker_id: str
    policy_id: str


class RereadSchedule:
    """Of one product: work is in proportion to answers, and to the updates of the claims that were answered."""

    def __init__(self, claims: ProductClaims) -> None:
        self._claims = claims
        self.answered: dict[str, dict[str, dict[str, int]]] = {}
        """The moment (ms) of the first confirming answer, by disruption_id, worker_id and policy_id."""
        self._ends: list[tuple[int, AnsweredClaim]] = []
        """A heap of (moment (ms), claim): when a wait may end by which the rider had answered."""
        self._scheduled: set[tuple[int, AnsweredClaim]] = set()
        """Its elements."""

    @property
    def next_ms(self) -> int | None:
        """When the next wait may end (ms); None: there is none."""
        return self._ends[0][0] if self._ends else None

    def add(self, record: Mapping[str, Any], at_ms: int) -> AnsweredClaim | None:
        """Adds a confirming answer (contracts/confirmation.schema.json) of a moment; gives its claim, None where there
        is none on this product yet."""
        worker, policy = record["worker_id"], record["policy_id"]
        for identity in self._claims.claims.get(worker, ()):
            if claim_id(policy, identity) == record["claim_id"]:
                of_rider = self.answered.setdefault(identity, {}).setdefault(worker, {})
                of_rider[policy] = min(at_ms, of_rider.get(policy, at_ms))
                return AnsweredClaim(identity, worker, policy)
        return None

    def requests(
        self,
        answers: Mapping[AnsweredClaim, list[tuple[int, str]]],
        changed: Iterable[str],
        after_ms: int,
        upto_ms: int,
    ) -> list[ScoringRequest]:
        """The re-reads that may be needed in (after, upto]: for new `answers` (moment in ms, id) that were added, and
        where waits end; `changed` are the disruptions whose claims may have been asked anew."""
        claims = {*answers, *self._take_due(upto_ms)}
        claims.update(each for identity in changed for each in self._answered_on(identity))
        found = []
        for claim in sorted(claims):
            updates: dict[int, Any] = {}
            for update in self._claims.disruptions[claim.disruption_id].updates[claim.worker_id]:
                if update.terms is not None and update.terms.policy_id == claim.policy_id:
                    updates.setdefault(update.confirmed_at_ms, update)
            for time in sorted(self._times(claim, answers.get(claim, ()))):
                if time.at_ms > upto_ms:
                    self._schedule(time.at_ms, claim)
                elif time.at_ms > after_ms and time.confirmed_at_ms in updates:
                    update = updates[time.confirmed_at_ms]
                    found.append(
                        ScoringRequest(update, time.at_ms, -1, asked_at_ms=time.asked_at_ms, answer_id=time.answer_id)
                    )
        return found

    def schedule(self, after_ms: int) -> None:
        """Schedules the ends of waits later than a moment, of all claims that were answered."""
        for identity in self.answered:
            for claim in self._answered_on(identity):
                for time in self._times(claim, ()):
                    if time.at_ms > after_ms:
                        self._schedule(time.at_ms, claim)

    def forget(self, identity: str) -> None:
        """Forgets the answers about the claims on a disruption."""
        self.answered.pop(identity, None)

    def _times(self, claim: AnsweredClaim, answers: Iterable[tuple[int, str]]) -> set[RereadTime]:
        updates = self._claims.disruptions[claim.disruption_id].updates[claim.worker_id]
        first_ms = self.answered[claim.disruption_id][claim.worker_id][claim.policy_id]
        found: set[RereadTime] = set()
        for results in self._claims.possible_results(claim.disruption_id, claim.worker_id):
            found |= reread_times(self._claims.product, updates, results, first_ms, list(answers))
        return found

    def _answered_on(self, identity: str) -> Iterator[AnsweredClaim]:
        for worker, policies in self.answered.get(identity, {}).items():
            for policy in policies:
                yield AnsweredClaim(identity, worker, policy)

    def _schedule(self, at_ms: int, claim: AnsweredClaim) -> None:
        if (at_ms, claim) not in self._scheduled:
            self._scheduled.add((at_ms, claim))
            heapq.heappush(self._ends, (at_ms, claim))

    def _take_due(self, upto_ms: int) -> Iterator[AnsweredClaim]:
        while self._ends and self._ends[0][0] <= upto_ms:
            end = heapq.heappop(self._ends)
            self._scheduled.discard(end)
            if end[1].disruption_id in self.answered:
                yield end[1]
