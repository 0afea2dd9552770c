"""Evidence and scores of claims on the local engine, measured in bulk.

A rider's machine needs a score in the middle of a decision. Where the score is not measured yet, the rider is deferred;
then all missing scores are measured in one batch and the deferred riders run again. The first round covers the first
decisions, the next ones re-scores, so there are few.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, NamedTuple, Protocol

from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import Claim, ClaimScore, DisruptionUpdate
from monsoon.transforms.claim_scores import ClaimMoment, ScoringRequest, claim_moments, queries_of, scores_of
from monsoon.transforms.evidence.measure import measure
from monsoon.transforms.evidence.references import References
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.syndicate_alerts import Scores, alerts_of, linked, members_of, scores_by_claim, watches
from monsoon.transforms.telemetry_table import TelemetryTable


class ScoringQuery(NamedTuple):
    """The claims of one disruption, as confirmed at one moment, scored at another (ms), for the first time or again."""

    disruption_id: str
    confirmed_at_ms: int
    at_ms: int
    rescored: bool


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

    def begin(self, product: Product, disruptions: Collection[Disruption]) -> None:
        """Called with all disruptions of a product, before its claims are adjudicated."""

    def measure_scores(self, scoring_queries: Collection[ScoringQuery]) -> None:
        """Measures the scores of these queries."""

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """The score of a claim, None where it cannot be measured. Raises ScoreNotMeasured where it was not yet."""


class ClaimEvidence:
    """Scores from a telemetry table with one model."""

    def __init__(self, telemetry: TelemetryTable, references: References, scorer: Scorer) -> None:
        self._telemetry, self._references, self._scorer = telemetry, references, scorer
        self._panes = panes_of(telemetry)
        self._code_of = {worker: code for code, worker in enumerate(telemetry.workers)}
        self.model_version = scorer.version
        self.models = {scorer.name: scorer.version}
        self._disruptions: dict[str, Disruption] = {}
        self._claims: dict[str, list[ClaimMoment]] = {}
        self._scores: Scores = {}
        self._measured: set[ScoringQuery] = set()
        self._product: Product
        self._alerts: dict[str, dict[str, Any]] = {}

    @property
    def syndicate_alerts(self) -> list[dict[str, Any]]:
        """The alerts over the claims of the current product that were scored so far."""
        return list(self._alerts.values())

    def begin(self, product: Product, disruptions: Collection[Disruption]) -> None:
        """Sets the product and its disruptions, and measures the scores of all first decisions."""
        self._product = product
        self._alerts.clear()
        self._disruptions = {disruption.disruption_id: disruption for disruption in disruptions}
        self._scores.clear()
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

    def measure_scores(self, scoring_queries: Collection[ScoringQuery]) -> None:
        """Measures and scores the claims of these queries in one batch. Each query is measured once, even if it gives
        no score."""
        self._measured.update(scoring_queries)
        claims = [
            ScoringRequest(update, query.at_ms, number, query.rescored)
            for number, query in enumerate(sorted(scoring_queries))
            for update in self._claimants(query)
        ]
        if not claims:
            return
        queries = queries_of(claims, self._code_of, self._claims)
        evidence = measure(self._telemetry, self._panes, self._references, queries)
        watched = watches(self._product)
        alerts = alerts_of(self._product, linked(self._telemetry, claims, queries)) if watched else []
        self._alerts.update((alert["alert_id"], alert) for alert in alerts)
        scores = scores_of(evidence, self._scorer, self._product)
        names = (
            (update.terms.policy_id, update.disruption_id, update.confirmed_at_ms, at_ms, rescored)
            for update, at_ms, _, rescored in claims
            if update.terms
        )
        self._scores |= scores_by_claim(self._product, names, scores, members_of(alerts))

    def _claimants(self, query: ScoringQuery) -> Iterator[DisruptionUpdate]:
        """Of each rider with a claim under the confirmation the first update, in the order of their worker_ids."""
        disruption, confirmed_ms = self._disruptions[query.disruption_id], query.confirmed_at_ms
        for _, updates in sorted(disruption.updates.items()):
            yield from islice((each for each in updates if each.terms and each.confirmed_at_ms == confirmed_ms), 1)
