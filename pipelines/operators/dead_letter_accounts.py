"""The account of every input line: counts for the summary, and dead letters, deduplicated."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, pack, result, unpack
from monsoon.sources.accounting import StreamCounts, dead_letters
from monsoon.transforms.validation.record_validator import DeadLetter

Fingerprint = tuple[str, bytes, str]
"""The key of a dead letter: its stream, the hash of its line's bytes, the reason."""


def account(stream: str, counts: StreamCounts) -> Iterator[Message]:
    """Counts of some lines of a stream, as a result."""
    if counts != StreamCounts():
        yield result("counts", (stream, counts.as_dict()))


def to_dead_letters(stream: str, letters: Sequence[DeadLetter], buckets: int) -> Iterator[Message]:
    """Sends dead letters, by line, to where they are deduplicated."""
    by_key: dict[int, list[DeadLetter]] = defaultdict(list)
    for letter in letters:
        by_key[zlib.crc32(letter.original) % buckets].append(letter)
    for key, members in by_key.items():
        yield Message("account-dead-letters", key, stream, BEFORE_TIME_MS, pack(members))


class AccountDeadLetters(KeyedOperator):
    """Dead letters keyed by the fingerprint of their line: the same line again counts as a duplicate."""

    uid: ClassVar = "account-dead-letters"
    advances_by_interval: ClassVar = False
    label: ClassVar = "dead letters by line"
    to: ClassVar = (RESULTS,)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._seen: set[Fingerprint] = set()
        self._seen_at: list[tuple[str, int, list[Fingerprint]]] = []
        """State entries of `_seen`, each with the watermark (ms) at which it was written: invalid lines may have no
        event time."""

    def process(self, message: Message) -> None:
        self._defer_untimed(
            f"waiting/{message.kind}", message.payload, (message.kind, unpack(message.payload, list[DeadLetter]))
        )

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        by_stream: dict[str, list[DeadLetter]] = defaultdict(list)
        for stream, letters in self._drop_due(upto_ms):
            by_stream[stream].extend(letters)
        for stream, letters in by_stream.items():
            counts, new_letters = StreamCounts(), []
            for letter in letters:
                if (stream, letter.original, letter.reason) in self._seen:
                    counts.duplicate += 1
                else:
                    new_letters.append(letter)
            records = dead_letters(stream, new_letters, counts)
            new = {(stream, letter.original, letter.reason) for letter in new_letters}
            if new:
                name = self._new_entry("seen")
                self._remember(name, upto_ms, sorted(new))
                self.state.put_packed(name, (upto_ms, sorted(new)))
                yield result("dead_letters", records)
            yield from account(stream, counts)

    def _remember(self, name: str, at_ms: int, new: list[Fingerprint]) -> None:
        self._seen.update(new)
        self._seen_at.append((name, at_ms, new))

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._seen_at)

    def expire(self, upto_ms: int) -> None:
        before_ms = upto_ms - self._config.remembered_ms
        for name, at_ms, fingerprints in self._seen_at:
            if at_ms < before_ms:
                self.state.drop(name)
                self._seen.difference_update(fingerprints)
        self._seen_at = [entry for entry in self._seen_at if entry[1] >= before_ms]

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "waiting"):
            self._restore_untimed(name, (name.split("/")[1], unpack(payload, list[DeadLetter])))
        for name, payload in entries_of(entries, "seen"):
            self._remember(name, *unpack(payload, tuple[int, list[Fingerprint]]))


def add_counts(counts: StreamCounts, part: Mapping[str, Any]) -> None:
    """Adds the counts of a result of `account`."""
    counts.read += part["read"]
    counts.used += part["used"]
    counts.duplicate += part["duplicate"]
    counts.dead += part["dead"]
    counts.nulled.update(part["nulled"])
    counts.reasons.update(part["reasons"])
