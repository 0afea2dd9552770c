"""From measured evidence to the scores that a rider's machine asks for, whichever engine measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import h3.api.basic_int as h3
import numpy as np

from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import Happening, Score
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.scoring import Scorer

_DECIMALS = 6
"""Features are written to a millionth: sines may differ in the last bit between processors."""

_WEEK_MS = 7 * 24 * 3_600_000


def scores_of(evidence: Evidence, scorer: Scorer) -> list[Score]:
    """One score per query of the evidence."""
    scores = scorer.score(evidence.values)
    count = len(scores.risk)
    weightiest = scorer.explain(evidence.values, np.arange(count))
    values, reports = _rows(evidence)
    return [
        Score(
            risk=None if np.isnan(scores.risk[row]) else float(scores.risk[row]),
            signals=int(scores.measured_groups[row]),
            features=values[row],
            reports=reports[row],
            weightiest=tuple(contribution.feature for contribution in weightiest[row]),
        )
        for row in range(count)
    ]


class Asked(NamedTuple):
    """A claim, by what happened to its rider, judged at a moment; `batch` numbers the claims compared with it."""

    happening: Happening
    decided_at_ms: int
    batch: int


def queries_of(asked: Sequence[Asked], code_of: Mapping[str, int], claims_ms: Mapping[str, Sequence[int]]) -> Queries:
    """The questions to the evidence; at least one, all with terms, their zones of one resolution.

    `code_of` gives riders' codes in the trail, `claims_ms` when their claims were confirmed (`claim_moments`).
    """
    happenings = [each.happening for each in asked]
    terms = [happening.terms for happening in happenings if happening.terms is not None]
    zones = [h3.str_to_int(happening.zone) for happening in happenings]
    return Queries.of(
        resolution=h3.get_resolution(zones[0]),
        worker=[code_of.get(each.worker_id, -1) for each in terms],
        zone=np.array(zones, dtype=np.uint64),
        confirmed_at_ms=[happening.confirmed_at_ms for happening in happenings],
        decided_at_ms=[each.decided_at_ms for each in asked],
        batch=[each.batch for each in asked],
        account_created_at_ms=[each.account_created_at_ms for each in terms],
        activated_at_ms=[each.activated_at_ms for each in terms],
        first_alert_ms=[happening.first_alert_ms for happening in happenings],
        claims_7d=[
            _claims_before(claims_ms[each.worker_id], happening.confirmed_at_ms)
            for happening, each in zip(happenings, terms, strict=True)
        ],
        orders_per_hour=[each.orders_per_hour for each in terms],
    )


def _claims_before(moments_ms: Sequence[int], at_ms: int) -> int:
    """How many of a rider's claims were confirmed in the seven days before `at_ms`."""
    moments = np.array(moments_ms)
    return int(np.count_nonzero((moments < at_ms) & (moments >= at_ms - _WEEK_MS)))


def claim_moments(disruptions: Collection[Disruption]) -> dict[str, list[int]]:
    """When each rider's claims were confirmed (ms), by worker_id, each claim once."""
    moments: dict[str, list[int]] = {}
    for disruption in disruptions:
        for worker, happenings in disruption.happenings.items():
            first = next((h for h in happenings if h.terms is not None), None)
            if first is not None:
                moments.setdefault(worker, []).append(first.confirmed_at_ms)
    return moments


def _rows(evidence: Evidence) -> tuple[list[Mapping[str, float | None]], list[Mapping[str, int]]]:
    """The evidence claim by claim, as the contract has it: null for what was not measured."""
    columns = [evidence.values[name] for name in FEATURE_NAMES]
    counts = [evidence.reports[name].tolist() for name in FEATURE_NAMES]
    measured = [np.isfinite(column).tolist() for column in columns]
    numbers = [np.round(column, _DECIMALS).tolist() for column in columns]
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
