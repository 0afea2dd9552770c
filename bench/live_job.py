"""A stack of `monsoon bench live` with the live job on it, and how far the job has read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monsoon.bench.processes import BenchError
from monsoon.pipelines.runtime.messages import ACCOUNTS, STATISTICS, unpack_result
from monsoon.pipelines.stack.stack import Stack
from monsoon.sources.kafka.committed import CommittedRecords
from monsoon.sources.kafka.settings import (
    EventTimeSettings,
    InsuranceSettings,
    KafkaSettings,
    LiveSettings,
    StateSettings,
)
from monsoon.transforms.validation.input_checks import InputStatistics

SLOTS = 2
_PATIENCE_S = 600.0


@contextmanager
def stack_in(folder: Path, task_managers: int = 1) -> Iterator[Stack]:
    """A stack of so many TaskManagers, taken down in the end."""
    stack = Stack(folder)
    try:
        stack.up(task_managers, SLOTS)
        yield stack
    finally:
        stack.down()


def shipped_settings(
    stack: Stack,
    checkpoint_interval_ms: int,
    gather_ms: int,
    event_time: EventTimeSettings | None = None,
    reference: Path | None = None,
) -> LiveSettings:
    """The settings of the job on a stack: what is not given is as it is shipped, without reference files."""
    return LiveSettings(
        kafka=KafkaSettings(brokers=stack.broker.address, gather_ms=gather_ms),
        event_time=event_time or EventTimeSettings(),
        state=StateSettings(parallelism=SLOTS, checkpoint_interval_ms=checkpoint_interval_ms),
        insurance=InsuranceSettings(reference=str((reference or stack.folder / "reference").absolute())),
    )


class LinesRead:
    """How many lines a job has read, by its committed accounts."""

    def __init__(self, brokers: str) -> None:
        self._committed, self._count = CommittedRecords(brokers, {ACCOUNTS: ACCOUNTS}), 0

    def wait_for(self, lines: int) -> None:
        """Returns when it has read so many. Raises BenchError if that takes too long."""
        until_s = time.monotonic() + _PATIENCE_S
        while self._count < lines:
            if time.monotonic() > until_s:
                raise BenchError(f"the job has read {self._count:,} of {lines:,} lines in {_PATIENCE_S:g} s")
            for _, key, value in self._committed.poll(500):
                if (key or b"").decode() == STATISTICS:
                    _, statistics = unpack_result(value or b"", tuple[str, InputStatistics])
                    self._count += statistics.read
