"""Hostile and broken inputs: a dead letter with a reason, or a clear error; nothing crashes, nothing is lost."""

import json
import os
import subprocess
import sys

import jsonschema
import pytest
from kit import LAT, LON, at, reading_record, subscription_record
from kit.hostile import HOSTILE
from kit.reserves import RESERVES
from kit.streams import STREAMS, report, small_storm, write_lines, write_parquet, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.local.replay import replay
from monsoon.sinks.folder import STREAMS as OUTPUTS
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

PRODUCTS = load_products()


def run(source, output):
    summary = replay(source, output, PRODUCTS, list(PRODUCTS), load_scorer())
    records = {
        stream: [json.loads(line) for line in (output / stream / "part-00000.jsonl").read_text().splitlines()]
        for stream in OUTPUTS
    }
    return summary, records


def lines_of(records):
    return [json.dumps(record) for record in records]


def test_hostile_lines_become_dead_letters_and_the_rest_is_paid_as_ever(tmp_path):
    clean = small_storm()
    _, expected = run(write_streams(tmp_path / "clean", clean), tmp_path / "clean-out")
    for stream in STREAMS:
        write_lines(tmp_path / "in", stream, [*HOSTILE[stream], *lines_of(clean[stream]), *HOSTILE[stream]])
    summary, got = run(tmp_path / "in", tmp_path / "out")
    for stream in ("disruptions", "claims", "payouts"):
        assert got[stream] == expected[stream]
    for stream in STREAMS:
        counts = summary["streams"][stream]
        assert counts["read"] == counts["used"] + counts["duplicate"] + counts["dead"]
        assert counts["read"] == len(clean[stream]) + 2 * sum(bool(line.strip()) for line in HOSTILE[stream])
        assert counts["used"] == len(clean[stream])
    reasons = {letter["reason"] for letter in got["dead_letters"]}
    assert {
        "not_json", "too_long", "too_deep", "missing_field:worker_id", "wrong_type:event_id", "out_of_range:lat",
        "raw_identifier:device_id", "out_of_range:event_time", "unknown_metric", "out_of_range:value", "bad_area",
        "bad_geometry:wkt", "missing_field:platform",
    } <= reasons  # fmt: skip


def test_every_output_keeps_its_contract(tmp_path, root):
    write_streams(tmp_path / "in", small_storm() | {"reserves": RESERVES})
    write_lines(tmp_path / "in", "telemetry", [*lines_of(small_storm()["telemetry"]), *HOSTILE["telemetry"]])
    _, got = run(tmp_path / "in", tmp_path / "out")
    for stream, contract in (
        ("disruptions", "disruption"), ("claims", "claim"), ("payouts", "payout"), ("dead_letters", "dead_letter"),
        ("notifications", "notification"), ("reserve_alerts", "reserve_alert"),
    ):  # fmt: skip
        schema = json.loads((root / "contracts" / f"{contract}.schema.json").read_text())
        assert got[stream]
        for record in got[stream]:
            jsonschema.validate(record, schema)


def test_streams_without_a_record_are_an_honest_empty_result(tmp_path):
    for stream in STREAMS:
        (tmp_path / "in" / stream).mkdir(parents=True)
    (tmp_path / "in" / "telemetry" / "empty.jsonl").write_text("\n\n")
    summary, got = run(tmp_path / "in", tmp_path / "out")
    assert all(records == [] for records in got.values())
    assert summary["streams"]["telemetry"]["read"] == 0


def storm_with(tmp_path, telemetry=(), readings=(), subscriptions=()):
    records = {"telemetry": telemetry, "oracle_readings": readings, "subscriptions": subscriptions}
    return run(write_streams(tmp_path / "in", records), tmp_path / "out")[1]


POLICY = subscription_record("activated", -100, -50, 9000, device_id="dw1xx", payout_account="u1xx")


def present(record):
    return {name: value for name, value in record.items() if value is not None}


def test_a_telemetry_clock_minutes_off_harms_nobody(tmp_path):
    late = [report("w1", minutes, event_time=at(minutes) + 7 * 60_000) for minutes in range(-30, 30)]
    got = storm_with(tmp_path, late, [present(reading_record("curfew", 1, 0))], [present(POLICY)])
    assert [claim["status"] for claim in got["claims"]] == ["approved"]


def test_a_provider_that_reports_the_future_is_not_believed_before_its_time(tmp_path):
    future = [present(reading_record("curfew", 1, 500, issued_time=at(0)))]
    got = storm_with(tmp_path, [report("w1", 0)], future, [present(POLICY)])
    assert {record["confirmed_at"] for record in got["disruptions"]} == {at(500)}


def test_a_cell_of_the_wrong_resolution_names_no_area(tmp_path):
    reading = present(reading_record("curfew", 1, 0)) | {"h3": "8f3da1162c7ffff"}
    del reading["lat"], reading["lon"]
    got = storm_with(tmp_path, [report("w1", 0)], [reading], [present(POLICY)])
    assert [letter["reason"] for letter in got["dead_letters"]] == ["bad_area"]


def test_two_policies_of_one_rider_are_paid_once(tmp_path):
    second = POLICY | {"policy_id": "p2", "event_id": "other"}
    got = storm_with(tmp_path, [], [present(reading_record("curfew", 1, 0))], [present(POLICY), present(second)])
    assert len(got["payouts"]) == 1


def test_a_rider_in_two_zones_at_once_claims_in_one(tmp_path):
    twins = [report("w1", 0, event_id=f"w1-{n}", lat=LAT + n * 0.02, lon=LON) for n in range(2)]
    got = storm_with(tmp_path, twins, [present(reading_record("curfew", 1, 0))], [present(POLICY)])
    assert len({record["zone"] for record in got["disruptions"]}) == 2
    assert len({claim["claim_id"] for claim in got["claims"]}) == 1


def test_a_correction_before_its_reading_and_one_of_a_correction(tmp_path):
    readings = [
        reading_record("curfew", 1, 0, reading_id="early"),
        reading_record("curfew", 0, 0, reading_id="early", revision=1, issued_time=at(-10)),
        reading_record("curfew", 1, 2000, reading_id="twice"),
        reading_record("curfew", 0, 2000, reading_id="twice", revision=1, issued_time=at(2010)),
        reading_record("curfew", 1, 2000, reading_id="twice", revision=2, issued_time=at(2020)),
    ]
    got = storm_with(tmp_path, [], [present(reading) for reading in readings], [present(POLICY)])
    assert [(record["start"], record["state"]) for record in got["disruptions"]] == [
        (at(2000), "confirmed"), (at(2000), "withdrawn"), (at(2000), "confirmed"), (at(2000), "ended"),
    ]  # fmt: skip
    assert len(got["payouts"]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "{tmp}/nowhere", "--output", "{tmp}/out"], "/nowhere: no such folder"),
        (["--input", "{tmp}/in/telemetry/part-0.jsonl", "--output", "{tmp}/out"], "part-0.jsonl: is a file, not a"),
        (["--input", "{tmp}/in/telemetry", "--output", "{tmp}/out"], "/telemetry/subscriptions: no such folder"),
        (["--input", "{tmp}/in", "--output", "{tmp}/in"], "overlaps the input"),
        (["--input", "{tmp}/in", "--output", "{tmp}/out", "--products", "kavach"], "no product 'kavach'"),
        (["--input", "{tmp}/in", "--output", "{tmp}/out", "--model", "{tmp}/in"], "model folder refused"),
    ],
)
def test_what_a_user_gets_wrong_is_told_in_a_line(tmp_path, capsys, arguments, words):
    write_streams(tmp_path / "in", small_storm())
    assert main(["replay", *(word.format(tmp=tmp_path) for word in arguments)]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_pipe_among_the_files_is_told_not_waited_for(tmp_path, capsys):
    write_streams(tmp_path / "in", small_storm())
    os.mkfifo(tmp_path / "in" / "telemetry" / "pipe.jsonl")
    assert main(["replay", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    assert "pipe.jsonl: is no regular file" in capsys.readouterr().err


def test_a_damaged_parquet_file_is_told(tmp_path, capsys):
    write_parquet(tmp_path / "in", small_storm())
    whole = (tmp_path / "in" / "telemetry" / "part-0.parquet").read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("flipped", whole[:500] + b"\xff" * 64 + whole[564:])):
        (tmp_path / "in" / "telemetry" / "part-0.parquet").write_bytes(content)
        assert main(["replay", "--input", str(tmp_path / "in"), "--output", str(tmp_path / name)]) == 1
        assert "part-0.parquet: unreadable Parquet file" in capsys.readouterr().err


def test_the_summary_reports_metrics_of_the_typed_list_only(tmp_path):
    from monsoon.pipelines.metrics import METRICS

    summary, _ = run(write_streams(tmp_path / "in", small_storm()), tmp_path / "out")
    at_the_end = {metric.name for metric in METRICS if not metric.while_running}
    assert {name.partition("{")[0] for name in summary["metrics"]} == at_the_end
    assert summary["metrics"]['records_read{stream="telemetry"}'] == summary["streams"]["telemetry"]["read"]


def test_files_of_other_endings_are_told_on_a_line_and_in_the_summary(tmp_path, capsys):
    source = write_streams(tmp_path / "in", small_storm())
    for number in range(5):
        (source / "oracle_readings" / f"part-{number}.csv").write_text("{}")
    (source / "oracle_readings" / "_SUCCESS").touch()
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == (
        "monsoon replay: warning: passed over, being no *.jsonl, *.ndjson or *.json, each also with .gz, or *.parquet: "
        "oracle_readings/part-0.csv, oracle_readings/part-1.csv, oracle_readings/part-2.csv and 2 more\n"
    )
    streams = json.loads((tmp_path / "out" / "summary.json").read_text())["streams"]
    assert streams["oracle_readings"]["ignored"] == ["_SUCCESS", *(f"part-{number}.csv" for number in range(5))]
    assert streams["telemetry"]["ignored"] == []


HUGE = {"speed_mps": 1e308, "accel_var": 1e308, "accuracy_m": 1e308, "cn0_dbhz": 1e308, "agc_db": -1e308,
        "pressure_hpa": 1e308, "orders_completed": 2**63 - 1, "app_state": "on_trip"}  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_the_largest_doubles_are_judged_without_a_warning(tmp_path):
    reports = [report("w1", minute, **HUGE) for minute in range(-60, 60)]
    got = storm_with(tmp_path, reports, [present(reading_record("curfew", 1, 0))], [present(POLICY)])
    features = got["claims"][0]["features"]
    assert features["accelerometer_variance"] == 1e308
    assert features["recent_activity_in_zone"] > 2.0**63


@pytest.mark.slow
def test_a_name_that_the_locale_cannot_write_is_no_error(tmp_path):
    source = write_streams(tmp_path / "\u0928\u092e", small_storm())
    (source / "reference").mkdir()
    (source / "reference" / "access_points.csv").write_text("bssid,lat,lon\nap1,28.5,77.2\n")
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "monsoon.cli.main", "replay", "--input", str(source), "--output"]
    done = subprocess.run([*command, str(source / "out")], env=plain, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    refused = subprocess.run([*command, str(source / "telemetry")], env=plain, capture_output=True)
    assert refused.returncode == 1
    assert refused.stderr.count(b"\n") == 1
    assert b"\\u0928\\u092e/telemetry: overlaps the input" in refused.stderr
