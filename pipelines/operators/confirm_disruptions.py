"""From oracle readings to the disruptions of every zone: each trigger is evaluated once, its series of revisions are
sent to all buckets of riders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, KeyedOperator, StateError, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, pack, result, unpack
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS
from monsoon.transforms.triggers.conditions import alert_condition
from monsoon.transforms.triggers.disruption_log import SeriesRecord
from monsoon.transforms.triggers.incremental import IncrementalTrigger
from monsoon.transforms.triggers.readings import reading_from_record

_LastWritten = tuple[int, int, str]
"""Of a disruption: the number of the next revision to write, and of the last one when it took effect (ms) and its
state."""

TelemetryValue = tuple[str | None, int, int, float]
"""A value of a trigger's telemetry condition: platform, zone (cell), moment (ms), the value measured."""

Forwarded = tuple[list[int], list[tuple[int, dict[str, Any]]]]
"""What `QueryTelemetry` forwards: cells, and readings each with the moment at which it takes effect (ms)."""

_NEVER_WRITTEN: _LastWritten = (0, BEFORE_TIME_MS, "")


class ConfirmDisruptions(KeyedOperator):
    """One trigger of one version of a product: takes all readings of its metrics and all cells with riders or homes,
    publishes the revisions of disruptions.

    Values of its telemetry condition come as messages of kind `witness`, before the watermark passes their moment.
    """

    uid: ClassVar = "judge-triggers"
    label: ClassVar = "readings and zones by trigger"
    to: ClassVar[tuple[str, ...]] = ("riders-evidence",)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        if key not in config.trigger_of_key:
            raise StateError(
                f"{self.uid}: state of a trigger that no running product has, in no version. Go on with every product "
                "and version with which it was written, or start without state"
            )
        self._trigger_name = config.trigger_of_key[key]
        product, trigger = config.triggers[self._trigger_name]
        self._trigger_state = IncrementalTrigger(trigger, product.zone_resolution, alert_condition(product))
        self._readings: list[tuple[str, int]] = []
        """State entries of readings, each with the latest moment at which one of them took effect (ms)."""
        self._new_cells: list[str] = []
        self._forwarded: dict[str, Forwarded] = {}
        """By state entry: input forwarded by `QueryTelemetry`, held until the telemetry values for it have come."""
        self._values: list[tuple[str, int]] = []
        """State entries of telemetry values, each with the latest moment of its values (ms)."""

    def process(self, message: Message) -> None:
        if message.kind == "cells":
            name = self._new_entry("new-cells")
            self._new_cells.append(name)
            self._trigger_state.add_cells(unpack(message.payload, list[int]))
            self.state.put(name, message.payload)
            return
        if message.kind == "witness":
            name = self._new_entry("witnessed")
            self._values.append((name, self._take_telemetry_values(unpack(message.payload, list[TelemetryValue]))))
            self.state.put(name, message.payload)
            return
        if message.kind == "heard":
            name = self._defer("heard", message)
            self._forwarded[name] = unpack(message.payload, Forwarded)
            self.state.put(name, message.payload)
            return
        self._take_readings(self._with_effective_times(message.payload))

    def _with_effective_times(self, payload: bytes) -> list[tuple[int, dict[str, Any]]]:
        """Records of readings, each with the moment at which it takes effect here (ms)."""
        return [
            (max(reading.effective_ms, self.done_ms + 1), record)
            for record in unpack(payload, list[dict[str, Any]])
            for reading in [reading_from_record(record)]
        ]

    def _take_readings(self, timed_readings: list[tuple[int, dict[str, Any]]]) -> None:
        name = self._new_entry("readings")
        self._readings.append((name, self._observe(timed_readings)))
        self.state.put_packed(name, timed_readings)

    def _take_forwarded(self, upto_ms: int) -> None:
        """Processes forwarded input whose telemetry values are here by now."""
        for name in sorted(self._take_due(upto_ms), key=lambda name: name.rpartition("/")[2]):
            cells, timed_readings = self._forwarded.pop(name)
            self.state.drop(name)
            if cells:
                self._trigger_state.add_cells(cells)
                entry = self._new_entry("new-cells")
                self._new_cells.append(entry)
                self.state.put_packed(entry, cells)
            if timed_readings:
                self._take_readings(timed_readings)

    def _observe(self, timed_readings: list[tuple[int, dict[str, Any]]]) -> int:
        for effective_ms, record in timed_readings:
            self._trigger_state.observe(reading_from_record(record), effective_ms)
        return max((effective_ms for effective_ms, _ in timed_readings), default=BEFORE_TIME_MS)

    def _take_telemetry_values(self, values: list[TelemetryValue]) -> int:
        for platform, zone, at_ms, value in values:
            self._trigger_state.set_telemetry_value(platform, zone, at_ms, value)
        return max((at_ms for _, _, at_ms, _ in values), default=BEFORE_TIME_MS)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        self._take_forwarded(upto_ms)
        new_series = [
            SeriesRecord(
                self._trigger_name, series.platform, series.zones.tolist(), list(series.revisions), self.done_ms
            )
            for series in self._trigger_state.advance(upto_ms)
        ]
        if new_series:
            payload = pack(new_series)
            for bucket in range(self._config.buckets):
                yield Message("riders-evidence", bucket, "series", upto_ms, payload)
        self._join_cells()

    def _join_cells(self) -> None:
        if self.state.durable and self._new_cells:
            for name in self._new_cells:
                self.state.drop(name)
            self._new_cells.clear()
            # One entry replaces many: the cells of a city are all known within days.
            self.state.put_packed("cells", self._trigger_state.cells)

    @property
    def next_work_ms(self) -> int | None:
        if self._new_cells:
            return self.done_ms
        return min(
            (ms for ms in (self._trigger_state.next_due_ms, self._next_deferred_ms) if ms is not None), default=None
        )

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._readings)

    def expire(self, upto_ms: int) -> None:
        # Once a day only: the trigger's state is rebuilt from the readings that remain.
        before_ms = upto_ms // DAY_MS * DAY_MS - self._config.remembered_ms
        if all(effective_ms >= before_ms for _, effective_ms in self._readings):
            return
        before_ms = self._trigger_state.expire(before_ms)
        self.state.put_packed("forgotten", before_ms)
        for name, effective_ms in self._readings:
            if effective_ms < before_ms:
                self.state.drop(name)
        self._readings = [entry for entry in self._readings if entry[1] >= before_ms]
        for name, at_ms in self._values:
            if at_ms < before_ms:
                self.state.drop(name)
        self._values = [entry for entry in self._values if entry[1] >= before_ms]

    def restore(self, entries: Mapping[str, bytes]) -> None:
        if "forgotten" in entries:
            self._trigger_state.expire(unpack(entries["forgotten"], int))
        if "cells" in entries:
            self._trigger_state.add_cells(unpack(entries["cells"], list[int]))
        for name, payload in entries_of(entries, "readings"):
            self._readings.append((name, self._observe(unpack(payload, list[tuple[int, dict[str, Any]]]))))
        for name, payload in entries_of(entries, "witnessed"):
            self._values.append((name, self._take_telemetry_values(unpack(payload, list[TelemetryValue]))))
        self._trigger_state.resume(self.done_ms)
        for name, payload in entries_of(entries, "new-cells"):
            self._new_cells.append(name)
            self._trigger_state.add_cells(unpack(payload, list[int]))
        for name, payload in entries_of(entries, "heard"):
            self._restore_deferred(name)
            self._forwarded[name] = unpack(payload, Forwarded)


class MergeDisruptions(KeyedOperator):
    """Every bucket with riders whom a disruption concerns sends its records; writes each revision once."""

    uid: ClassVar = "unite-disruptions"
    label: ClassVar = "disruptions by id"
    to: ClassVar = (RESULTS,)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._arrived: list[tuple[str, list[dict[str, Any]]]] = []
        self._config = config
        self._written: dict[str, _LastWritten] = {}
        """The last revision written, by disruption_id."""

    def process(self, message: Message) -> None:
        name = self._new_entry("arrived")
        self._arrived.append((name, unpack(message.payload, list[dict[str, Any]])))
        self.state.put(name, message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        by_revision: dict[tuple[str, int], dict[str, Any]] = {}
        for name, records in self._arrived:
            self.state.drop(name)
            for record in records:
                by_revision[record["disruption_id"], record["revision"]] = record
        self._arrived.clear()
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

    @property
    def next_work_ms(self) -> int | None:
        return self.done_ms if self._arrived else None

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._arrived.append((name, unpack(payload, list[dict[str, Any]])))
        for name, payload in entries_of(entries, "written"):
            self._written[name.removeprefix("written/")] = unpack(payload, _LastWritten)
