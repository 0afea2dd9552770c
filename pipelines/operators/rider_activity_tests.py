"""A bucket's riders at work: the tests of their claims' activity, who they are as others' peers, their week so far.

A test needs peers that other buckets know. What is the bucket's own is measured here, and sent to where the peers of a
disruption are counted (`testing.py`); tests that cannot be met whoever the peers are stay here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from monsoon.pipelines.operators.disruption_log import DisruptionLog, Place
from monsoon.pipelines.operators.product_claims import ProductClaims
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.transforms.activity.activity_test import (
    EvaluationSchedules,
    OwnDrops,
    PlannedTests,
    TestedClaim,
    counts_by_platform,
    first_measured_ms,
    own_counts,
    passed_test,
    planned_tests,
)
from monsoon.transforms.activity.evaluation_schedule import EvaluationTime, schedule_of
from monsoon.transforms.activity.orders import Orders
from monsoon.transforms.activity.peers import Peers, max_threshold
from monsoon.transforms.activity.week_to_date import WorkedMinutes, uses_week_to_date, week_to_date_results
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import ActivityResult
from monsoon.transforms.geo.cells import cell_name
from monsoon.transforms.identifiers import disruption_id
from monsoon.transforms.presence import ReportCells
from monsoon.transforms.product import ActivityTest, Comparison, Product, Trigger
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.history import BEFORE_TIME_MS
from monsoon.transforms.triggers.series import Series

PEERS: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "at_ms": pl.Int64,
    "t_ms": pl.Int64,
    "platform": pl.String,
    "peers": pl.Int64,
    "severe": pl.Int64,
}
"""How many of a bucket's riders were in a disruption's zone up to a moment, by platform."""

TESTS: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "worker_id": pl.String,
    "trigger": pl.String,
    "at_ms": pl.Int64,
    "t_ms": pl.Int64,
    "platform": pl.String,
    "sigma": pl.Float64,
    "drop": pl.Float64,
    "value": pl.Float64,
    "own_peers": pl.Int64,
    "own_severe": pl.Int64,
    "measured": pl.Boolean,
}
"""Tests that may be met; and with `measured` (else null) that a disruption ended, for claims that may not have met one:
whether any of their tests was measured."""


class Span(NamedTuple):
    """What is worked on: moments later than `after_ms`, up to and including `upto_ms`."""

    after_ms: int
    upto_ms: int

    def holds(self, at_ms: int) -> bool:
        """Whether a moment is in it."""
        return self.after_ms < at_ms <= self.upto_ms


class Due(NamedTuple):
    """The tests of one confirmation in some zones that are made in a span, and whether the disruption ended in it."""

    trigger: str
    start_ms: int
    platform: str | None
    zones: list[int]
    confirmed_ms: int
    times: list[EvaluationTime]
    ended: bool


class RiderActivityTests:
    """The tests of one bucket's claims, for triggers with an activity test."""

    def __init__(self, config: JobConfig) -> None:
        self._config = config
        self._live: set[tuple[Place, int]] = set()
        """Episodes and zones of which tests may come."""

    def touch(self, touched: Collection[tuple[Place, int]]) -> None:
        """Something new is said of these."""
        self._live.update(each for each in touched if self._config.triggers[each[0][0]][1].activity is not None)

    def next_due_ms(self, done_ms: int) -> int | None:
        """When the next test may be made."""
        tests = (self._config.triggers[name][1].activity for name in {place[0] for place, _ in self._live})
        spans = {test.every_ms for test in tests if test is not None}
        return min(((done_ms // every_ms + 1) * every_ms for every_ms in spans), default=None)

    def due(self, histories: DisruptionLog, span: Span) -> list[Due]:
        """The tests of a span, in every zone; afterwards what is over is not looked at again."""
        found: list[Due] = []
        by_trigger: dict[str, set[tuple[Place, int]]] = defaultdict(set)
        for each in self._live:
            by_trigger[each[0][0]].add(each)
        for name, live in sorted(by_trigger.items()):
            trigger = self._config.triggers[name][1]
            for series in histories.series(live, {name: trigger}):
                found.extend(_due(name, trigger, series, span))
        self._live = {each for each in self._live if histories.is_open(*each)}
        return found

    def looks_back_ms(self, due: Sequence[Due]) -> int:
        """The moment after which reports matter to these tests; at least one."""
        return min(
            (each.confirmed_ms if each.ended else min(time.t_ms for time in each.times))
            - self._test(each.trigger).window_ms
            for each in due
        )

    def answers(
        self, product_claims: ProductClaims, due: Sequence[Due], places: ReportCells, span: Span
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        """What the bucket's riders say of the tests of one product, as `peers` (PEERS) and `tests` (TESTS); the tests
        that may be met are noted on the product_claims."""
        for name, (version, trigger) in self._config.triggers.items():
            mine = [each for each in due if each.trigger == name]
            if version.name != product_claims.product.name or not mine:
                continue
            test = self._test(name)
            peers = Peers(product_claims.coverage, places, version.zone_resolution, test)
            seen = _seen(product_claims.product, trigger, mine, peers)
            if seen.height:
                yield "peers", seen
            asked = _asked(product_claims, name, trigger, mine, places, peers, span)
            if asked.height:
                yield "tests", asked

    def _test(self, name: str) -> ActivityTest:
        test = self._config.triggers[name][1].activity
        assert test is not None
        return test


def _due(name: str, trigger: Trigger, series: Series, span: Span) -> Iterator[Due]:
    by_breach: dict[Comparison, list[int]] = defaultdict(list)
    for zone in series.zones.tolist():
        by_breach[trigger.zone_breaches.get(cell_name(zone), trigger.levels[0].breach)].append(zone)
    assert trigger.activity is not None
    for breach, zones in by_breach.items():
        schedules = schedule_of(trigger.activity.every_ms, breach, series.revisions, span.upto_ms)
        for confirmed_ms, schedule in schedules.items():
            times = [time for time in schedule.times if span.holds(time.at_ms)]
            ended = any(span.holds(at_ms) for at_ms in schedule.ends_ms)
            if times or ended:
                start_ms = series.revisions[0].event.start_ms
                yield Due(name, start_ms, series.platform, zones, confirmed_ms, times, ended)


def _identity(product: Product, trigger: Trigger, due: Due, zone: int) -> str:
    return disruption_id(product.name, trigger.name, cell_name(zone), due.platform, due.start_ms)


def _seen(product: Product, trigger: Trigger, due: Sequence[Due], peers: Peers) -> pl.DataFrame:
    """The bucket's riders as others' peers: PEERS."""
    asked = [(each, zone, time) for each in due for zone in each.zones for time in each.times]
    rows = peers.present(
        np.array([zone for _, zone, _ in asked], dtype=np.uint64),
        np.array([time.t_ms for *_, time in asked], dtype=np.int64),
        np.array([time.at_ms for *_, time in asked], dtype=np.int64),
    )
    whole = counts_by_platform(rows, len(asked), len(peers.platforms))
    there = np.flatnonzero(whole.peers).tolist()
    told = [asked[group // len(peers.platforms)] for group in there]
    return pl.DataFrame(
        {
            "disruption_id": [_identity(product, trigger, each, zone) for each, zone, _ in told],
            "confirmed_at_ms": [each.confirmed_ms for each, *_ in told],
            "at_ms": [time.at_ms for *_, time in told],
            "t_ms": [time.t_ms for *_, time in told],
            "platform": [peers.platforms[group % len(peers.platforms)] for group in there],
            "peers": whole.peers[there],
            "severe": whole.severe[there],
        },
        schema=PEERS,
    )


def _asked(
    product_claims: ProductClaims,
    name: str,
    trigger: Trigger,
    due: Sequence[Due],
    places: ReportCells,
    peers: Peers,
    span: Span,
) -> pl.DataFrame:
    """The tests of the bucket's claims: TESTS."""
    test = trigger.activity
    assert test is not None
    names = {_identity(product_claims.product, trigger, each, zone) for each in due for zone in each.zones}
    known = [product_claims.known[identity] for identity in sorted(names & product_claims.known.keys())]
    codes = {worker: code for code, worker in enumerate(places.telemetry.workers)}
    # Whether a test was ever measured is asked at the end; before it only what is new.
    after_ms = BEFORE_TIME_MS if any(each.ended for each in due) else span.after_ms
    questions = planned_tests(known, EvaluationSchedules(trigger, span.upto_ms), after_ms)
    own = OwnDrops.of(questions, Orders(places.telemetry), codes, peers, test)
    rows = own.may_pass(test)
    rows = rows[questions.at_ms[rows] > span.after_ms]
    rows = rows[np.lexsort((questions.t_ms[rows], questions.at_ms[rows], questions.claim[rows]))]
    kept = [row for row in rows.tolist() if _note(product_claims, questions, own, row, max_threshold(test))]
    there = np.array(kept, dtype=np.int64)
    seen, question = peers.present_distinct(questions.zone[there], questions.t_ms[there], questions.at_ms[there])
    mine = own_counts(seen, question, own.rider[there], own.platform[there], len(peers.platforms))
    claims = [questions.claims[claim] for claim in questions.claim[there].tolist()]
    tests = pl.DataFrame(
        {
            **_claims(claims, name),
            "at_ms": questions.at_ms[there],
            "t_ms": questions.t_ms[there],
            "platform": [claim.terms.platform for claim in claims],
            "sigma": own.sigma[there],
            "drop": own.drop[there],
            "value": questions.value[there],
            "own_peers": mine.peers,
            "own_severe": mine.severe,
            "measured": [None] * len(claims),
        },
        schema=TESTS,
    )
    return pl.concat([tests, _ends(product_claims, name, questions, own, span)])


def _claims(claims: Sequence[TestedClaim], name: str) -> dict[str, Any]:
    return {
        "disruption_id": [claim.disruption_id for claim in claims],
        "confirmed_at_ms": [claim.confirmed_at_ms for claim in claims],
        "worker_id": [claim.worker_id for claim in claims],
        "trigger": [name] * len(claims),
    }


def _note(product_claims: ProductClaims, questions: PlannedTests, own: OwnDrops, row: int, surest: float) -> bool:
    """Notes on the product_claims that a test may be met; false where one before is met for sure."""
    claim = questions.claims[int(questions.claim[row])]
    found = product_claims.found.setdefault(claim.disruption_id, {}).setdefault(claim.worker_id, [])
    before = [
        each
        for each in found
        if each.kind == "activity" and each.confirmed_at_ms == claim.confirmed_at_ms
    ]  # fmt: skip
    if any((each.values["sigma"] or 0.0) >= surest for each in before):
        return False
    values: dict[str, float | None] = {
        "at": float(questions.t_ms[row]),
        "rain": float(questions.value[row]),
        "sigma": float(own.sigma[row]),
        "drop": float(own.drop[row]),
    }
    found.append(passed_test(claim, int(questions.at_ms[row]), values))
    return True


def _ends(product_claims: ProductClaims, name: str, questions: PlannedTests, own: OwnDrops, span: Span) -> pl.DataFrame:
    """That disruptions ended, for their claims: TESTS."""
    first_ms = first_measured_ms(questions, own)
    ended = [
        (claim, at_ms, first_ms[place] <= at_ms)
        for place, claim in enumerate(questions.claims)
        for at_ms in claim.ends_ms
        if span.holds(at_ms)
    ]
    return pl.DataFrame(
        {
            **_claims([claim for claim, *_ in ended], name),
            "at_ms": [at_ms for _, at_ms, _ in ended],
            "measured": [measured for *_, measured in ended],
            **dict.fromkeys(("t_ms", "platform", "sigma", "drop", "value", "own_peers", "own_severe")),
        },
        schema_overrides=TESTS,
    ).select(*TESTS)


def found_in_the_week(
    product_claims: ProductClaims, changed: Sequence[Disruption], telemetry: TelemetryTable, after_ms: int
) -> dict[str, list[ActivityResult]]:
    """What riders of claims with a supplement had worked of the week, by worker_id; noted on the product_claims."""
    codes = {worker: code for code, worker in enumerate(telemetry.workers)}
    asked = [each for each in changed if uses_week_to_date(each.series.trigger)]
    found = week_to_date_results(asked, Orders(telemetry), WorkedMinutes(telemetry), codes, after_ms)
    for worker, activity_results in found.items():
        for activity_result in activity_results:
            product_claims.found.setdefault(activity_result.disruption_id, {}).setdefault(worker, []).append(
                activity_result
            )
    return found
