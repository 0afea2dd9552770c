"""Evidence and scores of claims on the local engine, measured in bulk.

A rider's machine asks for a score in the middle of a decision. What is not known yet is noted, the rider put off, and
all that was noted is measured together; then the riders put off are run again. One round answers the first decisions,
the next the re-scores, so there are few.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.pipelines.local.panes import panes_of
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import Claim, Happening, Score
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence, measure
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.trail import Trail

_DECIMALS = 6
"""Features are written to a millionth: sines may differ in the last bit between processors."""

_WEEK_MS = 7 * 24 * 3_600_000


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

    def begin(self, disruptions: Collection[Disruption]) -> None:
        """Told all disruptions of a product before its claims are adjudicated."""

    def answer(self, questions: Collection[Question]) -> None:
        """Measures what was asked."""

    def __call__(self, claim: Claim, at_ms: int) -> Score:
        """Raises Unanswered where the score was not measured yet."""


@dataclass(frozen=True)
class _Batch:
    """The claims of one disruption under one confirmation, in the order of their worker_ids."""

    question: Question
    happenings: list[Happening]


class ScoreBook:
    """Scores from a trail with one model."""

    def __init__(self, trail: Trail, references: References, scorer: Scorer) -> None:
        self._trail, self._references, self._scorer = trail, references, scorer
        self._panes = panes_of(trail)
        self._code_of = {worker: code for code, worker in enumerate(trail.workers)}
        self.model_name, self.model_version = scorer.name, scorer.version
        self._disruptions: dict[str, Disruption] = {}
        self._claims_ms: dict[str, list[int]] = {}
        self._scores: dict[tuple[str, int], Score] = {}

    def begin(self, disruptions: Collection[Disruption]) -> None:
        """Takes note of who may claim on what, and answers every first decision ahead."""
        self._disruptions = {disruption.disruption_id: disruption for disruption in disruptions}
        self._scores.clear()
        self._claims_ms = _claim_moments(disruptions)
        first = set()
        for disruption in disruptions:
            for happenings in disruption.happenings.values():
                opened = next((h for h in happenings if h.terms is not None and not h.withdrawn), None)
                if opened is not None:
                    first.add(Question(opened.disruption_id, opened.confirmed_at_ms, opened.at_ms))
        self.answer(first)

    def __call__(self, claim: Claim, at_ms: int) -> Score:
        """The claim's score at `at_ms`; raises Unanswered where it was not measured yet."""
        score = self._scores.get((claim.claim_id, at_ms))
        if score is None:
            about = claim.happening
            raise Unanswered(Question(about.disruption_id, about.confirmed_at_ms, at_ms))
        return score

    def answer(self, questions: Collection[Question]) -> None:
        """Measures and scores the claims of these questions, all together."""
        batches = [self._batch(question) for question in sorted(questions)]
        claims = [(batch, happening) for batch in batches for happening in batch.happenings]
        if not claims:
            return
        evidence = measure(self._trail, self._panes, self._references, self._queries(batches))
        scores = self._scorer.score(evidence.values)
        weightiest = self._scorer.explain(evidence.values, np.arange(len(claims)))
        values, reports = _rows(evidence)
        for row, (batch, happening) in enumerate(claims):
            assert happening.terms is not None
            name = claim_id(happening.terms.policy_id, happening.disruption_id)
            risk = float(scores.risk[row])
            self._scores[name, batch.question.at_ms] = Score(
                risk=None if np.isnan(risk) else risk,
                signals=int(scores.measured_groups[row]),
                features=values[row],
                reports=reports[row],
                weightiest=tuple(contribution.feature for contribution in weightiest[row]),
            )

    def _batch(self, question: Question) -> _Batch:
        present = []
        happenings_of = self._disruptions[question.disruption_id].happenings
        for worker in sorted(happenings_of):
            about = (
                h
                for h in happenings_of[worker]
                if h.confirmed_at_ms == question.confirmed_at_ms and h.terms is not None
            )
            happening = next(about, None)
            if happening is not None:
                present.append(happening)
        return _Batch(question, present)

    def _queries(self, batches: list[_Batch]) -> Queries:
        asked = [(number, batch, h, h.terms) for number, batch in enumerate(batches) for h in batch.happenings]
        zones = [h3.str_to_int(h.zone) for _, _, h, _ in asked]
        return Queries.of(
            resolution=h3.get_resolution(zones[0]),
            worker=[self._code_of.get(terms.worker_id, -1) for _, _, _, terms in asked if terms],
            zone=np.array(zones, dtype=np.uint64),
            confirmed_at_ms=[h.confirmed_at_ms for _, _, h, _ in asked],
            decided_at_ms=[batch.question.at_ms for _, batch, _, _ in asked],
            batch=[number for number, _, _, _ in asked],
            account_created_at_ms=[terms.account_created_at_ms for _, _, _, terms in asked if terms],
            activated_at_ms=[terms.activated_at_ms for _, _, _, terms in asked if terms],
            first_alert_ms=[h.first_alert_ms for _, _, h, _ in asked],
            claims_7d=[self._claims_7d(h) for _, _, h, _ in asked],
            orders_per_hour=[terms.orders_per_hour for _, _, _, terms in asked if terms],
        )

    def _claims_7d(self, happening: Happening) -> int:
        """The rider's claims on other disruptions confirmed in the seven days before this one was."""
        assert happening.terms is not None
        moments = np.array(self._claims_ms[happening.terms.worker_id])
        at_ms = happening.confirmed_at_ms
        return int(np.count_nonzero((moments < at_ms) & (moments >= at_ms - _WEEK_MS)))


def _claim_moments(disruptions: Collection[Disruption]) -> dict[str, list[int]]:
    """When each rider's claims were confirmed (ms), by worker_id, each claim once."""
    moments: dict[str, list[int]] = {}
    for disruption in disruptions:
        for worker, happenings in disruption.happenings.items():
            first = next((h for h in happenings if h.terms is not None), None)
            if first is not None:
                moments.setdefault(worker, []).append(first.confirmed_at_ms)
    return moments


def _rounded(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """To _DECIMALS decimals; numbers so large that they have none stay as they are."""
    with np.errstate(over="ignore"):
        rounded = np.round(column, _DECIMALS)
    return np.where(np.isinf(rounded), column, rounded)


def _rows(evidence: Evidence) -> tuple[list[Mapping[str, float | None]], list[Mapping[str, int]]]:
    """The evidence claim by claim, as the contract has it: null for what was not measured."""
    columns = [evidence.values[name] for name in FEATURE_NAMES]
    counts = [evidence.reports[name].tolist() for name in FEATURE_NAMES]
    measured = [np.isfinite(column).tolist() for column in columns]
    numbers = [_rounded(column).tolist() for column in columns]
    values: list[Mapping[str, float | None]] = []
    reports: list[Mapping[str, int]] = []
    for row in range(len(numbers[0])):
        values.append(
            {
                name: number[row] if known[row] else None
                for name, number, known in zip(FEATURE_NAMES, numbers, measured, strict=True)
            }
        )
        reports.append({name: count[row] for name, count in zip(FEATURE_NAMES, counts, strict=True) if count[row]})
    return values, reports
