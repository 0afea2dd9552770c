"""The end of `monsoon chaos --features`: it passes only where both stores hold what a build measures."""

from types import SimpleNamespace

import pytest
from features.test_offline import SET, START_MS, STEP_MS, TTL_STEPS, versions_of

from monsoon.feature_store import OfflineStore
from monsoon.feature_store.online import OnlineStore
from monsoon.pipelines import feature_chaos
from monsoon.pipelines.flink.errors import ClusterError

OLD = ("w1", 0, 0, 0.5, 3.0)
"""Of a rider of whom nothing counts any more at the end."""
FIRST, LATER = ("w2", TTL_STEPS + 2, 0, 0.25, 4.0), ("w2", TTL_STEPS + 3, 1, 0.75, 5.0)
ROWS = [OLD, FIRST, LATER]


@pytest.fixture
def stores(tmp_path, redis_server):
    """What was built; and a stack's, empty, with its Redis."""
    built = OfflineStore(tmp_path / "built")
    built.write(versions_of(ROWS))
    with OnlineStore(redis_server.url) as online:
        yield built, OfflineStore(tmp_path / "kept"), online


def kept(stores, offline_rows, online_rows):
    built, offline, online = stores
    offline.write(versions_of(offline_rows))
    online.write(versions_of(online_rows))
    return feature_chaos.differences(built, offline, online)


def test_all_that_counts_in_redis_and_every_version_offline(stores):
    assert kept(stores, ROWS, [LATER]) == []


def test_what_counts_no_more_may_have_stayed_in_redis(stores):
    assert kept(stores, ROWS, ROWS) == []


@pytest.mark.parametrize(
    ("offline", "online", "differing"),
    [
        ([OLD, LATER], [LATER], ["offline store rider_shifts@1:w2"]),
        ([*ROWS, ("w3", 1, 0, 1.0, 1.0)], [LATER], ["offline store rider_shifts@1:w3"]),
        ([OLD, FIRST, (*LATER[:4], 6.0)], [LATER], ["offline store rider_shifts@1:w2", "Redis rider_shifts@1:w2"]),
        (ROWS, [], ["Redis rider_shifts@1:w2"]),
        (ROWS, [FIRST], ["Redis rider_shifts@1:w2"]),
        (ROWS, [LATER, ("w9", TTL_STEPS + 3, 0, 1.0, 1.0)], ["Redis rider_shifts@1:w9"]),
    ],
    ids=["a version lost", "one of nobody", "another value", "Redis empty", "Redis behind", "a key too many"],
)
def test_what_differs_is_named(stores, offline, online, differing):
    assert kept(stores, offline, online) == differing


def test_it_is_waited_for_and_then_told(stores, redis_server, tmp_path, monkeypatch):
    built, offline, _ = stores
    monkeypatch.setattr(feature_chaos, "_LOOK_S", 0.01)
    monkeypatch.setattr(feature_chaos, "_STUCK_S", 0.05)
    mended = []
    services = SimpleNamespace(redis=redis_server, store=offline.path)
    stack = SimpleNamespace(features=services, folder=tmp_path, mend=lambda: mended.append(1))
    with pytest.raises(ClusterError, match=r"features differ \(2\): offline store rider_shifts@1:w1, offline st"):
        feature_chaos.require_kept(stack, built)
    assert kept(stores, ROWS, ROWS) == []
    assert feature_chaos.require_kept(stack, built) == (len(ROWS), 1)
    assert mended


def test_who_asks_whether_redis_is_filled_changes_nothing(stores):
    online = stores[2]
    assert not online.has_positions("g")
    assert not online.keep_positions("g", {0: 1}), "its consumer learns that all is lost"
    assert online.positions("g") == {}
    assert not online.has_positions("g")
    assert online.keep_positions("g", {0: 1})
    assert online.has_positions("g")


def by_entity(versions):
    return dict(zip(versions.entity_id, versions.packed(), strict=True))


def test_redis_has_all_versions_of_a_set_to_be_read(stores):
    online = stores[2]
    assert len(online.versions(SET)) == 0
    written = versions_of([OLD, LATER, ("w*", 5, 2, float("nan"), -0.0), ("w/ä", 1, 0, 1.0, 2.0)])
    online.write(written)
    found = online.versions(SET)
    assert found.entity_id == sorted(written.entity_id)
    assert by_entity(found) == by_entity(written)
    assert START_MS <= int(found.event_time_ms.min()) < START_MS + STEP_MS
