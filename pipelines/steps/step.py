"""A keyed step: takes items in any order, does its work up to a moment of event time, and says when it wants to be
asked again.

Whoever drives it calls `reach` with the watermark so far and `take` with what arrives under its key, and `advance`
when the watermark has reached its `due_ms`; at the end of bounded input with END_OF_TIME_MS. What a step must find
again after a failure it puts into `kept`, entry by entry; its live objects are made from them, so state is what was put
and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import msgspec
import polars as pl

from monsoon.pipelines.steps.envelopes import Envelope, Item, pack, unpack
from monsoon.transforms.triggers.history import END_OF_TIME_MS as LAST_TIMER_MS

END_OF_TIME_MS = 2**63 - 1
"""The watermark at the end of bounded input."""

BEFORE_TIME_MS = -(2**62)
"""Due at the first watermark."""

SWEEP_MS = 3_600_000
"""How often a step that keeps anything looks for what is too old, in event time: timers that stand in for a TTL."""

STATE_VERSION = 3
"""Of every step's entries; a payload of an earlier one passes through MIGRATIONS on its way in."""

Migration = Callable[[Mapping[str, bytes]], dict[str, bytes]]

MIGRATIONS: dict[str, dict[int, Migration]] = {}
"""By step and version: what turns that version's entries into those of the next."""

EXPECT = "expect"
"""The kind of an item that says of which moments something is to come, and nothing else; it is awaited like any."""

_EXPECTING: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("riders-evidence", "series"): ("adjudicate-claims", "control-exposure"),
    ("adjudicate-claims", ""): ("control-exposure",),
}
"""By the step to which news goes and its kind (empty: any): who else must not come further than that step, which may
have to wait, though the watermark does not."""

_PROGRESS = "progress"


class StateError(Exception):
    """State that this code cannot read: which step, which version, what to do."""


class Kept:
    """Named payloads that outlive the process; `changes` are those not yet written (None: taken away)."""

    def __init__(self, keeps: bool = True) -> None:
        self.keeps = keeps
        self.changes: dict[str, bytes | None] = {}

    def put(self, name: str, payload: bytes) -> None:
        """Keeps a payload that is at hand."""
        if self.keeps:
            self.changes[name] = payload

    def put_packed(self, name: str, value: Any) -> None:
        """Packs and keeps; costs nothing where nothing is kept."""
        if self.keeps:
            self.changes[name] = pack(value)

    def drop(self, name: str) -> None:
        """Takes an entry away."""
        if self.keeps:
            self.changes[name] = None

    def drain(self) -> dict[str, bytes | None]:
        """The changes since the last call."""
        changes, self.changes = self.changes, {}
        return changes


class Progress(msgspec.Struct, array_like=True):
    """How far a step has come: the version of its state, the moment up to which it worked, the number of its next
    entry."""

    version: int
    done_ms: int
    serial: int


class Step(ABC):
    """One key of a step. Subclasses say what they do with items and time."""

    uid: ClassVar[str]
    label: ClassVar[str]
    to: ClassVar[tuple[str, ...]]
    """Later steps, and RESULTS, to which it sends."""

    def __init__(self, key: int, kept: Kept) -> None:
        self.key, self.kept = key, kept
        self.done_ms = BEFORE_TIME_MS
        self.expecting_keys: Mapping[str, int] = {}
        """Of steps further down that must expect what this one's news may lead to, how many keys they have."""
        self._serial = 0
        self._awaited: dict[str, tuple[int, int]] = {}
        """Entries to work on at a moment (ms): after which moment they speak, and that one."""

    @abstractmethod
    def take(self, item: Item) -> None:
        """Something has arrived."""

    @abstractmethod
    def work(self, upto_ms: int) -> Iterator[Envelope]:
        """All that is due after `done_ms`, up to and including `upto_ms`, in event-time order."""

    @property
    @abstractmethod
    def work_due_ms(self) -> int | None:
        """When there is work to do next; None: not before something arrives."""

    @property
    @abstractmethod
    def ages(self) -> bool:
        """Whether anything is kept that will be too old one day."""

    @abstractmethod
    def forget(self, upto_ms: int) -> None:
        """Drops what is too old by then; called where something is kept, at most every SWEEP_MS."""

    @property
    def due_ms(self) -> int | None:
        """When the step wants to be advanced next: for its work, or to forget; None: not before something arrives."""
        dues = [] if self.work_due_ms is None else [self.work_due_ms]
        # After the end of bounded input nothing ages.
        if self.kept.keeps and self.ages and self.done_ms < LAST_TIMER_MS:
            dues.append((self.done_ms // SWEEP_MS + 1) * SWEEP_MS)
        return min(dues, default=None)

    def reach(self, watermark_ms: int) -> None:
        """The watermark had come this far before what will be taken next, which may therefore be late."""
        upto_ms = min([watermark_ms, *(since_ms for since_ms, _ in self._awaited.values())])
        if self.done_ms < upto_ms < LAST_TIMER_MS and (self.due_ms is None or self.due_ms > upto_ms):
            self._done(upto_ms)

    @abstractmethod
    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Makes the live objects from what was put, `done_ms` being set."""

    def advance(self, upto_ms: int) -> Iterator[Envelope]:
        """Works up to a moment; never back, nor beyond what the steps before have told of.

        A watermark may come after what was sent later: then something of moments up to it is not here yet, or is here
        together with what is not due.
        """
        upto_ms = self._complete_ms(upto_ms)
        if upto_ms < self.done_ms:
            return
        expecting: set[str] = set()
        for envelope in self.work(upto_ms):
            expecting.update(_EXPECTING.get((envelope.to, envelope.kind), _EXPECTING.get((envelope.to, ""), ())))
            yield envelope._replace(since_ms=self.done_ms)
        if self.kept.keeps:
            for uid in sorted(expecting):
                for key in range(self.expecting_keys.get(uid, 0)):
                    yield Envelope(uid, key, EXPECT, upto_ms, b"", self.done_ms)
        if self.kept.keeps and upto_ms < LAST_TIMER_MS and upto_ms // SWEEP_MS > self.done_ms // SWEEP_MS:
            self.forget(upto_ms)
        # The last timers of a bounded input lie before the end of time, where nothing is late.
        self._done(min(upto_ms, LAST_TIMER_MS))

    def _complete_ms(self, upto_ms: int) -> int:
        """The last moment up to `upto_ms` at which nothing that is awaited may be in part at hand.

        What waits for one thing may thereby come before another is due, and has to wait for that too.
        """
        while True:
            held_ms = min([upto_ms, *(since_ms for since_ms, due_ms in self._awaited.values() if due_ms > upto_ms)])
            if held_ms == upto_ms:
                return upto_ms
            upto_ms = held_ms

    def _done(self, upto_ms: int) -> None:
        self.done_ms = upto_ms
        self.kept.put_packed(_PROGRESS, Progress(STATE_VERSION, self.done_ms, self._serial))

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
            self.kept.drop(name)
        for name, payload in entries.items():
            self.kept.put(name, payload)
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

    def _await(self, kind: str, item: Item) -> str:
        """The name of an entry for an item that is to be worked on when it is due, with all that is due by then."""
        due_ms = max(item.due_ms, self.done_ms + 1)
        name = self._name(f"{kind}/{item.since_ms}/{due_ms}")
        self._awaited[name] = (item.since_ms, due_ms)
        return name

    def _await_again(self, name: str) -> bool:
        """Whether a restored entry is still to be worked on; if so, at its moment."""
        since_ms, due_ms = map(int, name.split("/")[-3:-1])
        if due_ms > self.done_ms:
            self._awaited[name] = (since_ms, due_ms)
        return due_ms > self.done_ms

    def _ripe(self, upto_ms: int) -> set[str]:
        """Entries that are due by a moment, and are awaited no longer."""
        ripe = {name for name, (_, due_ms) in self._awaited.items() if due_ms <= upto_ms}
        for name in ripe:
            del self._awaited[name]
        return ripe

    @property
    def _ripens_ms(self) -> int | None:
        """When the next entry is due."""
        return min((due_ms for _, due_ms in self._awaited.values()), default=None)

    def _name(self, kind: str) -> str:
        """A new entry's name, which ends in its number."""
        self._serial += 1
        if self._serial == 1:
            self._done(self.done_ms)  # whatever is kept has a version beside it
        return f"{kind}/{self._serial:012d}"


def entries_of(entries: Mapping[str, bytes], kind: str) -> Iterator[tuple[str, bytes]]:
    """The entries of a kind, in the order in which they were made."""
    for name in sorted(entries, key=lambda name: (name.rpartition("/")[2], name)):
        if name.startswith(f"{kind}/"):
            yield name, entries[name]
