"""Records of disruptions: each revision is written once, whichever buckets of riders it concerns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, result, unpack

_LastWritten = tuple[int, int, str]
"""Of a disruption: the number of the next revision to write, and of the last one when it took effect (ms) and its
state."""

_NEVER_WRITTEN: _LastWritten = (0, BEFORE_TIME_MS, "")


class MergeDisruptions(KeyedOperator):
    """Every bucket with riders whom a disruption concerns sends its records; writes each revision once."""

    uid: ClassVar = "unite-disruptions"
    label: ClassVar = "disruptions by id"
    to: ClassVar = (RESULTS,)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._written: dict[str, _LastWritten] = {}
        """The last revision written, by disruption_id."""

    def process(self, message: Message) -> None:
        self._defer_untimed("arrived", message.payload, unpack(message.payload, list[dict[str, Any]]))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        by_revision: dict[tuple[str, int], dict[str, Any]] = {}
        for records in self._drop_due(upto_ms):
            for record in records:
                by_revision[record["disruption_id"], record["revision"]] = record
        new = []
        for (identity, revision), record in sorted(by_revision.items()):
            if revision >= self._written.get(identity, _NEVER_WRITTEN)[0]:
                self._written[identity] = (revision + 1, record["revised_at"], record["state"])
                self.state.put_packed(f"written/{identity}", self._written[identity])
                new.append(record)
        if new:
            yield result("disruptions", new)

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._written)

    def expire(self, upto_ms: int) -> None:
        before_ms = upto_ms - self._config.remembered_ms
        for identity, (_, at_ms, state) in list(self._written.items()):
            if at_ms < before_ms and state != "confirmed":
                del self._written[identity]
                self.state.drop(f"written/{identity}")

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._restore_untimed(name, unpack(payload, list[dict[str, Any]]))
        for name, payload in entries_of(entries, "written"):
            self._written[name.removeprefix("written/")] = unpack(payload, _LastWritten)
