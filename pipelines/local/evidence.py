"""Evidence and scores of claims on the local engine, measured in bulk.

A rider's machine needs a score in the middle of a decision. Where the score is not measured yet, the rider is deferred;
then all missing scores are measured in one batch and the deferred riders run again. The first round covers the first
decisions, the next ones re-scores and re-reads, so there are few.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache, cached_property
from itertools import islice
from typing import Any, NamedTuple, Protocol

from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import Claim, ClaimScore, DisruptionUpdate, Reread
from monsoon.transforms.claim_scores import (
    ClaimMoment,
    ScoringRequest,
    claim_moments,
    claim_rereads,
    queries_of,
    scores_of,
    stated_wage,
    with_usual_wages,
)
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.measure import measure, measure_own, with_neighbor_features
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.wages import AmountCounts
from monsoon.transforms.guard.rereads import ties_of
from monsoon.transforms.panes import Panes
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.stated_amounts import StatedAmounts
from monsoon.transforms.syndicate_alerts import Scores, alerts_of, linked, members_of, scores_by_claim, watches
from monsoon.transforms.telemetry_table import TelemetryTable


class ScoringQuery(NamedTuple):
    """The claims of one disruption, as confirmed at one moment, scored at another (ms), for the first time or again; or
    the re-read of one rider's claim on it, who was asked at a moment (ms)."""

    disruption_id: str
    confirmed_at_ms: int
    at_ms: int
    rescored: bool
    asked_at_ms: int = -1
    worker_id: str = ""

    @property
    def is_reread(self) -> bool:
        """Whether it is about what was reported since the asking."""
        return self.asked_at_ms >= 0


class ScoreNotMeasured(Exception):  # noqa: N818 - no error: the query is measured in the next round
    """A machine needs a score that was not measured yet."""

    def __init__(self, query: ScoringQuery) -> None:
        super().__init__(query)
        self.query = query


class ClaimScores(Protocol):
    """Where the machines of a product get scores from."""

    model_version: str

    @property
    def syndicate_alerts(self) -> list[dict[str, Any]]:
        """The syndicate alerts over the claims of the current product."""

    def begin(self, product: Product, disruptions: Collection[Disruption], amounts: StatedAmounts) -> None:
        """Called with all disruptions of a product and what its policies state, before its claims are adjudicated."""

    def measure_scores(self, scoring_queries: Collection[ScoringQuery]) -> None:
        """Measures the scores of these queries."""

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """The score of a claim, None where it cannot be measured. Raises ScoreNotMeasured where it was not yet."""

    def reread(self, claim: Claim, at_ms: int, asked_at_ms: int, answer_id: str) -> Reread | None:
        """The re-read of a claim; None and ScoreNotMeasured as of scores."""


class ClaimEvidence:
    """Scores from a telemetry table, and its panes, with one model."""

    def __init__(self, telemetry: TelemetryTable, references: References, scorer: Scorer, panes: Panes) -> None:
        self._telemetry, self._references, self._scorer = telemetry, references, scorer
        self._panes = panes
        self._code_of = {worker: code for code, worker in enumerate(telemetry.workers)}
        self.model_version = scorer.version
        self.models = {scorer.name: scorer.version}
        self._disruptions: dict[str, Disruption] = {}
        self._claims: dict[str, list[ClaimMoment]] = {}
        self._scores: Scores = {}
        self._rereads: dict[ScoringQuery, Reread] = {}
        self._measured: set[ScoringQuery] = set()
        self._product: Product
        self._counts_at: Callable[[str, int], AmountCounts]
        self._alerts: dict[str, dict[str, Any]] = {}

    @cached_property
    def _device_days(self) -> DeviceDays:
        return DeviceDays.of(self._panes)

    @property
    def syndicate_alerts(self) -> list[dict[str, Any]]:
        """The alerts over the claims of the current product that were scored so far."""
        return list(self._alerts.values())

    def begin(self, product: Product, disruptions: Collection[Disruption], amounts: StatedAmounts) -> None:
        """Sets the product, its disruptions and what its policies state, and measures the scores of all first
        decisions."""
        self._product = product
        self._counts_at = cache(amounts.at)
        self._alerts.clear()
        self._disruptions = {disruption.disruption_id: disruption for disruption in disruptions}
        self._scores.clear()
        self._rereads.clear()
        self._measured.clear()
        self._claims = claim_moments(disruptions)
        first = set()
        for disruption in disruptions:
            for updates in disruption.updates.values():
                opened = next((update for update in updates if update.terms is not None and not update.withdrawn), None)
                if opened is not None:
                    first.add(ScoringQuery(opened.disruption_id, opened.confirmed_at_ms, opened.at_ms, False))
        self.measure_scores(first)

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """The claim's score at `at_ms`, None where there is none. Raises ScoreNotMeasured where it was not measured."""
        about, rescored = claim.update, claim.score is not None
        score = self._scores.get((claim.claim_id, about.confirmed_at_ms, at_ms, rescored))
        query = ScoringQuery(about.disruption_id, about.confirmed_at_ms, at_ms, rescored)
        if score is None and query not in self._measured:
            raise ScoreNotMeasured(query)
        return score

    def reread(self, claim: Claim, at_ms: int, asked_at_ms: int, answer_id: str) -> Reread | None:
        """The claim's re-read at `at_ms`. Raises ScoreNotMeasured where it was not measured."""
        about, worker = claim.update, claim.terms.worker_id
        query = ScoringQuery(about.disruption_id, about.confirmed_at_ms, at_ms, False, asked_at_ms, worker)
        if query not in self._measured:
            raise ScoreNotMeasured(query)
        return self._rereads.get(query)

    def measure_scores(self, scoring_queries: Collection[ScoringQuery]) -> None:
        """Measures and scores the claims of these queries in one batch. Each query is measured once, even if it gives
        no score."""
        self._measured.update(scoring_queries)
        self._measure_rereads([query for query in sorted(scoring_queries) if query.is_reread])
        claims = [
            ScoringRequest(update, query.at_ms, number, query.rescored)
            for number, query in enumerate(sorted(scoring_queries))
            if not query.is_reread
            for update in self._claimants(query)
        ]
        if not claims:
            return
        queries = queries_of(claims, self._code_of, self._claims)
        stated = [stated_wage(self._product, update) for update, *_ in claims]
        queries = with_usual_wages(queries, stated, self._counts_at)
        evidence = measure(self._telemetry, self._panes, self._references, queries)
        watched = watches(self._product)
        alerts = alerts_of(self._product, linked(self._telemetry, claims, queries)) if watched else []
        self._alerts.update((alert["alert_id"], alert) for alert in alerts)
        scores = scores_of(evidence, self._scorer, self._product)
        names = (
            (update.terms.policy_id, update.disruption_id, update.confirmed_at_ms, at_ms, rescored)
            for update, at_ms, _, rescored, *_ in claims
            if update.terms
        )
        self._scores |= scores_by_claim(self._product, names, scores, members_of(alerts))

    def _measure_rereads(self, rereads: Sequence[ScoringQuery]) -> None:
        claims = [
            (query, ScoringRequest(update, query.at_ms, -1, asked_at_ms=query.asked_at_ms))
            for query in rereads
            for update in self._updates(query, query.worker_id)
        ]
        if not claims:
            return
        queries = queries_of([request for _, request in claims], self._code_of, self._claims)
        # Of their riders alone, but for who else uses their phones: there are many rounds with few re-reads each.
        panes = self._panes.of_workers(queries.worker)
        cells = PaneCells.of(panes, queries.resolution)
        own = measure_own(self._telemetry, panes, cells, self._references, queries)
        riders = self._device_days.riders(own.device, queries.decided_at_ms)
        evidence = with_neighbor_features(own.evidence, {"riders_on_device_28d": riders})
        tied = ties_of(self._telemetry, queries)
        found = claim_rereads(evidence, tied, queries.asked_at_ms, queries.decided_at_ms)
        self._rereads.update(zip([query for query, _ in claims], found, strict=True))

    def _claimants(self, query: ScoringQuery) -> Iterator[DisruptionUpdate]:
        """Of each rider with a claim under the confirmation the first update, in the order of their worker_ids."""
        for worker in sorted(self._disruptions[query.disruption_id].updates):
            yield from self._updates(query, worker)

    def _updates(self, query: ScoringQuery, worker: str) -> Iterator[DisruptionUpdate]:
        """The rider's first update under the query's confirmation, if there is a claim."""
        updates, confirmed_ms = self._disruptions[query.disruption_id].updates[worker], query.confirmed_at_ms
        return islice((each for each in updates if each.terms and each.confirmed_at_ms == confirmed_ms), 1)
