"""Candidates of one disruption, made up, and the CPU time that they take from the disruption to notifications, stage by
stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import h3.api.basic_int as h3
import numpy as np

from monsoon.pipelines.local.collector import collector_paused
from monsoon.pipelines.local.replay import publish
from monsoon.pipelines.results import Outcome
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption
from monsoon.transforms.adjudication.claims import ActivityResult, Claim, ClaimScore, DisruptionUpdate, Reread
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.claim_scores import scores_of
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.decisions import Decisions
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.presence import Presence, ReportCells
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.event_detector import EventState
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

STAGES = ("happens", "scored", "decided", "told")
SEED = 7
_START_MS = 1_719_558_000_000
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_CONFIRMED_MS, _END_MS = _START_MS + _HOUR_MS, _START_MS + 4 * _HOUR_MS
_LAT, _LON = 28.6139, 77.2090
"""In Delhi, the middle of every rider's day."""


def timed(product: Product, scorer: Scorer, count: int) -> str:
    """The line of one product: CPU seconds of each stage, microseconds a candidate, and how many ended in which
    status."""
    evidence = _evidence(scorer, count)
    finder, series = _disruption(product, count)
    clock_s = [time.process_time()]
    with collector_paused():  # as the replay does
        (disruption,) = finder.disruptions(series)
        clock_s.append(time.process_time())
        scores = scores_of(evidence, scorer, product)
        clock_s.append(time.process_time())
        decisions = Decisions()
        for items, score in zip(_items(product, disruption), scores, strict=True):
            machine = RiderMachine(product, scorer.version, _Known(score))
            decisions.add(machine, {}, run_rider(machine, items))
        clock_s.append(time.process_time())
        publish(product, decisions, (), Outcome())
        clock_s.append(time.process_time())
    last = {claim["claim_id"]: claim["status"] for claim in decisions.claims}
    counted = ", ".join(f"{list(last.values()).count(status):,} {status}" for status in sorted(set(last.values())))
    stages = " ".join(f"{after - before:>8.2f}" for before, after in pairwise(clock_s))
    all_s = clock_s[-1] - clock_s[0]
    return f"{product.name:<10} {stages} {all_s:>7.2f} {all_s / count * 1e6:>8.1f}  {counted}"


class _Known:
    """The score of the one claim of a rider, whenever it is requested."""

    def __init__(self, score: ClaimScore) -> None:
        self._score = score

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore:
        return self._score

    def reread(self, claim: Claim, at_ms: int, asked_at_ms: int, answer_id: str) -> Reread | None:
        return None  # nobody answers


def _evidence(scorer: Scorer, count: int) -> Evidence:
    rows = scorer.parity_rows[np.random.default_rng(SEED).integers(0, len(scorer.parity_rows), count)].astype(float)
    known = dict(zip(scorer.features, rows.T, strict=True))
    values = {name: known.get(name, np.full(count, np.nan)) for name in FEATURE_NAMES}
    return Evidence(
        values, {name: np.where(np.isnan(value), 0, 120).astype(np.int32) for name, value in values.items()}
    )


def _disruption(product: Product, count: int) -> tuple[CandidateFinder, Series]:
    """A disruption of the product's first trigger in one zone, which is confirmed and ends, and what finds its
    candidates: so many riders, each with a policy and a report from the zone."""
    trigger = product.triggers[0]
    plan = next(plan for plan in product.plans.values() if trigger.name in plan.triggers)
    policies = [
        {
            "event_id": f"event-{number:08}",
            "event_time": _START_MS - 30 * _DAY_MS,
            "type": "activated",
            "policy_id": f"policy-{number:08}",
            "worker_id": f"worker-{number:08}",
            "product": product.name,
            "plan": plan.name,
            "home_lat": _LAT,
            "home_lon": _LON,
            "coverage_start": _START_MS - 30 * _DAY_MS,
            "coverage_end": _START_MS + 30 * _DAY_MS,
            "daily_wage_inr": float(400 + number % 7 * 50),
            "fund_account_id": f"fa_{number:08}",
            "trust_tier": number % 5 + 1,
            "account_created_at": _START_MS - 400 * _DAY_MS,
            "orders_per_hour": 2.5,
            "orders_per_hour_sd": 1.0,
            "shift_baseline_inr": 310.0,
        }
        for number in range(count)
    ]
    reports = TelemetryTable.from_columns(
        worker=[policy["worker_id"] for policy in policies],
        event_time_ms=[_CONFIRMED_MS - _HOUR_MS // 12] * count,
        lat=[_LAT] * count,
        lon=[_LON] * count,
    )
    resolution = product.zone_resolution
    coverage = Coverage(product, policies)
    presence = Presence(ReportCells(reports), coverage.workers, resolution, product.presence_margin_m)
    level = trigger.levels[-1]
    about: dict[str, Any] = {
        "start_ms": _START_MS,
        "confirmed_at_ms": _CONFIRMED_MS,
        "severity": level.breach.threshold * 1.2,
        "level": level.name,
        "providers": ("imd", "skymet"),
        "reading_ids": ("r1", "r2"),
        "first_alert_ms": _START_MS,
    }
    ended = EventState(**about, absent_since_ms=_END_MS - _HOUR_MS, end_ms=_END_MS)
    revisions = (
        Revision(_CONFIRMED_MS, 0, "confirmed", EventState(**about)),
        Revision(_END_MS, 1, "ended", ended),
    )
    zone = np.array([h3.latlng_to_cell(_LAT, _LON, resolution)], dtype=np.uint64)
    return CandidateFinder(product, coverage, presence), Series(trigger, None, zone, revisions)


def _items(product: Product, disruption: Disruption) -> Iterator[list[DisruptionUpdate | ActivityResult]]:
    """The inputs of each candidate's machine; an activity test is passed where the trigger has one."""
    activity = product.triggers[0].activity
    values = {"rain": 21.0, "sigma": 2.5, "drop": 0.8, "threshold": 1.3, "share": 0.9, "peers": 40.0}
    for updates in disruption.updates.values():
        if activity is None:
            yield [*updates]
        else:
            passed_ms = _CONFIRMED_MS + activity.every_ms
            passed = ActivityResult(passed_ms, disruption.disruption_id, _CONFIRMED_MS, "activity", True, values)
            yield [*updates, passed]
