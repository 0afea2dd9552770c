"""Detects the events of one trigger in one zone series from a fixed set of readings.

The detector runs over moments in event-time order: event times of the readings of the trigger's metrics, the moments at
which they go stale, and the moments at which an absence has lasted long enough. It has no corrections: `history.py`
goes back to a snapshot from before one and runs it again.

Interpretations of the specification: docs/interpretations.md#disruptions.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from monsoon.transforms.triggers.alerts import Alert
from monsoon.transforms.triggers.conditions import OWN_ROLE, SeriesRules
from monsoon.transforms.triggers.consensus import (
    ConfirmingProvider,
    ProviderKind,
    consensus_reached,
    earliest_start,
    provider_kind,
    supported_severity,
)
from monsoon.transforms.triggers.modes import oracle_mode
from monsoon.transforms.triggers.provider_state import ProviderState, RankedReading, next_state
from monsoon.transforms.triggers.readings import Reading


@dataclass(frozen=True, slots=True)
class EventState:
    """A confirmed disruption of one series; its start names it. Times in milliseconds since the epoch."""

    start_ms: int
    confirmed_at_ms: int
    severity: float
    level: str | None
    providers: tuple[str, ...]
    """Those that held the level first confirmed, and those that breached the further conditions; sorted. `reading_ids`
    are their readings."""
    reading_ids: tuple[str, ...]
    first_alert_ms: int
    """When the public could first know: the earliest issued time of the first readings of the confirming runs."""
    absent_since_ms: int | None = None
    end_ms: int | None = None
    alert: Alert | None = None
    """The last unbroken public alert that began by the confirmation, for a product that uses one."""
    modes: tuple[tuple[str, str], ...] = ()
    """The oracle mode (fresh, stale, conflict, outage) of each of its metrics, by name, as of the revision; once it has
    ended, as of its end."""
    values: tuple[tuple[int, float], ...] = ()
    """For a trigger with an activity test: (moment, largest value of a fresh provider of any quality from then on, 0
    while the consensus pauses), from the confirmation on; once it has ended, to absent_since."""


def as_published(event: EventState) -> EventState:
    """An event as it is published: of one that has ended, without values from the time when it was absent."""
    if event.end_ms is None or event.absent_since_ms is None or not event.values:
        return event
    return replace(event, values=tuple(entry for entry in event.values if entry[0] < event.absent_since_ms))


ProviderKey = tuple[int, str]
"""The key of a provider state: the role of a condition, and a provider."""


@dataclass(frozen=True, slots=True)
class OpenEventStatus:
    """The part of an open event that decides how it goes on."""

    level: str | None
    absent_since_ms: int | None


@dataclass(frozen=True, slots=True)
class DetectorSnapshot:
    """The state of a detector that has passed every moment up to `at_ms`, without its events and later readings."""

    at_ms: int
    provider_states: dict[ProviderKey, ProviderState]
    open: OpenEventStatus | None
    alert: Alert | None = None
    last_observed_ms: tuple[int | None, ...] = ()
    corroborated: bool = False


class EventDetector:
    """Takes readings by `observe`, in any order but never for a moment already passed; `run` advances it."""

    def __init__(
        self, rules: SeriesRules, snapshot: DetectorSnapshot | None = None, events: Sequence[EventState] = ()
    ) -> None:
        """Resumes from a snapshot with the `events` confirmed up to it, however they went on afterwards."""
        self._rules = rules
        self._trigger = rules.trigger
        self.provider_states: dict[ProviderKey, ProviderState] = {}
        """Only those that still have an effect."""
        self._moments: list[int] = []
        self._observed: dict[int, list[RankedReading]] = {}
        self._stale: dict[int, set[ProviderKey]] = {}
        """By moment: readings valid from then on, and keys of provider states of which a reading goes stale then."""
        self._breaching: list[Counter[ProviderKind]] = [Counter() for _ in rules.conditions]
        """By role, speaking providers that breach."""
        self._holding: list[Counter[ProviderKind]] = [Counter() for _ in self._trigger.levels]
        """Those of the own metric that hold each level for as long as it must be sustained."""
        self._alert: Alert | None = None
        """The last alert that began."""
        self._last_observed_ms: list[int | None] = [None for _ in rules.conditions]
        """By role, the newest event time observed."""
        self._corroborated = self._trigger.telemetry_condition is None
        """Whether telemetry corroborates the readings, by its last query."""
        self.events: list[EventState] = list(events)
        """Every event so far, oldest first; only the last can be open."""
        if snapshot is not None:
            self.provider_states = dict(snapshot.provider_states)
            self._resume(snapshot)

    def _resume(self, snapshot: DetectorSnapshot) -> None:
        for key, state in self.provider_states.items():
            self._count(key[0], state, 1)
            for _, reading in state.fresh:
                self._goes_stale(reading.event_time_ms, key[0], {key})
        self._alert = snapshot.alert
        self._last_observed_ms[: len(snapshot.last_observed_ms)] = snapshot.last_observed_ms
        self._corroborated = self._corroborated or snapshot.corroborated
        if snapshot.open is not None:
            level, absent_since_ms = snapshot.open.level, snapshot.open.absent_since_ms
            values = tuple(entry for entry in self.events[-1].values if entry[0] <= snapshot.at_ms)
            self.events[-1] = replace(
                self.events[-1], level=level, absent_since_ms=absent_since_ms, end_ms=None, modes=(), values=values
            )

    def snapshot(self, at_ms: int) -> DetectorSnapshot:
        """The state from which to resume with the readings valid after `at_ms`, the moment up to which it has run."""
        return DetectorSnapshot(
            at_ms,
            dict(self.provider_states),
            self.open_status,
            self._alert,
            tuple(self._last_observed_ms),
            self._corroborated,
        )

    def is_equivalent_to(self, other: DetectorSnapshot) -> bool:
        """Whether later readings lead to the same as after `other`, apart from earlier ends and beginnings of runs."""
        if self.open_status != other.open or self.provider_states.keys() != other.provider_states.keys():
            return False
        if (self._alert, tuple(self._last_observed_ms), self._corroborated) != (
            other.alert,
            other.last_observed_ms,
            other.corroborated,
        ):
            return False
        return all(
            state.is_equivalent_to(other.provider_states[key], self._rules.conditions[key[0]].sustained_ms)
            for key, state in self.provider_states.items()
        )

    def observe(self, distance_rank: int, reading: Reading) -> None:
        """A reading of the series; `distance_rank` of its place among those of its provider and metric, 0 the
        nearest."""
        moment = self._observed.get(reading.event_time_ms)
        if moment is None:
            moment = self._observed[reading.event_time_ms] = []
            heapq.heappush(self._moments, reading.event_time_ms)
        moment.append((distance_rank, reading))

    def run(self, until_ms: int) -> Iterator[tuple[int, EventState]]:
        """Pass through every moment up to and including `until_ms`; yields (moment, event) at each change.

        An absence is a change only where the trigger has an activity test; else it shows when it has lasted.
        """
        while self._moments and self._moments[0] <= until_ms:
            now_ms = heapq.heappop(self._moments)
            yield from self._close_by(now_ms)
            changed = self._observe_moment(now_ms)
            if self._rules.alert and changed.intersection((len(self._rules.conditions) - 1,)):
                self._update_alert(now_ms)
            if not changed.isdisjoint(self._rules.required_roles):
                yield from self._evaluate(now_ms)
        yield from self._close_by(until_ms)

    @property
    def next_ms(self) -> int | None:
        """The next moment to pass; None where none is ahead."""
        dues = self._moments[:1]
        if (event := self._open) is not None and event.absent_since_ms is not None:
            dues.append(event.absent_since_ms + self._trigger.clear_after_ms)
        return min(dues, default=None)

    @property
    def open_status(self) -> OpenEventStatus | None:
        """The status of the open event; None without one."""
        event = self._open
        return None if event is None else OpenEventStatus(event.level, event.absent_since_ms)

    def modes(self, at_ms: int) -> tuple[tuple[str, str], ...]:
        """The oracle mode of each of the trigger's metrics at the moment up to which it has run."""
        conditions = self._rules.conditions
        speaking: dict[int, list[ProviderState]] = {role: [] for role in self._rules.required_roles}
        for (role, _), state in self.provider_states.items():
            if role in speaking:
                speaking[role].append(state)
        found = {
            conditions[role].metric: oracle_mode(conditions[role], speaking[role], self._last_observed_ms[role], at_ms)
            for role in reversed(self._rules.required_roles)
        }
        return tuple(sorted(found.items()))

    @property
    def _open(self) -> EventState | None:
        if self.events and self.events[-1].end_ms is None:
            return self.events[-1]
        return None

    def _close_by(self, now_ms: int) -> Iterator[tuple[int, EventState]]:
        event = self._open
        if event is None or event.absent_since_ms is None:
            return
        end_ms = event.absent_since_ms + self._trigger.clear_after_ms
        if end_ms <= now_ms:
            self.events[-1] = replace(event, end_ms=end_ms, modes=self.modes(end_ms))
            yield end_ms, self.events[-1]

    def _observe_moment(self, now_ms: int) -> set[int]:
        """Applies the readings and expiries of a moment; the roles in which a provider state has changed."""
        nearest: dict[ProviderKey, RankedReading] = {}
        for ranked in self._observed.pop(now_ms, ()):
            for role in self._rules.roles_by_metric.get(ranked[1].metric, ()):
                key = (role, ranked[1].provider)
                known = nearest.get(key)
                if known is None or _takes_precedence(ranked, known):
                    nearest[key] = ranked
        stale = self._stale.pop(now_ms, set())
        changed = {key[0] for key in stale.union(nearest) if self._update(key, nearest.get(key), now_ms)}
        for role in {key[0] for key in nearest}:
            self._last_observed_ms[role] = now_ms
            self._goes_stale(now_ms, role, {key for key in nearest if key[0] == role})
        return changed

    def _goes_stale(self, event_time_ms: int, role: int, keys: set[ProviderKey]) -> None:
        stale_ms = event_time_ms + self._rules.conditions[role].ttl_ms + 1
        known = self._stale.get(stale_ms)
        if known is None:
            self._stale[stale_ms] = keys
            if stale_ms not in self._observed:
                heapq.heappush(self._moments, stale_ms)
        else:
            known |= keys

    def _update(self, key: ProviderKey, observed: RankedReading | None, now_ms: int) -> bool:
        before = self.provider_states.get(key)
        state = next_state(self._rules.conditions[key[0]], before, observed, now_ms)
        if state is before:
            return False
        if before is not None:
            self._count(key[0], before, -1)
        if state is None:
            del self.provider_states[key]
        else:
            self.provider_states[key] = state
            self._count(key[0], state, 1)
        return True

    def _count(self, role: int, state: ProviderState, step: int) -> None:
        condition = self._rules.conditions[role]
        if not state.breaches(condition):
            return
        kind = provider_kind(condition, state.last_reading)
        self._breaching[role][kind] += step
        if role != OWN_ROLE:
            return
        for rank in range(len(condition.breaches)):
            if not state.holds(rank, condition.sustained_ms):
                break  # what does not hold a level holds no harsher one
            self._holding[rank][kind] += step

    def _update_alert(self, now_ms: int) -> None:
        role = len(self._rules.conditions) - 1
        holds = any(self._breaching[role].values())
        if self._alert is not None and self._alert.ended_ms is None:
            if not holds:
                self._alert = replace(self._alert, ended_ms=now_ms)
        elif holds:
            condition = self._rules.conditions[role]
            issued = (
                state.last_reading.issued_time_ms
                for key, state in self.provider_states.items()
                if key[0] == role and state.breaches(condition)
            )
            if self._alert is None:
                self._alert = Alert(min(issued), None)
            else:
                self._alert = self._alert.followed_by(min(issued), now_ms, condition.retention_ms)

    def _breaches(self, now_ms: int) -> bool:
        """Whether all conditions breach now, sustained or not, and telemetry corroborates them; it need not once an
        event is open (so the worked examples)."""
        if not all(
            consensus_reached(self._rules.conditions[role].consensus, self._breaching[role])
            for role in self._rules.required_roles
        ):
            if self._trigger.telemetry_condition is not None:
                self._corroborated = False
            return False
        if self._trigger.telemetry_condition is not None and (
            not self._rules.evaluated_at_readings or self._last_observed_ms[OWN_ROLE] == now_ms
        ):
            self._rules.query_times_ms.setdefault(now_ms)
            self._corroborated = now_ms in self._rules.corroborated
        return self._corroborated or self._open is not None

    def _evaluate(self, now_ms: int) -> Iterator[tuple[int, EventState]]:
        trigger = self._trigger
        breaches = self._breaches(now_ms)
        before = self._open
        if before is None:
            if breaches and consensus_reached(trigger.consensus, self._holding[0]):
                self.events.append(self._confirmed(now_ms))
                yield now_ms, replace(self.events[-1], modes=self.modes(now_ms))
            return
        now = before
        absent_since_ms = None
        if not breaches:
            absent_since_ms = now_ms if before.absent_since_ms is None else before.absent_since_ms
        level = before.level
        if breaches and len(trigger.levels) > 1:
            level = trigger.levels[max(trigger.level_rank(level), self._highest_level())].name
        if (level, absent_since_ms) != (before.level, before.absent_since_ms):
            now = replace(before, absent_since_ms=absent_since_ms, level=level)
        if trigger.activity is not None:
            # While the consensus pauses the value is 0: fallback data alone confirms nothing.
            value = self._largest_value() if breaches else 0.0
            if value != before.values[-1][1]:
                now = replace(now, values=(*before.values, (now_ms, value)))
        self.events[-1] = now
        if level != before.level or (trigger.activity is not None and now is not before):
            yield now_ms, replace(now, modes=self.modes(now_ms))

    def _confirmed(self, now_ms: int) -> EventState:
        trigger, condition = self._trigger, self._rules.conditions[OWN_ROLE]
        start_ms = earliest_start(condition, self._confirming(0)) if trigger.sustained_ms else now_ms
        if self.events and self.events[-1].end_ms is not None:
            start_ms = max(start_ms, self.events[-1].end_ms)
        rank = self._highest_level()
        confirming = self._confirming(rank)
        larger_is_worse = trigger.levels[rank].breach.larger_is_worse
        emitted = [*(provider.reading for provider in confirming), *self._secondary_readings()]
        return EventState(
            start_ms=start_ms,
            confirmed_at_ms=now_ms,
            severity=supported_severity(condition, confirming, larger_is_worse=larger_is_worse),
            level=trigger.levels[rank].name,
            providers=tuple(sorted({reading.provider for reading in emitted})),
            reading_ids=tuple(sorted({reading.reading_id for reading in emitted})),
            first_alert_ms=min(provider.run_first.issued_time_ms for provider in confirming),
            alert=self._alert,
            values=() if trigger.activity is None else ((now_ms, self._largest_value()),),
        )

    def _confirming(self, rank: int) -> list[ConfirmingProvider]:
        """The providers that hold a level for as long as it must be sustained, by name."""
        held = [
            (name, ConfirmingProvider(state.last_reading, first))
            for (role, name), state in self.provider_states.items()
            if role == OWN_ROLE
            and state.holds(rank, self._trigger.sustained_ms)
            and (first := state.run_first[rank]) is not None
        ]
        return [provider for _, provider in sorted(held, key=lambda entry: entry[0])]

    def _secondary_readings(self) -> Iterator[Reading]:
        """The readings that breach the further conditions."""
        for (role, _), state in self.provider_states.items():
            if role != OWN_ROLE and role in self._rules.required_roles and state.breaches(self._rules.conditions[role]):
                yield state.last_reading

    def _largest_value(self) -> float:
        """The largest value of a fresh provider of any quality; there must be one."""
        return max(
            state.last_reading.value
            for (role, _), state in self.provider_states.items()
            if role == OWN_ROLE and state.fresh
        )

    def _highest_level(self) -> int:
        ranks = range(len(self._trigger.levels) - 1, 0, -1)
        return next((rank for rank in ranks if consensus_reached(self._trigger.consensus, self._holding[rank])), 0)


def _takes_precedence(ranked: RankedReading, other: RankedReading) -> bool:
    """Of one moment, the reading of the nearest place speaks; of one place, the greatest by `Reading.precedence`."""
    if ranked[0] != other[0]:
        return ranked[0] < other[0]
    return ranked[1].precedence > other[1].precedence
