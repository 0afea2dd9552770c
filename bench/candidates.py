"""Candidates of one disruption, made up, and the time that they take from evidence to decisions, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from monsoon.pipelines.local.collector import collector_paused
from monsoon.pipelines.local.replay import publish
from monsoon.pipelines.results import Outcome
from monsoon.transforms.adjudication.claims import ActivityResult, Claim, ClaimScore, DisruptionUpdate, PolicyTerms
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.claim_scores import scores_of
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.identifiers import disruption_id
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer

SEED = 7
_START_MS = 1_719_558_000_000
_HOUR_MS = 3_600_000
_ZONE = {9: "893da11462fffff", 8: "883da11463fffff", 7: "873da1146ffffff", 6: "863da1147ffffff"}
"""A cell of Delhi at every resolution that a shipped product has."""


def timed(product: Product, scorer: Scorer, count: int) -> str:
    """The line of one product: seconds of each stage, microseconds a candidate, and how many ended in which status."""
    evidence = _evidence(scorer, count)
    riders = list(_riders(product, count))
    with collector_paused():  # as the replay does
        began_s = time.perf_counter()
        scores = scores_of(evidence, scorer, product)
        scored_s = time.perf_counter()
        claims: list[dict[str, Any]] = []
        payouts: list[dict[str, Any]] = []
        for items, score in zip(riders, scores, strict=True):
            decided = run_rider(RiderMachine(product, scorer.version, _Known(score)), items)
            claims += decided[0]
            payouts += decided[1]
        decided_s = time.perf_counter()
        begun = {"disruption_id": claims[0]["disruption_id"], "start": _START_MS}
        publish(product, claims, payouts, (), Outcome(disruptions=[begun]))
        told_s = time.perf_counter()
    last = {claim["claim_id"]: claim["status"] for claim in claims}
    counted = ", ".join(f"{list(last.values()).count(status):,} {status}" for status in sorted(set(last.values())))
    return (
        f"{product.name:<10} {scored_s - began_s:>9.2f} {decided_s - scored_s:>11.2f} {told_s - decided_s:>7.2f} "
        f"{told_s - began_s:>6.2f} {(told_s - began_s) / count * 1e6:>8.1f}  {counted}"
    )


class _Known:
    """The score of the one claim of a rider, whenever it is requested."""

    def __init__(self, score: ClaimScore) -> None:
        self._score = score

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore:
        return self._score


def _evidence(scorer: Scorer, count: int) -> Evidence:
    rows = scorer.parity_rows[np.random.default_rng(SEED).integers(0, len(scorer.parity_rows), count)].astype(float)
    known = dict(zip(scorer.features, rows.T, strict=True))
    values = {name: known.get(name, np.full(count, np.nan)) for name in FEATURE_NAMES}
    return Evidence(
        values, {name: np.where(np.isnan(value), 0, 120).astype(np.int32) for name, value in values.items()}
    )


def _riders(product: Product, count: int) -> Iterable[list[DisruptionUpdate | ActivityResult]]:
    """What happens to each rider: a disruption is confirmed and ends, an activity test is met where there is one."""
    trigger = product.triggers[0]
    plan = next(plan for plan in product.plans.values() if trigger.name in plan.triggers)
    zone = _ZONE[product.zone_resolution]
    about: dict[str, Any] = {
        "disruption_id": disruption_id(product.name, trigger.name, zone, None, _START_MS),
        "trigger": trigger.name,
        "peril": trigger.peril,
        "zone": zone,
        "withdrawn": False,
        "start_ms": _START_MS,
        "confirmed_at_ms": _START_MS + _HOUR_MS,
        "level": trigger.levels[-1].name,
        "first_alert_ms": _START_MS,
        "severity": trigger.levels[-1].breach.threshold * 1.2,
        "providers": 2,
    }
    activity = {"rain": 21.0, "sigma": 2.5, "drop": 0.8, "threshold": 1.3, "share": 0.9, "peers": 40.0}
    for number in range(count):
        terms = PolicyTerms(
            policy_id=f"policy-{number:08}",
            worker_id=f"worker-{number:08}",
            plan=plan.name,
            daily_wage_inr=float(400 + number % 7 * 50),
            fund_account_id=f"fa_{number:08}",
            trust_tier=number % 5 + 1,
            account_created_at_ms=_START_MS - 400 * 24 * _HOUR_MS,
            activated_at_ms=_START_MS - 72 * _HOUR_MS,
            orders_per_hour=2.5,
            period_start_ms=_START_MS - 72 * _HOUR_MS,
            shift_baseline_inr=310.0,
            orders_per_hour_sd=1.0,
        )
        end_ms = _START_MS + 4 * _HOUR_MS
        items: list[DisruptionUpdate | ActivityResult] = [
            DisruptionUpdate(at_ms=_START_MS + _HOUR_MS, end_ms=None, terms=terms, **about),
            DisruptionUpdate(at_ms=end_ms, end_ms=end_ms, absent_since_ms=end_ms - _HOUR_MS, terms=terms, **about),
        ]
        if trigger.activity is not None:
            passed_ms = _START_MS + _HOUR_MS + trigger.activity.every_ms
            items.append(
                ActivityResult(passed_ms, about["disruption_id"], about["confirmed_at_ms"], "activity", True, activity)
            )
        yield items
