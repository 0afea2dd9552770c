"""The history of one trigger in one zone series, judged from a fixed set of readings.

A fold over moments in event-time order: event times of the readings of every metric that has a say, the moments at
which they go stale, and the moments at which an absence has lasted long enough. It knows nothing of corrections;
`machine.py` takes it back to a snapshot from before one and lets it run again.

Readings of the text: docs/interpretations.md#disruptions.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from monsoon.transforms.triggers.alerts import Alert
from monsoon.transforms.triggers.conditions import OWN, Rules
from monsoon.transforms.triggers.consensus import (
    Holder,
    Kind,
    earliest_start,
    kind_of,
    reached,
    supported_severity,
)
from monsoon.transforms.triggers.modes import oracle_mode
from monsoon.transforms.triggers.readings import Reading
from monsoon.transforms.triggers.voices import Placed, Voice, after


@dataclass(frozen=True, slots=True)
class Episode:
    """A confirmed disruption of one series; its start names it. Times in milliseconds since the epoch."""

    start_ms: int
    confirmed_at_ms: int
    severity: float
    level: str | None
    providers: tuple[str, ...]
    """Those that held the level confirmed at first, and those that breached what must hold as well; sorted. The
    `reading_ids` are what they said."""
    reading_ids: tuple[str, ...]
    first_alert_ms: int
    """When the public could first know: the earliest issued time of the first readings of the confirming runs."""
    absent_since_ms: int | None = None
    end_ms: int | None = None
    alert: Alert | None = None
    """The last unbroken public alert that began by the confirmation, for a product that asks for it."""
    modes: tuple[tuple[str, str], ...] = ()
    """The oracle mode (fresh, stale, conflict, outage) of each of its metrics, by name, as of the revision that says
    so; once it has ended, as of its end."""
    values: tuple[tuple[int, float], ...] = ()
    """For a trigger with an activity test: (moment, largest value of a fresh provider of any quality from then on, 0
    while the consensus pauses), from the confirmation on; once it has ended, to absent_since."""


def as_published(episode: Episode) -> Episode:
    """An episode as it is published: of one that has ended, without values from the time when it was absent."""
    if episode.end_ms is None or episode.absent_since_ms is None or not episode.values:
        return episode
    return replace(episode, values=tuple(entry for entry in episode.values if entry[0] < episode.absent_since_ms))


VoiceKey = tuple[int, str]
"""Whose voice it is: the role of a condition, and a provider."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an open episode stands: what of it decides what comes."""

    level: str | None
    absent_since_ms: int | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A fold that has passed every moment up to `at_ms`, but for its episodes and the readings still to come."""

    at_ms: int
    voices: dict[VoiceKey, Voice]
    open: Standing | None
    alert: Alert | None = None
    last_heard_ms: tuple[int | None, ...] = ()
    borne_out: bool = False


class EpisodeFold:
    """Feed with `hear`, in any order but never for a moment already passed; advance with `run`."""

    def __init__(self, rules: Rules, snapshot: Snapshot | None = None, episodes: Sequence[Episode] = ()) -> None:
        """Goes on from a snapshot with the `episodes` confirmed up to it, however they went on afterwards."""
        self._rules = rules
        self._trigger = rules.trigger
        self.voices: dict[VoiceKey, Voice] = {}
        """Without those that are as if never heard."""
        self._moments: list[int] = []
        self._heard: dict[int, list[Placed]] = {}
        self._stale: dict[int, set[VoiceKey]] = {}
        """By moment, what it brings: readings valid from then on, voices of which one reading goes stale."""
        self._breaching: list[Counter[Kind]] = [Counter() for _ in rules.conditions]
        """By role, speaking providers that breach."""
        self._holding: list[Counter[Kind]] = [Counter() for _ in self._trigger.levels]
        """Those of the own metric that hold each level for as long as it must be sustained."""
        self._alert: Alert | None = None
        """The last alert that began."""
        self._last_heard_ms: list[int | None] = [None for _ in rules.conditions]
        """By role, the newest moment of which something was heard."""
        self._borne_out = self._trigger.witness is None
        """Whether telemetry bears the readings out, as far as it was asked."""
        self.episodes: list[Episode] = list(episodes)
        """Every episode so far, oldest first; only the last can be open."""
        if snapshot is not None:
            self.voices = dict(snapshot.voices)
            self._resume(snapshot)

    def _resume(self, snapshot: Snapshot) -> None:
        for key, voice in self.voices.items():
            self._count(key[0], voice, 1)
            for _, reading in voice.fresh:
                self._goes_stale(reading.event_time_ms, key[0], {key})
        self._alert = snapshot.alert
        self._last_heard_ms[: len(snapshot.last_heard_ms)] = snapshot.last_heard_ms
        self._borne_out = self._borne_out or snapshot.borne_out
        if snapshot.open is not None:
            level, absent_since_ms = snapshot.open.level, snapshot.open.absent_since_ms
            values = tuple(entry for entry in self.episodes[-1].values if entry[0] <= snapshot.at_ms)
            self.episodes[-1] = replace(
                self.episodes[-1], level=level, absent_since_ms=absent_since_ms, end_ms=None, modes=(), values=values
            )

    def snapshot(self, at_ms: int) -> Snapshot:
        """The state to go on from with the readings valid after `at_ms`, the moment up to which it has run."""
        return Snapshot(
            at_ms, dict(self.voices), self.standing, self._alert, tuple(self._last_heard_ms), self._borne_out
        )

    def goes_on_like(self, other: Snapshot) -> bool:
        """Whether what comes finds the same as after `other`, but for what earlier ends and runs have to say."""
        if self.standing != other.open or self.voices.keys() != other.voices.keys():
            return False
        if (self._alert, tuple(self._last_heard_ms), self._borne_out) != (
            other.alert,
            other.last_heard_ms,
            other.borne_out,
        ):
            return False
        return all(
            voice.goes_on_like(other.voices[key], self._rules.conditions[key[0]].sustained_ms)
            for key, voice in self.voices.items()
        )

    def hear(self, nearness: int, reading: Reading) -> None:
        """A reading that concerns the series, from the `nearness`-th nearest place of its provider and metric."""
        moment = self._heard.get(reading.event_time_ms)
        if moment is None:
            moment = self._heard[reading.event_time_ms] = []
            heapq.heappush(self._moments, reading.event_time_ms)
        moment.append((nearness, reading))

    def run(self, until_ms: int) -> Iterator[tuple[int, Episode]]:
        """Pass through every moment up to and including `until_ms`; yields (moment, episode) at each change.

        An absence is a change only where the trigger has an activity test; else it shows when it has lasted.
        """
        while self._moments and self._moments[0] <= until_ms:
            now_ms = heapq.heappop(self._moments)
            yield from self._close_by(now_ms)
            changed = self._listen(now_ms)
            if self._rules.alert and changed.intersection((len(self._rules.conditions) - 1,)):
                self._follow_alert(now_ms)
            if not changed.isdisjoint(self._rules.needed):
                yield from self._judge(now_ms)
        yield from self._close_by(until_ms)

    @property
    def next_ms(self) -> int | None:
        """The next moment to pass; None where none is ahead."""
        dues = self._moments[:1]
        if (episode := self._open) is not None and episode.absent_since_ms is not None:
            dues.append(episode.absent_since_ms + self._trigger.clear_after_ms)
        return min(dues, default=None)

    @property
    def standing(self) -> Standing | None:
        """How the open episode stands; None without one."""
        episode = self._open
        return None if episode is None else Standing(episode.level, episode.absent_since_ms)

    def modes(self, at_ms: int) -> tuple[tuple[str, str], ...]:
        """The oracle mode of each of the trigger's metrics at the moment up to which it has run."""
        conditions = self._rules.conditions
        speaking: dict[int, list[Voice]] = {role: [] for role in self._rules.needed}
        for (role, _), voice in self.voices.items():
            if role in speaking:
                speaking[role].append(voice)
        found = {
            conditions[role].metric: oracle_mode(conditions[role], speaking[role], self._last_heard_ms[role], at_ms)
            for role in reversed(self._rules.needed)
        }
        return tuple(sorted(found.items()))

    @property
    def _open(self) -> Episode | None:
        if self.episodes and self.episodes[-1].end_ms is None:
            return self.episodes[-1]
        return None

    def _close_by(self, now_ms: int) -> Iterator[tuple[int, Episode]]:
        episode = self._open
        if episode is None or episode.absent_since_ms is None:
            return
        end_ms = episode.absent_since_ms + self._trigger.clear_after_ms
        if end_ms <= now_ms:
            self.episodes[-1] = replace(episode, end_ms=end_ms, modes=self.modes(end_ms))
            yield end_ms, self.episodes[-1]

    def _listen(self, now_ms: int) -> set[int]:
        """Take in what this moment brings; the roles in which a voice has changed by it."""
        nearest: dict[VoiceKey, Placed] = {}
        for placed in self._heard.pop(now_ms, ()):
            for role in self._rules.roles.get(placed[1].metric, ()):
                key = (role, placed[1].provider)
                known = nearest.get(key)
                if known is None or _speaks_before(placed, known):
                    nearest[key] = placed
        stale = self._stale.pop(now_ms, set())
        changed = {key[0] for key in stale.union(nearest) if self._update(key, nearest.get(key), now_ms)}
        for role in {key[0] for key in nearest}:
            self._last_heard_ms[role] = now_ms
            self._goes_stale(now_ms, role, {key for key in nearest if key[0] == role})
        return changed

    def _goes_stale(self, event_time_ms: int, role: int, keys: set[VoiceKey]) -> None:
        stale_ms = event_time_ms + self._rules.conditions[role].ttl_ms + 1
        known = self._stale.get(stale_ms)
        if known is None:
            self._stale[stale_ms] = keys
            if stale_ms not in self._heard:
                heapq.heappush(self._moments, stale_ms)
        else:
            known |= keys

    def _update(self, key: VoiceKey, heard: Placed | None, now_ms: int) -> bool:
        before = self.voices.get(key)
        voice = after(self._rules.conditions[key[0]], before, heard, now_ms)
        if voice is before:
            return False
        if before is not None:
            self._count(key[0], before, -1)
        if voice is None:
            del self.voices[key]
        else:
            self.voices[key] = voice
            self._count(key[0], voice, 1)
        return True

    def _count(self, role: int, voice: Voice, step: int) -> None:
        condition = self._rules.conditions[role]
        if not voice.breaches(condition):
            return
        kind = kind_of(condition, voice.last_spoken)
        self._breaching[role][kind] += step
        if role != OWN:
            return
        for rank in range(len(condition.breaches)):
            if not voice.holds(rank, condition.sustained_ms):
                break  # what does not hold a level holds no harsher one
            self._holding[rank][kind] += step

    def _follow_alert(self, now_ms: int) -> None:
        role = len(self._rules.conditions) - 1
        holds = any(self._breaching[role].values())
        if self._alert is not None and self._alert.ended_ms is None:
            if not holds:
                self._alert = replace(self._alert, ended_ms=now_ms)
        elif holds:
            condition = self._rules.conditions[role]
            issued = (
                voice.last_spoken.issued_time_ms
                for key, voice in self.voices.items()
                if key[0] == role and voice.breaches(condition)
            )
            if self._alert is None:
                self._alert = Alert(min(issued), None)
            else:
                self._alert = self._alert.followed_by(min(issued), now_ms, condition.remembered_ms)

    def _breaches(self, now_ms: int) -> bool:
        """Whether all conditions hold now but for the time for which they must; and the riders' telemetry agrees, which
        it need not any more once an episode is open (so the worked examples)."""
        if not all(
            reached(self._rules.conditions[role].consensus, self._breaching[role]) for role in self._rules.needed
        ):
            if self._trigger.witness is not None:
                self._borne_out = False
            return False
        if self._trigger.witness is not None and (
            not self._rules.judged_at_readings or self._last_heard_ms[OWN] == now_ms
        ):
            self._rules.asked.add(now_ms)
            self._borne_out = now_ms in self._rules.borne_out
        return self._borne_out or self._open is not None

    def _judge(self, now_ms: int) -> Iterator[tuple[int, Episode]]:
        trigger = self._trigger
        breaches = self._breaches(now_ms)
        before = self._open
        if before is None:
            if breaches and reached(trigger.consensus, self._holding[0]):
                self.episodes.append(self._confirmed(now_ms))
                yield now_ms, replace(self.episodes[-1], modes=self.modes(now_ms))
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
            # While what counts pauses, nothing does: fallback data alone confirms nothing.
            value = self._largest_value() if breaches else 0.0
            if value != before.values[-1][1]:
                now = replace(now, values=(*before.values, (now_ms, value)))
        self.episodes[-1] = now
        if level != before.level or (trigger.activity is not None and now is not before):
            yield now_ms, replace(now, modes=self.modes(now_ms))

    def _confirmed(self, now_ms: int) -> Episode:
        trigger, condition = self._trigger, self._rules.conditions[OWN]
        start_ms = earliest_start(condition, self._holders(0)) if trigger.sustained_ms else now_ms
        if self.episodes and self.episodes[-1].end_ms is not None:
            start_ms = max(start_ms, self.episodes[-1].end_ms)
        rank = self._highest_level()
        holders = self._holders(rank)
        larger_is_worse = trigger.levels[rank].breach.larger_is_worse
        said = [*(holder.reading for holder in holders), *self._said_as_well()]
        return Episode(
            start_ms=start_ms,
            confirmed_at_ms=now_ms,
            severity=supported_severity(condition, holders, larger_is_worse=larger_is_worse),
            level=trigger.levels[rank].name,
            providers=tuple(sorted({reading.provider for reading in said})),
            reading_ids=tuple(sorted({reading.reading_id for reading in said})),
            first_alert_ms=min(holder.run_first.issued_time_ms for holder in holders),
            alert=self._alert,
            values=() if trigger.activity is None else ((now_ms, self._largest_value()),),
        )

    def _holders(self, rank: int) -> list[Holder]:
        """Who holds a level for as long as it must be sustained, by name."""
        held = [
            (name, Holder(voice.last_spoken, first))
            for (role, name), voice in self.voices.items()
            if role == OWN
            and voice.holds(rank, self._trigger.sustained_ms)
            and (first := voice.run_first[rank]) is not None
        ]
        return [holder for _, holder in sorted(held, key=lambda entry: entry[0])]

    def _said_as_well(self) -> Iterator[Reading]:
        """The readings that breach the conditions that must hold as well."""
        for (role, _), voice in self.voices.items():
            if role != OWN and role in self._rules.needed and voice.breaches(self._rules.conditions[role]):
                yield voice.last_spoken

    def _largest_value(self) -> float:
        """The largest that a fresh provider of any quality says, where one does."""
        return max(voice.last_spoken.value for (role, _), voice in self.voices.items() if role == OWN and voice.fresh)

    def _highest_level(self) -> int:
        ranks = range(len(self._trigger.levels) - 1, 0, -1)
        return next((rank for rank in ranks if reached(self._trigger.consensus, self._holding[rank])), 0)


def _speaks_before(placed: Placed, other: Placed) -> bool:
    """Of one moment, the nearest speaks; of one place, the greatest in the speaking order."""
    if placed[0] != other[0]:
        return placed[0] < other[0]
    return placed[1].speaking_order > other[1].speaking_order
