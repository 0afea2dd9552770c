"""The online store: of each entity the newest version of each set, in Redis.

A key, a prefix and `NAME@VERSION:ENTITY_ID`, holds one packed version (`FeatureVersions.packed`), which expires ttl_ms
after it was written. Redis is a copy: the versions come again, in any order, and the newest by event time stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from monsoon.feature_store.definitions import FEATURE_SETS, FeatureSet, pair_id, sets_of
from monsoon.feature_store.versions import FeatureVersions, Version

KEYS_A_CALL = 100
"""Versions that one call of the script stores: Redis serves no reader meanwhile, for half a millisecond."""
CALLS_A_PIPELINE = 100
DEFAULT_TIMEOUT_S = 1.0
URL_FORM = "redis://HOST:PORT/DB"
_SECRET = re.compile("//[^/]*@")
_FILLED = "filled"
_POSITIONS = "positions:"


class StoreUnavailableError(ConnectionError):
    """Redis does not answer, or refuses; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one entity. `values` is None for what is not measured, not known, or older than its set's ttl_ms;
    `event_time_ms` has of each set that was found the moment that its values describe."""

    entity_id: str
    values: Mapping[str, float | None]
    event_time_ms: Mapping[str, int]


class OnlineStore:
    """A client of the store at `url` (redis://HOST:PORT/DB); connects when first used, and may be used by several
    threads. `prefix` keeps installations apart that share a Redis. Raises StoreUnavailableError for what is no
    address."""

    def __init__(self, url: str, prefix: str = "monsoon:", timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        # As messages have it: without a password.
        self.url, self._prefix = _SECRET.sub("//***@", url), prefix
        try:
            self._redis = Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        except ValueError as error:
            raise StoreUnavailableError(f"{self.url}: no address of Redis ({error}); it is {URL_FORM}") from None
        source = resources.files("monsoon.feature_store").joinpath("newest.lua").read_text(encoding="utf-8")
        self._newest = self._redis.register_script(source)

    def __enter__(self) -> OnlineStore:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends its connections."""
        self._redis.close()

    def get(self, entity: str, ids: Sequence[str], features: Sequence[str], as_of_ms: int) -> list[Features]:
        """Of each entity in `ids` the newest values of some features (`NAME` or `NAME@VERSION`).

        `as_of_ms` is the reader's event time: what is older than its set's ttl_ms then counts as not known, as in the
        offline store. Raises FeatureError for unknown names, StoreUnavailableError.
        """
        sets = sets_of(entity, features)
        keys = [self._key(about, entity_id) for entity_id in ids for about in sets]
        with self._answering():
            raw: Any = self._redis.mget(keys) if keys else []
        found = []
        for place, entity_id in enumerate(ids):
            values: dict[str, float | None] = {name.partition("@")[0]: None for name in features}
            times: dict[str, int] = {}
            mine = raw[place * len(sets) : (place + 1) * len(sets)]
            for (about, names), packed in zip(sets.items(), mine, strict=True):
                if packed is None:
                    continue
                version = Version.unpacked(about, packed)
                if as_of_ms - version.event_time_ms <= about.ttl_ms:
                    times[about.name] = version.event_time_ms
                    values |= {name: version.values[name] for name in names}
            found.append(Features(entity_id, values, times))
        return found

    def write(self, versions: FeatureVersions) -> int:
        """Stores those that are newer than what is there. Returns how many. Raises StoreUnavailableError, after which
        any part may have been stored; writing them again does no harm."""
        about, packed = versions.feature_set, versions.packed()
        keys = [self._key(about, entity_id) for entity_id in versions.entity_id]
        stored = 0
        step = KEYS_A_CALL * CALLS_A_PIPELINE
        with self._answering():
            for first in range(0, len(keys), step):
                pipeline = self._redis.pipeline(transaction=False)
                for start in range(first, min(first + step, len(keys)), KEYS_A_CALL):
                    stop = min(start + KEYS_A_CALL, first + step)
                    self._newest(keys[start:stop], [about.ttl_ms, *packed[start:stop]], client=pipeline)
                stored += sum(pipeline.execute())
        return stored

    def remove(self, about: FeatureSet, ids: Iterable[str]) -> int:
        """Removes the versions of one set of some entities. Returns how many keys there were. Raises
        StoreUnavailableError."""
        keys = [self._key(about, entity_id) for entity_id in ids]
        with self._answering():
            removed: Any = self._redis.delete(*keys) if keys else 0
        return int(removed)

    def versions(self, about: FeatureSet) -> FeatureVersions:
        """Every version of a set that is held now, by scanning all keys: to hold it against another store, in the order
        of entities. Raises StoreUnavailableError."""
        start = self._key(about, "").encode()
        with self._answering():
            keys = sorted(set(self._redis.scan_iter(match=_literal(start.decode()) + "*", count=10_000)))
            raw: Any = self._redis.mget(keys) if keys else []
        held = {key[len(start) :].decode(): packed for key, packed in zip(keys, raw, strict=True) if packed is not None}
        return FeatureVersions.unpacked(about, held)

    def ping(self) -> None:
        """Raises StoreUnavailableError where Redis does not answer."""
        with self._answering():
            self._redis.ping()

    def positions(self, group: str) -> dict[int, int]:
        """By partition of the topic `features`, the offset up to which its consumer `group` has written; {} for a store
        that is new or has lost its content, all of which is to be written then. Raises StoreUnavailableError."""
        key = f"{self._prefix}{_POSITIONS}{group}"
        with self._answering():
            self._redis.set(key, "{}", nx=True)
            raw: Any = self._redis.get(key)
        return {int(partition): offset for partition, offset in json.loads(raw or "{}").items()}

    def has_positions(self, group: str) -> bool:
        """Whether that consumer has written since the store was empty; for others than the consumer, which would take
        what `positions` leaves behind for its own. Raises StoreUnavailableError."""
        with self._answering():
            raw: Any = self._redis.get(f"{self._prefix}{_POSITIONS}{group}")
        return bool(json.loads(raw or "{}"))

    def keep_positions(self, group: str, positions: Mapping[int, int]) -> bool:
        """Keeps them beside what was written; False where the store has lost its content since `positions` gave them.
        Raises StoreUnavailableError."""
        raw = json.dumps({str(partition): offset for partition, offset in sorted(positions.items())})
        with self._answering():
            return bool(self._redis.set(f"{self._prefix}{_POSITIONS}{group}", raw, xx=True))

    def erase_worker(self, worker_id: str) -> int:
        """Removes what is known of a rider, with each phone and on each product. Returns how many keys there were.
        Raises StoreUnavailableError."""
        removed = 0
        with self._answering():
            for about in FEATURE_SETS:
                if about.entity == "rider":
                    removed += int(self._redis.delete(self._key(about, worker_id)))  # type: ignore[arg-type]
                elif about.entity in ("rider_device", "rider_product"):
                    pairs = _literal(self._key(about, pair_id(worker_id, ""))) + "*"
                    for key in list(self._redis.scan_iter(match=pairs, count=10_000)):
                        removed += int(self._redis.delete(key))  # type: ignore[arg-type]
        return removed

    def is_filled(self) -> bool:
        """Whether it was filled (`mark_filled`) and has not lost its content since. Raises StoreUnavailableError."""
        with self._answering():
            return bool(self._redis.exists(self._prefix + _FILLED))

    def mark_filled(self) -> None:
        """Says that it has all that is known. Raises StoreUnavailableError."""
        with self._answering():
            self._redis.set(self._prefix + _FILLED, 1)

    def _key(self, about: FeatureSet, entity_id: str) -> str:
        return f"{self._prefix}{about.name}@{about.version}:{entity_id}"

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError, UnicodeError) as error:  # the last of a host
            raise StoreUnavailableError(
                f"{self.url}: Redis does not answer as it should ({error}); is it running, and reached at that address?"
            ) from error


def _literal(text: str) -> str:
    """A pattern of Redis that matches a text alone."""
    return re.sub(r"([\\*?\[\]^])", r"\\\1", text)


class OnlineWriter:
    """Writes versions as they come, and goes on without Redis: what it lost is filled in again when it is back.

    `refill` gives the versions that count now, from the offline store or from the job's state; `clock_ms` is the time
    by which an absent Redis is tried again every `retry_ms`.
    """

    def __init__(
        self,
        store: OnlineStore,
        refill: Callable[[], Iterable[FeatureVersions]],
        clock_ms: Callable[[], int],
        retry_ms: int = 1_000,
    ) -> None:
        self._store, self._refill, self._clock_ms, self._retry_ms = store, refill, clock_ms, retry_ms
        self._try_from_ms, self._missed = 0, True  # what came while no writer ran
        self.refills = 0
        """How often everything was filled in, the first time included."""
        self.dropped = 0
        """Versions that came while Redis was absent; the next filling in has them."""

    def write(self, *versions: FeatureVersions) -> bool:
        """Stores the versions, after all others where Redis has lost these; False where it is absent, and the versions
        are left to `refill`."""
        count = sum(map(len, versions))
        if self._clock_ms() < self._try_from_ms:
            self.dropped += count
            return False
        try:
            if self._missed or not self._store.is_filled():
                for each in self._refill():
                    self._store.write(each)
                self._store.mark_filled()
                self._missed = False
                self.refills += 1
            for each in versions:
                self._store.write(each)
        except StoreUnavailableError:
            self._try_from_ms, self._missed = self._clock_ms() + self._retry_ms, True
            self.dropped += count
            return False
        return True
