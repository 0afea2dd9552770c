"""The topic `features` into the stores: each store with a consumer and positions of its own.

Positions are kept beside what was written, and only after it: a store that lost its content has lost them too, and is
filled from the topic's beginning. What is written twice changes nothing in either store.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import numpy as np

from monsoon.client.consumer import Consumer, Foreign, Received
from monsoon.client.errors import BrokerUnavailableError, ClientError, TopicNotFoundError
from monsoon.client.records import Feature
from monsoon.feature_store.definitions import FEATURE_SETS, FeatureSet
from monsoon.feature_store.offline import OfflineStore
from monsoon.feature_store.online import OnlineStore, StoreUnavailableError
from monsoon.feature_store.versions import FeatureVersions
from monsoon.pipelines import metrics
from monsoon.sinks.durable import replace_file

Connect = Callable[[Mapping[int, int], Callable[[Foreign], None]], Consumer[Feature]]
"""A consumer of the topic from some positions on, and who takes what is no version."""

BATCH = 5_000
"""Versions written together."""
OFFLINE_BATCH, OFFLINE_WAIT_MS = 200_000, 300_000
"""So many versions, or what came in five minutes, are written to files of their own, unless told otherwise."""
_KNOWN = {(about.name, about.version): about for about in FEATURE_SETS}


class FeatureCopy(ABC):
    """Keeps one store a copy of the topic; `step` after `step`. `clock_ms` is the time by which brokers stamp."""

    name: str

    def __init__(self, connect: Connect, clock_ms: Callable[[], int]) -> None:
        self._connect, self._clock_ms = connect, clock_ms
        self._consumer: Consumer[Feature] | None = None
        self._batch: list[Received[Feature]] = []
        self._tombstones: set[str] = set()
        self._from_beginning = False
        self.fault: str | None = None
        """Why the last step did not come to the end of the topic."""
        self.written = self.refused = self.refills = self.lag_ms = 0

    def step(self) -> bool:
        """Writes what was committed since the last step; False where the store or the brokers are absent, and a later
        step goes on. Raises ClientError for what does not pass by itself, such as a topic that is not there."""
        try:
            if self._consumer is None:
                self._begin()
            assert self._consumer is not None
            for received in self._consumer.read_to_end():
                self._batch.append(received)
                if len(self._batch) >= BATCH:
                    self._flush()
            self._flush()
            self.lag_ms, self._from_beginning = 0, False
        except TopicNotFoundError:
            raise
        except (StoreUnavailableError, BrokerUnavailableError) as error:
            self.close()
            self.fault = str(error)
        except ClientError as error:
            self.close()
            if self._from_beginning:
                raise
            # The topic has deleted what comes next.
            self._from_beginning, self.fault = True, str(error)
        else:
            self.fault = None
        return self.fault is None

    def close(self) -> None:
        """Closes the connection to the brokers; the next step begins at the positions of the store."""
        self._batch, self._tombstones = [], set()
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def finish(self) -> None:
        """Ends: what was read is written, as far as the store answers."""
        self.close()

    def samples(self) -> dict[str, int]:
        """The values of its metrics, by name."""
        values = {
            metrics.FEATURES_WRITTEN: self.written,
            metrics.FEATURES_LAG: self.lag_ms,
            metrics.FEATURES_REFUSED: self.refused,
            metrics.FEATURES_REFILLS: self.refills,
        }
        return {metrics.sample_name(metric, store=self.name): value for metric, value in values.items()}

    @abstractmethod
    def positions(self) -> Mapping[int, int]:
        """Where to begin."""

    @abstractmethod
    def write(self, versions: Sequence[FeatureVersions], removed: set[str], positions: Mapping[int, int]) -> bool:
        """Removes keys of the topic, then stores versions, then keeps the positions; False where the store has lost
        what was in it. Called at each step, also with nothing."""

    def _begin(self) -> None:
        positions = self.positions()
        if self._from_beginning:
            positions = {}
        self._from_beginning = not positions
        try:
            self._consumer = self._connect(positions, self._take_foreign)
        except ValueError as error:  # of a topic that had more partitions
            raise ClientError(str(error)) from error
        self.refills += not positions

    def _take_foreign(self, foreign: Foreign) -> None:
        key = (foreign.key or b"").decode(errors="replace")
        if not foreign.value and _set_and_entity(key) is not None:
            self._batch = [received for received in self._batch if received.key != key]
            self._tombstones.add(key)
        else:
            self.refused += 1

    def _flush(self) -> None:
        batch, removed = self._batch, self._tombstones
        self._batch, self._tombstones = [], set()
        records = [received.record for received in batch]
        known = [each for each in records if (each.feature_set, each.version) in _KNOWN]
        self.refused += len(records) - len(known)
        versions = FeatureVersions.of_records([msgspec.structs.asdict(each) for each in known])
        if batch:
            self.lag_ms = max(0, self._clock_ms() - batch[0].timestamp_ms)
        assert self._consumer is not None
        if not self.write(versions, removed, self._consumer.positions):
            raise StoreUnavailableError(f"the {self.name} store is empty: it is filled again")
        self.written += len(known)


class OnlineFeatures(FeatureCopy):
    """The copy in Redis. Consumers that write to one Redis at once have each a `group` of their own."""

    name = "online"

    def __init__(self, connect: Connect, clock_ms: Callable[[], int], store: OnlineStore, group: str) -> None:
        super().__init__(connect, clock_ms)
        self._store, self._group = store, group

    def positions(self) -> Mapping[int, int]:
        return self._store.positions(self._group)

    def write(self, versions: Sequence[FeatureVersions], removed: set[str], positions: Mapping[int, int]) -> bool:
        for key in sorted(removed):
            if (found := _set_and_entity(key)) is not None:
                self._store.remove(found[0], [found[1]])
        for each in versions:
            self._store.write(each)
        return self._store.keep_positions(self._group, positions)


class OfflineFeatures(FeatureCopy):
    """The copy in Parquet, which keeps every version but of entities that were removed; its positions are a file beside
    it."""

    name = "offline"

    def __init__(
        self,
        connect: Connect,
        clock_ms: Callable[[], int],
        store: OfflineStore,
        group: str,
        wait_ms: int = OFFLINE_WAIT_MS,
    ) -> None:
        super().__init__(connect, clock_ms)
        self._store, self._file, self._wait_ms = store, store.path / f"positions-{group}.json", wait_ms
        self._unwritten: list[FeatureVersions] = []
        self._removed: dict[FeatureSet, set[str]] = {}
        """To be removed before what is unwritten is written."""
        self._read_up_to: Mapping[int, int] = {}
        self._written_ms = 0

    def close(self) -> None:
        super().close()
        self._unwritten, self._removed = [], {}  # read again

    def finish(self) -> None:
        self._save()
        self.close()

    def positions(self) -> Mapping[int, int]:
        self._written_ms = self._clock_ms()
        if not self._file.is_file():
            return {}
        return {int(partition): offset for partition, offset in json.loads(self._file.read_text()).items()}

    def write(self, versions: Sequence[FeatureVersions], removed: set[str], positions: Mapping[int, int]) -> bool:
        now_removed: dict[FeatureSet, set[str]] = {}
        for about, entity_id in filter(None, map(_set_and_entity, sorted(removed))):
            now_removed.setdefault(about, set()).add(entity_id)
            self._removed.setdefault(about, set()).add(entity_id)
        # Not what came after an earlier removal.
        self._unwritten = [_left(each, now_removed.get(each.feature_set, ())) for each in self._unwritten]
        self._unwritten += versions
        self._read_up_to = positions
        count = sum(map(len, self._unwritten))
        if count >= OFFLINE_BATCH or self._clock_ms() - self._written_ms >= self._wait_ms:
            self._save()
        return True

    def _save(self) -> None:
        """Writes what waits to be written, and then how far that is."""
        for about, entity_ids in self._removed.items():
            self._store.remove(about, entity_ids)
        by_set: dict[FeatureSet, list[FeatureVersions]] = {}
        for each in filter(len, self._unwritten):
            by_set.setdefault(each.feature_set, []).append(each)
        for parts in by_set.values():
            self._store.write(FeatureVersions.joined(parts))
        if self._unwritten or self._removed:
            content = json.dumps({str(partition): offset for partition, offset in sorted(self._read_up_to.items())})
            replace_file(self._file, content.encode(), self._file.with_name(f".{self._file.name}"))
        self._unwritten, self._removed, self._written_ms = [], {}, self._clock_ms()


def _left(versions: FeatureVersions, removed: Collection[str]) -> FeatureVersions:
    if not removed:
        return versions
    return versions.take(np.array([entity_id not in removed for entity_id in versions.entity_id], dtype=np.bool_))


def _set_and_entity(key: str) -> tuple[FeatureSet, str] | None:
    """What a key of the topic names; None for no key of a set that this release has."""
    name, _, rest = key.partition("/")
    version, _, entity_id = rest.partition("/")
    about = _KNOWN.get((name, int(version))) if version.isdecimal() else None
    return None if about is None else (about, entity_id)
