"""The history of one trigger in one zone series, judged from a fixed set of readings.

A fold over moments in event-time order: readings' event times, the moments at which they go stale, and the moments
at which an absence has lasted long enough. It knows nothing of corrections; `machine.py` takes it back to a snapshot
from before one and lets it run again.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.alerts import Alert
from monsoon.transforms.triggers.consensus import Holder, earliest_start, reached, supported_severity
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
    """Those that held the level confirmed at first, sorted; `reading_ids` are what they said."""
    reading_ids: tuple[str, ...]
    first_alert_ms: int
    """When the public could first know: the earliest issued time of the first readings of the confirming runs."""
    absent_since_ms: int | None = None
    end_ms: int | None = None
    alert: Alert | None = None
    """The last unbroken public alert that began by the confirmation, for a product that asks for it."""
    modes: tuple[tuple[str, str], ...] = ()
    """The oracle mode (fresh, stale, conflict, outage) of each of its metrics, by name, when this was judged."""
    values: tuple[tuple[int, float], ...] = ()
    """For a trigger with an activity test: (moment, largest value of a fresh provider of any quality from then on),
    from the confirmation to absent_since."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an open episode stands: what of it decides what comes."""

    level: str | None
    absent_since_ms: int | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A fold that has passed every moment up to `at_ms`, but for its episodes and the readings still to come."""

    at_ms: int
    voices: dict[str, Voice]
    open: Standing | None


class EpisodeFold:
    """Feed with `hear`, in any order but never for a moment already passed; advance with `run`."""

    def __init__(self, trigger: Trigger, snapshot: Snapshot | None = None, episodes: Sequence[Episode] = ()) -> None:
        """Goes on from a snapshot with the `episodes` confirmed up to it, however they went on afterwards."""
        self._trigger = trigger
        self.voices: dict[str, Voice] = {}
        """By provider; without those that are as if never heard."""
        self._moments: list[int] = []
        self._heard: dict[int, list[Placed]] = {}
        self._stale: dict[int, set[str]] = {}
        """By moment, what it brings: readings valid from then on, providers of which one goes stale."""
        self._breaching: Counter[str] = Counter()
        self._holding: list[Counter[str]] = [Counter() for _ in trigger.levels]
        """Speaking providers by quality: breaching; holding each level for as long as it must be sustained."""
        self.episodes: list[Episode] = list(episodes)
        """Every episode so far, oldest first; only the last can be open."""
        if snapshot is not None:
            self.voices = dict(snapshot.voices)
            self._resume(snapshot)

    def _resume(self, snapshot: Snapshot) -> None:
        for name, voice in self.voices.items():
            self._count(voice, 1)
            for _, reading in voice.fresh:
                self._goes_stale(reading.event_time_ms, {name})
        if snapshot.open is not None:
            level, absent_since_ms = snapshot.open.level, snapshot.open.absent_since_ms
            self.episodes[-1] = replace(self.episodes[-1], level=level, absent_since_ms=absent_since_ms, end_ms=None)

    def snapshot(self, at_ms: int) -> Snapshot:
        """The state to go on from with the readings valid after `at_ms`, the moment up to which it has run."""
        return Snapshot(at_ms, dict(self.voices), self.standing)

    def hear(self, nearness: int, reading: Reading) -> None:
        """A reading that concerns the series, from the `nearness`-th nearest place of its provider."""
        moment = self._heard.get(reading.event_time_ms)
        if moment is None:
            moment = self._heard[reading.event_time_ms] = []
            heapq.heappush(self._moments, reading.event_time_ms)
        moment.append((nearness, reading))

    def run(self, until_ms: int) -> Iterator[tuple[int, Episode]]:
        """Pass through every moment up to and including `until_ms`; yields (moment, episode) at each change."""
        while self._moments and self._moments[0] <= until_ms:
            now_ms = heapq.heappop(self._moments)
            yield from self._close_by(now_ms)
            if self._listen(now_ms):
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
            self.episodes[-1] = replace(episode, end_ms=end_ms)
            yield end_ms, self.episodes[-1]

    def _listen(self, now_ms: int) -> bool:
        """Take in what this moment brings; whether any voice has changed by it."""
        nearest: dict[str, Placed] = {}
        for placed in self._heard.pop(now_ms, ()):
            known = nearest.get(placed[1].provider)
            if known is None or _speaks_before(placed, known):
                nearest[placed[1].provider] = placed
        stale = self._stale.pop(now_ms, set())
        changed = [self._update(name, nearest.get(name), now_ms) for name in stale.union(nearest)]
        if nearest:
            self._goes_stale(now_ms, set(nearest))
        return any(changed)

    def _goes_stale(self, event_time_ms: int, providers: set[str]) -> None:
        stale_ms = event_time_ms + self._trigger.ttl_ms + 1
        known = self._stale.get(stale_ms)
        if known is None:
            self._stale[stale_ms] = providers
            if stale_ms not in self._heard:
                heapq.heappush(self._moments, stale_ms)
        else:
            known |= providers

    def _update(self, name: str, heard: Placed | None, now_ms: int) -> bool:
        before = self.voices.get(name)
        voice = after(self._trigger, before, heard, now_ms)
        if voice is before:
            return False
        if before is not None:
            self._count(before, -1)
        if voice is None:
            del self.voices[name]
        else:
            self.voices[name] = voice
            self._count(voice, 1)
        return True

    def _count(self, voice: Voice, step: int) -> None:
        if not voice.fresh:
            return
        quality, spoken_ms = voice.last_spoken.quality, voice.last_spoken.event_time_ms
        for rank, first in enumerate(voice.run_first):
            if first is None:
                break  # what does not breach a level breaches no harsher one
            if rank == 0:
                self._breaching[quality] += step
            if spoken_ms - first.event_time_ms >= self._trigger.sustained_ms:
                self._holding[rank][quality] += step

    def _judge(self, now_ms: int) -> Iterator[tuple[int, Episode]]:
        trigger, ways = self._trigger, self._trigger.consensus
        episode = self._open
        if episode is None:
            if reached(ways, self._holding[0]):
                self.episodes.append(self._confirmed(now_ms))
                yield now_ms, self.episodes[-1]
            return
        absent_since_ms = None
        if not reached(ways, self._breaching):
            absent_since_ms = now_ms if episode.absent_since_ms is None else episode.absent_since_ms
        level = trigger.levels[max(trigger.level_rank(episode.level), self._highest_level())].name
        if (level, absent_since_ms) != (episode.level, episode.absent_since_ms):
            self.episodes[-1] = replace(episode, absent_since_ms=absent_since_ms, level=level)
        if level != episode.level:
            yield now_ms, self.episodes[-1]

    def _confirmed(self, now_ms: int) -> Episode:
        trigger, ways = self._trigger, self._trigger.consensus
        start_ms = earliest_start(ways, self._holders(0)) if trigger.sustained_ms else now_ms
        if self.episodes and self.episodes[-1].end_ms is not None:
            start_ms = max(start_ms, self.episodes[-1].end_ms)
        rank = self._highest_level()
        holders = self._holders(rank)
        larger_is_worse = trigger.levels[rank].breach.larger_is_worse
        return Episode(
            start_ms=start_ms,
            confirmed_at_ms=now_ms,
            severity=supported_severity(ways, holders, larger_is_worse=larger_is_worse),
            level=trigger.levels[rank].name,
            providers=tuple(holder.reading.provider for holder in holders),
            reading_ids=tuple(sorted(holder.reading.reading_id for holder in holders)),
            first_alert_ms=min(holder.run_first.issued_time_ms for holder in holders),
        )

    def _holders(self, rank: int) -> list[Holder]:
        """Who holds a level for as long as it must be sustained, by name."""
        held = [
            (name, Holder(voice.last_spoken, first))
            for name, voice in self.voices.items()
            if voice.holds(rank, self._trigger.sustained_ms) and (first := voice.run_first[rank]) is not None
        ]
        return [holder for _, holder in sorted(held, key=lambda entry: entry[0])]

    def _highest_level(self) -> int:
        ranks = range(len(self._trigger.levels) - 1, 0, -1)
        return next((rank for rank in ranks if reached(self._trigger.consensus, self._holding[rank])), 0)


def _speaks_before(placed: Placed, other: Placed) -> bool:
    """Of one moment, the nearest speaks; of one place, the greatest in the speaking order."""
    if placed[0] != other[0]:
        return placed[0] < other[0]
    return placed[1].speaking_order > other[1].speaking_order
