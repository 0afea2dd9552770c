"""The trigger machine: one trigger, one platform, one zone series, driven by readings as they take effect.

Between corrections its history only runs on. A correction (or a reading that takes effect after its event time)
changes the past, so the history is judged again with what is now visible and compared with what was published: what
would never have been confirmed is withdrawn, what is new is confirmed, what differs is revised. Its state is what was
seen and what was published; the history is derived from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.conditions import Condition, Rules
from monsoon.transforms.triggers.episodes import Episode, as_published
from monsoon.transforms.triggers.history import BEFORE_TIME_MS, END_OF_TIME_MS, Heard, History
from monsoon.transforms.triggers.readings import Identity

State = Literal["confirmed", "ended", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Revision:
    """A published revision of an episode, taking effect at `at_ms`; revisions of one start count up from 0."""

    at_ms: int
    revision: int
    state: State
    episode: Episode
    silent: bool = False
    """Whether it only tells of `values`, or of an absence that may pass, to those who test activity: no record is
    written of it, and it has the number of the revision before."""


class TriggerMachine:
    """Feed with `take_effect`, moment by moment in order; `finish` lets event time run on until all timers fired."""

    def __init__(self, trigger: Trigger, alert: Condition | None = None, borne_out: Set[int] = frozenset()) -> None:
        """`alert`: the product's public alert (`alert_condition`). `borne_out`: for a trigger with a witness, the
        moments (ms) at which telemetry bears the readings out; it may grow, ahead of what the machine is fed."""
        self._rules = Rules.of(trigger, alert, borne_out)
        self._history = History(self._rules)
        self._visible: dict[Identity, Heard] = {}
        self._published: dict[int, Revision] = {}
        self._now_ms = BEFORE_TIME_MS

    def take_effect(self, at_ms: int, heard: Iterable[Heard]) -> list[Revision]:
        """All readings that take effect at one moment, later than any before; returns what is published by then."""
        if at_ms <= self._now_ms:
            raise ValueError(f"moment {at_ms} is not after {self._now_ms}: readings must come in effect order")
        published = list(self._run_on((), at_ms - 1))
        newest: dict[Identity, Heard] = {}
        for item in heard:
            known = newest.get(item.reading.identity)
            if known is None or item.reading.revision > known.reading.revision:
                newest[item.reading.identity] = item
        changed_ms: list[int] = []
        new: list[Heard] = []
        for identity, item in newest.items():
            current = self._visible.get(identity)
            if current is not None and current.reading.revision >= item.reading.revision:
                continue
            self._visible[identity] = item
            if current is not None and current.nearness is not None:
                changed_ms.append(current.reading.event_time_ms)
                self._history.remove(current)
            if item.nearness is not None:
                self._history.add(item)
                if item.reading.event_time_ms < at_ms:
                    changed_ms.append(item.reading.event_time_ms)
                else:
                    new.append(item)
        if changed_ms:
            published.extend(self._publish_differences(self._history.judge_again(changed_ms, new, at_ms), at_ms))
        else:
            published.extend(self._run_on(new, at_ms))
        self._now_ms = at_ms
        self._history.remember(at_ms)
        return published

    def run_until(self, until_ms: int) -> list[Revision]:
        """What is published by `until_ms` if no reading takes effect before."""
        return list(self._run_on((), until_ms))

    def finish(self) -> list[Revision]:
        """What is still to be published once no reading can come any more."""
        published = self.run_until(END_OF_TIME_MS)
        self._now_ms = END_OF_TIME_MS
        return published

    @property
    def next_due_ms(self) -> int | None:
        """The next moment at which something may change without a reading; None: nothing will."""
        return self._history.next_ms

    @property
    def asked_ms(self) -> Set[int]:
        """For a trigger with a witness: the moments so far at which it mattered what telemetry says."""
        return self._rules.asked

    def _run_on(self, new: Iterable[Heard], until_ms: int) -> Iterator[Revision]:
        for at_ms, episode in self._history.run(new, until_ms):
            yield self._publish(at_ms, as_published(episode))

    def _publish_differences(self, starts_ms: Iterable[int], at_ms: int) -> Iterator[Revision]:
        """What is published of the episodes of these starts, and no longer true: first what is not one any more."""
        found = ((start_ms, self._history.episode(start_ms)) for start_ms in sorted(starts_ms))
        judged = [(start_ms, None if episode is None else as_published(episode)) for start_ms, episode in found]
        for start_ms, episode in judged:
            before = self._published.get(start_ms)
            if episode is None and before is not None and before.state != "withdrawn":
                yield self._publish(at_ms, self._as_of(at_ms, before.episode), withdrawn=True)
        for start_ms, episode in judged:
            before = self._published.get(start_ms)
            if episode is not None and (
                before is None or before.state == "withdrawn" or self._differs(before.episode, episode)
            ):
                yield self._publish(at_ms, episode if episode.end_ms is not None else self._as_of(at_ms, episode))

    def _as_of(self, at_ms: int, episode: Episode) -> Episode:
        return replace(episode, modes=self._history.modes(at_ms))

    def _differs(self, published: Episode, judged: Episode) -> bool:
        return self._recorded(published) != self._recorded(judged) or _whispered(published) != _whispered(judged)

    def _recorded(self, episode: Episode) -> Episode:
        """What is a difference worth a record, the rest left out.

        An absence that has not yet ended the episode was never published, so it alone is no difference; nor are modes
        that belong to a moment.
        """
        told = replace(episode, modes=(), values=())
        if told.end_ms is not None:
            return told
        told = replace(told, absent_since_ms=None)
        return told if self._rules.alert else replace(told, first_alert_ms=0)

    def _publish(self, at_ms: int, episode: Episode, *, withdrawn: bool = False) -> Revision:
        before = self._published.get(episode.start_ms)
        state: State = "withdrawn" if withdrawn else "confirmed" if episode.end_ms is None else "ended"
        if before is not None and before.state == state and self._recorded(before.episode) == self._recorded(episode):
            revision = Revision(at_ms, before.revision, state, episode, silent=True)
        else:
            revision = Revision(at_ms, 0 if before is None else before.revision + 1, state, episode)
        self._published[episode.start_ms] = revision
        return revision


def _whispered(episode: Episode) -> tuple[Any, ...]:
    """What those who test activity are told without a record."""
    return (episode.values, episode.absent_since_ms if episode.values else None)
