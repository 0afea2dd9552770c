"""The event history of one series, re-evaluated where a correction changes the past.

Without corrections the detector only runs on. A change in the past is evaluated from a snapshot before it, and only
until the detector's state is equivalent to what it was: from there the known snapshots and events are kept, except for
an event or run that goes on and now began otherwise. Everything is derived from the visible readings.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from monsoon.transforms.triggers.conditions import OWN_ROLE, SeriesRules
from monsoon.transforms.triggers.event_detector import DetectorSnapshot, EventDetector, EventState, ProviderKey
from monsoon.transforms.triggers.provider_state import ProviderState
from monsoon.transforms.triggers.readings import Identity, Reading

BEFORE_TIME_MS = -(2**63)
"""Before every time that a record may state."""
END_OF_TIME_MS = 2**62
_SNAPSHOT_READINGS = 32
"""The smallest number of readings between snapshots: a correction costs about so many, however long the history."""
_STATES_PER_READING = 4
"""Snapshots hold at most so many provider states for each reading of the history."""

_FIRST: Identity = ("", "")
"""Sorts before every identity."""

_Runs = tuple[Reading | None, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """A reading with the distance rank of its place among its provider's in this series (any number that orders them;
    equal where equally near); None: it covers other zones."""

    reading: Reading
    distance_rank: int | None


class EventHistory:
    """The readings of a series and its events: `add` and `remove`, then `run` or `reevaluate`."""

    def __init__(self, rules: SeriesRules) -> None:
        self._rules = rules
        self._detector = EventDetector(rules)
        self._observed: dict[Identity, Observation] = {}
        self._times: list[tuple[int, Identity]] = []
        """(event time, identity) of every reading, sorted."""
        self._snapshots: list[DetectorSnapshot] = [DetectorSnapshot(BEFORE_TIME_MS - 1, {}, None)]

    @property
    def events(self) -> Sequence[EventState]:
        """Every event so far, by start; only the last can be open."""
        return self._detector.events

    @property
    def next_ms(self) -> int | None:
        """The next moment at which something may change without a reading; None: nothing will."""
        return self._detector.next_ms

    def modes(self, at_ms: int) -> tuple[tuple[str, str], ...]:
        """The oracle mode of each metric at the moment up to which it has run."""
        return self._detector.modes(at_ms)

    def event(self, start_ms: int) -> EventState | None:
        """The event of that start, if there is one."""
        index = bisect_left(self.events, start_ms, key=_start_ms)
        if index < len(self.events) and self.events[index].start_ms == start_ms:
            return self.events[index]
        return None

    def add(self, item: Observation) -> None:
        """A reading of this series that is visible from now on; `run` or `reevaluate` must follow."""
        self._observed[item.reading.identity] = item
        insort(self._times, (item.reading.event_time_ms, item.reading.identity))

    def remove(self, item: Observation) -> None:
        """A reading that a correction replaced."""
        del self._observed[item.reading.identity]
        self._times.pop(bisect_left(self._times, (item.reading.event_time_ms, item.reading.identity)))

    def run(self, items: Iterable[Observation], until_ms: int) -> Iterator[tuple[int, EventState]]:
        """Advances with added readings of no moment passed; yields (moment, event) at each change."""
        for item in items:
            _observe(self._detector, item)
        return self._detector.run(until_ms)

    def take_snapshot(self, now_ms: int) -> None:
        """Takes a snapshot of the moment up to which it has run, where enough readings have passed since the last."""
        passed = len(self._times)
        if self._times and self._times[-1][0] > now_ms:
            passed = bisect_left(self._times, (now_ms + 1, _FIRST))
        spacing = self._spacing(self._detector)
        if passed >= spacing and self._times[passed - spacing][0] > self._snapshots[-1].at_ms:
            self._snapshots.append(self._detector.snapshot(now_ms))

    def reevaluate(self, changed_ms: Iterable[int], items: Iterable[Observation], until_ms: int) -> set[int]:
        """Re-evaluates from readings changed at these event times, and advances with added ones of no moment passed.

        Returns the starts of all events, former and present, in the stretches that were re-evaluated.
        """
        before = self._detector
        touched: set[int] = set()
        pending = sorted(set(changed_ms))
        while pending:
            pending = self._reevaluate_stretch(pending, until_ms, touched)
        if self._detector is before:
            last = max(0, len(self.events) - 1)
            for _ in self.run(items, until_ms):
                pass
            touched.update(map(_start_ms, self.events[last:]))
        return touched

    def _reevaluate_stretch(self, changed_ms: Sequence[int], until_ms: int, touched: set[int]) -> list[int]:
        """Re-evaluates from before the first change until the state is equivalent to the former one, or to the end.

        Returns the moments from which re-evaluation must still take place.
        """
        former = self._detector.events
        index = bisect_left(self._snapshots, changed_ms[0], key=_at_ms) - 1
        known = bisect_right(former, self._snapshots[index].at_ms, key=_confirmed_at_ms)
        detector = EventDetector(self._rules, self._snapshots[index], former[:known])
        known = max(0, known - 1)  # the last one may have been open
        while index + 1 < len(self._snapshots):
            index = self._advance(detector, index, self._snapshots[index + 1].at_ms) + 1
            snapshot = self._snapshots[index]
            self._snapshots[index] = detector.snapshot(snapshot.at_ms)
            passed = bisect_right(former, snapshot.at_ms, key=_confirmed_at_ms)
            if not self._is_equivalent(detector, snapshot, former[passed - 1] if passed else None):
                continue
            events = list(detector.events)
            if snapshot.open is not None:
                events[-1] = _continued_as(events[-1], former[passed - 1], snapshot.at_ms)
            touched.update(map(_start_ms, former[known:passed]), map(_start_ms, events[known:]))
            self._detector.events = events + former[passed:]
            begun_until_ms = self._begin_runs(snapshot.provider_states, index)
            confirmed = (event.confirmed_at_ms for event in former[passed:])
            resting_on_them = {at_ms for at_ms in confirmed if at_ms <= begun_until_ms}
            return sorted(resting_on_them.union(changed_ms[bisect_right(changed_ms, snapshot.at_ms) :]))
        self._advance(detector, index, until_ms, to_come=True)
        touched.update(map(_start_ms, former[known:]), map(_start_ms, detector.events[known:]))
        self._detector = detector
        return []

    def _advance(self, detector: EventDetector, index: int, until_ms: int, *, to_come: bool = False) -> int:
        """Runs a detector from the snapshot at `index` up to `until_ms`; `to_come`: with the readings after it too.

        Takes snapshots on the way where many readings lie there; returns the index of the last.
        """
        low = bisect_left(self._times, (self._snapshots[index].at_ms + 1, _FIRST))
        high = len(self._times) if to_come else bisect_left(self._times, (until_ms + 1, _FIRST))
        for _, identity in self._times[low:high]:
            _observe(detector, self._observed[identity])
        spacing = self._spacing(detector)
        for event_time_ms, _ in self._times[low + spacing - 1 : high - spacing : spacing]:
            if self._snapshots[index].at_ms < event_time_ms < until_ms:
                _run_discarding(detector, event_time_ms)
                index += 1
                self._snapshots.insert(index, detector.snapshot(event_time_ms))
        _run_discarding(detector, until_ms)
        return index

    def _is_equivalent(self, detector: EventDetector, former: DetectorSnapshot, last: EventState | None) -> bool:
        """Whether later readings confirm and end the same as after a former snapshot, `last` being its last event."""
        trigger = self._rules.trigger
        if not detector.is_equivalent_to(former):
            return False
        if former.open is not None or not trigger.sustained_ms:
            return True
        ends = {event.end_ms for event in (*detector.events[-1:], last) if event is not None}
        if len(ends) <= 1 and bool(detector.events) == (last is not None):
            return True
        # An end bounds the next start, unless whatever can make it begins later anyway.
        own = (
            state
            for found in (detector.provider_states, former.provider_states)
            for (role, _), state in found.items()
            if role == OWN_ROLE
        )
        firsts = (first for state in own for first in state.run_first)
        begun_ms = (first.event_time_ms for first in firsts if first is not None)
        return max(end_ms for end_ms in ends if end_ms is not None) <= min([former.at_ms - trigger.ttl_ms, *begun_ms])

    def _begin_runs(self, former: Mapping[ProviderKey, ProviderState], index: int) -> int:
        """Gives runs that began otherwise by the snapshot at `index` than in `former` their beginning in later ones.

        Returns a moment at which none of them goes on.
        """
        now = self._snapshots[index].provider_states
        begun = {
            name: (former[name].run_first, state.run_first)
            for name, state in now.items()
            if name[0] == OWN_ROLE and former[name].run_first != state.run_first
        }
        if not begun:
            return self._snapshots[index].at_ms
        for snapshot in self._snapshots[index + 1 :]:
            begun = _begin(snapshot.provider_states, begun)
            if not begun:
                return snapshot.at_ms
        _begin(self._detector.provider_states, begun)
        return END_OF_TIME_MS

    def _spacing(self, detector: EventDetector) -> int:
        return max(_SNAPSHOT_READINGS, len(detector.provider_states) // _STATES_PER_READING)


def _begin(
    provider_states: dict[ProviderKey, ProviderState], begun: Mapping[ProviderKey, tuple[_Runs, _Runs]]
) -> dict[ProviderKey, tuple[_Runs, _Runs]]:
    """Changes the first readings of runs as `begun` says, by provider state; returns those of them that still went
    on."""
    going_on = {}
    for name, (before, now) in begun.items():
        state = provider_states.get(name)
        if state is None:
            continue
        runs = tuple(
            new if first is not None and first == old else first
            for first, old, new in zip(state.run_first, before, now, strict=True)
        )
        if runs != state.run_first:
            provider_states[name] = replace(state, run_first=runs)
            going_on[name] = (before, now)
    return going_on


def _continued_as(event: EventState, other: EventState, at_ms: int) -> EventState:
    """An event, open at a moment, that goes on from there as another one did."""
    values = tuple(entry for entry in event.values if entry[0] <= at_ms)
    values += tuple(entry for entry in other.values if entry[0] > at_ms)
    return replace(
        event,
        level=other.level,
        absent_since_ms=other.absent_since_ms,
        end_ms=other.end_ms,
        modes=other.modes,
        values=values,
    )


def _observe(detector: EventDetector, item: Observation) -> None:
    if item.distance_rank is not None:
        detector.observe(item.distance_rank, item.reading)


def _run_discarding(detector: EventDetector, until_ms: int) -> None:
    for _ in detector.run(until_ms):
        pass


def _at_ms(snapshot: DetectorSnapshot) -> int:
    return snapshot.at_ms


def _start_ms(event: EventState) -> int:
    return event.start_ms


def _confirmed_at_ms(event: EventState) -> int:
    return event.confirmed_at_ms
