"""The last revision of every record of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from monsoon.client.consumer import Consumer, Foreign
from monsoon.client.records import Record
from monsoon.contracts.topics import TOPICS

R = TypeVar("R", bound=Record)


class Latest(Mapping[str, R]):
    """By id, the last revision of each record; holds all of them in memory.

    Read whole when it is made, and further by each `refresh()`. A tombstone removes its id. Other arguments, and what
    is raised: as of `Consumer`.
    """

    def __init__(
        self, kind: type[R], servers: str, *, on_foreign: Callable[[Foreign], None] | None = None, **arguments: Any
    ) -> None:
        self._revision_field = TOPICS[kind.STREAM].revision_field
        self._records: dict[str, R] = {}
        self._on_foreign = on_foreign
        self._consumer = Consumer(kind, servers, positions={}, on_foreign=self._foreign, max_remembered=0, **arguments)
        self.refresh()

    def refresh(self) -> None:
        """Takes in what was committed since."""
        for received in self._consumer.read_to_end():
            known = self._records.get(received.key)
            if known is None or self._revision(received.record) >= self._revision(known):
                self._records[received.key] = received.record

    def close(self) -> None:
        """Closes the connections; the records stay."""
        self._consumer.close()

    def __getitem__(self, key: str) -> R:
        return self._records[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def _revision(self, record: R) -> int:
        return getattr(record, self._revision_field) if self._revision_field else 0

    def _foreign(self, foreign: Foreign) -> None:
        if not foreign.value and foreign.key is not None:
            self._records.pop(foreign.key.decode(errors="replace"), None)
        elif self._on_foreign is not None:
            self._on_foreign(foreign)
        else:
            raise foreign.error()
