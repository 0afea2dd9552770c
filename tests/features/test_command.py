"""`monsoon features`: from a folder of streams to a store, to rows with features, to Redis."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import h3.api.basic_str as h3
import jsonschema
import polars as pl
import pytest

from monsoon.cli.main import main
from monsoon.feature_store import FEATURE_SETS, OfflineStore, feature_set
from monsoon.feature_store.online import OnlineStore

RIDERS = 6
SHIFTS = feature_set("rider_shifts")


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    """A small storm, its replay and its offline store."""
    folder = tmp_path_factory.mktemp("storm")
    words = ["simulate", "--storm", "delhi-2024-06-28", "--riders", str(RIDERS), "--output", str(folder / "in")]
    assert main(words) == 0
    assert main(["replay", "--input", str(folder / "in"), "--output", str(folder / "out")]) == 0
    words = ["features", "build", "--input", str(folder / "in"), "--results", str(folder / "out")]
    assert main([*words, "--output", str(folder / "store")]) == 0
    return folder


def test_every_set_is_built(storm):
    store = OfflineStore(storm / "store")
    assert [about.name for about in FEATURE_SETS if store.span_ms(about) is None] == []


def test_versions_satisfy_the_contract(storm, root):
    contract = jsonschema.Draft202012Validator(json.loads((root / "contracts/feature.schema.json").read_text()))
    store = OfflineStore(storm / "store")
    for about in FEATURE_SETS:
        first, last = store.span_ms(about)
        record = next(store.between(about, first - 1, last).records())
        assert list(contract.iter_errors(record)) == []


def test_features_of_claims_are_those_of_the_records(storm):
    claims = [json.loads(line) for line in (storm / "out/claims/part-00000.jsonl").read_text().splitlines()]
    last = claims[-1]
    name = f"{last['worker_id']}/{last['product']}"
    mine = [claim for claim in claims if (claim["worker_id"], claim["product"]) == tuple(name.split("/"))]
    store, at_ms = OfflineStore(storm / "store"), max(claim["decided_at"] for claim in mine)
    rows = pl.DataFrame({"entity_id": [name] * 2, "as_of_ms": [at_ms, min(c["decided_at"] for c in mine) - 1]})
    now, before = store.get(rows, "rider_product", ["claims_7d", "trust_score", "anomaly_score"]).to_dicts()
    assert before["claims_7d"] is None
    assert now["claims_7d"] == len({claim["claim_id"] for claim in mine})
    newest = max(mine, key=lambda claim: (claim["decided_at"], claim["claim_id"], claim["revision"]))
    assert (now["trust_score"], now["anomaly_score"]) == (newest.get("trust_score"), newest.get("anomaly_score"))


def test_building_again_changes_nothing(storm):
    before = {file: file.read_bytes() for file in (storm / "store").rglob("*.parquet")}
    words = ["features", "build", "--input", str(storm / "in"), "--results", str(storm / "out")]
    assert main([*words, "--output", str(storm / "store")]) == 0
    assert {file: file.read_bytes() for file in (storm / "store").rglob("*.parquet")} == before


def test_a_replay_writes_the_same_store(storm, tmp_path):
    words = ["replay", "--input", str(storm / "in"), "--output", str(tmp_path / "out")]
    assert main([*words, "--feature-store", str(tmp_path / "store")]) == 0
    files = {file.relative_to(storm): file.read_bytes() for file in (storm / "store").rglob("*.parquet")}
    assert {file.relative_to(tmp_path): file.read_bytes() for file in (tmp_path / "store").rglob("*.parquet")} == files


def test_a_store_that_cannot_be_written_is_told_before_the_work(storm, tmp_path, capsys):
    (tmp_path / "file").touch()
    words = ["replay", "--input", str(storm / "in"), "--output", str(tmp_path / "out")]
    assert main([*words, "--feature-store", str(tmp_path / "file")]) == 1
    assert "file: is a file; give --feature-store a new or empty folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_rows_get_their_features(storm, tmp_path, capsys, suffix):
    store = OfflineStore(storm / "store")
    rows = store.newest(SHIFTS, store.span_ms(SHIFTS)[1]).frame().head(3)
    rows = rows.select("entity_id", pl.col("event_time_ms").alias("as_of_ms"), pl.lit("kept").alias("label"))
    write = {"csv": rows.write_csv, "parquet": rows.write_parquet, "jsonl": rows.write_ndjson}[suffix]
    write(tmp_path / f"rows.{suffix}")
    words = ["features", "export", "--store", str(storm / "store"), "--rows", str(tmp_path / f"rows.{suffix}")]
    words += ["--entity", "rider", "--features", "shift_reports,shift_pattern@1", "--output", str(tmp_path / "out")]
    assert main(words) == 0
    assert "3 rows in" in capsys.readouterr().out
    joined = pl.read_parquet(tmp_path / "out" / "part-00000.parquet")
    assert joined.columns == ["entity_id", "as_of_ms", "label", "shift_reports", "shift_pattern"]
    assert joined.equals(store.get(rows, "rider", ["shift_reports", "shift_pattern"]))
    assert joined["shift_reports"].null_count() == 0
    assert main(words) == 0, "an export is replaced"


@pytest.mark.parametrize("rows", ["w1,\n", ",5\n", "w1,5\nw1,\n"])
def test_rows_without_an_entity_or_a_moment_are_told(storm, tmp_path, capsys, rows):
    (tmp_path / "rows.csv").write_text("entity_id,as_of_ms\n" + rows)
    words = ["--rows", str(tmp_path / "rows.csv"), "--entity", "rider", "--features", "shift_pattern"]
    output = ["--output", str(tmp_path / "out")]
    assert main(["features", "export", "--store", str(storm / "store"), *words, *output]) == 1
    assert "1 rows state no " in capsys.readouterr().err


@pytest.mark.parametrize("entity", ["rider", "rider_product", "zone", "neighborhood"])
def test_claims_get_what_was_known_before_they_were_decided(storm, tmp_path, entity):
    names = {each.entity: each.names for each in FEATURE_SETS}[entity]
    words = ["features", "export", "--store", str(storm / "store"), "--claims", str(storm / "out"), "--entity", entity]
    assert main([*words, "--features", ",".join(names), "--output", str(tmp_path)]) == 0
    joined = pl.read_parquet(tmp_path / "part-00000.parquet")
    claims = [json.loads(line) for line in (storm / "out/claims/part-00000.jsonl").read_text().splitlines()]
    first = {claim["claim_id"]: claim for claim in claims if claim["revision"] == 0}
    assert joined["claim_id"].to_list() == sorted(first)
    assert joined["as_of_ms"].to_list() == [first[name]["decided_at"] - 1 for name in sorted(first)]
    if entity == "rider_product":  # a first claim was not known before its own decision
        assert joined["claims_7d"].null_count() == joined["entity_id"].n_unique()
    named = {
        "rider": lambda claim: claim["worker_id"],
        "rider_product": lambda claim: f"{claim['worker_id']}/{claim['product']}",
        "zone": lambda claim: claim["zone"],
        "neighborhood": lambda claim: h3.cell_to_parent(claim["zone"], 7),
    }[entity]
    rows = joined.select("entity_id", "as_of_ms")
    assert rows["entity_id"].to_list() == [named(first[name]) for name in sorted(first)]
    expected = OfflineStore(storm / "store").get(rows, entity, names)
    assert joined.select(names).equals(expected.select(names))


def test_claims_do_not_name_phones(storm, tmp_path, capsys):
    words = ["features", "export", "--store", str(storm / "store"), "--claims", str(storm / "out")]
    words += ["--entity", "device", "--features", "riders_on_device_28d", "--output", str(tmp_path / "new")]
    assert main(words) == 1
    assert "claims do not name a device. They name rider," in capsys.readouterr().err


def test_the_online_store_is_loaded(storm, redis_server, capsys):
    assert main(["features", "load", "--store", str(storm / "store"), "--redis", redis_server.url]) == 0
    told, store = capsys.readouterr().out, OfflineStore(storm / "store")
    at_ms = max(store.span_ms(about)[1] for about in FEATURE_SETS)
    with OnlineStore(redis_server.url) as online:
        assert online.is_filled()
        for about in FEATURE_SETS:
            newest = store.newest(about, at_ms)
            assert f"{about.name}: {len(newest)} entities" in told
            names = about.names
            read = [tuple(each.values.values()) for each in online.get(about.entity, newest.entity_id, names, at_ms)]
            assert read == newest.frame().select(names).rows()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--store", "nowhere"], "nowhere: no feature store here. Give --store what `monsoon features build` wrote"),
        (["--features", "shift_patern"], "did you mean 'shift_pattern'"),
        (["--entity", "ridr"], "did you mean 'rider'"),
        (["--rows", "rows.txt"], "no rows in a file of .txt suffix"),
        (["--rows", "none.csv"], "none.csv"),
        (["--rows", "wrong.csv"], "no such rows"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(storm, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("entity_id,as_of_ms\nw1,1719570000000\n")
    (tmp_path / "wrong.csv").write_text("entity_id,as_of_ms\nw1,yesterday\n")
    given = {"--store": str(storm / "store"), "--rows": "rows.csv", "--entity": "rider", "--features": "shift_pattern"}
    given |= dict(zip(words[::2], words[1::2], strict=True))
    assert main(["features", "export", *(word for pair in given.items() for word in pair), "--output", "out"]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("monsoon features: ")
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_absent_redis_is_told(storm, capsys):
    assert main(["features", "load", "--store", str(storm / "store"), "--redis", "redis://127.0.0.1:1/0"]) == 1
    assert capsys.readouterr().err.startswith("monsoon features: redis://127.0.0.1:1/0: Redis does not answer as it")


def test_features_are_listed(capsys):
    assert main(["features", "list"]) == 0
    told = capsys.readouterr().out
    assert [
        feature.name for each in FEATURE_SETS for feature in each.features if f" {feature.name}, " not in told
    ] == []


def test_the_online_store_follows_the_offline_one_and_outlives_redis(storm, redis_server, tmp_path):
    """Two halves of a store come one after the other; Redis is killed between, and comes back empty."""
    whole, offline = OfflineStore(storm / "store"), OfflineStore(tmp_path / "store")
    at_ms = max(whole.span_ms(about)[1] for about in FEATURE_SETS)
    halves = [], []
    for about in FEATURE_SETS:
        first, last = whole.span_ms(about)
        middle = (first + last) // 2
        halves[0].append(whole.between(about, first - 1, middle))
        halves[1].append(whole.between(about, middle, last))
    words = [sys.executable, "-m", "monsoon.cli.main", "features", "load", "--follow", "--redis", redis_server.url]
    for versions in halves[0]:
        offline.write(versions)
    with subprocess.Popen([*words, "--store", tmp_path / "store"], stdout=subprocess.PIPE) as follower:
        try:
            assert follower.stdout.readline().endswith(b" is filled\n")
            redis_server.stop(0)
            for versions in halves[1]:
                offline.write(versions)
            redis_server.start()
            assert follower.stdout.readline().endswith(b" is filled\n")
            offline.write(late := _newer(whole.newest(SHIFTS, at_ms)))
            with OnlineStore(redis_server.url) as online:
                until(lambda: _equal(online, late, at_ms))
                assert all(_equal(online, whole.newest(each, at_ms), at_ms) for each in FEATURE_SETS if each != SHIFTS)
        finally:
            follower.kill()


def _newer(versions):
    return replace(versions, received_time_ms=versions.received_time_ms + 1, values=versions.values + 1)


def _equal(online, versions, at_ms):
    about = versions.feature_set
    read = online.get(about.entity, versions.entity_id, about.names, at_ms)
    return [tuple(each.values.values()) for each in read] == versions.frame().select(about.names).rows()


def until(condition, patience_s=20):
    end_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.1)


def test_reports_after_a_withdrawal_are_not_measured(storm, tmp_path):
    shutil.copytree(storm / "in", tmp_path / "in")
    (source,) = (tmp_path / "in" / "subscriptions").iterdir()
    events = [json.loads(line) for line in source.read_text().splitlines()]
    worker, times = max(_shifts_of(storm / "store").items(), key=lambda entry: len(entry[1]))
    middle_ms = sorted(times)[len(times) // 2]
    event = next(each for each in events if each["worker_id"] == worker)
    withdrawal = event | {"event_id": "withdrawn", "policy_id": "other", "event_time": middle_ms, "consents": []}
    (source.parent / "more.jsonl").write_text(json.dumps(withdrawal) + "\n")
    assert main(["features", "build", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "store")]) == 0
    found = _shifts_of(tmp_path / "store")
    assert set(times) > set(found[worker]) >= {each for each in times if each <= middle_ms}
    assert max(found[worker]) < middle_ms + 300_000


def _shifts_of(folder):
    store, times = OfflineStore(folder), {}
    versions = store.read(SHIFTS, store.files(SHIFTS))
    for entity, at_ms in zip(versions.entity_id, versions.event_time_ms, strict=True):
        times.setdefault(entity, []).append(int(at_ms))
    return times
