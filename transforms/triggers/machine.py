"""The trigger machine: one trigger, one platform, one zone series, driven by readings as they take effect.

Between corrections it only folds on. A correction (or a reading that takes effect after its event time) changes the
past, so the history is judged again with what is now visible and compared with what was published: what would never
have been confirmed is withdrawn, what is new is confirmed, what differs is revised. Its state is what was seen and
what was published; the fold, and the snapshots from which it starts again, are derived from them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from monsoon.transforms.geo.areas import Area
from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.episodes import Episode, EpisodeFold, Snapshot
from monsoon.transforms.triggers.readings import Reading

STATE_VERSION = 1
END_OF_TIME_MS = 2**62
_BEFORE_TIME_MS = -(2**63)
"""A correction may say that it was issued before 1970."""
_SNAPSHOT_READINGS = 32
"""Readings between snapshots: a correction costs about so many, however long the history."""

State = Literal["confirmed", "ended", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A reading with the nearness of its place among its provider's in this series; None: it speaks elsewhere."""

    reading: Reading
    nearness: int | None


@dataclass(frozen=True, slots=True)
class Revision:
    """A published revision of an episode, taking effect at `at_ms`; revisions of one start count up from 0."""

    at_ms: int
    revision: int
    state: State
    episode: Episode


class TriggerMachine:
    """Feed with `take_effect`, moment by moment in order; `finish` lets event time run on until all timers fired."""

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._fold = EpisodeFold(trigger)
        self._visible: dict[str, Heard] = {}
        self._times: list[tuple[int, str]] = []
        """(event time, reading_id) of what is visible and speaks in this series, sorted."""
        self._snapshots: list[Snapshot] = []
        self._published: dict[int, Revision] = {}
        self._now_ms = _BEFORE_TIME_MS

    def take_effect(self, at_ms: int, heard: Iterable[Heard]) -> list[Revision]:
        """All readings that take effect at one moment, later than any before; returns what is published by then."""
        if at_ms <= self._now_ms:
            raise ValueError(f"moment {at_ms} is not after {self._now_ms}: readings must come in effect order")
        published = list(self._run_on(at_ms - 1))
        newest: dict[str, Heard] = {}
        for item in sorted(heard, key=lambda item: item.reading.revision):
            newest[item.reading.reading_id] = item
        changed_ms = []
        for reading_id in sorted(newest):
            item, current = newest[reading_id], self._visible.get(reading_id)
            if current is not None and current.reading.revision >= item.reading.revision:
                continue
            self._visible[reading_id] = item
            if current is not None and current.nearness is not None:
                changed_ms.append(current.reading.event_time_ms)
                self._times.remove((current.reading.event_time_ms, reading_id))
            if item.nearness is not None:
                insort(self._times, (item.reading.event_time_ms, reading_id))
                if item.reading.event_time_ms < at_ms:
                    changed_ms.append(item.reading.event_time_ms)
                elif not changed_ms:
                    self._fold.hear(item.nearness, item.reading)
        if changed_ms:
            published.extend(self._judge_again(min(changed_ms), at_ms))
        else:
            published.extend(self._run_on(at_ms))
        self._now_ms = at_ms
        self._remember()
        return published

    def run_until(self, until_ms: int) -> list[Revision]:
        """What is published by `until_ms` if no reading takes effect before."""
        return list(self._run_on(until_ms))

    def finish(self) -> list[Revision]:
        """What is still to be published once no reading can come any more."""
        published = self.run_until(END_OF_TIME_MS)
        self._now_ms = END_OF_TIME_MS
        return published

    @property
    def next_due_ms(self) -> int | None:
        """The next moment at which something may change without a reading; None: nothing will."""
        return self._fold.next_ms

    def _run_on(self, until_ms: int) -> Iterator[Revision]:
        for at_ms, episode in self._fold.run(until_ms):
            yield self._publish(at_ms, episode)

    def _judge_again(self, changed_ms: int, at_ms: int) -> Iterator[Revision]:
        """What differs at `at_ms` once readings as old as `changed_ms` have changed."""
        while self._snapshots and self._snapshots[-1].at_ms >= changed_ms:
            self._snapshots.pop()
        self._fold = self._refold(at_ms)
        judged = {episode.start_ms: episode for episode in self._fold.episodes}
        for start_ms in sorted(self._published):
            before = self._published[start_ms]
            if start_ms not in judged and before.state != "withdrawn":
                yield self._publish(at_ms, before.episode, withdrawn=True)
        for start_ms, episode in judged.items():
            published = self._published.get(start_ms)
            if published is None or published.state == "withdrawn" or _differs(published.episode, episode):
                yield self._publish(at_ms, episode)

    def _refold(self, until_ms: int) -> EpisodeFold:
        """A fold of what is visible, from the last snapshot on."""
        snapshot = self._snapshots[-1] if self._snapshots else None
        fold = EpisodeFold(self._trigger, snapshot)
        after = 0 if snapshot is None else bisect_left(self._times, (snapshot.at_ms + 1, ""))
        rest = self._times[after:]
        for _, reading_id in rest:
            item = self._visible[reading_id]
            assert item.nearness is not None
            fold.hear(item.nearness, item.reading)
        # A provider that corrects again and again reaches back only so far: what lies before is not run again.
        stops = [event_ms for event_ms, _ in rest[_SNAPSHOT_READINGS - 1 :: _SNAPSHOT_READINGS] if event_ms < until_ms]
        for stop_ms in dict.fromkeys(stops):
            _run_silently(fold, stop_ms)
            self._snapshots.append(fold.snapshot(stop_ms))
        _run_silently(fold, until_ms)
        return fold

    def _remember(self) -> None:
        """Takes a snapshot where enough readings have passed since the last one."""
        since_ms = self._snapshots[-1].at_ms if self._snapshots else -1
        passed = bisect_left(self._times, (self._now_ms + 1, ""))
        if passed - bisect_left(self._times, (since_ms + 1, "")) >= _SNAPSHOT_READINGS:
            self._snapshots.append(self._fold.snapshot(self._now_ms))

    def _publish(self, at_ms: int, episode: Episode, *, withdrawn: bool = False) -> Revision:
        before = self._published.get(episode.start_ms)
        state: State = "withdrawn" if withdrawn else "confirmed" if episode.end_ms is None else "ended"
        revision = Revision(at_ms, 0 if before is None else before.revision + 1, state, episode)
        self._published[episode.start_ms] = revision
        return revision

    def to_payload(self) -> dict[str, Any]:
        """The state as plain data, with its version."""
        return {
            "version": STATE_VERSION,
            "now_ms": self._now_ms,
            "visible": [asdict(self._visible[name]) for name in sorted(self._visible)],
            "published": [asdict(self._published[start_ms]) for start_ms in sorted(self._published)],
        }

    @classmethod
    def from_payload(cls, trigger: Trigger, payload: dict[str, Any]) -> TriggerMachine:
        """A machine as it was; raises ValueError for a payload of another version."""
        if payload.get("version") != STATE_VERSION:
            raise ValueError(f"trigger state of version {payload.get('version')!r}; this code reads {STATE_VERSION}")
        machine = cls(trigger)
        for item in payload["visible"]:
            reading = Reading(**{**item["reading"], "area": Area(**item["reading"]["area"])})
            machine._visible[reading.reading_id] = Heard(reading, item["nearness"])
            if item["nearness"] is not None:
                insort(machine._times, (reading.event_time_ms, reading.reading_id))
        for item in payload["published"]:
            saved = item["episode"]
            names = {name: tuple(saved[name]) for name in ("providers", "reading_ids")}
            episode = Episode(**{**saved, **names})
            machine._published[episode.start_ms] = Revision(**{**item, "episode": episode})
        machine._now_ms = payload["now_ms"]
        machine._fold = machine._refold(machine._now_ms)
        return machine


def _run_silently(fold: EpisodeFold, until_ms: int) -> None:
    for _ in fold.run(until_ms):
        pass


def _differs(published: Episode, judged: Episode) -> bool:
    """An absence that has not yet ended the episode was never published, so it alone is no difference."""
    if published.end_ms is None and judged.end_ms is None:
        return _without_absence(published) != _without_absence(judged)
    return published != judged


def _without_absence(episode: Episode) -> tuple[Any, ...]:
    return (episode.confirmed_at_ms, episode.severity, episode.level, episode.providers, episode.reading_ids)
