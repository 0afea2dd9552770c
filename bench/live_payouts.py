"""When payouts can be read from their topic, before and after their transaction is committed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from monsoon.contracts.topics import TOPICS, topic_name
from monsoon.sources.kafka.committed import CommittedRecords

UNCOMMITTED, COMMITTED = "read_uncommitted", "read_committed"


class SeenPayout(NamedTuple):
    """A payout that was read for the first time. `created_ms`: event time; the others time.time(): when it was read
    (s) and when the broker took it (ms)."""

    created_ms: int
    read_s: float
    appended_ms: int


class PayoutReader(threading.Thread):
    """Reads payouts as a consumer of this isolation does, from now on. Each counts once, whatever comes again after a
    failure."""

    def __init__(self, brokers: str, isolation: str) -> None:
        super().__init__(name=f"payouts-{isolation}", daemon=True)
        self._records = CommittedRecords(brokers, {"payouts": topic_name("payouts")}, isolation=isolation)
        self._stopped = threading.Event()
        self._seen: dict[str, SeenPayout] = {}
        self._lock = threading.Lock()

    @property
    def seen(self) -> dict[str, SeenPayout]:
        """What has been read so far, by id."""
        with self._lock:
            return dict(self._seen)

    def run(self) -> None:
        """Until it is stopped."""
        (key_field,) = TOPICS["payouts"].key_fields
        while not self._stopped.is_set():
            for _, record in self._records.poll_records(100):
                payout = json.loads(record.value)
                seen = SeenPayout(payout["created_at"], time.time(), record.timestamp)
                with self._lock:
                    self._seen.setdefault(payout[key_field], seen)
        self._records.close()

    def stop(self) -> None:
        """Returns when the connections are released."""
        self._stopped.set()
        self.join(timeout=30)


@contextmanager
def payout_readers(brokers: str) -> Iterator[dict[str, PayoutReader]]:
    """A reader of each isolation, which read from now on."""
    readers = {isolation: PayoutReader(brokers, isolation) for isolation in (UNCOMMITTED, COMMITTED)}
    for reader in readers.values():
        reader.start()
    try:
        yield readers
    finally:
        for reader in readers.values():
            reader.stop()
