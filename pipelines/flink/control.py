"""Products, models and erasures for a job that runs: the topic `control`, the decisions on its records, and the
configuration that follows from them.

The topic is the memory: nothing of it is in Flink's state. A task that has seen a record, and knows how far event time
has come, appends its decision; of several the first stands, so all tasks, and the job after a restart, follow the same.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from monsoon.pipelines.runtime.config_changes import EventTimeUnknownError, UpdateError, with_update
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.sources.control_records import (
    ControlRecordError,
    Decision,
    Update,
    decode_control_record,
    encode_control_record,
    key_of_decision,
)
from monsoon.sources.files import InputError
from monsoon.sources.kafka.control_log import ControlLog

_PATIENCE_S = 60.0
_PAUSE_S = 0.5


@dataclass(frozen=True)
class ControlInput:
    """The control topic of an installation, and the consumer group that says whose decisions count."""

    brokers: str
    topic: str
    group: str


class ControlledConfig:
    """A job's configuration with what it took over while it ran. One for all operators of a process, in threads of
    their own.

    `changes` counts what was taken over: two with the same count are the same.
    """

    def __init__(self, base: JobConfig, log: ControlLog, group: str) -> None:
        self._log, self._group = log, group
        self._current = (0, base)
        self._undecided: dict[int, Update | ControlRecordError] = {}
        """By offset."""
        self._lock = threading.Lock()

    @property
    def current(self) -> tuple[int, JobConfig]:
        """`changes`, and the configuration."""
        return self._current

    def refresh(self) -> tuple[int, JobConfig]:
        """`current`, once the topic has been read to the end that it has now. Raises InputError."""
        with self._lock:
            self._read()
            return self._current

    def at_least(self, changes: int) -> tuple[int, JobConfig]:
        """`current`, once it has so many changes, of which another task knows. Raises InputError where the brokers do
        not give them in time."""
        until_s = time.monotonic() + _PATIENCE_S
        while self._current[0] < changes:
            try:
                self.refresh()
            except InputError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(_PAUSE_S)
        return self._current

    def decide(self, event_time_ms: int | None) -> tuple[int, JobConfig]:
        """`current`, with decisions on what can be decided now; `event_time_ms` is how far event time has come for the
        task that asks (None: not known). Raises InputError."""
        with self._lock:
            self._read()
            for offset in sorted(self._undecided):
                # Each decision counts for the next.
                decision = self._decision(offset, event_time_ms)
                if decision is not None:
                    self._log.append(key_of_decision(decision), encode_control_record(decision))
                    self._read()
            return self._current

    def _decision(self, offset: int, event_time_ms: int | None) -> Decision | None:
        update = self._undecided.get(offset)
        if isinstance(update, ControlRecordError):
            return Decision(self._group, offset, (str(update),), event_time_ms=event_time_ms)
        if update is None:  # another task was first
            return None
        try:
            _, from_ms = with_update(self._current[1], update, event_time_ms)
        except EventTimeUnknownError:
            return None
        except UpdateError as error:
            return Decision(self._group, offset, error.faults, event_time_ms=event_time_ms)
        return Decision(self._group, offset, (), from_ms, event_time_ms)

    def _read(self) -> None:
        for offset, value in self._log.read():
            try:
                record = decode_control_record(value)
            except ControlRecordError as error:
                self._undecided[offset] = error
                continue
            if not isinstance(record, Decision):
                self._undecided[offset] = record
            elif record.group == self._group and record.offset in self._undecided:
                self._follow(self._undecided.pop(record.offset), record)

    def _follow(self, update: Update | ControlRecordError, decision: Decision) -> None:
        if decision.faults or isinstance(update, ControlRecordError):
            return
        changes, config = self._current
        try:
            # As it was decided, whatever event time is now.
            changed, _ = with_update(config, update, decision.event_time_ms)
        except (UpdateError, EventTimeUnknownError):
            return  # a decision by a task that had not read all that was decided before
        if changed is not config:
            self._current = (changes + 1, changed)


_OF_PROCESS: dict[ControlInput, ControlledConfig] = {}
_CREATING = threading.Lock()


def controlled(base: JobConfig, control: ControlInput) -> ControlledConfig:
    """The one of this process. Raises InputError."""
    with _CREATING:
        if control not in _OF_PROCESS:
            log = ControlLog(control.brokers, control.topic)
            _OF_PROCESS[control] = ControlledConfig(base, log, control.group)
        return _OF_PROCESS[control]
