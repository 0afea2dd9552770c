"""Announces the zones that have reports to the triggers.

Up to version 3 of the state this operator also held and deduplicated the reports, which go straight to their rider's
bucket since. What it still holds of them when it is restored it sends on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from monsoon.pipelines.operators.report_store import stored_reports
from monsoon.pipelines.operators.zone_announcements import ZoneAnnouncements
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import Message, pack, unpack
from monsoon.pipelines.runtime.report_codec import buckets_of_reports, pack_by_bucket
from monsoon.sources.report_batch import concatenated

_HELD = ("late", "far")
"""Kinds of entries with reports that were not released, up to version 3; "waiting" had those up to the watermark,
too."""
_SEEN = ("memory", "lost")
"""Kinds of entries of `SeenReports`, up to version 3."""


class AnnounceZones(KeyedOperator):
    """The cells from which one bucket of riders reported."""

    uid: ClassVar = "deduplicate-telemetry"
    advances_by_interval: ClassVar = False
    label: ClassVar = "cells with reports, by rider"
    to: ClassVar = ("ask-witness", "witness-telemetry", "judge-triggers", "riders-evidence")

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._cells: dict[int, set[int]] = {resolution: set() for resolution in config.resolutions}
        self._announcements = ZoneAnnouncements(state, config)
        self._announced_cells: list[tuple[str, int, int, list[int]]] = []
        """State entries of `_cells`: name, resolution, when they were announced to the triggers (ms), cells."""
        self._former: dict[str, bytes] = {}
        """Entries of version 3 that belong to the riders' operators."""
        self._restored_at_ms = self.done_ms

    def process(self, message: Message) -> None:
        resolution = int(message.kind.partition("/")[2])
        new = set(unpack(message.payload, list[int])) - self._cells[resolution]
        if new:
            self._defer_untimed(f"arrived/{resolution}", message.payload, (resolution, new))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        yield from self._send_former(upto_ms)
        yield from self._announcements.catch_up({each: sorted(cells) for each, cells in self._cells.items()}, upto_ms)
        arrived: dict[int, set[int]] = {}
        for resolution, cells in self._drop_due(upto_ms):
            arrived.setdefault(resolution, set()).update(cells)
        for resolution, cells in sorted(arrived.items()):
            new = sorted(cells - self._cells[resolution])
            if new:
                name = self._new_entry(f"cells/{resolution}")
                self._add_cells(name, resolution, upto_ms, new)
                self.state.put_packed(name, (upto_ms, new))
                yield from self._announcements.announce(resolution, new, upto_ms)

    def _send_former(self, upto_ms: int) -> Iterator[Message]:
        if not self._former:
            return
        receivers = ["riders-evidence", *(["witness-telemetry"] if self._config.telemetry_triggers else [])]
        held = [stored_reports(payload) for kind in _HELD for _, payload in entries_of(self._former, kind)]
        # An entry was kept until all its reports were released.
        later = [stored_reports(payload) for _, payload in entries_of(self._former, "waiting")]
        held += [batch.where(batch["event_time"] > self._restored_at_ms) for batch in later]
        seen = {name: payload for kind in _SEEN for name, payload in entries_of(self._former, kind)}
        batch = concatenated(held)
        # Up to version 2 the keys were buckets of event ids.
        packed = pack_by_bucket(batch, buckets_of_reports(batch, self._config.buckets)) if len(batch) else ()
        messages = [("rows", *each) for each in packed]
        if seen:
            messages.append(("seen", self.key, upto_ms, pack(seen)))
        for kind, key, due_ms, payload in messages:
            for receiver in receivers:
                yield Message(receiver, key, kind, due_ms, payload)
        for name in self._former:
            self.state.drop(name)
        self._former = {}

    def _add_cells(self, name: str, resolution: int, at_ms: int, cells: list[int]) -> None:
        self._cells.setdefault(resolution, set()).update(cells)
        self._announced_cells.append((name, resolution, at_ms, cells))

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._announced_cells)

    def expire(self, upto_ms: int) -> None:
        # A cell that is seen again is announced again, which the triggers ignore.
        before_ms = upto_ms - self._config.remembered_ms
        for name, resolution, at_ms, cells in self._announced_cells:
            if at_ms < before_ms:
                self.state.drop(name)
                self._cells[resolution].difference_update(cells)
        self._announced_cells = [entry for entry in self._announced_cells if entry[2] >= before_ms]

    @property
    def next_work_ms(self) -> int | None:
        return self.done_ms if self._former or self._announcements.new_triggers else super().next_work_ms

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._announcements.restore(entries)
        for name, payload in entries_of(entries, "cells"):
            self._add_cells(name, int(name.split("/")[1]), *unpack(payload, tuple[int, list[int]]))
        for name, payload in entries_of(entries, "arrived"):
            self._restore_untimed(name, (int(name.split("/")[1]), set(unpack(payload, list[int]))))
        self._restored_at_ms = self.done_ms
        for kind in (*_HELD, "waiting", *_SEEN):
            self._former.update(entries_of(entries, kind))
