"""`monsoon erase`: what goes, what stays, and that it does not come back."""

import gzip
import json
import random

import polars as pl
import pytest
from kit import at
from kit.graph import PRODUCTS, Graph, by_both_engines, same, settings_of
from kit.streams import report, small_storm, write_lines, write_parquet, write_streams

from monsoon.cli.main import main
from monsoon.feature_store import FEATURE_SETS, OfflineStore
from monsoon.sources.erased_workers import read_erased_workers
from monsoon.sources.files import InputError
from monsoon.sources.output_folder import read_records
from monsoon.transforms.erasure import worker_hash
from monsoon.transforms.erasure_record import keyed_worker, verified

BEFORE = "2030-01-01T00:00:00+00:00"
KEY = b"a secret of tests"


def erase(place, *words, worker="w1", before=BEFORE):
    who = [worker] if worker else []
    assert main(["erase", *who, "--before", before, *words, "--output", str(place / "records")]) == 0
    return max((place / "records").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def everywhere(place):
    return ["--input", str(place / "in"), "--results", str(place / "out"), "--feature-store", str(place / "store")]


def telemetry(folder):
    return [
        json.loads(line)
        for path in sorted((folder / "telemetry").iterdir())
        for line in (gzip.open if path.suffix == ".gz" else open)(path, "rb")
    ]


def test_reports_and_baselines_go_and_decisions_stay(place, storm):
    erase(place, *everywhere(place))
    before, after = telemetry(storm / "in"), telemetry(place / "in")
    assert after == [each for each in before if each["worker_id"] != "w1"]
    store = OfflineStore(place / "store")
    for about in FEATURE_SETS:
        if about.entity in ("rider", "rider_device", "rider_product"):
            ids = store.read(about, store.files(about)).entity_id if store.files(about) else []
            assert not [each for each in ids if each.split("/")[0] == "w1"]
    pairs = zip(read_records(storm / "out", "claims"), read_records(place / "out", "claims"), strict=True)
    mine = 0
    for old, new in pairs:
        if new["worker_id"] != "w1":
            assert new == old
            continue
        mine += 1
        assert {name for name in old if old[name] != new[name]} <= {
            "features", "feature_reports", "weightiest_features", "guard", "reread",
        }  # fmt: skip
        assert not new["feature_reports"]
        told = {name for name, value in new["features"].items() if value is not None}
        assert told <= {"subscription_alert_gap_s", "stated_wage_ratio", "claims_7d", "account_age_d", "ring_score"}
    assert mine
    for stream in ("payouts", "notifications", "disruptions", "syndicate_alerts", "summary.json"):
        old, new = storm / "out" / stream, place / "out" / stream
        for path in [old] if old.is_file() else old.iterdir():
            assert path.read_bytes() == (new if old.is_file() else new / path.name).read_bytes()


def test_a_claim_is_still_explained(place, capsys):
    erase(place, *everywhere(place))
    claim = next(each for each in read_records(place / "out", "claims") if each["worker_id"] == "w1")
    assert main(["explain", claim["claim_id"], "--output", str(place / "out")]) == 0
    assert claim["status"] in capsys.readouterr().out


def test_the_record_names_no_rider_and_is_verified(place, capsys):
    path = erase(place, *everywhere(place))
    assert b'"w1"' not in path.read_bytes()
    record = verified(path.read_bytes(), KEY)
    assert record["worker_hmac_sha256"] == keyed_worker(KEY, "w1")
    entries = {entry["what"]: entry for each in record["places"].values() for entry in each}
    assert entries["telemetry"]["records_erased"] == 480
    assert entries["claims"]["records_erased"] > 0
    assert entries["payouts"]["kept"]
    capsys.readouterr()
    assert main(["erase", "--verify", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == record


def test_a_record_that_was_edited_is_refused(place, monkeypatch, capsys):
    path = erase(place, "--input", str(place / "in"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"records_erased":480', b'"records_erased":479'))
    assert main(["erase", "--verify", str(path)]) == 1
    path.write_bytes(content)
    monkeypatch.setenv("MONSOON_ERASURE_KEY", "another")
    assert main(["erase", "--verify", str(path)]) == 1
    assert "another key" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", "{", 200_000 * "["])
def test_what_is_no_record_is_told(place, capsys, content):
    (place / "record.json").write_text(content)
    assert main(["erase", "--verify", str(place / "record.json")]) == 1
    assert "record.json: no " in capsys.readouterr().err


def test_without_a_key_nothing_is_touched(place, monkeypatch, capsys):
    monkeypatch.delenv("MONSOON_ERASURE_KEY")
    before = telemetry(place / "in")
    words = ["erase", "w1", *everywhere(place), "--output", str(place / "records")]
    assert main(words) == 1
    assert "MONSOON_ERASURE_KEY" in capsys.readouterr().err
    assert telemetry(place / "in") == before
    assert not (place / "in" / "reference" / "erased_workers.csv").exists()


def test_erasing_again_changes_nothing(place):
    erase(place, *everywhere(place))
    content = {path: path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
    record = verified(erase(place, *everywhere(place)).read_bytes(), KEY)
    assert all(entry.get("records_erased", 0) == 0 for each in record["places"].values() for entry in each)
    assert all(path.read_bytes() == what for path, what in content.items())


def test_a_replay_does_not_bring_it_back(place):
    """The old reports come again, in another file: they are refused, and say nowhere where the rider was."""
    old = [each for each in telemetry(place / "in") if each["worker_id"] == "w1"]
    erase(place, *everywhere(place))
    expected = by_both_engines(place / "in", PRODUCTS)[0]
    again = "".join(json.dumps(each) + "\n" for each in [*old, old[0]])
    (place / "in" / "telemetry" / "again.jsonl").write_text(again)
    same(*by_both_engines(place / "in", PRODUCTS))
    same(by_both_engines(place / "in", PRODUCTS)[0], expected)
    assert main(["replay", "--input", str(place / "in"), "--output", str(place / "again")]) == 0
    letters = [each for each in read_records(place / "again", "dead_letters") if each["reason"] == "erased_worker"]
    assert len(letters) == len(old)
    assert not [each for each in letters if "lat" in each["raw"] or "w1" in json.dumps(each)]
    graph = Graph(settings_of(place / "in"))
    graph.read_folder(place / "in")
    graph.finish()
    by_local = list(read_records(place / "again", "dead_letters"))
    assert graph.collected().dead_letters == by_local


def test_features_do_not_come_back_either(place):
    old = [each for each in telemetry(place / "in") if each["worker_id"] == "w1"]
    erase(place, *everywhere(place))
    write_lines(place / "in" / "telemetry", "again", [json.dumps(each) for each in old])
    assert main(["features", "build", "--input", str(place / "in"), "--output", str(place / "store")]) == 0
    assert OfflineStore(place / "store").erase_worker("w1") == {}


def test_later_reports_are_taken(place):
    erase(place, "--input", str(place / "in"), before="2024-06-28T12:00:00+05:30")
    cut_ms = 1719556200000
    assert at(0) == cut_ms
    times = [each["event_time"] for each in telemetry(place / "in") if each["worker_id"] == "w1"]
    assert min(times) == cut_ms
    assert read_erased_workers(place / "in" / "reference").before_ms == {worker_hash("w1"): cut_ms}
    erase(place, "--input", str(place / "in"), worker="w2", before="2024-06-28T11:00:00+05:30")
    assert len(read_erased_workers(place / "in" / "reference").before_ms) == 2


@pytest.mark.parametrize("text", ["", "worker\n", "worker_hash,before_ms\nabc,1\n", "worker_hash,before_ms\n\n"])
def test_a_broken_list_is_no_empty_list(tmp_path, text):
    (tmp_path / "erased_workers.csv").write_text(text)
    with pytest.raises(InputError):
        read_erased_workers(tmp_path)


def test_every_kind_of_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MONSOON_ERASURE_KEY", "k")
    records = small_storm(1)
    source = write_parquet(tmp_path / "in", records)
    lines = [json.dumps(report(worker, minute)) for minute in (70, 71) for worker in ("w1", "w2")]
    escaped = '{"worker_id": "w\\u0031", "event_time": 1}'
    odd = ['{"worker_id": "w1", "lat": 28', '{"worker_id":"w1"}', "\u00e9", '["w1"]', escaped]
    random.Random(1).shuffle(lines)
    write_lines(source / "telemetry", "gz", [*lines, *odd], gz=True)
    (source / "telemetry" / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + lines[0].encode() + b"\n")
    assert main(["erase", "w1", "--input", str(source), "--before", BEFORE, "--output", str(tmp_path / "r")]) == 0
    rows = pl.concat([pl.read_parquet(path) for path in (source / "telemetry").glob("*.parquet")])
    assert sorted(set(rows["worker_id"])) == ["w0", "w2", "w3"]
    assert len(rows) == sum(each["worker_id"] != "w1" for each in records["telemetry"])
    left = gzip.decompress((source / "telemetry" / "gz" / "part-0.jsonl.gz").read_bytes()).decode()
    assert "w1" not in left
    assert escaped not in left
    assert "\u00e9" in left
    assert left.count("w2") >= 2


def test_refused_reports_go_from_the_dead_letters(tmp_path, monkeypatch):
    monkeypatch.setenv("MONSOON_ERASURE_KEY", "k")
    records = small_storm(5)
    records["telemetry"] += [report(worker, 3, lat=95.0) for worker in ("w1", "w2")]
    source = write_streams(tmp_path / "in", records)
    for form in ("jsonl", "parquet"):
        out = tmp_path / f"out-{form}"
        assert main(["replay", "--input", str(source), "--output", str(out), "--format", form]) == 0
        assert len(list(read_records(out, "dead_letters"))) == 2
        claims = len(list(read_records(out, "claims")))
        assert main(["erase", "w1", "--results", str(out), "--output", str(tmp_path / "r"), "--before", BEFORE]) == 0
        (letter,) = read_records(out, "dead_letters")
        assert '"w2"' in letter["raw"]
        assert len(list(read_records(out, "claims"))) == claims


def test_retention(place, storm):
    """Of everybody what is older goes; nobody is put on the list."""
    words = ["--older-than-days", "400", "--before", "2025-08-02T12:00:00+05:30"]
    assert main(["erase", *words, *everywhere(place), "--output", str(place / "records")]) == 0
    cut_ms = 1719556200000
    assert [each["event_time"] for each in telemetry(place / "in")] == [
        each["event_time"] for each in telemetry(storm / "in") if each["event_time"] >= cut_ms
    ]
    for old, new in zip(read_records(storm / "out", "claims"), read_records(place / "out", "claims"), strict=True):
        assert (new == old) or (old["decided_at"] < cut_ms and not new["feature_reports"])
    assert not (place / "in" / "reference" / "erased_workers.csv").exists()
    (record,) = (place / "records").iterdir()
    stated = verified(record.read_bytes(), KEY)
    assert (stated["before_ms"], stated["is_complete"]) == (cut_ms, True)
    words[-1] = "2026-01-01T00:00:00+05:30"
    assert main(["erase", *words, *everywhere(place), "--output", str(place / "records")]) == 0
    assert not telemetry(place / "in")
    store = OfflineStore(place / "store")
    assert not [path for about in FEATURE_SETS for path in store.files(about)]


DEEP = 200_000 * "["


def test_lines_that_nest_too_deep_hold_up_nobodys_erasure(tmp_path, monkeypatch):
    """Whoever sends such a line would keep all riders from being erased."""
    monkeypatch.setenv("MONSOON_ERASURE_KEY", "k")
    source = write_streams(tmp_path / "in", small_storm(5))
    mine = DEEP + '"w1"'
    write_lines(source / "telemetry", "deep", [DEEP, mine])
    out = tmp_path / "out"
    assert main(["replay", "--input", str(source), "--output", str(out)]) == 0
    assert len(list(read_records(out, "dead_letters"))) == 2
    words = ["--input", str(source), "--results", str(out), "--before", BEFORE, "--output", str(tmp_path / "r")]
    assert main(["erase", "w1", *words]) == 0
    (left,) = (source / "telemetry" / "deep").iterdir()
    assert left.read_text() == DEEP + "\n"
    assert [letter["raw"].count("w1") for letter in read_records(out, "dead_letters")] == [0]


@pytest.mark.parametrize("worker", ["", " ", "\udcff", "w\n1"])
def test_what_is_no_id_of_a_rider_erases_nothing(tmp_path, monkeypatch, capsys, worker):
    """An empty word, as of a variable that is not set, is in every broken line."""
    monkeypatch.setenv("MONSOON_ERASURE_KEY", "k")
    write_lines(tmp_path / "in" / "telemetry", ".", ["a broken line"])
    words = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "records")]
    assert main(["erase", worker, *words]) == 1
    assert "no id of a rider" in capsys.readouterr().err
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "typo"], "typo"),
        (["--results", "typo"], "no such folder"),
        (["--feature-store", "typo"], "no feature store here"),
        (["--feature-store", "in"], "no feature store here"),
        (["--redis", "typo"], "no address of Redis"),
        (["--redis", "redis://:pass@127.0.0.1:1/0"], "redis://***@127.0.0.1:1/0: Redis does not answer"),
        (["--redis", "redis://:pass@127.0.0.1:99999/0"], "redis://***@127.0.0.1:99999/0: no address of Redis"),
    ],
)
def test_a_place_that_is_none_is_found_before_anything_is_erased(place, monkeypatch, capsys, words, message):
    monkeypatch.chdir(place)
    before = telemetry(place / "in")
    assert main(["erase", "w1", *everywhere(place), *words, "--output", "records"]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert "pass" not in told
    assert telemetry(place / "in") == before
    assert not (place / "records").exists()


def test_what_was_erased_before_a_place_failed_stands_in_a_record(place, capsys):
    (part,) = (place / "out" / "claims").iterdir()
    part.write_text("{")
    words = ["erase", "w1", "--before", BEFORE, *everywhere(place), "--output", str(place / "records")]
    assert main(words) == 1
    told = capsys.readouterr()
    assert "no record of claims" in told.err
    assert "an erasure that is not complete" in told.out
    (path,) = (place / "records").iterdir()
    record = verified(path.read_bytes(), KEY)
    assert record["is_complete"] is False
    assert record["places"]["input 1"][0]["records_erased"] > 0
    assert "feature store" not in record["places"]
