"""When a claim's activity is tested: at whole multiples of a span while its disruption lasts, as known by then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from monsoon.transforms.product import Comparison
from monsoon.transforms.triggers.machine import Revision


@dataclass(frozen=True, slots=True)
class EvaluationTime:
    """A test at `t_ms`, made at `at_ms`: later than t where only a correction showed that the disruption lasted at
    t."""

    at_ms: int
    t_ms: int
    value: float
    """The largest value that a fresh provider of any quality reports for the zone at t."""


@dataclass(frozen=True, slots=True)
class EvaluationSchedule:
    """A confirmation's tests in the order in which they are made, and the moments at which its disruption ended."""

    times: tuple[EvaluationTime, ...]
    ends_ms: tuple[int, ...]


def schedule_of(
    every_ms: int, breach: Comparison, revisions: Sequence[Revision], upto_ms: int
) -> dict[int, EvaluationSchedule]:
    """The tests by confirmation (ms), as far as they are made up to a moment.

    `revisions` are all of one disruption. A test is made at t if by then, or by a later correction, the disruption is
    known to last at t (absent_since itself excluded) with a value that breaches: where providers pause and resume,
    the disruption stays open, but nothing breaches between. A t once tested is not tested again, with whatever value
    it was: a correction counts from when it was issued, and results are published.
    """
    times: dict[int, list[EvaluationTime]] = {}
    ends: dict[int, list[int]] = {}
    tested: dict[int, set[int]] = {}
    for place, revision in enumerate(revisions):
        event = revision.event
        until_ms = revisions[place + 1].at_ms if place + 1 < len(revisions) else upto_ms + 1
        if revision.state == "withdrawn" or revision.at_ms >= until_ms or revision.at_ms > upto_ms:
            continue
        confirmed_ms = event.confirmed_at_ms
        stop_ms = until_ms if event.absent_since_ms is None else min(until_ms, event.absent_since_ms)
        known = tested.setdefault(confirmed_ms, set())
        moments = [moment for moment, _ in event.values]
        for t_ms in range(-(-confirmed_ms // every_ms) * every_ms, min(stop_ms, upto_ms + 1), every_ms):
            index = bisect_right(moments, t_ms) - 1
            if t_ms in known or index < 0:
                continue
            value = event.values[index][1]
            if breach.holds(value):
                known.add(t_ms)
                times.setdefault(confirmed_ms, []).append(EvaluationTime(max(t_ms, revision.at_ms), t_ms, value))
        if revision.state == "ended":
            ends.setdefault(confirmed_ms, []).append(revision.at_ms)
    return {
        confirmed_ms: EvaluationSchedule(
            tuple(sorted(times.get(confirmed_ms, ()), key=_made)), tuple(ends.get(confirmed_ms, ()))
        )
        for confirmed_ms in tested
    }


def _made(time: EvaluationTime) -> tuple[int, int]:
    return time.at_ms, time.t_ms
