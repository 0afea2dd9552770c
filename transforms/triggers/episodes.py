"""The history of one trigger in one zone series, judged from a fixed set of readings.

A fold over moments in event-time order: readings' event times, the moments at which they go stale, and the moments
at which an absence has lasted long enough. It knows nothing of corrections; `machine.py` takes it back to a snapshot
from before one and lets it run again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.consensus import Holder, earliest_start, reached, supported_severity
from monsoon.transforms.triggers.readings import Reading

_STALE, _VALID = 0, 1
"""What an entry of the agenda brings: a provider's reading has gone stale, or a reading is valid from now."""


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


@dataclass(slots=True)
class _Provider:
    newest: dict[int, Reading] = field(default_factory=dict)
    """The newest reading of each place, by the place's nearness (0 is the nearest)."""
    last_spoken: Reading | None = None
    run_first: list[Reading | None] = field(default_factory=list)
    """Per level, the first reading of the run that the last spoken reading belongs to."""
    speaks: bool = False

    def copy(self) -> _Provider:
        return _Provider(dict(self.newest), self.last_spoken, list(self.run_first), self.speaks)


_Entry = tuple[int, int, tuple[int, int, str], int, Reading | None]
"""Of the agenda: moment, what it brings, an order within the moment, nearness, and the reading that is valid then."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A fold that has passed every moment up to `at_ms`, but for the readings still to come."""

    at_ms: int
    episodes: tuple[Episode, ...]
    providers: dict[str, _Provider]
    stale: tuple[_Entry, ...]


class EpisodeFold:
    """Feed with `hear`, in any order but never for a moment already passed; advance with `run`."""

    def __init__(self, trigger: Trigger, snapshot: Snapshot | None = None) -> None:
        self._trigger = trigger
        self._providers: dict[str, _Provider] = {}
        self._agenda: list[_Entry] = []
        self.episodes: list[Episode] = []
        """Every episode so far, oldest first; only the last can be open."""
        if snapshot is not None:
            self._providers = {name: provider.copy() for name, provider in snapshot.providers.items()}
            self._agenda = sorted(snapshot.stale)
            self.episodes = list(snapshot.episodes)

    def snapshot(self, at_ms: int) -> Snapshot:
        """The state to go on from with the readings valid after `at_ms`, the moment up to which it has run."""
        return Snapshot(
            at_ms,
            tuple(self.episodes),
            {name: provider.copy() for name, provider in self._providers.items()},
            tuple(entry for entry in self._agenda if entry[1] == _STALE),
        )

    def hear(self, nearness: int, reading: Reading) -> None:
        """A reading that concerns the series, from the `nearness`-th nearest place of its provider."""
        heapq.heappush(self._agenda, (reading.event_time_ms, _VALID, reading.speaking_order, nearness, reading))

    def run(self, until_ms: int) -> Iterator[tuple[int, Episode]]:
        """Pass through every moment up to and including `until_ms`; yields (moment, episode) at each change."""
        while self._agenda and self._agenda[0][0] <= until_ms:
            now_ms = self._agenda[0][0]
            yield from self._close_by(now_ms)
            self._listen(now_ms)
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

    def _listen(self, now_ms: int) -> None:
        """Take in what this moment brings: readings valid from now, and readings that have just gone stale."""
        stale_ms = now_ms + self._trigger.ttl_ms + 1
        touched: set[str] = set()
        while self._agenda and self._agenda[0][0] == now_ms:
            _, _, order, nearness, reading = heapq.heappop(self._agenda)
            if reading is None:
                touched.add(order[2])
                continue
            provider = self._providers.setdefault(
                reading.provider, _Provider(run_first=[None] * len(self._trigger.levels))
            )
            current = provider.newest.get(nearness)
            if current is None or reading.speaking_order > current.speaking_order:
                provider.newest[nearness] = reading
            touched.add(reading.provider)
        for name in touched:
            provider = self._providers[name]
            if any(reading.event_time_ms == now_ms for reading in provider.newest.values()):
                heapq.heappush(self._agenda, (stale_ms, _STALE, (stale_ms, 0, name), 0, None))
            self._speak(provider, now_ms)

    def _speak(self, provider: _Provider, now_ms: int) -> None:
        """The nearest place with a fresh reading speaks; a newly spoken reading goes on with its runs or ends them."""
        fresh = (
            provider.newest[nearness]
            for nearness in sorted(provider.newest)
            if now_ms - provider.newest[nearness].event_time_ms <= self._trigger.ttl_ms
        )
        speaking = next(fresh, None)
        provider.speaks = speaking is not None
        before = provider.last_spoken
        if speaking is None or speaking is before:
            return
        chained = before is not None and speaking.event_time_ms - before.event_time_ms <= self._trigger.max_gap_ms
        for rank, level in enumerate(self._trigger.levels):
            if not level.breach.holds(speaking.value):
                provider.run_first[rank] = None
            elif provider.run_first[rank] is None or not chained:
                provider.run_first[rank] = speaking
        provider.last_spoken = speaking

    def _holders(self, rank: int, sustained_ms: int) -> list[Holder]:
        holders = []
        for name in sorted(self._providers):
            provider = self._providers[name]
            reading, first = provider.last_spoken, provider.run_first[rank]
            if (
                provider.speaks
                and reading is not None
                and first is not None
                and reading.event_time_ms - first.event_time_ms >= sustained_ms
            ):
                holders.append(Holder(reading, first))
        return holders

    def _judge(self, now_ms: int) -> Iterator[tuple[int, Episode]]:
        trigger, ways = self._trigger, self._trigger.consensus
        episode = self._open
        if episode is None:
            holders = self._holders(0, trigger.sustained_ms)
            if reached(ways, holders):
                self.episodes.append(self._confirmed(holders, now_ms))
                yield now_ms, self.episodes[-1]
            return
        breaching = reached(ways, self._holders(0, 0))
        absent_since_ms = None
        if not breaching:
            absent_since_ms = now_ms if episode.absent_since_ms is None else episode.absent_since_ms
        rank = max(trigger.level_rank(episode.level), self._highest_level())
        changed = replace(episode, absent_since_ms=absent_since_ms, level=trigger.levels[rank].name)
        self.episodes[-1] = changed
        if changed.level != episode.level:
            yield now_ms, changed

    def _confirmed(self, holders: list[Holder], now_ms: int) -> Episode:
        trigger, ways = self._trigger, self._trigger.consensus
        start_ms = earliest_start(ways, holders) if trigger.sustained_ms else now_ms
        if self.episodes and self.episodes[-1].end_ms is not None:
            start_ms = max(start_ms, self.episodes[-1].end_ms)
        rank = self._highest_level()
        holders = self._holders(rank, trigger.sustained_ms)
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

    def _highest_level(self) -> int:
        trigger = self._trigger
        ranks = range(len(trigger.levels) - 1, 0, -1)
        held = (rank for rank in ranks if reached(trigger.consensus, self._holders(rank, trigger.sustained_ms)))
        return next(held, 0)
