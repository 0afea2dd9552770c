"""From readings to the disruptions of every zone: each trigger's series judged once, then sent to all riders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from monsoon.pipelines.steps.duplicates import RECORDS_REMEMBERED_MS
from monsoon.pipelines.steps.envelopes import RESULTS, Envelope, Item, pack, result, unpack
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import BEFORE_TIME_MS, Kept, Step, entries_of
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.readings import reading_from_record
from monsoon.transforms.triggers.running import RunningTrigger


@dataclass(frozen=True)
class SeriesRecord:
    """A series on its way; the trigger by its name in `Settings.triggers`."""

    trigger: str
    platform: str | None
    zones: list[int]
    revisions: list[Revision]


class JudgeTriggers(Step):
    """All readings and all cells that matter, for one trigger of one product."""

    uid: ClassVar = "judge-triggers"
    label: ClassVar = "readings and zones by trigger"
    to: ClassVar = ("riders-evidence",)

    def __init__(self, key: int, kept: Kept, settings: Settings) -> None:
        super().__init__(key, kept)
        self._settings = settings
        self._trigger = settings.trigger_of_key[key]
        product, trigger = settings.triggers[self._trigger]
        self._running = RunningTrigger(trigger, product.zone_resolution)
        self._readings: list[tuple[str, int]] = []
        """Entries of readings, with the latest moment at which one of them took effect."""
        self._new_cells: list[str] = []

    def take(self, item: Item) -> None:
        if item.kind == "cells":
            name = self._name("new-cells")
            self._new_cells.append(name)
            self._running.add_cells(unpack(item.payload, list[int]))
            self.kept.put(name, item.payload)
            return
        heard = [
            (max(reading.effective_ms, self.done_ms + 1), record)
            for record in unpack(item.payload, list[dict[str, Any]])
            for reading in [reading_from_record(record)]
        ]
        name = self._name("readings")
        self._readings.append((name, self._hear(heard)))
        self.kept.put_packed(name, heard)

    def _hear(self, heard: list[tuple[int, dict[str, Any]]]) -> int:
        for effective_ms, record in heard:
            self._running.hear(reading_from_record(record), effective_ms)
        return max((effective_ms for effective_ms, _ in heard), default=BEFORE_TIME_MS)

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        found = [
            SeriesRecord(self._trigger, series.platform, series.zones.tolist(), list(series.revisions))
            for series in self._running.advance(upto_ms)
        ]
        if found:
            payload = pack(found)
            for bucket in range(self._settings.buckets):
                yield Envelope("riders-evidence", bucket, "series", upto_ms, payload)
        if self.kept.keeps and self._new_cells:
            for name in self._new_cells:
                self.kept.drop(name)
            self._new_cells.clear()
            # One entry in the place of many: a city's cells are known within days.
            self.kept.put_packed("cells", self._running.cells)
        forgotten_ms = upto_ms - RECORDS_REMEMBERED_MS
        if self._readings and self._readings[0][1] < forgotten_ms:
            for name, effective_ms in self._readings:
                if effective_ms < forgotten_ms:
                    self.kept.drop(name)
            self._readings = [entry for entry in self._readings if entry[1] >= forgotten_ms]
            self._running.forget(forgotten_ms)

    @property
    def due_ms(self) -> int | None:
        return self.done_ms if self._new_cells else self._running.next_due_ms

    def restore(self, entries: Mapping[str, bytes]) -> None:
        if "cells" in entries:
            self._running.add_cells(unpack(entries["cells"], list[int]))
        for name, payload in entries_of(entries, "readings"):
            self._readings.append((name, self._hear(unpack(payload, list[tuple[int, dict[str, Any]]]))))
        self._running.resume(self.done_ms)
        for name, payload in entries_of(entries, "new-cells"):
            self._new_cells.append(name)
            self._running.add_cells(unpack(payload, list[int]))


class UniteDisruptions(Step):
    """A disruption is found by every bucket of riders whom it concerns; each revision is written once."""

    uid: ClassVar = "unite-disruptions"
    label: ClassVar = "disruptions by id"
    to: ClassVar = (RESULTS,)

    def __init__(self, key: int, kept: Kept, settings: Settings) -> None:
        super().__init__(key, kept)
        self._arrived: list[tuple[str, list[dict[str, Any]]]] = []
        self._written: dict[str, tuple[int, int]] = {}
        """By disruption_id: the next revision to write, and when the last one took effect."""

    def take(self, item: Item) -> None:
        name = self._name("arrived")
        self._arrived.append((name, unpack(item.payload, list[dict[str, Any]])))
        self.kept.put(name, item.payload)

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for name, records in self._arrived:
            self.kept.drop(name)
            for record in records:
                found[record["disruption_id"], record["revision"]] = record
        self._arrived.clear()
        new = []
        for (identity, revision), record in sorted(found.items()):
            if revision >= self._written.get(identity, (0, 0))[0]:
                self._written[identity] = (revision + 1, record["revised_at"])
                self.kept.put_packed(f"written/{identity}", self._written[identity])
                new.append(record)
        if new:
            yield result("disruptions", new)
        for identity in [name for name, (_, at_ms) in self._written.items() if at_ms < upto_ms - RECORDS_REMEMBERED_MS]:
            if self.kept.keeps:
                self.kept.drop(f"written/{identity}")
                del self._written[identity]

    @property
    def due_ms(self) -> int | None:
        return self.done_ms if self._arrived else None

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._arrived.append((name, unpack(payload, list[dict[str, Any]])))
        for name, payload in entries_of(entries, "written"):
            self._written[name.removeprefix("written/")] = unpack(payload, tuple[int, int])
