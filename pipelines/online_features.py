"""The online feature store, filled from the offline one and kept so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from monsoon.feature_store.definitions import FEATURE_SETS, FeatureSet
from monsoon.feature_store.offline import OfflineStore
from monsoon.feature_store.online import OnlineStore, OnlineWriter
from monsoon.feature_store.versions import FeatureVersions


def fill_online(offline: OfflineStore, online: OnlineStore, as_of_ms: int | None) -> dict[str, int]:
    """Writes what counts at a moment (None: at the last of which the offline store knows) to the online store; returns
    the number of versions by set. Raises StoreUnavailableError."""
    if as_of_ms is None:
        as_of_ms = last_known_ms(offline)
    counts = {}
    for about in FEATURE_SETS:
        versions = offline.newest(about, as_of_ms)
        online.write(versions)
        counts[about.name] = len(versions)
    online.mark_filled()
    return counts


def keep_online(offline: OfflineStore, online: OnlineStore, clock_ms: Callable[[], int]) -> Iterator[OnlineWriter]:
    """Writes what comes into the offline store to the online one: at each step what is new since the last. Begins with,
    and comes back after a loss of Redis to, the newest of everything. Yields its writer after each step."""
    writer = OnlineWriter(online, lambda: _all_newest(offline), clock_ms)
    seen: dict[FeatureSet, set[Path]] = {about: set(offline.files(about)) for about in FEATURE_SETS}
    while True:
        new = []
        for about, known in seen.items():
            files = [file for file in offline.files(about) if file not in known]
            try:
                if files:
                    new.append(offline.read(about, files))
                    known.update(files)
            except FileNotFoundError:
                pass  # erased meanwhile; what is left of it comes with the next step
        writer.write(*new)
        yield writer


def _all_newest(offline: OfflineStore) -> Iterator[FeatureVersions]:
    as_of_ms = last_known_ms(offline)
    return (offline.newest(about, as_of_ms) for about in FEATURE_SETS)


def last_known_ms(offline: OfflineStore) -> int:
    """The last moment (ms) of which the offline store knows; 0 of an empty one."""
    return max((last for _, last in filter(None, map(offline.span_ms, FEATURE_SETS))), default=0)
