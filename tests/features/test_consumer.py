"""The topic `features` into both stores, whatever becomes of Redis, of the brokers and of the consumer."""

import random

import pytest
from evidence.conftest import NOW_MS, telemetry_table_of
from features.conftest import HOUR_MS, history
from features.test_operators import graph_of, parts_of_random_lengths, records_of
from kafka import TopicPartition
from kit.fake_kafka import FakeBroker
from kit.streams import write_streams

from monsoon.cli.main import main
from monsoon.client import BrokerUnavailableError, ClientError, Consumer, Feature
from monsoon.contracts.topics import key_of
from monsoon.feature_store import FEATURE_SETS, OfflineStore, feature_set, get
from monsoon.feature_store.measured import measured_versions
from monsoon.feature_store.online import OnlineStore
from monsoon.pipelines import feature_consumer
from monsoon.pipelines.feature_consumer import OFFLINE_WAIT_MS, OfflineFeatures, OnlineFeatures
from monsoon.pipelines.features import feature_versions
from monsoon.pipelines.runtime.intervals import LIVE_INTERVALS
from monsoon.testing.clock import Clock
from monsoon.transforms.pane_aggregation import panes_of

PARTITIONS = 3
SHIFTS = feature_set("rider_shifts")


@pytest.fixture
def broker(monkeypatch):
    broker = FakeBroker()
    monkeypatch.setattr("monsoon.client.consumer.connect", broker.connect)
    broker.create("features", PARTITIONS)
    return broker


@pytest.fixture
def online(redis_server):
    with OnlineStore(redis_server.url, timeout_s=0.5) as store:
        yield store


@pytest.fixture(scope="module")
def versions():
    telemetry = telemetry_table_of(history(4, NOW_MS, riders=3))
    return list(measured_versions(telemetry, panes_of(telemetry)))


def connect(positions, on_foreign):
    return Consumer(Feature, "broker:1", positions=positions, on_foreign=on_foreign, max_remembered=0, timeout_ms=100)


def online_features(online, group="g"):
    return OnlineFeatures(connect, lambda: NOW_MS, online, group)


def put(broker, records):
    """Records in the partition of their key."""
    for record in records:
        place = sum(map(ord, key_of("features", record))) % PARTITIONS
        broker.put("features", record, place)


def put_all(broker, versions):
    every = [record for each in versions for record in each.records()]
    put(broker, sorted(every, key=lambda record: record["received_time"]))
    return every


def same(online, versions):
    """Whether the online store has the newest of all."""
    at_ms = NOW_MS + 8 * HOUR_MS
    for each in versions:
        about, newest = each.feature_set, {}
        for record in sorted(each.records(), key=lambda record: (record["event_time"], record["received_time"])):
            newest[record["entity_id"]] = record
        newest = {name: last for name, last in newest.items() if at_ms - last["event_time"] <= about.ttl_ms}
        names = sorted(newest)
        read = [dict(found.values) for found in online.get(about.entity, names, about.names, at_ms)]
        if read != [newest[name]["values"] for name in names]:
            return False
    return True


def test_both_stores_have_what_the_topic_has(broker, online, tmp_path, versions):
    every, store, clock = put_all(broker, versions), OfflineStore(tmp_path), Clock()
    offline = OfflineFeatures(connect, lambda: clock.now_ms, store, "g")
    copy = online_features(online)
    assert copy.step()
    assert offline.step()
    assert same(online, versions)
    assert copy.samples()['features_written{store="online"}'] == len(every)
    assert copy.samples()['features_refills{store="online"}'] == 1
    assert store.span_ms(SHIFTS) is None, "files are written when there is enough for them"
    clock.advance(f"{OFFLINE_WAIT_MS // 1000} s")
    assert offline.step()
    for each in versions:
        span = store.span_ms(each.feature_set)
        found = store.between(each.feature_set, span[0] - 1, span[1])
        assert sorted(map(str, found.records())) == sorted(map(str, each.records()))


def test_a_consumer_that_comes_back_goes_on_where_it_was(broker, online, versions, monkeypatch):
    monkeypatch.setattr(feature_consumer, "BATCH", 50)
    put_all(broker, versions[:3])
    online_features(online).step()
    again = online_features(online)
    put_all(broker, versions[3:])
    again.step()
    assert again.written == sum(map(len, versions[3:]))
    assert again.refills == 0
    assert same(online, versions)


def test_redis_is_killed_and_comes_back_empty(broker, online, redis_server, versions):
    copy = online_features(online)
    put_all(broker, versions[:3])
    assert copy.step()
    redis_server.stop(0)
    put_all(broker, versions[3:])
    assert not copy.step()
    assert not copy.step()
    redis_server.start()
    assert copy.step()
    assert same(online, versions)
    assert copy.refills == 2


def test_redis_is_emptied_and_nobody_is_told(broker, online, versions):
    put_all(broker, versions)
    copy = online_features(online)
    copy.step()
    online._redis.flushall()
    assert not copy.step(), "found, though nothing new has come"
    assert copy.step()
    assert same(online, versions)


def test_redis_is_emptied_while_it_is_filled(broker, online, versions, monkeypatch):
    monkeypatch.setattr(feature_consumer, "BATCH", 50)
    put_all(broker, versions)
    copy, write, calls = online_features(online), online.write, []

    def emptied_once(each):
        calls.append(each)
        if len(calls) == 20:
            online._redis.flushall()
        return write(each)

    monkeypatch.setattr(online, "write", emptied_once)
    assert not copy.step()
    assert copy.step()
    assert same(online, versions)


def test_brokers_that_are_away(broker, online, versions):
    copy = online_features(online)
    put_all(broker, versions[:2])
    copy.step()
    broker.answers = False
    assert not copy.step()
    broker.answers = True
    put_all(broker, versions[2:])
    assert copy.step()
    assert same(online, versions)


def test_a_topic_that_has_deleted_what_comes_next_is_read_from_its_beginning(broker, online, versions):
    copy = online_features(online)
    put_all(broker, versions[:3])
    copy.step()
    before = {place: len(log) for place, log in enumerate(broker.topics["features"])}
    put_all(broker, versions[3:])
    for place, count in before.items():
        broker.deleted_before[TopicPartition("features", place)] = count + 1
    assert not copy.step()
    assert copy.step()
    assert copy.written == sum(map(len, versions)) - PARTITIONS


def test_what_does_not_pass_by_itself_is_raised(broker, online):
    del broker.topics["features"]
    with pytest.raises(ClientError, match="no topic features"):
        online_features(online).step()
    assert not issubclass(ClientError, BrokerUnavailableError)


@pytest.mark.parametrize("value", [None, b""])
def test_a_tombstone_removes_what_came_before_it(broker, online, versions, value):
    mine = next(each for each in versions if each.feature_set == SHIFTS)
    worker = mine.entity_id[0]
    put_all(broker, [mine])
    key = f"rider_shifts/1/{worker}"
    place = sum(map(ord, key)) % PARTITIONS
    broker.put_bytes("features", key.encode(), value, place)
    copy = online_features(online)
    copy.step()
    at_ms = NOW_MS + 8 * HOUR_MS
    others = sorted(set(mine.entity_id) - {worker})
    gone, *kept = online.get("rider", [worker, *others], ["shift_reports"], at_ms)
    assert gone.event_time_ms == {}
    assert all(each.event_time_ms for each in kept)
    last = list(mine.take(mine.received_time_ms == mine.received_time_ms.max()).records())[-1]
    put(broker, [last | {"entity_id": worker}])
    copy.step()
    (back,) = online.get("rider", [worker], ["shift_reports"], at_ms)
    assert back.values["shift_reports"] == last["values"]["shift_reports"]


@pytest.mark.parametrize("is_written", [True, False])
def test_a_tombstone_removes_it_offline(broker, tmp_path, versions, is_written):
    """Where the files have it, and where it waits to be written."""
    mine = next(each for each in versions if each.feature_set == SHIFTS)
    worker, store, clock = mine.entity_id[0], OfflineStore(tmp_path), Clock()
    copy = OfflineFeatures(connect, lambda: clock.now_ms, store, "g")
    put_all(broker, [mine])
    copy.step()
    clock.advance(f"{OFFLINE_WAIT_MS // 1000 if is_written else 0} s")
    copy.step()
    key = f"rider_shifts/1/{worker}"
    broker.put_bytes("features", key.encode(), b"", sum(map(ord, key)) % PARTITIONS)
    copy.step()
    last = list(mine.records())[-1] | {"entity_id": worker}
    put(broker, [last])
    copy.step()
    copy.finish()
    found = store.read(SHIFTS, store.files(SHIFTS))
    assert found.entity_id.count(worker) == 1
    assert set(found.entity_id) == set(mine.entity_id)
    assert (tmp_path / "positions-g.json").is_file()


def test_a_tombstone_removes_nothing_that_came_after_another_one(broker, tmp_path, versions):
    """Two riders are erased within the five minutes in which versions wait; the first has reported since."""
    mine = next(each for each in versions if each.feature_set == SHIFTS)
    first, second = sorted(set(mine.entity_id))[:2]
    store = OfflineStore(tmp_path)
    copy = OfflineFeatures(connect, lambda: NOW_MS, store, "g")
    put_all(broker, [mine])
    for worker in (first, second):
        key = f"rider_shifts/1/{worker}"
        broker.put_bytes("features", key.encode(), b"", sum(map(ord, key)) % PARTITIONS)
        copy.step()
        if worker == first:
            put(broker, [list(mine.records())[-1] | {"entity_id": worker}])
            copy.step()
    copy.finish()
    found = store.read(SHIFTS, store.files(SHIFTS))
    assert (found.entity_id.count(first), found.entity_id.count(second)) == (1, 0)


def test_what_is_no_version_is_passed_over_and_counted(broker, online, versions):
    known = next(versions[0].records())
    put(broker, [known | {"feature_set": "moods"}, known | {"version": 99}, known])
    broker.put_bytes("features", b"rider_shifts/1/w1", b"{", 0)
    broker.put_bytes("features", b"no/key", None, 0)
    copy = online_features(online)
    assert copy.step()
    assert (copy.written, copy.refused) == (1, 4)


def test_an_offline_copy_that_dies_reads_again_what_it_had_not_written(broker, tmp_path, versions):
    put_all(broker, versions)
    OfflineFeatures(connect, lambda: NOW_MS, OfflineStore(tmp_path), "g").step()
    store = OfflineStore(tmp_path)
    assert store.span_ms(SHIFTS) is None
    again = OfflineFeatures(connect, lambda: NOW_MS, store, "g")
    again.step()
    again.finish()
    assert sum(len(store.between(each.feature_set, 0, NOW_MS + 9 * HOUR_MS)) for each in versions) == again.written
    last = OfflineFeatures(connect, lambda: NOW_MS, store, "g")
    last.step()
    assert last.written == 0


def test_online_equals_offline_at_every_watermark_of_a_job(broker, online, tmp_path):
    """What operators emit, through the topic, against `features build` of the same input, read as of each watermark."""
    records = records_of(5)
    source = write_streams(tmp_path / "in", records)
    store, entities = OfflineStore(tmp_path / "store"), {}
    for versions in feature_versions(source, None):
        store.write(versions)
        entities[versions.feature_set] = sorted(set(versions.entity_id))
    assert len(entities) == len(FEATURE_SETS) - 1
    graph, copy = graph_of(source), online_features(online)
    compared = found = 0
    for watermark_ms in parts_of_random_lengths(graph, source, records, random.Random(5), sizes=(4, 12)):
        put(broker, graph.collected().features)
        graph.results.clear()
        assert copy.step()
        at_ms = LIVE_INTERVALS.last_end(watermark_ms)
        for about, names in entities.items():
            stored = get(about.entity, about.names, at_ms, ids=names, store=store).select(about.names).rows()
            read = [tuple(each.values.values()) for each in online.get(about.entity, names, about.names, at_ms)]
            assert read == stored, (about.name, at_ms)
            compared += len(read)
            found += sum(any(value is not None for value in row) for row in read)
    assert compared > 1_000
    assert found > 500


def test_the_command_fills_both_stores_and_prints_metrics(broker, redis_server, tmp_path, versions, capsys):
    every = put_all(broker, versions)
    words = ["features", "consume", "--brokers", "broker:1", "--store", str(tmp_path / "store")]
    assert main([*words, "--redis", redis_server.url]) == 0
    told = capsys.readouterr().out.splitlines()
    for name in ("online", "offline"):
        assert f'features_written{{store="{name}"}} {len(every)}' in told
        assert f'features_lag_ms{{store="{name}"}} 0' in told
    with OnlineStore(redis_server.url) as online:
        assert same(online, versions)
    assert OfflineStore(tmp_path / "store").span_ms(SHIFTS) is not None


def test_one_store_that_is_absent_does_not_hold_up_the_other(broker, tmp_path, versions, capsys):
    put_all(broker, versions)
    words = ["features", "consume", "--brokers", "broker:1", "--store", str(tmp_path / "store")]
    assert main([*words, "--redis", "redis://127.0.0.1:1/0"]) == 1
    assert capsys.readouterr().err.startswith("monsoon features: redis://127.0.0.1:1/0: Redis does not answer as it")
    assert OfflineStore(tmp_path / "store").span_ms(SHIFTS) is not None


def test_no_store_is_refused(capsys):
    assert main(["features", "consume", "--brokers", "broker:1"]) == 1
    assert "no store. Give at least one of them" in capsys.readouterr().err
