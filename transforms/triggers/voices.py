"""What one provider says in one zone series: which of its readings speaks, and since when it has breached."""

from __future__ import annotations

from dataclasses import dataclass

from monsoon.transforms.triggers.conditions import Condition
from monsoon.transforms.triggers.readings import Reading

Placed = tuple[int, Reading]
"""A reading and the nearness of its place among its provider's (0 is the nearest)."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A provider at a moment. `after` takes it to a later one.

    A reading is of no account once a later one has come from a place as near: that one goes stale after it. What is
    left stands nearest first and oldest first at once, so the first speaks and is the next to go stale.
    """

    fresh: tuple[Placed, ...]
    last_spoken: Reading
    run_first: tuple[Reading | None, ...]
    """By level, the first reading of the run that the last spoken reading belongs to."""

    def holds(self, rank: int, sustained_ms: int) -> bool:
        """Whether it speaks, and its run at the level is that long."""
        first = self.run_first[rank]
        return bool(self.fresh) and first is not None and _lasted(self.last_spoken, first, sustained_ms)

    def breaches(self, condition: Condition) -> bool:
        """Whether it speaks of a breach, at whatever hour."""
        if not self.fresh:
            return False
        return self.run_first[0] is not None or condition.breaches[0].holds(self.last_spoken.value)

    def goes_on_like(self, other: Voice, sustained_ms: int) -> bool:
        """Whether both hold the same at every later moment, whatever comes; their runs may have begun otherwise."""
        if self.fresh != other.fresh or self.last_spoken != other.last_spoken:
            return False
        return all(
            mine == theirs
            or (
                mine is not None
                and theirs is not None
                and _lasted(self.last_spoken, mine, sustained_ms)
                and _lasted(self.last_spoken, theirs, sustained_ms)
            )
            for mine, theirs in zip(self.run_first, other.run_first, strict=True)
        )


def after(condition: Condition, voice: Voice | None, heard: Placed | None, now_ms: int) -> Voice | None:
    """The voice once a moment has brought its nearest reading (None: none); None where it is as if never heard."""
    fresh = () if voice is None else voice.fresh
    gone = 0
    while gone < len(fresh) and now_ms - fresh[gone][1].event_time_ms > condition.ttl_ms:
        gone += 1
    if heard is None and not gone:
        return voice
    fresh = fresh[gone:]
    if heard is not None:
        kept = len(fresh)
        while kept and fresh[kept - 1][0] >= heard[0]:
            kept -= 1
        fresh = (*fresh[:kept], heard)
    if not fresh:
        if voice is None or now_ms - voice.last_spoken.event_time_ms >= condition.max_gap_ms:
            return None  # what comes now begins a new run anyway
        return Voice((), voice.last_spoken, voice.run_first)
    speaking = fresh[0][1]
    if voice is not None and speaking is voice.last_spoken:
        return Voice(fresh, speaking, voice.run_first)
    before = None
    if voice is not None and speaking.event_time_ms - voice.last_spoken.event_time_ms <= condition.max_gap_ms:
        before = voice.run_first
    return Voice(fresh, speaking, _run_first(condition, speaking, before))


def _run_first(
    condition: Condition, speaking: Reading, before: tuple[Reading | None, ...] | None
) -> tuple[Reading | None, ...]:
    """A newly spoken reading goes on with the runs before it (None: they are too long ago) or ends them.

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
