"""A keyed operator: takes messages in any order, works when the watermark has passed, and says when its next timer is.

Whoever drives it calls `observe_watermark` with the present watermark and `process` with each message for its key, and
`advance` when the watermark has reached its `timer_ms`; at the end of bounded input with END_OF_TIME_MS. What is needed
after a failure is written to `state`, entry by entry; an operator's objects are made from those entries, so its state
is what was written and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import msgspec
import polars as pl

from monsoon.pipelines.runtime.messages import Message, pack, unpack
from monsoon.transforms.triggers.history import END_OF_TIME_MS as LAST_TIMER_MS

END_OF_TIME_MS = 2**63 - 1
"""The watermark at the end of bounded input."""

BEFORE_TIME_MS = -(2**62)
"""Due at the first watermark."""

EXPIRY_INTERVAL_MS = 3_600_000
"""How often an operator with state drops what is too old, in event time: its timers stand in for a TTL."""

STATE_VERSION = 3
"""Of every operator's entries; a payload of an earlier one passes through MIGRATIONS on its way in."""

Migration = Callable[[Mapping[str, bytes]], dict[str, bytes]]

MIGRATIONS: dict[str, dict[int, Migration]] = {}
"""By operator and version: what turns that version's entries into those of the next."""

INTERVAL_MS = 10_000
"""Event time advances in intervals of this length: an operator works at their ends, where its messages are due.

Each subtask sees watermarks of its own. If one went from W1 to W3 at once and another stopped at W2 between them, an
operator after both would hold at W2 a message of which one part is due and another is not. No message crosses the end
of an interval, so what is due by W2 has arrived in messages of its own.
"""

_PROGRESS = "progress"


class StateError(Exception):
    """State that this code cannot read: which operator, which version, what to do."""


class StateWriter:
    """Named payloads that outlive the process; `changes` are those not yet written (None: taken away)."""

    def __init__(self, durable: bool = True) -> None:
        self.durable = durable
        self.changes: dict[str, bytes | None] = {}

    def put(self, name: str, payload: bytes) -> None:
        """Keeps a payload that is at hand."""
        if self.durable:
            self.changes[name] = payload

    def put_packed(self, name: str, value: Any) -> None:
        """Packs and keeps; costs nothing where nothing is kept."""
        if self.durable:
            self.changes[name] = pack(value)

    def drop(self, name: str) -> None:
        """Takes an entry away."""
        if self.durable:
            self.changes[name] = None

    def drain(self) -> dict[str, bytes | None]:
        """The changes since the last call."""
        changes, self.changes = self.changes, {}
        return changes


class Progress(msgspec.Struct, array_like=True):
    """How far an operator has come: the version of its state, the moment up to which it worked, the number of its next
    entry."""

    version: int
    done_ms: int
    serial: int


class KeyedOperator(ABC):
    """One key of an operator. Subclasses say what they do with items and time."""

    uid: ClassVar[str]
    label: ClassVar[str]
    to: ClassVar[tuple[str, ...]]
    """Later operators, and RESULTS, to which it sends."""
    sends_what_is_due: ClassVar[bool] = True
    """Whether others wait with what it sends until that is due, so that it has to work interval by interval."""

    def __init__(self, key: int, state: StateWriter) -> None:
        self.key, self.state = key, state
        self.done_ms = BEFORE_TIME_MS
        self._serial = 0
        self._deferred: dict[str, int] = {}
        """Entries to work on, and at which moment (ms)."""

    @abstractmethod
    def process(self, message: Message) -> None:
        """Something has arrived."""

    @abstractmethod
    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        """All that is due after `done_ms`, up to and including `upto_ms`, in event-time order."""

    @property
    @abstractmethod
    def next_work_ms(self) -> int | None:
        """When there is work to do next; None: not before something arrives."""

    @property
    @abstractmethod
    def holds_expiring_state(self) -> bool:
        """Whether anything is kept that will be too old one day."""

    @abstractmethod
    def expire(self, upto_ms: int) -> None:
        """Drops what is too old by then; called where something is kept, at most every EXPIRY_INTERVAL_MS."""

    @property
    def due_ms(self) -> int | None:
        """When the operator is to be advanced next, for its work or for expiry; None: not before a message arrives."""
        dues = [] if self.next_work_ms is None else [self.next_work_ms]
        # After the end of bounded input nothing ages.
        if self.state.durable and self.holds_expiring_state and self.done_ms < LAST_TIMER_MS:
            dues.append((self.done_ms // EXPIRY_INTERVAL_MS + 1) * EXPIRY_INTERVAL_MS)
        return min(dues, default=None)

    @property
    def timer_ms(self) -> int | None:
        """The watermark at which the operator is to be advanced: the end of the interval in which it is due."""
        return None if self.due_ms is None else interval_end(max(self.due_ms, self.done_ms + 1))

    def observe_watermark(self, watermark_ms: int) -> None:
        """The watermark had come this far before what will be taken next, which may therefore be late."""
        upto_ms = _whole_intervals(watermark_ms)
        if self.done_ms < upto_ms < LAST_TIMER_MS and (self.due_ms is None or self.due_ms > upto_ms):
            self._done(upto_ms)

    @abstractmethod
    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Makes the live objects from what was put, `done_ms` being set."""

    def advance(self, upto_ms: int) -> Iterator[Message]:
        """Works up to the last end of an interval that the watermark has passed, in each interval in which there is
        something to do; never back. At the end of a batch, where there is one watermark, all at once."""
        upto_ms = _whole_intervals(upto_ms)
        if upto_ms < self.done_ms:
            return
        while self.state.durable and self.sends_what_is_due and self.next_work_ms is not None:
            end_ms = interval_end(max(self.next_work_ms, self.done_ms + 1))
            if end_ms >= min(upto_ms, LAST_TIMER_MS):
                break
            yield from self._advance_to(end_ms)
        yield from self._advance_to(upto_ms)

    def _advance_to(self, upto_ms: int) -> Iterator[Message]:
        yield from self.on_watermark(upto_ms)
        if (
            self.state.durable
            and upto_ms < LAST_TIMER_MS
            and upto_ms // EXPIRY_INTERVAL_MS > self.done_ms // EXPIRY_INTERVAL_MS
        ):
            self.expire(upto_ms)
        # The last timers of a bounded input lie before the end of time, where nothing is late.
        self._done(min(upto_ms, LAST_TIMER_MS))

    def _done(self, upto_ms: int) -> None:
        self.done_ms = upto_ms
        self.state.put_packed(_PROGRESS, Progress(STATE_VERSION, self.done_ms, self._serial))

    def resume(self, entries: Mapping[str, bytes]) -> None:
        """Goes on from entries that were kept. Raises StateError for what this code cannot read."""
        if not entries:
            return
        kept, entries = entries, dict(entries)
        progress = self._progress(entries)
        try:
            self._restore(kept, entries, progress)
        except (msgspec.MsgspecError, pl.exceptions.PolarsError, ValueError, LookupError, TypeError) as error:
            raise StateError(
                f"{self.uid}: state that does not fit this code or the products that run "
                f"({type(error).__name__}: {error}). Restore with the release and products that wrote it, or start "
                "without state"
            ) from error

    def _restore(self, kept: Mapping[str, bytes], entries: dict[str, bytes], progress: Progress) -> None:
        migrates = progress.version < STATE_VERSION
        while progress.version < STATE_VERSION:
            migration = MIGRATIONS.get(self.uid, {}).get(progress.version)
            entries = migration(entries) if migration else entries
            progress = Progress(progress.version + 1, progress.done_ms, progress.serial)
        self.done_ms = progress.done_ms
        if migrates:
            self._rewrite(kept, entries)
        numbers = (name.rpartition("/")[2] for name in entries)
        self._serial = max([progress.serial, *(int(number) for number in numbers if number.isdecimal())])
        self.restore(entries)

    def _rewrite(self, before: Mapping[str, bytes], entries: Mapping[str, bytes]) -> None:
        """Keeps migrated entries in the place of those that they were."""
        for name in before.keys() - entries.keys():
            self.state.drop(name)
        for name, payload in entries.items():
            self.state.put(name, payload)
        self._done(self.done_ms)

    def _progress(self, entries: dict[str, bytes]) -> Progress:
        payload = entries.pop(_PROGRESS, None)
        if payload is None:
            raise StateError(f"{self.uid}: state of no version. Start without state")
        try:
            progress: Progress = unpack(payload, Progress)
        except msgspec.MsgspecError as error:
            raise StateError(f"{self.uid}: state of no version that can be read. Start without state") from error
        if not 1 <= progress.version <= STATE_VERSION:
            raise StateError(
                f"{self.uid}: state of version {progress.version}; this code reads 1 to {STATE_VERSION}. "
                "Restore with the release that wrote it, or start without state"
            )
        return progress

    def _defer(self, kind: str, message: Message) -> str:
        """The name of an entry for an item that is to be worked on when it is due, with all that is due by then."""
        due_ms = max(message.due_ms, self.done_ms + 1)
        name = self._name(f"{kind}/{due_ms}")
        self._deferred[name] = due_ms
        return name

    def _defer_again(self, name: str) -> bool:
        """Whether a restored entry is still to be worked on; if so, at its moment."""
        due_ms = int(name.split("/")[-2])
        if due_ms > self.done_ms:
            self._deferred[name] = due_ms
        return due_ms > self.done_ms

    def _take_due(self, upto_ms: int) -> set[str]:
        """Entries that are due by a moment, and are awaited no longer."""
        ripe = {name for name, due_ms in self._deferred.items() if due_ms <= upto_ms}
        for name in ripe:
            del self._deferred[name]
        return ripe

    @property
    def _next_deferred_ms(self) -> int | None:
        """When the next entry is due."""
        return min(self._deferred.values(), default=None)

    def _name(self, kind: str) -> str:
        """A new entry's name, which ends in its number."""
        self._serial += 1
        if self._serial == 1:
            self._done(self.done_ms)  # whatever is kept has a version beside it
        return f"{kind}/{self._serial:012d}"


def interval_end(ms: int) -> int:
    """The last moment (ms) of the interval of a moment."""
    return ms // INTERVAL_MS * INTERVAL_MS + INTERVAL_MS - 1


def _whole_intervals(watermark_ms: int) -> int:
    """The last moment (ms) of the last interval that is over once the watermark has come this far."""
    return watermark_ms if watermark_ms >= LAST_TIMER_MS else (watermark_ms + 1) // INTERVAL_MS * INTERVAL_MS - 1


def entries_of(entries: Mapping[str, bytes], kind: str) -> Iterator[tuple[str, bytes]]:
    """The entries of a kind, in the order in which they were made."""
    for name in sorted(entries, key=lambda name: (name.rpartition("/")[2], name)):
        if name.startswith(f"{kind}/"):
            yield name, entries[name]
