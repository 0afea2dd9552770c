"""A keyed operator: buffers messages in any order, works when the watermark advances, sets event-time timers.

The engine calls, for each message of a key, `observe_watermark` with the current watermark and then `process`; and
`advance` when the watermark has reached `timer_ms`, at the end of bounded input with END_OF_TIME_MS. Everything that a
restore needs is written to `state`, entry by entry; `restore` rebuilds the operator's objects from those entries alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import polars as pl

from monsoon.pipelines.runtime.intervals import LIVE_INTERVALS, Intervals
from monsoon.pipelines.runtime.job_config import Erasure
from monsoon.pipelines.runtime.messages import Message, pack, unpack
from monsoon.transforms.erasure import ErasedWorkers
from monsoon.transforms.triggers.history import END_OF_TIME_MS as LAST_TIMER_MS

END_OF_TIME_MS = 2**63 - 1
"""The watermark at the end of bounded input."""

BEFORE_TIME_MS = -(2**62)
"""Before any event time: work with this time is due at the first watermark."""

EXPIRY_INTERVAL_MS = 3_600_000
"""How often an operator drops expired state, in event time (Flink's state TTL knows only processing time)."""

STATE_VERSION = 6
"""The version of every operator's state entries; entries of earlier versions pass through MIGRATIONS on restore."""

Migration = Callable[[Mapping[str, bytes]], dict[str, bytes]]

MIGRATIONS: dict[str, dict[int, Migration]] = {}
"""By operator uid and version: turns entries of that version into entries of the next."""

Eraser = Callable[["dict[str, bytes]", "StateWriter", ErasedWorkers, int], None]
"""Takes the location evidence of riders out of state entries, which it changes, and out of cold ones by way of the
writer; the last argument is the event time up to which the operator has worked (ms)."""

ERASERS: dict[str, Eraser] = {}
"""By operator uid, of those that hold such evidence."""

_PROGRESS = "progress"


class StateError(Exception):
    """State that this code cannot read; the message names the operator, the version and the remedy."""


ColdReader = Callable[[str], bytes | None]


def _no_cold_state(name: str) -> bytes | None:
    return None


class StateWriter:
    """Collects changes of named state entries; `changes` are those not yet written to the backend (None: removed).

    Cold entries are kept apart: they are not read when an operator is restored, but one by one when they are asked for
    (`cold_changes`, `read_cold`).
    """

    def __init__(self, durable: bool = True, cold: ColdReader = _no_cold_state) -> None:
        """`cold` reads a cold entry from the backend."""
        self.durable = durable
        self.changes: dict[str, bytes | None] = {}
        self.cold_changes: dict[str, bytes | None] = {}
        self._cold = cold

    def put(self, name: str, payload: bytes) -> None:
        """Writes an entry that is packed already."""
        if self.durable:
            self.changes[name] = payload

    def put_packed(self, name: str, value: Any) -> None:
        """Packs and writes an entry; costs nothing where state is not durable."""
        if self.durable:
            self.changes[name] = pack(value)

    def put_cold(self, name: str, payload: bytes) -> None:
        """Writes a cold entry."""
        if self.durable:
            self.cold_changes[name] = payload

    def read_cold(self, name: str) -> bytes:
        """A cold entry. Raises StateError where there is none."""
        payload = self.cold_changes[name] if name in self.cold_changes else self._cold(name)
        if payload is None:
            raise StateError(f"{name}: a cold state entry that is not there; restore from an earlier checkpoint")
        return payload

    def drop_cold(self, name: str) -> None:
        """Removes a cold entry."""
        if self.durable:
            self.cold_changes[name] = None

    def drop(self, name: str) -> None:
        """Removes an entry."""
        if self.durable:
            self.changes[name] = None

    def drain(self) -> dict[str, bytes | None]:
        """The changes since the last call."""
        changes, self.changes = self.changes, {}
        return changes

    def drain_cold(self) -> dict[str, bytes | None]:
        """The changes of cold entries since the last call."""
        changes, self.cold_changes = self.cold_changes, {}
        return changes


class Progress(msgspec.Struct, array_like=True):
    """An operator's progress: the version of its state, the event time up to which it has worked (ms), the serial
    number of the last entry, and the last erasure (`Erasure.at_ms`) that its state has been through."""

    version: int
    done_ms: int
    serial: int
    erased_ms: int = 0


class KeyedOperator(ABC):
    """The instance of an operator for one key. Subclasses implement the handling of messages and of event time."""

    uid: ClassVar[str]
    label: ClassVar[str]
    to: ClassVar[tuple[str, ...]]
    """The uids of the operators to which it sends; RESULTS for the output."""
    advances_by_interval: ClassVar[bool] = True
    """Whether it advances one interval at a time; needed where receivers defer its messages until they are due."""
    intervals: Intervals = LIVE_INTERVALS
    """The intervals in which event time advances (`JobConfig.intervals`)."""
    erasures: Sequence[Erasure] = ()
    """Riders to be erased from its state, by `at_ms` (`JobConfig.erasures`)."""
    erased: ErasedWorkers = ErasedWorkers({})
    """Those of them who are."""

    def __init__(self, key: int, state: StateWriter) -> None:
        self.key, self.state = key, state
        self.done_ms = BEFORE_TIME_MS
        self.watermark_ms = BEFORE_TIME_MS
        """The watermark up to which `advance` works; at the end of bounded input that of before."""
        self._serial = self._erased_ms = 0
        self._deferred: dict[str, tuple[int, Any]] = {}
        """Messages that are not due yet, by state entry: when they are due (ms), and their content."""

    @abstractmethod
    def process(self, message: Message) -> None:
        """Takes a message for this key."""

    @abstractmethod
    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        """Does all work that is due after `done_ms`, up to and including `upto_ms`, in event-time order."""

    @property
    def next_work_ms(self) -> int | None:
        """When work is due next (ms); None: not before another message arrives."""
        return self._next_deferred_ms

    @property
    def holds_expiring_state(self) -> bool:
        """Whether there is state that expires."""
        return False

    def expire(self, upto_ms: int) -> None:  # noqa: B027 - most state is messages, which are dropped when processed
        """Drops state that is expired at `upto_ms`; called at most every EXPIRY_INTERVAL_MS, if state is durable."""

    @property
    def due_ms(self) -> int | None:
        """When work or expiry is due next (ms); None: not before another message arrives."""
        work_ms = self.next_work_ms
        dues = [] if work_ms is None else [work_ms]
        # After the end of bounded input nothing expires.
        if self.state.durable and self.holds_expiring_state and self.done_ms < LAST_TIMER_MS:
            dues.append((self.done_ms // EXPIRY_INTERVAL_MS + 1) * EXPIRY_INTERVAL_MS)
        if (erasure_ms := self._next_erasure_ms) is not None:
            dues.append(erasure_ms)
        return min(dues, default=None)

    @property
    def timer_ms(self) -> int | None:
        """The event-time timer to set (ms): the end of the interval in which work or expiry is due; None: no timer."""
        due_ms = self.due_ms
        return None if due_ms is None else self.intervals.end_of(max(due_ms, self.done_ms + 1))

    def observe_watermark(self, watermark_ms: int) -> None:
        """Called before `process`: messages that follow may be late with regard to this watermark."""
        upto_ms = self.intervals.last_end(watermark_ms)
        if self.done_ms < upto_ms < LAST_TIMER_MS:
            due_ms = self.due_ms
            if due_ms is None or due_ms > upto_ms:
                self._save_progress(upto_ms)

    @abstractmethod
    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Rebuilds the operator's objects from its state entries; `done_ms` is set."""

    def advance(self, upto_ms: int) -> Iterator[Message]:
        """Works up to the last interval end that the watermark has passed, one interval with work after the other;
        never goes back. Bounded input without durable state has one watermark and is processed at once. It ends at the
        next erasure (`must_erase`)."""
        upto_ms = self.intervals.last_end(upto_ms)
        if (erasure_ms := self._next_erasure_ms) is not None:
            upto_ms = min(upto_ms, max(erasure_ms, self.done_ms))
        if upto_ms < self.done_ms:
            return
        self.watermark_ms = upto_ms if upto_ms < LAST_TIMER_MS else self.done_ms
        by_interval = self.state.durable and self.advances_by_interval
        while by_interval and (work_ms := self.next_work_ms) is not None:
            end_ms = self.intervals.end_of(max(work_ms, self.done_ms + 1))
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
        self._save_progress(min(upto_ms, LAST_TIMER_MS))

    def _save_progress(self, upto_ms: int) -> None:
        self.done_ms = upto_ms
        self.state.put_packed(_PROGRESS, Progress(STATE_VERSION, self.done_ms, self._serial, self._erased_ms))

    @property
    def _next_erasure_ms(self) -> int | None:
        """The moment (ms) up to which it works before it erases next; None: nobody is to be erased."""
        pending = (each.at_ms for each in self.erasures if each.at_ms > self._erased_ms)
        at_ms = next(pending, None)
        return None if at_ms is None else self.intervals.last_end(at_ms)

    @property
    def must_erase(self) -> bool:
        """Whether it has come to an erasure: the engine takes `removals`, and then restores it with `erases`."""
        erasure_ms = self._next_erasure_ms
        return erasure_ms is not None and erasure_ms <= self.done_ms

    @property
    def erased_next(self) -> ErasedWorkers:
        """Who is to be erased by now, and is not yet."""
        return _workers_of(self._due_erasures())

    def _due_erasures(self) -> list[Erasure]:
        pending = (each for each in self.erasures if each.at_ms > self._erased_ms)
        return [each for each in pending if self.intervals.last_end(each.at_ms) <= self.done_ms]

    def removals(self) -> Iterator[Message]:
        """What is to be removed elsewhere of the riders who are erased next."""
        return iter(())

    def resume(self, entries: Mapping[str, bytes], erases: bool = False) -> None:
        """Restores from state entries; `erases`: without what they hold of riders who are to be erased by now. Raises
        StateError for those that this code cannot read."""
        if not entries:
            return
        before, entries = entries, dict(entries)
        progress = self._progress(entries)
        try:
            self._restore(before, entries, progress, erases)
        except (msgspec.MsgspecError, pl.exceptions.PolarsError, ValueError, LookupError, TypeError) as error:
            raise StateError(
                f"{self.uid}: state that does not fit this code or the products that run "
                f"({type(error).__name__}: {error}). Restore with the release and products that wrote it, or start "
                "without state"
            ) from error

    def _restore(
        self, before: Mapping[str, bytes], entries: dict[str, bytes], progress: Progress, erases: bool
    ) -> None:
        migrates = progress.version < STATE_VERSION
        while progress.version < STATE_VERSION:
            migration = MIGRATIONS.get(self.uid, {}).get(progress.version)
            entries = migration(entries) if migration else entries
            progress = Progress(progress.version + 1, progress.done_ms, progress.serial, progress.erased_ms)
        self.done_ms, self._erased_ms = progress.done_ms, progress.erased_ms
        due = self._due_erasures() if erases else []
        if due:
            ERASERS[self.uid](entries, self.state, _workers_of(due), self.done_ms)
            self._erased_ms = due[-1].at_ms
        self.erased = _workers_of(each for each in self.erasures if each.at_ms <= self._erased_ms)
        if migrates or due:
            self._rewrite(before, entries)
        numbers = (name.rpartition("/")[2] for name in entries)
        self._serial = max([progress.serial, *(int(number) for number in numbers if number.isdecimal())])
        self.restore(entries)

    def _rewrite(self, before: Mapping[str, bytes], entries: Mapping[str, bytes]) -> None:
        """Writes the entries that are other ones, and removes those that are gone."""
        for name in before.keys() - entries.keys():
            self.state.drop(name)
        for name, payload in entries.items():
            if before.get(name) is not payload:
                self.state.put(name, payload)
        self._save_progress(self.done_ms)

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

    def _defer(self, kind: str, message: Message, content: Any = None) -> str:
        """The name of a new entry for a message that is processed when it is due, with all others due by then."""
        due_ms = max(message.due_ms, self.done_ms + 1)
        name = self._new_entry(f"{kind}/{due_ms}")
        self._deferred[name] = (due_ms, content)
        self.state.put(name, message.payload)
        return name

    def _defer_untimed(self, kind: str, payload: bytes, content: Any) -> None:
        """Defers content to the next watermark; `payload` is its entry."""
        name = self._new_entry(kind)
        self._deferred[name] = (self.done_ms, content)
        self.state.put(name, payload)

    def _restore_deferred(self, name: str, content: Any = None) -> bool:
        """Defers a restored entry again; gives whether it still has to be processed."""
        due_ms = int(name.split("/")[-2])
        if due_ms > self.done_ms:
            self._deferred[name] = (due_ms, content)
        return due_ms > self.done_ms

    def _restore_untimed(self, name: str, content: Any) -> None:
        """Restores an entry that `_defer_untimed` made."""
        self._deferred[name] = (self.done_ms, content)

    def _take_due(self, upto_ms: int) -> dict[str, Any]:
        """Removes from the deferred messages those that are due by a moment; gives their contents by entry, in the
        order of their arrival."""
        due = {name: content for name, (due_ms, content) in self._deferred.items() if due_ms <= upto_ms}
        for name in due:
            del self._deferred[name]
        return dict(sorted(due.items(), key=lambda item: item[0].rpartition("/")[2]))

    def _drop_due(self, upto_ms: int) -> list[Any]:
        """The contents of those, whose entries are dropped."""
        due = self._take_due(upto_ms)
        for name in due:
            self.state.drop(name)
        return list(due.values())

    @property
    def _next_deferred_ms(self) -> int | None:
        """When the next deferred message is due (ms)."""
        return min((due_ms for due_ms, _ in self._deferred.values()), default=None)

    def _new_entry(self, kind: str) -> str:
        """The name of a new state entry: its kind and a serial number."""
        self._serial += 1
        if self._serial == 1:
            self._save_progress(self.done_ms)  # state entries always come with their version
        return f"{kind}/{self._serial:012d}"


def _workers_of(erasures: Iterable[Erasure]) -> ErasedWorkers:
    return ErasedWorkers({}).joined((each.worker_hash, each.before_ms) for each in erasures)


def entries_of(entries: Mapping[str, bytes], kind: str) -> Iterator[tuple[str, bytes]]:
    """The entries of a kind, in the order of their serial numbers."""
    for name in sorted(entries, key=lambda name: (name.rpartition("/")[2], name)):
        if name.startswith(f"{kind}/"):
            yield name, entries[name]
