"""What became of every line: counts on their way to the summary, and dead letters, each kept once."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from monsoon.pipelines.steps.envelopes import RESULTS, Envelope, Item, pack, result, unpack
from monsoon.pipelines.steps.step import BEFORE_TIME_MS, Kept, Step, entries_of
from monsoon.sources.accounting import StreamCounts, dead_letters
from monsoon.transforms.validation.judge import Dead


def account(stream: str, counts: StreamCounts) -> Iterator[Envelope]:
    """What became of some lines of a stream, for the results."""
    if counts != StreamCounts():
        yield result("counts", (stream, counts.as_dict()))


def to_dead_letters(stream: str, dead: Sequence[Dead], buckets: int) -> Iterator[Envelope]:
    """Dead letters to where repeats of one meet."""
    by_key: dict[int, list[Dead]] = defaultdict(list)
    for letter in dead:
        by_key[zlib.crc32(letter.original) % buckets].append(letter)
    for key, members in by_key.items():
        yield Envelope("account-dead-letters", key, stream, BEFORE_TIME_MS, pack(members))


class AccountDeadLetters(Step):
    """Dead letters by the fingerprint of their line: the same line again is a duplicate."""

    uid: ClassVar = "account-dead-letters"
    label: ClassVar = "dead letters by line"
    to: ClassVar = (RESULTS,)

    def __init__(self, key: int, kept: Kept) -> None:
        super().__init__(key, kept)
        self._waiting: list[tuple[str, str, list[Dead]]] = []
        self._seen: set[tuple[str, bytes, str]] = set()

    def take(self, item: Item) -> None:
        name = self._name(f"waiting/{item.kind}")
        self._waiting.append((name, item.kind, unpack(item.payload, list[Dead])))
        self.kept.put(name, item.payload)

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        by_stream: dict[str, list[Dead]] = defaultdict(list)
        for name, stream, letters in self._waiting:
            by_stream[stream].extend(letters)
            self.kept.drop(name)
        self._waiting.clear()
        for stream, letters in by_stream.items():
            counts, fresh = StreamCounts(), []
            for letter in letters:
                if (stream, letter.original, letter.reason) in self._seen:
                    counts.duplicate += 1
                else:
                    fresh.append(letter)
            records = dead_letters(stream, fresh, counts)
            new = {(stream, letter.original, letter.reason) for letter in fresh}
            if new:
                self._seen |= new
                self.kept.put_packed(self._name("seen"), sorted(new))
                yield result("dead_letters", records)
            yield from account(stream, counts)

    @property
    def due_ms(self) -> int | None:
        return self.done_ms if self._waiting else None

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "waiting"):
            self._waiting.append((name, name.split("/")[1], unpack(payload, list[Dead])))
        for _, payload in entries_of(entries, "seen"):
            self._seen.update(unpack(payload, list[tuple[str, bytes, str]]))


def total(counts: StreamCounts, part: Mapping[str, Any]) -> None:
    """Adds what `account` told of some lines."""
    counts.read += part["read"]
    counts.used += part["used"]
    counts.duplicate += part["duplicate"]
    counts.dead += part["dead"]
    counts.nulled.update(part["nulled"])
    counts.reasons.update(part["reasons"])
