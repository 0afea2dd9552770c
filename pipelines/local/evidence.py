"""Evidence and scores of claims on the local engine, measured in bulk.

A rider's machine asks for a score in the middle of a decision. What is not known yet is noted, the rider put off, and
all that was noted is measured together; then the riders put off are run again. One round answers the first decisions,
the next the re-scores, so there are few.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from monsoon.pipelines.claim_scores import ClaimMoment, ScoringRequest, claim_moments, queries_of, scores_of
from monsoon.pipelines.local.panes import panes_of
from monsoon.pipelines.syndicate_alerts import alerts_of, linked, members_of, watches
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import Claim, ClaimScore, DisruptionUpdate
from monsoon.transforms.evidence.measure import measure
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_table import TelemetryTable


class Question(NamedTuple):
    """The claims of one disruption, as confirmed at one moment, judged at another (ms)."""

    disruption_id: str
    confirmed_at_ms: int
    at_ms: int


class Unanswered(Exception):  # noqa: N818 - no error: the question goes into the next round
    """A score that was not measured yet."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


class ClaimScores(Protocol):
    """What a run of a product asks for scores."""

    model_version: str

    @property
    def syndicate_alerts(self) -> list[dict[str, Any]]:
        """The alerts over the claims of the product that was begun last."""

    def begin(self, product: Product, disruptions: Collection[Disruption]) -> None:
        """Told all disruptions of a product before its claims are adjudicated."""

    def answer(self, questions: Collection[Question]) -> None:
        """Measures what was asked."""

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """Raises Unanswered where the score was not asked about yet; None where it was, and none came."""


@dataclass(frozen=True)
class _Batch:
    """The claims of one disruption under one confirmation, in the order of their worker_ids."""

    question: Question
    updates: list[DisruptionUpdate]


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
        self._scores: dict[tuple[str, int, int], ClaimScore] = {}
        self._answered: set[Question] = set()
        self._product: Product
        self._alerts: dict[str, dict[str, Any]] = {}

    @property
    def syndicate_alerts(self) -> list[dict[str, Any]]:
        """The alerts over the claims of the product that was begun last, as far as they were asked about."""
        return list(self._alerts.values())

    def begin(self, product: Product, disruptions: Collection[Disruption]) -> None:
        """Takes note of who may claim on what, and answers every first decision ahead."""
        self._product = product
        self._alerts.clear()
        self._disruptions = {disruption.disruption_id: disruption for disruption in disruptions}
        self._scores.clear()
        self._answered.clear()
        self._claims = claim_moments(disruptions)
        first = set()
        for disruption in disruptions:
            for updates in disruption.updates.values():
                opened = next((h for h in updates if h.terms is not None and not h.withdrawn), None)
                if opened is not None:
                    first.add(Question(opened.disruption_id, opened.confirmed_at_ms, opened.at_ms))
        self.answer(first)

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """The claim's score at `at_ms`, None where there is none; raises Unanswered where that was not asked yet."""
        about = claim.update
        score = self._scores.get((claim.claim_id, about.confirmed_at_ms, at_ms))
        question = Question(about.disruption_id, about.confirmed_at_ms, at_ms)
        if score is None and question not in self._answered:
            raise Unanswered(question)
        return score

    def answer(self, questions: Collection[Question]) -> None:
        """Measures and scores the claims of these questions, all together. Each is asked once: what it does not find
        will not be found another time."""
        self._answered.update(questions)
        batches = [self._batch(question) for question in sorted(questions)]
        claims = [
            ScoringRequest(update, batch.question.at_ms, number)
            for number, batch in enumerate(batches)
            for update in batch.updates
        ]
        if not claims:
            return
        queries = queries_of(claims, self._code_of, self._claims)
        evidence = measure(self._telemetry, self._panes, self._references, queries)
        facts = self._facts(claims, queries)
        for (update, at_ms, _), score in zip(claims, scores_of(evidence, self._scorer, self._product), strict=True):
            assert update.terms is not None
            name = claim_id(update.terms.policy_id, update.disruption_id)
            known = replace(score, facts=facts(name, update.confirmed_at_ms)) if facts else score
            self._scores[name, update.confirmed_at_ms, at_ms] = known

    def _facts(
        self, claims: list[ScoringRequest], queries: Queries
    ) -> Callable[[str, int], Mapping[str, float]] | None:
        """What rules ask of a claim (by id and confirmation) that is no feature; None where they ask nothing."""
        if not watches(self._product):
            return None
        alerts = alerts_of(self._product, linked(self._telemetry, claims, queries))
        self._alerts.update((alert["alert_id"], alert) for alert in alerts)
        members = members_of(alerts)
        return lambda claim, confirmed_at_ms: {"syndicate": float((claim, confirmed_at_ms) in members)}

    def _batch(self, question: Question) -> _Batch:
        present = []
        updates_of = self._disruptions[question.disruption_id].updates
        for worker in sorted(updates_of):
            about = (
                h for h in updates_of[worker] if h.confirmed_at_ms == question.confirmed_at_ms and h.terms is not None
            )
            update = next(about, None)
            if update is not None:
                present.append(update)
        return _Batch(question, present)
