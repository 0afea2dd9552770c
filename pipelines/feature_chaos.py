"""What of a stack's features can be killed, and how their end is checked: both stores hold what a build measures."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import suppress

from monsoon.feature_store.definitions import FEATURE_SETS, FeatureSet
from monsoon.feature_store.offline import OfflineStore
from monsoon.feature_store.online import OnlineStore, StoreUnavailableError
from monsoon.feature_store.versions import FeatureVersions
from monsoon.pipelines.flink.chaos import PATIENCE_S, Part, crash
from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.online_features import last_known_ms
from monsoon.pipelines.stack.features import FeatureServices
from monsoon.pipelines.stack.stack import Stack

_LASTS_S = 30.0
_DOWN_S = 2.0
_STUCK_S = 120.0
"""Without any change of what differs."""
_LOOK_S = 1.0
_SHOWN = 10
"""Keys that are named of those that differ."""


def feature_parts() -> Mapping[str, Part]:
    """What can be killed of features."""
    return {"Redis": Part(_kill_redis, 0, _LASTS_S), "feature consumer": Part(_kill_consumer, 0, _LASTS_S)}


def require_kept(stack: Stack, built: OfflineStore) -> tuple[int, int]:
    """Waits until both stores of a stack hold what `monsoon features build` has measured of the same input; returns how
    many versions there are, and of how many keys one still counts. Raises ClusterError where they differ in the end."""
    stack.mend()
    services, end_s = _services(stack), time.monotonic() + _STUCK_S
    offline, before = OfflineStore(services.store), list[str]()
    with OnlineStore(services.redis.url) as online:
        while differing := _differences_or_fault(built, offline, online):
            if differing != before:
                before, end_s = differing, time.monotonic() + _STUCK_S
            elif time.monotonic() > end_s:
                named = ", ".join(differing[:_SHOWN]) + (", ..." if len(differing) > _SHOWN else "")
                raise ClusterError(f"features differ ({len(differing)}): {named}; the logs: {stack.folder}/logs")
            time.sleep(_LOOK_S)
    at_ms = last_known_ms(built)
    versions = sum(len(_all(built, about, at_ms)) for about in FEATURE_SETS)
    return versions, sum(len(built.newest(about, at_ms)) for about in FEATURE_SETS)


def differences(built: OfflineStore, offline: OfflineStore, online: OnlineStore) -> list[str]:
    """The keys of which the offline store has other versions than `built`, or the online one another version than the
    newest of the offline store that still counts, with the store before each. Raises StoreUnavailableError."""
    at_ms, until_ms = last_known_ms(built), max(last_known_ms(built), last_known_ms(offline))
    found = []
    for about in FEATURE_SETS:
        held = online.versions(about)
        counts = held.take(held.event_time_ms >= at_ms - about.ttl_ms)
        found += _named("offline store", about, _all(built, about, until_ms), _all(offline, about, until_ms))
        found += _named("Redis", about, offline.newest(about, at_ms), counts)
    return found


def _differences_or_fault(built: OfflineStore, offline: OfflineStore, online: OnlineStore) -> list[str]:
    try:
        return differences(built, offline, online)
    except StoreUnavailableError as error:
        return [str(error)]


def _all(store: OfflineStore, about: FeatureSet, until_ms: int) -> FeatureVersions:
    return store.between(about, 0, until_ms)


def _named(where: str, about: FeatureSet, wanted: FeatureVersions, found: FeatureVersions) -> list[str]:
    sides = (set(zip(each.entity_id, each.packed(), strict=True)) for each in (wanted, found))
    ids = {entity_id for entity_id, _ in set.symmetric_difference(*sides)}
    return [f"{where} {about.name}@{about.version}:{entity_id}" for entity_id in sorted(ids)]


def _kill_redis(stack: Stack, chance: random.Random) -> str:
    """Starts it again, empty, once the job has completed a checkpoint that began without it."""
    before = _checkpoint_from(stack, 1)
    crash(_services(stack).redis.process)
    killed_s = time.monotonic()
    _checkpoint_from(stack, before + 2)  # the next one may have begun before
    time.sleep(_DOWN_S)
    away_s = time.monotonic() - killed_s
    stack.mend()
    return f"Redis killed, the job went on without it for {away_s:.0f} s"


def _kill_consumer(stack: Stack, chance: random.Random) -> str:
    crash(_services(stack).consumer)
    time.sleep(_DOWN_S)
    stack.mend()
    return "feature consumer killed"


def _checkpoint_from(stack: Stack, number: int) -> int:
    """Waits for a completed checkpoint of this or a higher number; returns its number. Raises ClusterError."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        with suppress(
            OSError, ValueError, LookupError, TypeError
        ):  # of a cluster that does not answer, or has none yet
            (job,) = [job for job in stack.cluster.get("/jobs/overview")["jobs"] if job["state"] == "RUNNING"]
            completed = int(stack.cluster.get(f"/jobs/{job['jid']}/checkpoints")["latest"]["completed"]["id"])
            if completed >= number:
                return completed
        time.sleep(_LOOK_S)
    raise ClusterError(f"checkpoint {number} was not completed within {PATIENCE_S:g} s; the logs: {stack.folder}/logs")


def _services(stack: Stack) -> FeatureServices:
    services = stack.features
    assert services is not None
    return services
