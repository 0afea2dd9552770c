"""What riders of a bucket state on the use of their location: which of their reports are no evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt

from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.messages import pack, unpack
from monsoon.sources.report_batch import ReportBatch
from monsoon.transforms.consents import ConsentEvent, Withdrawals


class ConsentBook:
    """Consent events as they arrive. They name their moments, so one that arrives ahead of its time does no harm; those
    of riders who have withdrawn nothing are cleared once the watermark has passed them."""

    def __init__(self, state: StateWriter, new_name: Callable[[str], str]) -> None:
        """`new_name` names entries."""
        self._state, self._new_name = state, new_name
        self._entries: dict[str, list[ConsentEvent]] = {}
        self._withdrawals: Withdrawals | None = Withdrawals()
        """None: to be computed anew."""

    @property
    def withdrawals(self) -> Withdrawals:
        """When riders have withdrawn their consent."""
        if self._withdrawals is None:
            self._withdrawals = Withdrawals(event for events in self._entries.values() for event in events)
        return self._withdrawals

    @property
    def holds_expiring_state(self) -> bool:
        """Whether there are events of riders who have withdrawn nothing."""
        workers = self.withdrawals.workers
        return any(event.worker_id not in workers for events in self._entries.values() for event in events)

    def arrive(self, payload: bytes) -> None:
        """Takes consent events (packed)."""
        self._put(unpack(payload, list[ConsentEvent]))

    def _put(self, events: Iterable[ConsentEvent]) -> None:
        name, kept = self._new_name("consents"), list(events)
        self._entries[name] = kept
        self._withdrawals = None
        if self._state.durable:
            self._state.put(name, pack(kept))

    def withheld(self, batch: ReportBatch) -> npt.NDArray[np.bool_]:
        """Which reports are no evidence (bool)."""
        return self.withdrawals.withheld(batch.words["worker_id"], batch["worker_id"], batch["event_time"])

    def expire(self, upto_ms: int) -> None:
        """Clears events up to a moment of riders who have withdrawn nothing."""
        workers = self.withdrawals.workers
        for name, events in list(self._entries.items()):
            kept = [each for each in events if each.worker_id in workers or each.event_time_ms > upto_ms]
            if len(kept) < len(events):
                del self._entries[name]
                self._state.drop(name)
                if kept:
                    self._put(kept)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries."""
        for name, payload in entries_of(entries, "consents"):
            self._entries[name] = unpack(payload, list[ConsentEvent])
            self._withdrawals = None
