"""From scoring requests to evidence queries, and from measured evidence to the scores of claims, for every engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import ClaimScore, DisruptionUpdate, GuardSignal, Reread
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.evidence.ragged import Bools, Ints
from monsoon.transforms.evidence.wages import AmountCounts, usual_at
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.guard.rereads import RELEASED, REVIEWED, WAITS, rereads_of
from monsoon.transforms.guard.signals import CLEAR, SIGNALS, STRONG, Signal, signals_of
from monsoon.transforms.product import ModelScore, Product
from monsoon.transforms.scoring import ModelSchedule, Scorer
from monsoon.transforms.scoring.calibration import on_scale

_DECIMALS = 6
"""Features are rounded to a millionth: results of sines may differ in the last bit between processors."""

_WEEK_MS = 7 * 24 * 3_600_000


def scores_of(evidence: Evidence, scorer: Scorer, product: Product) -> list[ClaimScore]:
    """One score per query of the evidence: a model's risk, on the product's scale, where its `anomaly` is a model's."""
    scores = scorer.score(evidence.values)
    count = len(scores.risk)
    anomaly = product.decision.scores.get("anomaly")
    risks = on_scale(anomaly.cut_offs, scores.risk) if isinstance(anomaly, ModelScore) else np.full(count, np.nan)
    columns = zip(
        _or_none(risks, ~np.isnan(risks)),
        scores.measured_groups.tolist(),
        _features(evidence),
        _reports(evidence),
        scorer.weightiest(evidence.values),
        strict=True,
    )
    guard = guard_signals(_signals(evidence))
    return [ClaimScore(*row, model=scorer.version, guard=mine) for row, mine in zip(columns, guard, strict=True)]


def _signals(evidence: Evidence) -> dict[str, Signal]:
    """The guard's signals; nobody tells yet who is a member of a ring, or how many riders share a payout account."""
    count = len(next(iter(evidence.values.values())))
    unknown = np.full(count, np.nan)
    return signals_of(evidence, unknown, unknown)


_STATUS: Mapping[int, Literal["strong", "clear"]] = {STRONG: "strong", CLEAR: "clear"}


def guard_signals(signals: Mapping[str, Signal]) -> list[tuple[GuardSignal, ...]]:
    """Signals as the state of claims and their records have them: each claim's, those of which something was
    measured."""
    found: list[list[GuardSignal]] = [[] for _ in next(iter(signals.values())).status]
    for name, signal in signals.items():
        features = [condition.feature for condition in SIGNALS[name]]
        columns = zip(
            signal.status.tolist(),
            signal.condition.tolist(),
            _rounded(signal.value).tolist(),
            signal.threshold.tolist(),
            signal.reports.tolist(),
            strict=True,
        )
        for mine, (status, condition, *numbers) in zip(found, columns, strict=True):
            if condition >= 0:
                mine.append(GuardSignal(name, _STATUS.get(status), features[condition], *numbers))
    return [tuple(mine) for mine in found]


_OUTCOMES: Mapping[int, Literal["released", "waits", "reviewed"]] = {
    RELEASED: "released",
    WAITS: "waits",
    REVIEWED: "reviewed",
}


def claim_rereads(evidence: Evidence, tied: Bools, asked_at_ms: Ints, decided_at_ms: Ints) -> list[Reread]:
    """The re-reads of claims whose riders answered, from the evidence since they were asked; `tied` as of `ties_of`."""
    signals = _signals(evidence)
    columns = zip(
        asked_at_ms.tolist(),
        decided_at_ms.tolist(),
        rereads_of(evidence, signals, tied).tolist(),
        guard_signals(signals),
        strict=True,
    )
    return [Reread(asked_ms, at_ms, _OUTCOMES[outcome], mine) for asked_ms, at_ms, outcome, mine in columns]


def scheduled_scores_of(
    evidence: Evidence, confirmed_at_ms: npt.NDArray[np.int64], models: ModelSchedule, product: Product
) -> list[ClaimScore]:
    """The same, each query by the model for disruptions confirmed at its moment (ms)."""
    numbers = models.numbers_at(confirmed_at_ms)
    in_force = np.unique(numbers).tolist()
    if len(in_force) == 1:  # as a rule: nothing has to be taken apart
        return scores_of(evidence, models[in_force[0]], product)
    found: dict[int, ClaimScore] = {}
    for number in in_force:
        places = np.flatnonzero(numbers == number)
        some = Evidence(
            {name: column[places] for name, column in evidence.values.items()},
            {name: column[places] for name, column in evidence.reports.items()},
        )
        found.update(zip(places.tolist(), scores_of(some, models[number], product), strict=True))
    return [found[place] for place in range(len(numbers))]


class ScoringRequest(NamedTuple):
    """A claim, given by its disruption update, to be scored at a moment (ms), for the first time or again; claims of
    the same `batch` are compared with each other. Or a re-read of it: then `asked_at_ms` is when its rider was asked
    (else -1), and `answer_id` names the answer that it is for, if one."""

    update: DisruptionUpdate
    decided_at_ms: int
    batch: int
    rescored: bool = False
    asked_at_ms: int = -1
    answer_id: str = ""


class ClaimMoment(NamedTuple):
    """When a claim was first known, and the confirmation of its disruption (ms)."""

    known_at_ms: int
    confirmed_at_ms: int


class StatedWage(NamedTuple):
    """The amount that a policy states of its rider's earnings and that decides the payout of a claim, and its name."""

    name: str
    amount_inr: float


def stated_wage(product: Product, update: DisruptionUpdate) -> StatedWage | None:
    """The stated amount that decides the payout of a claim; None where none does."""
    terms = update.terms
    names = () if terms is None else product.at(update.start_ms).trigger(update.trigger).wages
    stated = ((name, getattr(terms, name)) for name in names)
    return next((StatedWage(name, amount) for name, amount in stated if amount is not None), None)


def with_usual_wages(
    queries: Queries, stated: Sequence[StatedWage | None], counts_at: Callable[[str, int], AmountCounts]
) -> Queries:
    """The queries with what their claims' policies state, and what is usual at the confirmation; `counts_at` gives the
    amounts of a name that policies in force at a moment (ms) state."""
    some = np.array([row for row, each in enumerate(stated) if each is not None], dtype=np.int64)
    known = [each for each in stated if each is not None]
    stated_inr, usual_inr = (np.full(len(queries), np.nan) for _ in range(2))
    stated_inr[some] = [each.amount_inr for each in known]
    names = [each.name for each in known]
    usual_inr[some] = usual_at(queries.zone[some], names, queries.confirmed_at_ms[some], counts_at)
    return replace(queries, stated_inr=stated_inr, usual_inr=usual_inr)


def queries_of(
    requests: Sequence[ScoringRequest], code_of: Mapping[str, int], claims: Mapping[str, Collection[ClaimMoment]]
) -> Queries:
    """The evidence queries of scoring requests; at least one, all with terms, their zones of one H3 resolution.

    `code_of` gives riders' codes in the telemetry table, `claims` all claims of each of these riders (`claim_moment`).
    """
    updates = [each.update for each in requests]
    terms = [update.terms for update in updates if update.terms is not None]
    zones = [h3.str_to_int(update.zone) for update in updates]
    return Queries.of(
        resolution=h3.get_resolution(zones[0]),
        worker=[code_of.get(each.worker_id, -1) for each in terms],
        zone=np.array(zones, dtype=np.uint64),
        confirmed_at_ms=[update.confirmed_at_ms for update in updates],
        decided_at_ms=[each.decided_at_ms for each in requests],
        rescored=[each.rescored for each in requests],
        asked_at_ms=[each.asked_at_ms for each in requests],
        batch=[each.batch for each in requests],
        account_created_at_ms=[each.account_created_at_ms for each in terms],
        activated_at_ms=[each.activated_at_ms for each in terms],
        first_alert_ms=[update.first_alert_ms for update in updates],
        claims_7d=[
            claims_before(claims[each.worker_id], update.confirmed_at_ms, request.decided_at_ms)
            for update, each, request in zip(updates, terms, requests, strict=True)
        ],
        orders_per_hour=[each.orders_per_hour for each in terms],
    )


def claims_before(claims: Collection[ClaimMoment], at_ms: int, decided_at_ms: int) -> int:
    """How many of a rider's claims, of those known at the decision, were confirmed in the seven days before `at_ms`."""
    return sum(
        at_ms - _WEEK_MS <= claim.confirmed_at_ms < at_ms and claim.known_at_ms <= decided_at_ms for claim in claims
    )


def claim_moment(updates: Sequence[DisruptionUpdate]) -> ClaimMoment | None:
    """When one rider's claim on one disruption was opened; None where the rider never was a candidate."""
    first = next((update for update in updates if update.terms is not None), None)
    return None if first is None else ClaimMoment(first.at_ms, first.confirmed_at_ms)


def claim_moments(disruptions: Collection[Disruption]) -> dict[str, list[ClaimMoment]]:
    """Each rider's claims, by worker_id."""
    moments: dict[str, list[ClaimMoment]] = {}
    for disruption in disruptions:
        for worker, updates in disruption.updates.items():
            moment = claim_moment(updates)
            if moment is not None:
                moments.setdefault(worker, []).append(moment)
    return moments


def _rounded(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rounds to _DECIMALS decimals; numbers too large to have decimals stay as they are."""
    with np.errstate(over="ignore"):
        rounded = np.round(column, _DECIMALS)
    return np.where(np.isinf(rounded), column, rounded)


def _or_none(column: npt.NDArray[np.float64], measured: npt.NDArray[np.bool_]) -> list[float | None]:
    """A column as the contract has it: null for what was not measured."""
    values = column.tolist()
    if measured.all():
        return values
    return [value if known else None for value, known in zip(values, measured.tolist(), strict=True)]


def _features(evidence: Evidence) -> Iterator[dict[str, float | None]]:
    """The values of the features, claim by claim."""
    columns = [evidence.values[name] for name in FEATURE_NAMES]
    numbers = [_or_none(_rounded(column), np.isfinite(column)) for column in columns]
    return (dict(zip(FEATURE_NAMES, row, strict=True)) for row in zip(*numbers, strict=True))


def _reports(evidence: Evidence) -> Iterator[dict[str, int]]:
    """How many reports each feature rests on, claim by claim, of those that rest on any."""
    counts = [evidence.reports[name].tolist() for name in FEATURE_NAMES]
    return (
        {name: count for name, count in zip(FEATURE_NAMES, row, strict=True) if count}
        for row in zip(*counts, strict=True)
    )
