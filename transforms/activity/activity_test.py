"""The activity test: whether a rider's own drop of orders reaches, at some moment of the disruption, the threshold that
the share of peers with a severe drop sets.

Three parts, so that an engine that partitions riders can run each where the riders are: `planned_tests` lists the tests
of claims, `Peers.present` finds the other riders in the zone, `compare_with_threshold` compares.
`activity_test_results` does all of it and returns the `ActivityResult` of each claim.

Interpretations of the specification: docs/interpretations.md#the-activity-test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.transforms.activity.evaluation_schedule import EvaluationSchedule, schedule_of
from monsoon.transforms.activity.orders import Floats, Ints, Orders, deviation_used, drop_of, sigma_of
from monsoon.transforms.activity.peers import Cells, PeerRows, Peers, codes_of, min_threshold, threshold_of
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import ActivityResult, PolicyTerms
from monsoon.transforms.product import ActivityTest, Comparison, Trigger
from monsoon.transforms.triggers.history import BEFORE_TIME_MS, END_OF_TIME_MS
from monsoon.transforms.triggers.machine import Revision


@dataclass(frozen=True, slots=True)
class TestedClaim:
    """A claim under one confirmation, whose rider is tested; `ends_ms` are the moments at which its disruption
    ended."""

    worker_id: str
    disruption_id: str
    confirmed_at_ms: int
    terms: PolicyTerms
    ends_ms: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PlannedTests:
    """Every test of some claims, one element each: the `claim` (index), its `zone`, the moment `t_ms` that is tested,
    the moment `at_ms` at which the test is made, the `value` of the trigger's metric at t."""

    claims: Sequence[TestedClaim]
    claim: Ints
    zone: Cells
    at_ms: Ints
    t_ms: Ints
    value: Floats

    def __len__(self) -> int:
        return len(self.claim)


@dataclass
class EvaluationSchedules:
    """The times at which disruptions are tested; the zones of one series share them."""

    trigger: Trigger
    upto_ms: int = END_OF_TIME_MS
    _known: dict[tuple[tuple[Revision, ...], Comparison], dict[int, EvaluationSchedule]] = field(default_factory=dict)

    def of(self, disruption: Disruption) -> dict[int, EvaluationSchedule]:
        """The tests by confirmation (ms); none for a trigger without an activity test."""
        test = self.trigger.activity
        if test is None:
            return {}
        breach = self.trigger.zone_breaches.get(disruption.zone, self.trigger.levels[0].breach)
        key = (disruption.revisions, breach)
        if key not in self._known:
            self._known[key] = schedule_of(test.every_ms, breach, disruption.revisions, self.upto_ms)
        return self._known[key]


def planned_tests(
    disruptions: Iterable[Disruption], schedules: EvaluationSchedules, after_ms: int = BEFORE_TIME_MS
) -> PlannedTests:
    """The tests of every claim on these disruptions that are made after a moment (ms).

    A claim whose plan lacks the trigger is not tested.
    """
    claims: list[TestedClaim] = []
    claim, zone = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    at_ms, t_ms, value = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float64)]
    for disruption in disruptions:
        present = disruption.present()
        for confirmed_ms, schedule in schedules.of(disruption).items():
            mine = [
                TestedClaim(worker, disruption.disruption_id, confirmed_ms, terms, schedule.ends_ms)
                for worker, terms in sorted(present[confirmed_ms].items())
                if terms.covered
            ]
            times = [time for time in schedule.times if time.at_ms > after_ms]
            claim.append(np.repeat(np.arange(len(claims), len(claims) + len(mine)), len(times)))
            zone.append(np.full(len(mine) * len(times), h3.str_to_int(disruption.zone), np.uint64))
            at_ms.append(np.tile(np.array([time.at_ms for time in times], np.int64), len(mine)))
            t_ms.append(np.tile(np.array([time.t_ms for time in times], np.int64), len(mine)))
            value.append(np.tile(np.array([time.value for time in times], np.float64), len(mine)))
            claims += mine
    parts = (np.concatenate(each) for each in (claim, zone, at_ms, t_ms, value))
    return PlannedTests(claims, *parts)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class OwnDrops:
    """The riders' own drops, one element per test: `sigma` and `drop` (NaN: not measured), `rider` their codes in the
    telemetry table, `platform` their policies' as the peers' code, -1 none."""

    rider: Ints
    platform: Ints
    sigma: Floats
    drop: Floats

    @staticmethod
    def of(tests: PlannedTests, orders: Orders, codes: dict[str, int], peers: Peers, test: ActivityTest) -> OwnDrops:
        """Measures the drops; `codes` are those of the telemetry table's riders."""
        terms = [claim.terms for claim in tests.claims]
        rider = np.array([codes.get(each.worker_id, -1) for each in terms], dtype=np.int64)[tests.claim]
        mean = _numbers([each.orders_per_hour for each in terms])[tests.claim]
        deviation = _numbers([each.orders_per_hour_sd for each in terms])[tests.claim]
        platform = codes_of([each.platform for each in terms], peers.platforms)[tests.claim]
        t_ms = tests.t_ms
        completed = orders.completed(rider, t_ms - test.window_ms, t_ms, tests.at_ms)
        used = deviation_used(deviation, mean, test.min_deviation)
        return OwnDrops(rider, platform, sigma_of(completed, mean, used), drop_of(completed, mean))

    def may_pass(self, test: ActivityTest) -> Ints:
        """The tests that may pass, depending on the peers."""
        return np.flatnonzero(self.sigma >= min_threshold(test))


@dataclass(frozen=True, eq=False)
class PeerCounts:
    """Peers and those with a severe drop, one element for each test or group."""

    peers: Ints
    severe: Ints

    def minus(self, other: PeerCounts) -> PeerCounts:
        """These counts less others."""
        return PeerCounts(self.peers - other.peers, self.severe - other.severe)


def counts_by_platform(rows: PeerRows, queries: int, platforms: int) -> PeerCounts:
    """The riders present, by query and platform: an element for each platform of each query."""
    group = rows.query * platforms + rows.platform
    size = max(queries * platforms, 1)
    return PeerCounts(np.bincount(group, minlength=size), np.bincount(group[rows.severe], minlength=size))


def own_counts(rows: PeerRows, query: Ints, rider: Ints, platform: Ints, platforms: int) -> PeerCounts:
    """Whether the tested riders are among those present, as riders of the test's platform: 1 or 0 for each test."""
    riders = int(max(rows.rider.max(initial=0), rider.max(initial=0))) + 1
    there = (rows.query * platforms + rows.platform) * riders + rows.rider
    mine = (query * platforms + platform) * riders + rider
    known = (rider >= 0) & (platform >= 0)
    return PeerCounts((np.isin(mine, there) & known).astype(np.int64), (np.isin(mine, there[rows.severe]) & known) * 1)


def peer_counts(rows: PeerRows, query: Ints, rider: Ints, platform: Ints, platforms: int) -> PeerCounts:
    """The peers of tests: those present under the test's `query` of `rows`, of its platform (none for -1), without the
    tested rider."""
    whole = counts_by_platform(rows, int(query.max(initial=-1)) + 1, platforms)
    group = np.where(platform >= 0, query * platforms + platform, 0)
    some = PeerCounts(np.where(platform >= 0, whole.peers[group], 0), np.where(platform >= 0, whole.severe[group], 0))
    return some.minus(own_counts(rows, query, rider, platform, platforms))


def compare_with_threshold(
    test: ActivityTest, sigma: Floats, counts: PeerCounts
) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Whether each drop reaches its threshold; the share of peers with a severe drop, and the threshold."""
    share, threshold = threshold_of(test, counts.peers, counts.severe)
    return sigma >= threshold, share, threshold


def activity_test_results(
    disruptions: Iterable[Disruption], trigger: Trigger, peers: Peers, orders: Orders, codes: dict[str, int]
) -> dict[str, list[ActivityResult]]:
    """The activity results of every claim on these disruptions of one trigger, by worker_id: the first test passed, and
    each end of the disruption before that. `peers` must hold all riders."""
    test = trigger.activity
    if test is None:
        return {}
    tests = planned_tests(disruptions, EvaluationSchedules(trigger))
    own = OwnDrops.of(tests, orders, codes, peers, test)
    rows = own.may_pass(test)
    present, query = peers.present_distinct(tests.zone[rows], tests.t_ms[rows], tests.at_ms[rows])
    counts = peer_counts(present, query, own.rider[rows], own.platform[rows], len(peers.platforms))
    good, share, threshold = compare_with_threshold(test, own.sigma[rows], counts)
    found: dict[str, list[ActivityResult]] = defaultdict(list)
    first = np.full(len(tests.claims), -1, dtype=np.int64)
    passed_rows = np.flatnonzero(good)
    first[tests.claim[rows[passed_rows]][::-1]] = passed_rows[::-1]
    measured_from = first_measured_ms(tests, own)
    for place, (claim, which) in enumerate(zip(tests.claims, first.tolist(), strict=True)):
        passed_ms = END_OF_TIME_MS
        if which >= 0:
            row = int(rows[which])
            passed_ms = int(tests.at_ms[row])
            values: dict[str, float | None] = {
                "at": float(tests.t_ms[row]),
                "rain": float(tests.value[row]),
                "sigma": float(own.sigma[row]),
                "drop": float(own.drop[row]),
                "threshold": float(threshold[which]),
                "share": float(share[which]),
                "peers": float(counts.peers[which]),
            }
            found[claim.worker_id].append(passed_test(claim, passed_ms, values))
        for end_ms in claim.ends_ms:
            if end_ms < passed_ms:
                found[claim.worker_id].append(failed_test(claim, end_ms, measured_from[place] <= end_ms))
    return found


def passed_test(claim: TestedClaim, at_ms: int, values: dict[str, float | None]) -> ActivityResult:
    """The result of a test that is passed."""
    return ActivityResult(at_ms, claim.disruption_id, claim.confirmed_at_ms, "activity", True, values)


def failed_test(claim: TestedClaim, at_ms: int, measured: bool) -> ActivityResult:
    """The result at the end of a disruption without a passed test."""
    values: dict[str, float | None] = {"measured": 1.0} if measured else {}
    return ActivityResult(at_ms, claim.disruption_id, claim.confirmed_at_ms, "activity", False, values)


def first_measured_ms(tests: PlannedTests, own: OwnDrops) -> list[int]:
    """When each claim's drop was measured first; END_OF_TIME_MS where never."""
    first = np.full(len(tests.claims), END_OF_TIME_MS, dtype=np.int64)
    measured = ~np.isnan(own.sigma)
    np.minimum.at(first, tests.claim[measured], tests.at_ms[measured])
    return list(map(int, first.tolist()))


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
