"""The trigger machine: one trigger, one platform, one zone series, driven by readings as they take effect.

Between corrections its history only runs on. A correction (or a reading that takes effect after its event time)
changes the past, so the history is re-evaluated with the readings now visible and compared with what was published: an
event that would never have been confirmed is withdrawn, a new one is confirmed, one that differs is revised. Its state
is the readings observed and the revisions published; the history is derived from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.conditions import Condition, SeriesRules
from monsoon.transforms.triggers.event_detector import EventState, as_published
from monsoon.transforms.triggers.history import BEFORE_TIME_MS, EventHistory, Observation
from monsoon.transforms.triggers.readings import Identity

State = Literal["confirmed", "ended", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Revision:
    """A published revision of an event, taking effect at `at_ms`; revisions of one start count up from 0."""

    at_ms: int
    revision: int
    state: State
    event: EventState
    silent: bool = False
    """Whether only `values`, or an absence that may pass, changed: activity tests need it, but no record is written of
    it, and it has the number of the revision before."""

    def __hash__(self) -> int:
        # A key in every zone, so it is short: `values` grow with each revision of an event.
        return hash((self.at_ms, self.revision, self.event.start_ms))


class TriggerMachine:
    """Takes readings by `take_effect`, moment by moment in order; `run_until` advances event time between them."""

    def __init__(self, trigger: Trigger, alert: Condition | None = None, corroborated: Set[int] = frozenset()) -> None:
        """`alert`: the product's public alert (`alert_condition`). `corroborated`: for a trigger with a telemetry
        condition, the moments (ms) at which telemetry corroborates the readings; it may grow, ahead of what the
        machine is fed."""
        self._rules = SeriesRules.of(trigger, alert, corroborated)
        self._history = EventHistory(self._rules)
        self._visible: dict[Identity, Observation] = {}
        self._published: dict[int, Revision] = {}
        self._now_ms = BEFORE_TIME_MS

    def take_effect(self, at_ms: int, observed: Iterable[Observation]) -> list[Revision]:
        """All readings that take effect at one moment, later than any before; returns what is published by then."""
        if at_ms <= self._now_ms:
            raise ValueError(f"moment {at_ms} is not after {self._now_ms}: readings must come in effect order")
        published = list(self._run_on((), at_ms - 1))
        newest: dict[Identity, Observation] = {}
        for item in observed:
            known = newest.get(item.reading.identity)
            if known is None or item.reading.revision > known.reading.revision:
                newest[item.reading.identity] = item
        changed_ms: list[int] = []
        new: list[Observation] = []
        for identity, item in newest.items():
            current = self._visible.get(identity)
            if current is not None and current.reading.revision >= item.reading.revision:
                continue
            self._visible[identity] = item
            if current is not None and current.distance_rank is not None:
                changed_ms.append(current.reading.event_time_ms)
                self._history.remove(current)
            if item.distance_rank is not None:
                self._history.add(item)
                if item.reading.event_time_ms < at_ms:
                    changed_ms.append(item.reading.event_time_ms)
                else:
                    new.append(item)
        if changed_ms:
            published.extend(self._publish_differences(self._history.reevaluate(changed_ms, new, at_ms), at_ms))
        else:
            published.extend(self._run_on(new, at_ms))
        self._now_ms = at_ms
        self._history.take_snapshot(at_ms)
        return published

    def run_until(self, until_ms: int) -> list[Revision]:
        """What is published by `until_ms` if no reading takes effect before."""
        return list(self._run_on((), until_ms))

    @property
    def next_due_ms(self) -> int | None:
        """The next moment at which something may change without a reading; None: nothing will."""
        return self._history.next_ms

    @property
    def query_times_ms(self) -> dict[int, None]:
        """For a trigger with a telemetry condition: the moments so far at which telemetry must be queried (keys), in
        the order in which they were found."""
        return self._rules.query_times_ms

    def _run_on(self, new: Iterable[Observation], until_ms: int) -> Iterator[Revision]:
        for at_ms, event in self._history.run(new, until_ms):
            yield self._publish(at_ms, as_published(event))

    def _publish_differences(self, starts_ms: Iterable[int], at_ms: int) -> Iterator[Revision]:
        """Revisions of the events of these starts that differ from what was published: withdrawals first."""
        found = ((start_ms, self._history.event(start_ms)) for start_ms in sorted(starts_ms))
        reevaluated = [(start_ms, None if event is None else as_published(event)) for start_ms, event in found]
        for start_ms, event in reevaluated:
            before = self._published.get(start_ms)
            if event is None and before is not None and before.state != "withdrawn":
                yield self._publish(at_ms, self._as_of(at_ms, before.event), withdrawn=True)
        for start_ms, event in reevaluated:
            before = self._published.get(start_ms)
            if event is not None and (
                before is None or before.state == "withdrawn" or self._differs(before.event, event)
            ):
                yield self._publish(at_ms, event if event.end_ms is not None else self._as_of(at_ms, event))

    def _as_of(self, at_ms: int, event: EventState) -> EventState:
        return replace(event, modes=self._history.modes(at_ms))

    def _differs(self, published: EventState, reevaluated: EventState) -> bool:
        return self._recorded(published) != self._recorded(reevaluated) or _unrecorded(published) != _unrecorded(
            reevaluated
        )

    def _recorded(self, event: EventState) -> EventState:
        """The part of an event whose difference makes a record.

        An absence that has not yet ended the event was never published, so it alone is no difference; nor are modes
        that belong to a moment.
        """
        emitted = replace(event, modes=(), values=())
        if emitted.end_ms is not None:
            return emitted
        emitted = replace(emitted, absent_since_ms=None)
        return emitted if self._rules.alert else replace(emitted, first_alert_ms=0)

    def _publish(self, at_ms: int, event: EventState, *, withdrawn: bool = False) -> Revision:
        before = self._published.get(event.start_ms)
        state: State = "withdrawn" if withdrawn else "confirmed" if event.end_ms is None else "ended"
        if before is not None and before.state == state and self._recorded(before.event) == self._recorded(event):
            revision = Revision(at_ms, before.revision, state, event, silent=True)
        else:
            revision = Revision(at_ms, 0 if before is None else before.revision + 1, state, event)
        self._published[event.start_ms] = revision
        return revision


def _unrecorded(event: EventState) -> tuple[Any, ...]:
    """The part of an event that only activity tests need."""
    return (event.values, event.absent_since_ms if event.values else None)
