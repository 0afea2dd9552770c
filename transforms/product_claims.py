"""The claims of a bucket of riders on one product: policies, disruptions, and when claims have to be scored."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import ActivityResult, DisruptionUpdate
from monsoon.transforms.adjudication.scoring_schedule import ScoringTime, scoring_times
from monsoon.transforms.claim_scores import ClaimMoment, ScoringRequest, claim_moment
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.presence import Presence
from monsoon.transforms.product import Product


class ProductClaims:
    """Policies, disruptions, claims and scoring times of one product, for one bucket of riders."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.coverage = Coverage(product)
        self.changed_policies: list[dict[str, Any]] = []
        """Subscription events that have come since candidates were last determined."""
        self.workers: set[str] = set()
        self.newcomers: dict[float, Presence] = {}
        """Presence of riders whose first policy has come since, by the presence margins (m) of the product's
        versions."""
        self.disruptions: dict[str, Disruption] = {}
        self.claims: dict[str, dict[str, ClaimMoment]] = defaultdict(dict)
        """When claims were opened, by worker_id and disruption_id."""
        self.activity_results: dict[str, dict[str, list[ActivityResult]]] = {}
        """By disruption_id and worker_id: results of the week's work, and each activity test that may be the first to
        pass, depending on peers in other buckets."""
        self._new_results: set[str] = set()
        """The disruptions with activity results that were added since they were last taken."""
        self.scoring_times: list[tuple[int, str]] = []
        """A heap of (moment (ms), disruption_id): when claims on a disruption may have to be scored."""
        self._revised: list[tuple[int, str]] = []
        """A heap of (moment (ms), disruption_id): the last revisions."""
        self._scheduled: set[tuple[int, str]] = set()
        """The elements of `scoring_times`."""
        self._scoring_moments: dict[tuple[str, str], set[ScoringTime]] = {}
        """By disruption_id and worker_id: what `scoring_requests` found, for the call of `schedule` that follows."""

    def record_disruption(self, disruption: Disruption) -> None:
        """Adds a disruption, or replaces it by its present revision."""
        self._scoring_moments.clear()
        self.disruptions[disruption.disruption_id] = disruption
        heapq.heappush(self._revised, (disruption.revisions[-1].at_ms, disruption.disruption_id))
        for worker, updates in disruption.updates.items():
            moment = claim_moment(updates)
            if moment is not None:
                self.claims[worker][disruption.disruption_id] = moment

    def add_activity_result(self, worker: str, result: ActivityResult) -> None:
        """Adds a result of one of a rider's claims."""
        self._scoring_moments.clear()
        self.activity_results.setdefault(result.disruption_id, {}).setdefault(worker, []).append(result)
        self._new_results.add(result.disruption_id)

    def take_new_results(self) -> set[str]:
        """The disruptions with activity results that were added since the last call."""
        taken, self._new_results = self._new_results, set()
        return taken

    def schedule(self, disruptions: Iterable[Disruption], after_ms: int) -> None:
        """Schedules the scoring of claims on these disruptions, at moments later than `after_ms`."""
        for disruption in disruptions:
            later = {
                moment.at_ms
                for worker in disruption.updates
                for moment in self._moments_of(disruption, worker)
                if moment.at_ms > after_ms
            }
            for at_ms in sorted(later):
                entry = (at_ms, disruption.disruption_id)
                if entry not in self._scheduled:
                    self._scheduled.add(entry)
                    heapq.heappush(self.scoring_times, entry)
        self._scoring_moments.clear()

    def _moments_of(self, disruption: Disruption, worker: str) -> set[ScoringTime]:
        """Every moment at which a rider's claim may have to be scored, whichever of the pending tests passes first."""
        key = (disruption.disruption_id, worker)
        if key not in self._scoring_moments:
            self._scoring_moments[key] = self._scoring_moments_of(disruption, worker)
        return self._scoring_moments[key]

    def _scoring_moments_of(self, disruption: Disruption, worker: str) -> set[ScoringTime]:
        updates = disruption.updates[worker]
        moments: set[ScoringTime] = set()
        for activity_results in self.possible_results(disruption.disruption_id, worker):
            moments |= scoring_times(self.product, updates, activity_results)
        return moments

    def possible_results(self, identity: str, worker: str) -> Iterator[list[ActivityResult]]:
        """The activity results that a rider's claim on a disruption may have: none of an activity test, or any of those
        that may be the first to pass."""
        activity_results = self.activity_results.get(identity, {}).get(worker, ())
        work = [activity_result for activity_result in activity_results if activity_result.kind == "work"]
        yield work
        for activity_result in activity_results:
            if activity_result.kind == "activity":
                yield [*work, activity_result]

    def take_due(self, upto_ms: int) -> set[str]:
        """Removes the scoring times up to a moment; gives the ids of their disruptions."""
        due = set()
        while self.scoring_times and self.scoring_times[0][0] <= upto_ms:
            entry = heapq.heappop(self.scoring_times)
            self._scheduled.discard(entry)
            identity = entry[1]
            if identity in self.disruptions:
                due.add(identity)
        return due

    def scoring_requests(self, identities: set[str], after_ms: int, upto_ms: int) -> list[ScoringRequest]:
        """A request for every claim on these disruptions, at every moment in (after, upto] at which it may have to be
        scored. Once for each confirmation a claim takes part in the comparison of all claims (`batch` 0, else -1)."""
        requests: list[ScoringRequest] = []
        for identity in sorted(identities):
            disruption = self.disruptions[identity]
            first_ms: dict[int, int] = {}
            for revision in disruption.revisions:
                first_ms.setdefault(revision.event.confirmed_at_ms, revision.at_ms)
            for worker, updates in disruption.updates.items():
                by_confirmation: dict[int, DisruptionUpdate] = {}
                for update in updates:
                    if update.terms is not None:
                        by_confirmation.setdefault(update.confirmed_at_ms, update)
                moments = sorted(
                    moment
                    for moment in self._moments_of(disruption, worker)
                    if moment.confirmed_at_ms in by_confirmation and after_ms < moment.at_ms <= upto_ms
                )
                not_compared = {ms for ms in by_confirmation if after_ms < first_ms[ms] <= upto_ms}
                for moment in moments:
                    batch = 0 if moment.confirmed_at_ms in not_compared else -1
                    not_compared.discard(moment.confirmed_at_ms)
                    update = by_confirmation[moment.confirmed_at_ms]
                    requests.append(ScoringRequest(update, moment.at_ms, batch, moment.rescored))
                requests.extend(ScoringRequest(by_confirmation[ms], ms, 0) for ms in sorted(not_compared))
        return requests

    def expire(self, before_ms: int) -> list[str]:
        """Drops disruptions that are over and have had no revision since `before_ms`; gives their ids."""
        expired = []
        while self._revised and self._revised[0][0] < before_ms:
            _, identity = heapq.heappop(self._revised)
            each = self.disruptions.get(identity)
            if each and each.revisions[-1].at_ms < before_ms and each.revisions[-1].state != "confirmed":
                expired.append(identity)
                self._forget(identity)
        return expired

    def _forget(self, identity: str) -> None:
        self.activity_results.pop(identity, None)
        for worker in self.disruptions.pop(identity).updates:
            self.claims[worker].pop(identity, None)
            if not self.claims[worker]:
                del self.claims[worker]
