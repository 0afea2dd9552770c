"""From oracle readings to the disruptions of every zone: each trigger is evaluated once in each region, its series of
revisions are sent to all buckets of riders."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from monsoon.pipelines.operators.zone_announcements import AnnouncedCells
from monsoon.pipelines.runtime.job_config import WORLD, JobConfig, RegionTrigger
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, KeyedOperator, StateError, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import Message, pack, unpack
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS
from monsoon.transforms.product import Product, Trigger
from monsoon.transforms.triggers.conditions import alert_condition
from monsoon.transforms.triggers.disruption_log import SeriesRecord
from monsoon.transforms.triggers.incremental import IncrementalTrigger
from monsoon.transforms.triggers.readings import Identity, Reading, reading_from_record

TelemetryValue = tuple[str | None, int, int, float]
"""A value of a trigger's telemetry condition: platform, zone (cell), moment (ms), the value measured."""

TimedRecord = tuple[int, dict[str, Any]]
"""The record of a reading, and the moment at which it takes effect (ms)."""

Forwarded = tuple[list[int], list[TimedRecord]]
"""What `QueryTelemetry` forwards to one trigger: cells and readings."""


class _Kept(NamedTuple):
    """A state entry of readings or telemetry values: the latest moment of them (ms), and which triggers took them."""

    name: str
    last_ms: int
    takers: frozenset[RegionTrigger]


class ConfirmDisruptions(KeyedOperator):
    """Triggers in some regions: each takes all readings that may touch its region and all cells there with riders or
    homes, and publishes the revisions of disruptions.

    Values of telemetry conditions come as messages of kind `witness`, before the watermark passes their moment.
    """

    uid: ClassVar = "judge-triggers"
    label: ClassVar = "readings and zones by trigger and region"
    to: ClassVar[tuple[str, ...]] = ("riders-evidence",)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        if not config.by_region:
            self._terms_of(key)
        self._triggers: dict[RegionTrigger, IncrementalTrigger] = {}
        """Made when their first cells or readings come."""
        self._dues: list[tuple[int, RegionTrigger]] = []
        """A heap of when triggers have work (ms); an entry is void unless `_due_ms` has the same."""
        self._due_ms: dict[RegionTrigger, int] = {}
        self._changed: set[RegionTrigger] = set()
        """Triggers with cells or telemetry values since they last advanced."""
        self._takers: dict[Identity, set[RegionTrigger]] = defaultdict(set)
        """By reading, the triggers that took a revision of it."""
        self._kept: list[_Kept] = []
        """State entries of readings and telemetry values."""
        self._since: dict[int, int] = {}
        """By trigger that may have readings here, the serial number of the last entry from before it ran: of products
        and versions that are new to a job. It takes none of these."""
        self._new_cells: dict[str, set[RegionTrigger]] = {}
        """By state entry, the triggers whose cells it has."""

    def _terms_of(self, trigger: int) -> tuple[Product, Trigger]:
        """The version and terms of a trigger. Raises StateError for one that does not run."""
        if trigger not in self._config.trigger_of_id:
            raise StateError(
                f"{self.uid}: state of a trigger that no running product has, in no version. Go on with every product "
                "and version with which it was written, or start without state"
            )
        return self._config.triggers[self._config.trigger_of_id[trigger]]

    def _trigger(self, of: RegionTrigger) -> IncrementalTrigger:
        if of not in self._triggers:
            self._triggers[of] = self._new_trigger(of)
        return self._triggers[of]

    def _new_trigger(self, of: RegionTrigger) -> IncrementalTrigger:
        version, trigger = self._terms_of(of.trigger)
        return IncrementalTrigger(trigger, version.zone_resolution, alert_condition(version))

    # Input.

    def process(self, message: Message) -> None:
        kind, _, trigger = message.kind.partition("/")
        if kind == "cells":
            name = self._new_entry("new-cells")
            self._new_cells[name] = self._add_announced(unpack(message.payload, AnnouncedCells))
            self.state.put(name, message.payload)
        elif kind == "witness":
            name = self._new_entry(f"witnessed/{trigger}")
            self._kept.append(self._take_telemetry_values(name, unpack(message.payload, list[TelemetryValue])))
            self.state.put(name, message.payload)
        elif kind == "heard":
            # Held until the telemetry values for it have come.
            self._defer(message.kind, message, (int(trigger), unpack(message.payload, Forwarded)))
        else:
            self._take_readings("readings", self._with_effective_times(message.payload))

    def _with_effective_times(self, payload: bytes) -> list[TimedRecord]:
        """Records of readings, each with the moment at which it takes effect here (ms)."""
        return [
            (max(reading.effective_ms, self.done_ms + 1), record)
            for record in unpack(payload, list[dict[str, Any]])
            for reading in [reading_from_record(record)]
        ]

    def _take_readings(self, kind: str, timed_readings: Iterable[TimedRecord]) -> None:
        """Takes readings, and keeps those that any trigger here took."""
        taken, takers = self._observe(kind, timed_readings)
        if taken:
            if not self._since:
                self._save_since(0)
            name = self._new_entry(kind)
            self._kept.append(_Kept(name, _last_ms(taken), takers))
            self.state.put_packed(name, taken)

    def _save_since(self, serial: int) -> None:
        """Notes triggers that were not noted yet."""
        if self._config.by_region and not self._config.trigger_of_id.keys() <= self._since.keys():
            self._since = dict.fromkeys(self._config.trigger_of_id, serial) | self._since
            self.state.put_packed("triggers", self._since)

    def _observe(
        self, kind: str, timed_readings: Iterable[TimedRecord], serial: int | None = None
    ) -> tuple[list[TimedRecord], frozenset[RegionTrigger]]:
        """Hands readings of a kind of entry to the triggers, of a restored one (`serial`) to those that ran then; gives
        those that any took, and all that did."""
        taken, takers = [], set()
        for effective_ms, record in timed_readings:
            reading = reading_from_record(record)
            triggers = self._takers_of(kind, record, reading)
            if serial is not None:
                triggers = {each for each in triggers if self._since.get(each.trigger, 0) < serial}
            for each in triggers:
                self._trigger(each).observe(reading, effective_ms)
                self._reschedule(each)
            if triggers:
                self._takers[reading.identity] |= triggers
                taken.append((effective_ms, record))
                takers |= triggers
        return taken, frozenset(takers)

    def _takers_of(self, kind: str, record: Mapping[str, Any], reading: Reading) -> set[RegionTrigger]:
        """The triggers here that may have a zone which a reading covers, or have taken another revision of it."""
        if not self._config.by_region:
            uses = record["revision"] or any(each.trigger == self.key for each in self._config.region_triggers(record))
            return {RegionTrigger(self.key, WORLD)} if uses else set()
        found = {each for each in self._config.region_triggers(record) if self._config.key_of(each) == self.key}
        found |= self._takers.get(reading.identity, set())
        return {each for each in found if self._entry_of_readings(each.trigger) == kind}

    def _entry_of_readings(self, trigger: int) -> str:
        """The kind of entry of a trigger's readings: those that are forwarded to it are its own."""
        return "readings" if self._config.first_operator(trigger) == self.uid else f"readings/{trigger}"

    def _take_forwarded(self, upto_ms: int) -> None:
        """Processes forwarded input whose telemetry values are here by now."""
        for trigger, (cells, timed_readings) in self._drop_due(upto_ms):
            if cells:
                announced: AnnouncedCells = [([trigger], of_region) for of_region in self._by_region(cells)]
                entry = self._new_entry("new-cells")
                self._new_cells[entry] = self._add_announced(announced)
                self.state.put_packed(entry, announced)
            if timed_readings:
                self._take_readings(f"readings/{trigger}", timed_readings)

    def _by_region(self, cells: Iterable[int]) -> Iterable[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for cell in cells:
            found[self._config.region_of(cell)].append(cell)
        return found.values()

    def _add_announced(self, announced: AnnouncedCells) -> set[RegionTrigger]:
        """Adds zones of triggers (those of state from before there were regions: of the one whose key this is)."""
        changed = set()
        for triggers, cells in announced:
            for trigger in triggers or [self.key]:
                of = RegionTrigger(trigger, self._config.region_of(cells[0]))
                self._trigger(of).add_cells(cells)
                changed.add(of)
        self._changed |= changed
        return changed

    def _take_telemetry_values(self, name: str, values: list[TelemetryValue]) -> _Kept:
        trigger, takers = self._trigger_in(name), set()
        for platform, zone, at_ms, value in values:
            of = RegionTrigger(trigger, self._config.region_of(zone))
            self._trigger(of).set_telemetry_value(platform, zone, at_ms, value)
            takers.add(of)
        self._changed |= takers
        return _Kept(name, max((at_ms for _, _, at_ms, _ in values), default=BEFORE_TIME_MS), frozenset(takers))

    def _trigger_in(self, name: str) -> int:
        """The id of the trigger that the name of an entry has; 0, from before there were regions: it is the key."""
        return int(name.split("/")[1]) or self.key

    # Event time.

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        self._take_forwarded(upto_ms)
        new_series = [
            SeriesRecord(
                self._config.trigger_of_id[of.trigger],
                series.platform,
                series.zones.tolist(),
                list(series.revisions),
                self.done_ms,
            )
            for of in self._take_active(upto_ms)
            for series in self._triggers[of].advance(upto_ms)
        ]
        if new_series:
            payload = pack(new_series)
            for bucket in range(self._config.buckets):
                yield Message("riders-evidence", bucket, "series", upto_ms, payload)
        self._finish()

    def _take_active(self, upto_ms: int) -> list[RegionTrigger]:
        """The triggers with work up to a moment; `_finish` must follow once they have advanced."""
        while self._dues and self._dues[0][0] <= upto_ms:
            due_ms, of = heapq.heappop(self._dues)
            if self._due_ms.get(of) == due_ms:
                del self._due_ms[of]
                self._changed.add(of)
        return sorted(self._changed)

    def _finish(self) -> None:
        for of in self._changed:
            self._reschedule(of)
        self._changed.clear()
        self._join_cells()

    def _reschedule(self, of: RegionTrigger) -> None:
        due_ms = self._triggers[of].next_due_ms
        if due_ms is None:
            self._due_ms.pop(of, None)
        elif due_ms != self._due_ms.get(of):
            self._due_ms[of] = due_ms
            heapq.heappush(self._dues, (due_ms, of))

    def _join_cells(self) -> None:
        if self.state.durable and self._new_cells:
            for name in self._new_cells:
                self.state.drop(name)
            # One entry replaces many: the cells of a city are all known within days.
            for of in sorted(set().union(*self._new_cells.values())):
                self.state.put_packed(_entry("cells", of), self._triggers[of].cells)
            self._new_cells.clear()

    @property
    def next_work_ms(self) -> int | None:
        if self._new_cells:
            return self.done_ms
        while self._dues and self._due_ms.get(self._dues[0][1]) != self._dues[0][0]:
            heapq.heappop(self._dues)
        due_ms = self._dues[0][0] if self._dues else None
        return min((ms for ms in (due_ms, self._next_deferred_ms) if ms is not None), default=None)

    # State.

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._kept)

    def expire(self, upto_ms: int) -> None:
        # Once a day only: a trigger's state is rebuilt from the readings that remain.
        before_ms = upto_ms // DAY_MS * DAY_MS - self._config.remembered_ms
        old = set().union(*(kept.takers for kept in self._kept if kept.last_ms < before_ms))
        if not old:
            return
        forgotten = {}
        for of in sorted(old):
            forgotten[of] = self._triggers[of].expire(before_ms)
            self.state.put_packed(_entry("forgotten", of), forgotten[of])
            self._reschedule(of)
        rest = []
        for kept in self._kept:
            if all(kept.last_ms < forgotten.get(of, BEFORE_TIME_MS) for of in kept.takers):
                self.state.drop(kept.name)
            else:
                rest.append(kept)
        self._kept = rest
        self._takers = defaultdict(set)
        for of, trigger in self._triggers.items():
            for identity in trigger.readings:
                self._takers[identity].add(of)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries.items():
            if name.partition("/")[0] == "forgotten":
                self._trigger(self._of(name)).expire(unpack(payload, int))
        for name, payload in entries.items():
            if name.partition("/")[0] == "cells":
                self._trigger(self._of(name)).add_cells(unpack(payload, list[int]))
        if "triggers" in entries:
            self._since = unpack(entries["triggers"], dict[int, int])
            self._save_since(self._serial)
        for name, payload in entries_of(entries, "readings"):
            timed_readings = unpack(payload, list[TimedRecord])
            kind, _, serial = name.rpartition("/")
            _, takers = self._observe(kind, timed_readings, int(serial))
            if takers:
                self._kept.append(_Kept(name, _last_ms(timed_readings), takers))
            else:  # corrections of what was cleared
                self.state.drop(name)
        for name, payload in entries_of(entries, "witnessed"):
            self._kept.append(self._take_telemetry_values(name, unpack(payload, list[TelemetryValue])))
        for of, trigger in self._triggers.items():
            trigger.resume(self.done_ms)
            self._reschedule(of)
        self._changed.clear()
        for name, payload in entries_of(entries, "new-cells"):
            self._new_cells[name] = self._add_announced(unpack(payload, AnnouncedCells))
        for name, payload in entries_of(entries, "heard"):
            self._restore_deferred(name, (self._trigger_in(name), unpack(payload, Forwarded)))

    def _of(self, name: str) -> RegionTrigger:
        """The trigger and region of an entry `cells` or `forgotten`."""
        _, *parts = name.split("/")
        return RegionTrigger(int(parts[0]), int(parts[1], 16)) if parts else RegionTrigger(self.key, WORLD)


def _entry(kind: str, of: RegionTrigger) -> str:
    """The name of an entry of one trigger in a region; where a trigger is a key, the kind says all."""
    return kind if of.region == WORLD else f"{kind}/{of.trigger}/{of.region:x}"


def _last_ms(timed_readings: Iterable[TimedRecord]) -> int:
    return max((effective_ms for effective_ms, _ in timed_readings), default=BEFORE_TIME_MS)
