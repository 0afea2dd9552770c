"""The state of one provider in one zone series: which of its readings speaks, and since when it has breached."""

from __future__ import annotations

from dataclasses import dataclass

from monsoon.transforms.triggers.conditions import Condition
from monsoon.transforms.triggers.readings import Reading

RankedReading = tuple[int, Reading]
"""A reading and the distance rank of its place among its provider's (0 is the nearest)."""


@dataclass(frozen=True, slots=True)
class ProviderState:
    """A provider at a moment. `next_state` takes it to a later one.

    A reading is dropped once there is a later one from a place as near: that one goes stale after it. The rest is in
    the order of distance and of age at once, so the first speaks and is the next to go stale.
    """

    fresh: tuple[RankedReading, ...]
    last_reading: Reading
    run_first: tuple[Reading | None, ...]
    """By level, the first reading of the run to which the last speaking reading belongs."""

    def holds(self, rank: int, sustained_ms: int) -> bool:
        """Whether it has a speaking reading, and its run at the level is that long."""
        first = self.run_first[rank]
        return bool(self.fresh) and first is not None and _lasted(self.last_reading, first, sustained_ms)

    def breaches(self, condition: Condition) -> bool:
        """Whether its speaking reading breaches, at whatever hour."""
        if not self.fresh:
            return False
        return self.run_first[0] is not None or condition.breaches[0].holds(self.last_reading.value)

    def is_equivalent_to(self, other: ProviderState, sustained_ms: int) -> bool:
        """Whether both hold the same at every later moment, whatever readings follow; their runs may have begun
        otherwise."""
        if self.fresh != other.fresh or self.last_reading != other.last_reading:
            return False
        return all(
            mine == theirs
            or (
                mine is not None
                and theirs is not None
                and _lasted(self.last_reading, mine, sustained_ms)
                and _lasted(self.last_reading, theirs, sustained_ms)
            )
            for mine, theirs in zip(self.run_first, other.run_first, strict=True)
        )


def next_state(
    condition: Condition, state: ProviderState | None, observed: RankedReading | None, now_ms: int
) -> ProviderState | None:
    """The provider state after a moment with its nearest reading (None: none); None where it has no effect any more."""
    fresh = () if state is None else state.fresh
    gone = 0
    while gone < len(fresh) and now_ms - fresh[gone][1].event_time_ms > condition.ttl_ms:
        gone += 1
    if observed is None and not gone:
        return state
    fresh = fresh[gone:]
    if observed is not None:
        kept = len(fresh)
        while kept and fresh[kept - 1][0] >= observed[0]:
            kept -= 1
        fresh = (*fresh[:kept], observed)
    if not fresh:
        if state is None or now_ms - state.last_reading.event_time_ms >= condition.max_gap_ms:
            return None  # the next reading begins a new run anyway
        return ProviderState((), state.last_reading, state.run_first)
    speaking = fresh[0][1]
    if state is not None and speaking is state.last_reading:
        return ProviderState(fresh, speaking, state.run_first)
    before = None
    if state is not None and speaking.event_time_ms - state.last_reading.event_time_ms <= condition.max_gap_ms:
        before = state.run_first
    return ProviderState(fresh, speaking, _run_first(condition, speaking, before))


def _run_first(
    condition: Condition, speaking: Reading, before: tuple[Reading | None, ...] | None
) -> tuple[Reading | None, ...]:
    """The first readings of the runs, by level, with a new speaking reading: it continues the runs before it (None:
    they are too long ago) or ends them.

    One outside the hours belongs to no run; nor does a run go on past it.
    """
    firsts: list[Reading | None] = []
    counts = condition.in_hours(speaking.event_time_ms)
    for rank, breach in enumerate(condition.breaches):
        if not counts or not breach.holds(speaking.value):
            firsts.append(None)
        else:
            firsts.append((before[rank] if before is not None else None) or speaking)
    return tuple(firsts)


def _lasted(last: Reading, first: Reading, sustained_ms: int) -> bool:
    return last.event_time_ms - first.event_time_ms >= sustained_ms
