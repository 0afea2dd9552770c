"""Point-in-time joins: what is read as of a moment is what was known then, whatever came later or in which order."""

import math
import os
import shutil

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.feature_store import FeatureError, FeatureVersions, OfflineStore, feature_set, get, pair_id
from monsoon.feature_store.versions import Version

SET = feature_set("rider_shifts")
START_MS = 1_719_570_000_000
STEP_MS = 12 * 3_600_000
TTL_STEPS = SET.ttl_ms // STEP_MS


def versions_of(rows):
    """Versions from (rider, event time, delay, pattern, reports), times in steps."""
    event = [START_MS + row[1] * STEP_MS for row in rows]
    received = [at + row[2] * STEP_MS for at, row in zip(event, rows, strict=True)]
    columns = {"shift_pattern": [row[3] for row in rows], "shift_reports": [row[4] for row in rows]}
    return FeatureVersions.of(SET, [row[0] for row in rows], event, received, columns)


def known_at(rows, rider, at_ms):
    """What counts for a rider at a moment, by the definition."""
    found = versions_of(rows)
    packed = found.packed()
    known = [
        (found.event_time_ms[place], found.received_time_ms[place], packed[place])
        for place, row in enumerate(rows)
        if row[0] == rider and found.received_time_ms[place] <= at_ms
    ]
    if not known or at_ms - max(known)[0] > SET.ttl_ms:
        return None, None
    values = Version.unpacked(SET, max(known)[2]).values
    return values["shift_pattern"], values["shift_reports"]


VALUES = st.sampled_from([math.nan, -0.0, 0.0, 0.25, -1.5, 3.0])
ROWS = st.lists(
    st.tuples(st.sampled_from(["w1", "w2"]), st.integers(0, 80), st.sampled_from([0, 0, 1, 7]), VALUES, VALUES),
    max_size=25,
)


@given(rows=ROWS, cut=st.integers(0, 25), steps=st.lists(st.integers(-1, 200), max_size=6), data=st.data())
def test_a_join_has_what_was_known_at_each_moment(tmp_path_factory, rows, cut, steps, data):
    store = OfflineStore(tmp_path_factory.mktemp("store"))
    shuffled = data.draw(st.permutations(rows))
    for part in (shuffled[:cut], shuffled[cut:], shuffled[: cut // 2]):
        if part:
            store.write(versions_of(part))
    moments = [START_MS + step * STEP_MS for step in steps]
    asked = pl.DataFrame(
        {"entity_id": ["w1", "w2", "w3"] * len(moments), "as_of_ms": np.repeat(np.array(moments, dtype=np.int64), 3)},
        schema={"entity_id": pl.String, "as_of_ms": pl.Int64},
    )
    found = store.get(asked, "rider", ["shift_reports", "shift_pattern"])
    assert found.select(asked.columns).equals(asked)
    expected = [known_at(rows, rider, at_ms) for rider, at_ms in asked.rows()]
    assert found.select("shift_pattern", "shift_reports").rows() == expected


def test_later_knowledge_does_not_leak(tmp_path):
    """The version of noon was corrected in the evening: in the afternoon nobody knew."""
    store = OfflineStore(tmp_path)
    store.write(
        versions_of([("w1", 0, 0, 0.5, 10), ("w1", 1, 0, 0.6, 11), ("w1", 1, 4, 0.9, 12), ("w1", 0, 5, 0.1, 9)])
    )
    moments = [START_MS + step * STEP_MS for step in (-1, 0, 1, 4, 5, 9)]
    found = get("rider", ["shift_pattern"], moments, ids=["w1"] * 6, store=tmp_path)
    assert found["shift_pattern"].to_list() == [None, 0.5, 0.6, 0.6, 0.9, 0.9]


def test_a_version_counts_for_as_long_as_its_set_says(tmp_path):
    OfflineStore(tmp_path).write(versions_of([("w1", 0, 0, 0.5, 10)]))
    moments = [START_MS + SET.ttl_ms, START_MS + SET.ttl_ms + 1]
    assert get("rider", ["shift_pattern"], moments, ids=["w1"] * 2, store=tmp_path)["shift_pattern"].to_list() == [
        0.5,
        None,
    ]


def test_a_column_of_the_rows_is_not_overwritten(tmp_path):
    rows = pl.DataFrame({"entity_id": ["w1"], "as_of_ms": [START_MS], "shift_pattern": ["morning"]})
    with pytest.raises(FeatureError, match="shift_pattern is a column of the rows already"):
        OfflineStore(tmp_path).get(rows, "rider", ["shift_pattern"])


def test_versions_lie_in_hive_partitions_and_are_written_once(tmp_path):
    store, rows = OfflineStore(tmp_path), [("w1", 0, 0, 0.5, 10), ("w2", 3, 0, 0.5, 10)]
    assert store.write(versions_of(rows)) == 2
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.parquet")}
    assert store.write(versions_of(rows[::-1])) == 0
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.parquet")} == before
    folders = sorted(str(file.parent.relative_to(tmp_path)) for file in before)
    assert folders == [f"feature_set=rider_shifts/version=1/date=2024-06-{day}" for day in (28, 29)]
    read = pl.scan_parquet(tmp_path / "**/*.parquet", hive_partitioning=True).collect()
    assert {"feature_set", "version", "date"} < set(read.columns), "other tools read the partitions too"


def test_newest_is_what_a_join_of_all_gives(tmp_path):
    store = OfflineStore(tmp_path)
    store.write(
        versions_of([("w1", 0, 0, 0.5, 10), ("w1", 1, 0, math.nan, 11), ("w1", 2, 3, 0.7, 1), ("w2", 0, 0, 0.1, 2)])
    )
    found = store.newest(SET, START_MS + 2 * STEP_MS)
    assert list(found.entity_id) == ["w1", "w2"]
    assert found.frame()["shift_pattern"].to_list() == [None, 0.1]
    assert len(store.newest(SET, START_MS + (TTL_STEPS + 1) * STEP_MS)) == 1
    assert store.span_ms(SET) == (START_MS, START_MS + 5 * STEP_MS)
    assert store.span_ms(feature_set("rider_claims")) is None


def test_records_of_the_stream_are_the_versions_again():
    before = versions_of([("w1", 0, 0, math.nan, 10), ("w2", 1, 2, 0.5, -0.0)])
    (after,) = FeatureVersions.of_records(list(before.records()))
    assert after.packed() == before.packed()
    with pytest.raises(FeatureError, match="rider_shifts of w1: no value of shift_pattern"):
        FeatureVersions.of_records([next(before.records()) | {"values": {"shift_reports": 1}}])


def test_versions_that_cannot_be_are_refused():
    with pytest.raises(FeatureError, match="before its event time"):
        versions_of([("w1", 1, -1, 0.5, 10)])
    with pytest.raises(FeatureError, match="infinite"):
        versions_of([("w1", 1, 0, math.inf, 10)])


def test_a_rider_is_erased_and_nobody_else(tmp_path):
    store = OfflineStore(tmp_path)
    store.write(versions_of([("w1", 0, 0, 0.5, 10), ("w1", 3, 0, 0.5, 10), ("w1/a", 0, 0, 0.4, 9)]))
    claims = feature_set("rider_claims")
    rows = [[1, 0.5, 0.5, 0, math.nan]] * 3
    ids, times = ["w1/gic", "w1/kawaach", pair_id("w1/a", "gic")], [START_MS] * 3
    store.write(FeatureVersions.of(claims, ids, times, times, dict(zip(claims.names, np.array(rows).T, strict=True))))
    assert store.erase_worker("w1") == {SET.name: ["w1"], claims.name: ["w1/gic", "w1/kawaach"]}
    at_ms = START_MS + 3 * STEP_MS
    assert list(store.newest(SET, at_ms).entity_id) == ["w1/a"]
    assert list(store.newest(claims, at_ms).entity_id) == ["w1%2Fa/gic"]
    assert store.erase_worker("w1") == {}


def test_old_days_are_removed(tmp_path):
    store = OfflineStore(tmp_path)
    store.write(versions_of([("w1", step, 0, 0.5, 10) for step in range(8)]))
    days = sorted(folder.name for folder in tmp_path.rglob("date=*"))
    assert store.expire(START_MS + 2 * STEP_MS) == 1
    assert sorted(folder.name for folder in tmp_path.rglob("date=*")) == days[1:]
    assert store.expire(START_MS + 2 * STEP_MS) == 0


@pytest.fixture
def of_earlier_release(tmp_path):
    """A store with a set in an earlier version, one that is there no more, and what a writer left that died."""
    store = OfflineStore(tmp_path)
    store.write(versions_of([("w1", 0, 0, 0.5, 10), ("w2", 0, 0, 0.5, 10)]))
    (file,) = store.files(SET)
    places = [file.parent.relative_to(tmp_path / f"feature_set={SET.name}/version={SET.version}")]
    for earlier in (f"feature_set={SET.name}/version=0", "feature_set=retired/version=1"):
        folder = tmp_path / earlier / places[0]
        folder.mkdir(parents=True)
        shutil.copy(file, folder / file.name)
    left = file.with_name(f".{file.name}.partial")
    shutil.copy(file, left)
    os.utime(left, (0, 0))
    return store


def test_a_rider_is_erased_wherever_an_earlier_release_or_a_crash_left_him(of_earlier_release):
    path = of_earlier_release.path
    assert of_earlier_release.erase_worker("w1") == {SET.name: ["w1"], "retired": ["w1"]}
    left = [file for file in path.rglob("*") if file.is_file()]
    assert len(left) == 3
    assert all(pl.read_parquet(file, hive_partitioning=False)["entity_id"].to_list() == ["w2"] for file in left)


def test_what_a_writer_is_writing_is_left_to_it(of_earlier_release):
    (partial,) = of_earlier_release.path.rglob(".part-*")
    os.utime(partial)
    of_earlier_release.erase_worker("w1")
    assert partial.exists()


def test_old_days_are_removed_with_all_that_is_in_them(of_earlier_release):
    assert of_earlier_release.expire(START_MS + 20 * STEP_MS) == 3
    assert not list(of_earlier_release.path.rglob("date=*"))
