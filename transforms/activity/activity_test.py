"""The activity test: does a rider's own drop, at some moment while it rains, reach what the peers' share asks?

Three parts, so that engines that keep riders apart can run each where the riders are: `planned_tests` lists the tests
of claims, `Peers.seen` counts who else was there, `passed` compares. `activity_test_results` makes of the answers the
`ActivityResult` of each claim.

Readings of the text: docs/interpretations.md#the-activity-test.
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
from monsoon.transforms.adjudication.claims import ActivityResult, Terms
from monsoon.transforms.product import ActivityTest, Trigger
from monsoon.transforms.triggers.history import BEFORE_TIME_MS, END_OF_TIME_MS


@dataclass(frozen=True, slots=True)
class TestedClaim:
    """A claim under one confirmation, whose rider is tested; at the moments `ends_ms` its disruption had ended."""

    worker_id: str
    disruption_id: str
    confirmed_at_ms: int
    terms: Terms
    ends_ms: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Questions:
    """Every test of some claims, one element each: the `claim` (index), its `zone`, when it is made (`at_ms`) of which
    moment (`t_ms`), the `value` of the trigger's metric then."""

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
    """The tests of disruptions; zones that hear the same have them in common."""

    trigger: Trigger
    upto_ms: int = END_OF_TIME_MS
    _known: dict[tuple[int, str], tuple[object, dict[int, EvaluationSchedule]]] = field(default_factory=dict)

    def of(self, disruption: Disruption) -> dict[int, EvaluationSchedule]:
        """The tests by confirmation (ms); none for a trigger without an activity test."""
        test = self.trigger.activity
        if test is None:
            return {}
        breach = self.trigger.zone_breaches.get(disruption.zone, self.trigger.levels[0].breach)
        key = (id(disruption.revisions), str(breach))
        if key not in self._known:
            # The revisions are kept beside their course: an id is theirs as long as they live.
            schedule = schedule_of(test.every_ms, breach, disruption.revisions, self.upto_ms)
            self._known[key] = (disruption.revisions, schedule)
        return self._known[key][1]


def planned_tests(
    disruptions: Iterable[Disruption], schedules: EvaluationSchedules, after_ms: int = BEFORE_TIME_MS
) -> Questions:
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
    return Questions(claims, *parts)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Own:
    """What the riders' own telemetry says of tests: `sigma` and `drop` of each (NaN: not measured), `rider` their codes
    in the telemetry table, `platform` their policies' as the peers' code, -1 none."""

    rider: Ints
    platform: Ints
    sigma: Floats
    drop: Floats

    @staticmethod
    def of(questions: Questions, orders: Orders, codes: dict[str, int], peers: Peers, test: ActivityTest) -> Own:
        """Measures; `codes` are those of the telemetry table's riders."""
        terms = [claim.terms for claim in questions.claims]
        rider = np.array([codes.get(each.worker_id, -1) for each in terms], dtype=np.int64)[questions.claim]
        mean = _numbers([each.orders_per_hour for each in terms])[questions.claim]
        deviation = _numbers([each.orders_per_hour_sd for each in terms])[questions.claim]
        platform = codes_of([each.platform for each in terms], peers.platforms)[questions.claim]
        t_ms = questions.t_ms
        completed = orders.completed(rider, t_ms - test.window_ms, t_ms, questions.at_ms)
        used = deviation_used(deviation, mean, test.min_deviation)
        return Own(rider, platform, sigma_of(completed, mean, used), drop_of(completed, mean))

    def promising(self, test: ActivityTest) -> Ints:
        """The tests that may be met, depending on the peers."""
        return np.flatnonzero(self.sigma >= min_threshold(test))


@dataclass(frozen=True, eq=False)
class Counts:
    """Peers and those with a severe drop, one element for each test or group."""

    peers: Ints
    severe: Ints

    def less(self, other: Counts) -> Counts:
        """Without others counted too."""
        return Counts(self.peers - other.peers, self.severe - other.severe)


def counts_by_platform(rows: PeerRows, questions: int, platforms: int) -> Counts:
    """All that were there, by question and platform: an element for each platform of each of so many questions."""
    group = rows.question * platforms + rows.platform
    size = max(questions * platforms, 1)
    return Counts(np.bincount(group, minlength=size), np.bincount(group[rows.severe], minlength=size))


def own_presence(rows: PeerRows, question: Ints, rider: Ints, platform: Ints, platforms: int) -> Counts:
    """Whether the riders of tests were there themselves, as riders of the test's platform: 1 or 0 of each."""
    riders = int(max(rows.rider.max(initial=0), rider.max(initial=0))) + 1
    there = (rows.question * platforms + rows.platform) * riders + rows.rider
    mine = (question * platforms + platform) * riders + rider
    known = (rider >= 0) & (platform >= 0)
    return Counts((np.isin(mine, there) & known).astype(np.int64), (np.isin(mine, there[rows.severe]) & known) * 1)


def others(rows: PeerRows, question: Ints, rider: Ints, platform: Ints, platforms: int) -> Counts:
    """The peers of tests that ask the `question`-th question of `rows` for a rider of a platform; none for -1."""
    whole = counts_by_platform(rows, int(question.max(initial=-1)) + 1, platforms)
    group = np.where(platform >= 0, question * platforms + platform, 0)
    some = Counts(np.where(platform >= 0, whole.peers[group], 0), np.where(platform >= 0, whole.severe[group], 0))
    return some.less(own_presence(rows, question, rider, platform, platforms))


def passed(test: ActivityTest, sigma: Floats, counts: Counts) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Whether each drop reaches what its peers ask; their share with a severe drop, and what is asked."""
    share, threshold = threshold_of(test, counts.peers, counts.severe)
    return sigma >= threshold, share, threshold


def activity_test_results(
    disruptions: Iterable[Disruption], trigger: Trigger, peers: Peers, orders: Orders, codes: dict[str, int]
) -> dict[str, list[ActivityResult]]:
    """What every claim on these disruptions of one trigger is told of its test, by worker_id: when it was first met,
    and each time that its disruption ended before that; whoever knows all riders may ask."""
    test = trigger.activity
    if test is None:
        return {}
    questions = planned_tests(disruptions, EvaluationSchedules(trigger))
    own = Own.of(questions, orders, codes, peers, test)
    rows = own.promising(test)
    seen, question = peers.seen_each(questions.zone[rows], questions.t_ms[rows], questions.at_ms[rows])
    counts = others(seen, question, own.rider[rows], own.platform[rows], len(peers.platforms))
    good, share, threshold = passed(test, own.sigma[rows], counts)
    found: dict[str, list[ActivityResult]] = defaultdict(list)
    first = np.full(len(questions.claims), -1, dtype=np.int64)
    passed_rows = np.flatnonzero(good)
    first[questions.claim[rows[passed_rows]][::-1]] = passed_rows[::-1]
    measured_from = first_measured_ms(questions, own)
    for place, (claim, which) in enumerate(zip(questions.claims, first.tolist(), strict=True)):
        passed_ms = END_OF_TIME_MS
        if which >= 0:
            row = int(rows[which])
            passed_ms = int(questions.at_ms[row])
            values: dict[str, float | None] = {
                "at": float(questions.t_ms[row]),
                "rain": float(questions.value[row]),
                "sigma": float(own.sigma[row]),
                "drop": float(own.drop[row]),
                "threshold": float(threshold[which]),
                "share": float(share[which]),
                "peers": float(counts.peers[which]),
            }
            found[claim.worker_id].append(activity_result_of(claim, passed_ms, values))
        for end_ms in claim.ends_ms:
            if end_ms < passed_ms:
                found[claim.worker_id].append(failed_test(claim, end_ms, measured_from[place] <= end_ms))
    return found


def activity_result_of(claim: TestedClaim, at_ms: int, values: dict[str, float | None]) -> ActivityResult:
    """A test that is met."""
    return ActivityResult(at_ms, claim.disruption_id, claim.confirmed_at_ms, "activity", True, values)


def failed_test(claim: TestedClaim, at_ms: int, measured: bool) -> ActivityResult:
    """A disruption ended, and no test was met."""
    values: dict[str, float | None] = {"measured": 1.0} if measured else {}
    return ActivityResult(at_ms, claim.disruption_id, claim.confirmed_at_ms, "activity", False, values)


def first_measured_ms(questions: Questions, own: Own) -> list[int]:
    """When each claim's drop was measured first; END_OF_TIME_MS where never."""
    first = np.full(len(questions.claims), END_OF_TIME_MS, dtype=np.int64)
    measured = ~np.isnan(own.sigma)
    np.minimum.at(first, questions.claim[measured], questions.at_ms[measured])
    return list(map(int, first.tolist()))


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
