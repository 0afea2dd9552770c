"""What a bucket of riders knows of one product: policies, disruptions, and the claims that may be judged later."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from monsoon.pipelines.claim_scores import Asked, ClaimMoment, claim_moment
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import ActivityResult, DisruptionUpdate
from monsoon.transforms.adjudication.scoring_schedule import ScoringTime, scoring_times
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.presence import Presence
from monsoon.transforms.product import Product


class ProductClaims:
    """What a bucket knows of one product: its policies, its disruptions, the claims that may be judged later."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.coverage = Coverage(product)
        self.changed_policies: list[dict[str, Any]] = []
        """Subscription events that came since disruptions were last looked at."""
        self.workers: set[str] = set()
        self.newcomers: dict[float, Presence] = {}
        """Where riders were whose first policy has come since, by the margins (m) of the product's versions."""
        self.known: dict[str, Disruption] = {}
        self.claims: dict[str, dict[str, ClaimMoment]] = defaultdict(dict)
        """By worker_id and disruption_id."""
        self.found: dict[str, dict[str, list[ActivityResult]]] = {}
        """What its riders' work says of claims, by disruption_id and worker_id: the week so far, and each activity test
        that may be the first to be met, depending on others."""
        self.asks: list[tuple[int, str]] = []
        """Moments at which claims on a disruption may be judged again: a heap."""
        self._scheduled: set[tuple[int, str]] = set()
        """What is in it."""

    def note(self, disruption: Disruption) -> None:
        """A disruption as it stands."""
        self.known[disruption.disruption_id] = disruption
        for worker, updates in disruption.updates.items():
            moment = claim_moment(updates)
            if moment is not None:
                self.claims[worker][disruption.disruption_id] = moment

    def schedule(self, disruptions: Iterable[Disruption], after_ms: int) -> None:
        """Notes when claims on these may be judged later."""
        for disruption in disruptions:
            later = {
                moment.at_ms
                for worker in disruption.updates
                for moment in self._asking(disruption, worker)
                if moment.at_ms > after_ms
            }
            for at_ms in sorted(later):
                ask = (at_ms, disruption.disruption_id)
                if ask not in self._scheduled:
                    self._scheduled.add(ask)
                    heapq.heappush(self.asks, ask)

    def _asking(self, disruption: Disruption, worker: str) -> set[ScoringTime]:
        """Every moment at which a rider's claim may be judged, whichever of the tests that may be met is the first."""
        updates = disruption.updates[worker]
        found = self.found.get(disruption.disruption_id, {}).get(worker, ())
        work = [activity_result for activity_result in found if activity_result.kind == "work"]
        moments = scoring_times(self.product, updates, work)
        for activity_result in found:
            if activity_result.kind == "activity":
                moments |= scoring_times(self.product, updates, [*work, activity_result])
        return moments

    def take_due(self, upto_ms: int) -> set[str]:
        """Disruptions on which claims may be judged up to a moment."""
        due = set()
        while self.asks and self.asks[0][0] <= upto_ms:
            ask = heapq.heappop(self.asks)
            self._scheduled.discard(ask)
            identity = ask[1]
            if identity in self.known:
                due.add(identity)
        return due

    def asked(self, identities: set[str], after_ms: int, upto_ms: int) -> list[Asked]:
        """Every claim on these at every moment in (after, upto] at which it may be judged; and, once under each
        confirmation, since the others are compared with it (`batch` 0, else -1)."""
        found: list[Asked] = []
        for identity in sorted(identities):
            disruption = self.known[identity]
            first_ms: dict[int, int] = {}
            for revision in disruption.revisions:
                first_ms.setdefault(revision.event.confirmed_at_ms, revision.at_ms)
            for worker, updates in disruption.updates.items():
                under: dict[int, DisruptionUpdate] = {}
                for update in updates:
                    if update.terms is not None:
                        under.setdefault(update.confirmed_at_ms, update)
                moments = sorted(
                    moment
                    for moment in self._asking(disruption, worker)
                    if moment.confirmed_at_ms in under and after_ms < moment.at_ms <= upto_ms
                )
                to_compare = {ms for ms in under if after_ms < first_ms[ms] <= upto_ms}
                for moment in moments:
                    batch = 0 if moment.confirmed_at_ms in to_compare else -1
                    to_compare.discard(moment.confirmed_at_ms)
                    found.append(Asked(under[moment.confirmed_at_ms], moment.at_ms, batch))
                found.extend(Asked(under[ms], ms, 0) for ms in sorted(to_compare))
        return found

    def expire(self, before_ms: int) -> list[str]:
        """Drops disruptions that are over, and of which nothing was said since; gives their ids."""
        gone = [
            identity
            for identity, each in self.known.items()
            if each.revisions[-1].at_ms < before_ms and each.revisions[-1].state != "confirmed"
        ]
        for identity in gone:
            self.found.pop(identity, None)
            for worker in self.known.pop(identity).updates:
                self.claims[worker].pop(identity, None)
                if not self.claims[worker]:
                    del self.claims[worker]
        return gone
