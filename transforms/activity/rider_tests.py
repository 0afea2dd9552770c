"""Activity tests of a bucket's riders: the values of their claims' tests, the bucket's counts of peers, and the week's
work.

A test needs peers of all buckets. What the bucket knows is measured here, as rows for where the peers of a disruption
are counted; there are none for tests that fail whatever the peers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

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
from monsoon.transforms.activity.orders import Ints, Orders
from monsoon.transforms.activity.peers import Peers, max_threshold
from monsoon.transforms.activity.week_to_date import WorkedMinutes, uses_week_to_date, week_to_date_results
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import ActivityResult
from monsoon.transforms.geo.cells import cell_name
from monsoon.transforms.identifiers import disruption_id
from monsoon.transforms.presence import ReportCells
from monsoon.transforms.product import ActivityTest, Comparison, Product, Trigger
from monsoon.transforms.product_claims import ProductClaims
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.disruption_log import DisruptionLog, EventKey
from monsoon.transforms.triggers.history import BEFORE_TIME_MS
from monsoon.transforms.triggers.series import Series

Columns = dict[str, Any]
"""Rows of a message, column by column: arrays or lists."""


class Span(NamedTuple):
    """A span of event time: later than `after_ms`, up to and including `upto_ms`."""

    after_ms: int
    upto_ms: int

    def contains(self, at_ms: int) -> bool:
        """Whether a moment lies in the span."""
        return self.after_ms < at_ms <= self.upto_ms


class Due(NamedTuple):
    """The tests of one confirmation in some zones that are due in a span, and whether the disruption ended in it."""

    trigger: str
    start_ms: int
    platform: str | None
    zones: list[int]
    confirmed_ms: int
    times: list[EvaluationTime]
    ended: bool


class RiderActivityTests:
    """The tests of one bucket's claims, for triggers with an activity test."""

    def __init__(self, triggers: Mapping[str, tuple[Product, Trigger]]) -> None:
        """`triggers`: every trigger with its version, by the name that is in the keys of its events."""
        self._triggers = triggers
        self._open_events: set[tuple[EventKey, int]] = set()
        """Trigger events and zones that may still have tests."""

    def add_events(self, changed_events: Collection[tuple[EventKey, int]]) -> None:
        """Adds trigger events with new revisions."""
        self._open_events.update(each for each in changed_events if self._triggers[each[0][0]][1].activity is not None)

    def next_due_ms(self, done_ms: int) -> int | None:
        """When the next test may be due (ms)."""
        tests = (self._triggers[name][1].activity for name in {event[0] for event, _ in self._open_events})
        spans = {test.every_ms for test in tests if test is not None}
        return min(((done_ms // every_ms + 1) * every_ms for every_ms in spans), default=None)

    def due(self, log: DisruptionLog, span: Span) -> list[Due]:
        """The tests of a span, in every zone; then drops events that have ended."""
        due: list[Due] = []
        by_trigger: dict[str, set[tuple[EventKey, int]]] = defaultdict(set)
        for each in self._open_events:
            by_trigger[each[0][0]].add(each)
        for name, open_events in sorted(by_trigger.items()):
            trigger = self._triggers[name][1]
            for series in log.series(open_events, {name: trigger}):
                due.extend(_due(name, trigger, series, span))
        self._open_events = {each for each in self._open_events if log.is_open(*each)}
        return due

    def reports_after_ms(self, due: Sequence[Due]) -> int:
        """The moment (ms) after which reports are needed for these tests, of which there is at least one."""
        return min(
            (each.confirmed_ms if each.ended else min(time.t_ms for time in each.times))
            - self._test(each.trigger).window_ms
            for each in due
        )

    def rows_of(
        self, product_claims: ProductClaims, due: Sequence[Due], report_cells: ReportCells, span: Span
    ) -> Iterator[tuple[str, Columns]]:
        """The bucket's part of the tests of one product; records tests that may pass in `product_claims`.

        `peers` are counts of the bucket's riders who were in a disruption's zone at an evaluation time, by platform;
        `tests` are tests that may pass, and ends of disruptions.
        """
        for name, (version, trigger) in self._triggers.items():
            of_trigger = [each for each in due if each.trigger == name]
            if version.name != product_claims.product.name or not of_trigger:
                continue
            test = self._test(name)
            peers = Peers(product_claims.coverage, report_cells, version.zone_resolution, test)
            yield from _peer_counts(product_claims.product, trigger, of_trigger, peers)
            yield from _tests_of_claims(product_claims, name, trigger, of_trigger, report_cells, peers, span)

    def _test(self, name: str) -> ActivityTest:
        test = self._triggers[name][1].activity
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
            times = [time for time in schedule.times if span.contains(time.at_ms)]
            ended = any(span.contains(at_ms) for at_ms in schedule.ends_ms)
            if times or ended:
                start_ms = series.revisions[0].event.start_ms
                yield Due(name, start_ms, series.platform, zones, confirmed_ms, times, ended)


def _identity(product: Product, trigger: Trigger, due: Due, zone: int) -> str:
    return disruption_id(product.name, trigger.name, cell_name(zone), due.platform, due.start_ms)


def _peer_counts(product: Product, trigger: Trigger, due: Sequence[Due], peers: Peers) -> Iterator[tuple[str, Columns]]:
    """Counts of the bucket's riders as peers of other riders."""
    planned = [(each, zone, time) for each in due for zone in each.zones for time in each.times]
    rows = peers.present(
        np.array([zone for _, zone, _ in planned], dtype=np.uint64),
        np.array([time.t_ms for *_, time in planned], dtype=np.int64),
        np.array([time.at_ms for *_, time in planned], dtype=np.int64),
    )
    whole = counts_by_platform(rows, len(planned), len(peers.platforms))
    present = np.flatnonzero(whole.peers).tolist()
    if not present:
        return
    present_queries = [planned[group // len(peers.platforms)] for group in present]
    yield (
        "peers",
        {
            "disruption_id": [_identity(product, trigger, each, zone) for each, zone, _ in present_queries],
            "confirmed_at_ms": [each.confirmed_ms for each, *_ in present_queries],
            "at_ms": [time.at_ms for *_, time in present_queries],
            "t_ms": [time.t_ms for *_, time in present_queries],
            "platform": [peers.platforms[group % len(peers.platforms)] for group in present],
            "peers": whole.peers[present],
            "severe": whole.severe[present],
        },
    )


def _tests_of_claims(
    product_claims: ProductClaims,
    name: str,
    trigger: Trigger,
    due: Sequence[Due],
    report_cells: ReportCells,
    peers: Peers,
    span: Span,
) -> Iterator[tuple[str, Columns]]:
    """The tests of the bucket's claims."""
    test = trigger.activity
    assert test is not None
    names = {_identity(product_claims.product, trigger, each, zone) for each in due for zone in each.zones}
    disruptions = [
        product_claims.disruptions[identity] for identity in sorted(names & product_claims.disruptions.keys())
    ]
    codes = {worker: code for code, worker in enumerate(report_cells.telemetry.workers)}
    # At the end of a disruption all its tests count, since `measured` covers them all; before, only new ones.
    after_ms = BEFORE_TIME_MS if any(each.ended for each in due) else span.after_ms
    planned = planned_tests(disruptions, EvaluationSchedules(trigger, span.upto_ms), after_ms)
    if not planned.claims:
        return
    own = OwnDrops.of(planned, Orders(report_cells.telemetry), codes, peers, test)
    rows = own.may_pass(test)
    rows = rows[planned.at_ms[rows] > span.after_ms]
    rows = rows[np.lexsort((planned.t_ms[rows], planned.at_ms[rows], planned.claim[rows]))]
    pending = [row for row in rows.tolist() if _record_pending(product_claims, planned, own, row, max_threshold(test))]
    if pending:
        yield "tests", _pending_rows(name, planned, own, peers, np.array(pending, dtype=np.int64))
    first_ms = first_measured_ms(planned, own)
    ended = [
        (claim, at_ms, first_ms[index] <= at_ms)
        for index, claim in enumerate(planned.claims)
        for at_ms in claim.ends_ms
        if span.contains(at_ms)
    ]
    if ended:
        claims = _claims([claim for claim, *_ in ended], name)
        measured = [measured for *_, measured in ended]
        yield "tests", {**claims, "at_ms": [at_ms for _, at_ms, _ in ended], "measured": measured}


def _pending_rows(name: str, planned: PlannedTests, own: OwnDrops, peers: Peers, present: Ints) -> Columns:
    """Rows for tests that may pass."""
    seen, query = peers.present_distinct(planned.zone[present], planned.t_ms[present], planned.at_ms[present])
    presence = own_counts(seen, query, own.rider[present], own.platform[present], len(peers.platforms))
    claims = [planned.claims[claim] for claim in planned.claim[present].tolist()]
    return {
        **_claims(claims, name),
        "at_ms": planned.at_ms[present],
        "t_ms": planned.t_ms[present],
        "platform": [claim.terms.platform for claim in claims],
        "sigma": own.sigma[present],
        "drop": own.drop[present],
        "value": planned.value[present],
        "own_peers": presence.peers,
        "own_severe": presence.severe,
    }


def _claims(claims: Sequence[TestedClaim], name: str) -> Columns:
    return {
        "disruption_id": [claim.disruption_id for claim in claims],
        "confirmed_at_ms": [claim.confirmed_at_ms for claim in claims],
        "worker_id": [claim.worker_id for claim in claims],
        "trigger": [name] * len(claims),
    }


def _record_pending(
    product_claims: ProductClaims, planned: PlannedTests, own: OwnDrops, row: int, certain_sigma: float
) -> bool:
    """Records in `product_claims` that a test may pass; false where an earlier one passes whatever the peers."""
    claim = planned.claims[int(planned.claim[row])]
    before = [
        each
        for each in product_claims.activity_results.get(claim.disruption_id, {}).get(claim.worker_id, ())
        if each.kind == "activity" and each.confirmed_at_ms == claim.confirmed_at_ms
    ]  # fmt: skip
    if any((each.values["sigma"] or 0.0) >= certain_sigma for each in before):
        return False
    values: dict[str, float | None] = {
        "at": float(planned.t_ms[row]),
        "rain": float(planned.value[row]),
        "sigma": float(own.sigma[row]),
        "drop": float(own.drop[row]),
    }
    product_claims.add_activity_result(claim.worker_id, passed_test(claim, int(planned.at_ms[row]), values))
    return True


def week_to_date_of(
    product_claims: ProductClaims, changed: Sequence[Disruption], telemetry: TelemetryTable, after_ms: int
) -> dict[str, list[ActivityResult]]:
    """The week's work of riders whose claims have a supplement for it, by worker_id; recorded in `product_claims`."""
    codes = {worker: code for code, worker in enumerate(telemetry.workers)}
    supplemented = [each for each in changed if uses_week_to_date(each.series.trigger)]
    by_worker = week_to_date_results(supplemented, Orders(telemetry), WorkedMinutes(telemetry), codes, after_ms)
    for worker, activity_results in by_worker.items():
        for activity_result in activity_results:
            product_claims.add_activity_result(worker, activity_result)
    return by_worker
