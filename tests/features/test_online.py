"""The online store, in a real Redis: the newest by event time stands; it is what the offline store has, always."""

import random
import threading

import pytest
from evidence.conftest import NOW_MS, telemetry_table_of
from features.conftest import HOUR_MS, history
from features.test_offline import START_MS, STEP_MS, known_at, versions_of

from monsoon.feature_store import FEATURE_SETS, OfflineStore, feature_set, get
from monsoon.feature_store.definitions import pair_id
from monsoon.feature_store.measured import measured_versions
from monsoon.feature_store.online import OnlineStore, OnlineWriter, StoreUnavailableError
from monsoon.feature_store.versions import FeatureVersions
from monsoon.pipelines.stack.processes import processes_of, stop
from monsoon.testing.clock import Clock
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.panes import PANE_MS

SET = feature_set("rider_shifts")
NAMES = ["shift_pattern", "shift_reports"]


@pytest.fixture
def online(redis_server):
    with OnlineStore(redis_server.url) as store:
        yield store


def test_whatever_the_order_of_writes_the_newest_stands(online):
    generator = random.Random(5)
    values = [float("nan"), -1.5, 0.0, 0.25, 3.0]
    for _ in range(40):
        online.remove(SET, ["w1"])
        rows = [
            (
                "w1",
                generator.randint(0, 3),
                generator.choice((0, 1)),
                generator.choice(values),
                generator.choice(values),
            )
            for _ in range(6)
        ]
        parts = [rows[:3], rows[3:], rows[1:4]]
        for part in parts:
            generator.shuffle(part)
            online.write(versions_of(part))
        at_ms = START_MS + 9 * STEP_MS
        (found,) = online.get("rider", ["w1"], NAMES, at_ms)
        assert tuple(found.values[name] for name in NAMES) == known_at(rows, "w1", at_ms)


def test_writing_again_stores_nothing(online):
    versions = versions_of([("w1", 0, 0, 0.5, 10), ("w2", 1, 0, 0.5, 10)])
    assert online.write(versions) == 2
    assert online.write(versions) == 0


def test_what_is_not_known_is_null(online):
    online.write(versions_of([("w1", 0, 0, float("nan"), 10)]))
    known, unknown = online.get("rider", ["w1", "w9"], NAMES, START_MS)
    assert known.values == {"shift_pattern": None, "shift_reports": 10}
    assert known.event_time_ms == {"rider_shifts": START_MS}
    assert unknown.values == {"shift_pattern": None, "shift_reports": None}
    assert unknown.event_time_ms == {}
    assert online.get("rider", [], NAMES, START_MS) == []


def test_a_version_expires(online):
    online.write(versions_of([("w1", 0, 0, 0.5, 10)]))
    (old,) = online.get("rider", ["w1"], NAMES, START_MS + SET.ttl_ms + 1)
    assert old.values["shift_pattern"] is None
    left_ms = online._redis.pttl("monsoon:rider_shifts@1:w1")
    assert SET.ttl_ms - 60_000 < left_ms <= SET.ttl_ms


def test_an_entity_is_erased(online):
    online.write(versions_of([("w1", 0, 0, 0.5, 10), ("w2", 0, 0, 0.5, 10)]))
    assert online.remove(SET, ["w1", "w7"]) == 1
    gone, kept = online.get("rider", ["w1", "w2"], NAMES, START_MS)
    assert (gone.values["shift_reports"], kept.values["shift_reports"]) == (None, 10)


def test_installations_are_apart(redis_server):
    with OnlineStore(redis_server.url, "a:") as one, OnlineStore(redis_server.url, "b:") as other:
        one.write(versions_of([("w1", 0, 0, 0.5, 10)]))
        assert other.get("rider", ["w1"], NAMES, START_MS)[0].values["shift_reports"] is None


def test_writers_at_once_leave_the_newest(redis_server):
    rows = [("w1", step, 0, 0.5, step) for step in range(200)]
    parts = [versions_of(rows[place::4][:: random.Random(place).choice((1, -1))]) for place in range(4)]

    def write(versions):
        with OnlineStore(redis_server.url) as store:
            for place in range(len(versions)):
                store.write(versions.take(versions.event_time_ms == versions.event_time_ms[place]))

    threads = [threading.Thread(target=write, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with OnlineStore(redis_server.url) as store:
        assert store.get("rider", ["w1"], NAMES, START_MS + 199 * STEP_MS)[0].values["shift_reports"] == 199


def test_online_equals_offline_at_every_moment_of_a_day(online, tmp_path):
    """Versions are written as they become known, those of a moment in any order; every 5 min of the last hours, and
    while late reports come in, both stores are read."""
    telemetry = telemetry_table_of(history(4, NOW_MS))
    offline, generator = OfflineStore(tmp_path / "offline"), random.Random(4)
    found = {versions.feature_set: versions for versions in measured_versions(telemetry, panes_of(telemetry))}
    assert len(found) == len(FEATURE_SETS) - 1, "all but those of claims"
    for versions in found.values():
        offline.write(versions)
    begin_ms, compared = NOW_MS - 4 * HOUR_MS, 0
    moments = range(begin_ms, NOW_MS + 8 * HOUR_MS, PANE_MS)
    for about, versions in found.items():
        names, received = sorted(set(versions.entity_id)), versions.received_time_ms
        each_moment = [at_ms for at_ms in moments for _ in names]
        stored = get(about.entity, about.names, each_moment, ids=names * len(moments), store=offline)
        read = []
        for at_ms in moments:
            new = (received > at_ms - PANE_MS) & (received <= at_ms) if at_ms > begin_ms else received <= at_ms
            places = new.nonzero()[0]
            generator.shuffle(places)
            online.write(versions.take(places))
            read += [tuple(each.values.values()) for each in online.get(about.entity, names, about.names, at_ms)]
        assert read == stored.select(about.names).rows(), about.name
        compared += len(read)
    assert compared > 5_000


def test_without_redis_a_reader_is_told_and_a_writer_goes_on(redis_server, tmp_path):
    """Redis is killed and comes back empty: the writer fills it again from what the offline store has."""
    offline, clock = OfflineStore(tmp_path / "offline"), Clock()
    rows = [("w1", 0, 0, 0.5, 1), ("w2", 0, 0, 0.5, 1)]
    now_ms = START_MS + 9 * STEP_MS

    def put(row):
        offline.write(versions_of([row]))
        return writer.write(versions_of([row]))

    with OnlineStore(redis_server.url, timeout_s=0.5) as online:
        writer = OnlineWriter(online, lambda: [offline.newest(SET, now_ms)], lambda: clock.now_ms)
        assert all(put(row) for row in rows)
        redis_server.stop(0)
        with pytest.raises(StoreUnavailableError, match=r"redis://127.0.0.1:\d+/0: Redis does not answer"):
            online.get("rider", ["w1"], NAMES, now_ms)
        assert not put(("w1", 1, 0, 0.5, 2))
        redis_server.start()
        assert not put(("w1", 2, 0, 0.5, 3)), "not asked again at once"
        assert (writer.dropped, writer.refills) == (2, 1)
        clock.advance("1 s")
        assert put(("w3", 0, 0, 0.5, 4))
        assert writer.refills == 2
        assert [each.values["shift_reports"] for each in online.get("rider", ["w1", "w2", "w3"], NAMES, now_ms)] == [
            3,
            1,
            4,
        ]
        redis_server.stop(0)
        redis_server.start()
        assert put(("w3", 1, 0, 0.5, 5)), "empty, though nobody missed it"
        assert online.get("rider", ["w2"], NAMES, now_ms)[0].values["shift_reports"] == 1


def test_the_server_is_found_and_ended_by_another_command(redis_server, tmp_path):
    (found,) = processes_of(tmp_path / "redis")
    assert found.pids() == [redis_server.process.pid]
    stop([found], 5)
    assert redis_server.process.pid is None


def test_a_rider_is_erased_with_each_phone_and_product(online):
    ids = {
        "rider_shifts": ["w*", "w1"],
        "device_baseline": [pair_id("w*", "d"), pair_id("w1", "d")],
        "rider_claims": [pair_id("w*", "gic"), pair_id("w*", "kawaach"), pair_id("w1", "gic")],
    }
    for name, entities in ids.items():
        about, count = feature_set(name), len(entities)
        columns = {each: [1.0] * count for each in about.names}
        times = [START_MS] * count
        assert online.write(FeatureVersions.of(about, entities, times, times, columns)) == count
    assert online.erase_worker("w*") == 4
    assert online.erase_worker("w*") == 0
    assert online.erase_worker("w1") == 3
