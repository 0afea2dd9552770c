"""Inputs as people have met them in public bug reports: the right money, and a word that names the fault."""

import gzip
import json

import polars as pl
import pytest
from kit import LAT, LON, at, reading_record
from kit.streams import policy_record, report, write_streams

from monsoon.cli.main import main


def replayed(source, output, capsys, product="kawaach"):
    """Rupees paid, reasons of dead letters with their details, files passed over, and standard error."""
    assert main(["replay", "--input", str(source), "--output", str(output), "--products", product]) == 0
    summary = json.loads((output / "summary.json").read_text())
    for counts in summary["streams"].values():
        assert counts["read"] == counts["used"] + counts["duplicate"] + counts["dead"]
    dead = [json.loads(line) for line in (output / "dead_letters" / "part-00000.jsonl").read_text().splitlines()]
    ignored = {stream: counts["ignored"] for stream, counts in summary["streams"].items() if counts["ignored"]}
    paid = summary["products"][product]["payout_paise"] / 100
    return paid, {letter["reason"]: letter["detail"] for letter in dead}, ignored, capsys.readouterr().err


SHARED = {
    "kelvin": ("nexora", 0, "out_of_range:value", "temperature_c"),
    "fog-minus-9999": ("jugaad", 0, "out_of_range:value", "visibility_m"),
    "aqi-minus-999": ("kawaach", 800, "out_of_range:value", "aqi"),
    "aqi-left-out": ("kawaach", 800, None, None),
    "radius-in-metres": ("kawaach", 0, "out_of_range:radius_km", "79.78"),
    "provider-upper-case": ("kawaach", 0, "out_of_range:provider", "a-z0-9"),
    "provider-space": ("kawaach", 0, "out_of_range:provider", "a-z0-9"),
    "fix-at-0-0": ("kawaach", 800, "out_of_range:lat", "exactly 0"),
    "byte-order-mark": ("kawaach", 800, None, None),
    "partitions": ("kawaach", 800, None, None),
    "file-names": ("kawaach", 800, None, None),
    "json-array": ("kawaach", 0, "not_json", "one array"),
    "parquet-timestamp": ("kawaach", 800, None, None),
    "h3-0x": ("kawaach", 0, "bad_area", "without 0x"),
    "unclosed-ring": ("kawaach", 0, "bad_geometry:wkt", "not closed"),
    "surrogate": ("kawaach", 800, None, None),
    "seconds": ("kawaach", 0, "out_of_range:event_time", "seconds"),
    "lat-lon-swapped": ("kawaach", 0, None, None),
    "wage-1e308": ("kawaach", 0, "out_of_range:daily_wage_inr", "10000"),
}
WARNED = {"json-array": "oracle_readings: 1 line refused as an array", "lat-lon-swapped": "within 500 km"}
PASSED_OVER = {
    "file-underscore": {"oracle_readings": ["_old.jsonl"]},
    "file-dot": {"oracle_readings": [".old.jsonl"]},
    "file-appledouble": {"telemetry": ["._part.parquet"]},
    "file-emacs-lock": {"telemetry": [".#part-00000.jsonl"]},
}


@pytest.mark.parametrize("case", SHARED)
def test_shared_cases(shared, tmp_path, capsys, case):
    product, right, reason, words = SHARED[case]
    paid, dead, ignored, told = replayed(shared / "cases" / case, tmp_path / "out", capsys, product)
    assert (paid, ignored) == (right, {})
    assert [*dead] == ([] if reason is None else [reason])
    assert reason is None or words in dead[reason]
    assert told.count("\n") == (case in WARNED)
    assert WARNED.get(case, "") in told


@pytest.mark.parametrize("case", PASSED_OVER)
def test_shared_cases_of_files_that_are_none(shared, tmp_path, capsys, case):
    assert replayed(shared / "cases" / case, tmp_path / "out", capsys) == (800, {}, PASSED_OVER[case], "")


def rain(name, **fields):
    record = reading_record("rain_mm_24h", 110.0, 0, reading_id=f"{name}-1", provider=name)
    return {field: value for field, value in (record | fields).items() if value is not None}


def storm():
    """One rider of Delhi, two providers at 110 mm."""
    policy = policy_record("w1", "p1", daily_wage_inr=800)
    return {
        "telemetry": [report("w1", minutes, orders_completed=0) for minutes in range(-30, 5)],
        "oracle_readings": [rain("imd"), rain("skymet")],
        "subscriptions": [{name: value for name, value in policy.items() if value is not None}],
    }


@pytest.fixture
def right(tmp_path, capsys):
    """What the storm pays as it is."""
    paid, *rest = replayed(write_streams(tmp_path / "right", storm()), tmp_path / "right-out", capsys)
    assert paid > 0
    assert rest == [{}, {}, ""]
    return paid


SPOILED = {
    "capitals": {"provider": "SKYMET"},
    "no-break space": {"provider": "skymet\u00a0"},
    "metres": {"radius_km": 10_000.0},
    "past the disc": {"radius_km": 79.7801},
    "below": {"value": -0.001},
    "missing value": {"value": -9999},
    "inches": {"value": 2000.1},
    "seconds": {"event_time": at(0) // 1000},
    "nanoseconds": {"event_time": at(0) * 10**6},
    "0x": {"lat": None, "lon": None, "h3": "0x873da1151ffffff"},
    "open ring": {"lat": None, "lon": None, "wkt": "POLYGON((77 28,78 28,78 29,77 29))"},
    "nowhere": {"lat": 0, "lon": -0.0},
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_second_voice_that_cannot_be_is_none(right, tmp_path, capsys, fault):
    spoiled = rain("skymet", **SPOILED[fault])
    source = write_streams(tmp_path / "in", {**storm(), "oracle_readings": [rain("imd"), spoiled]})
    paid, dead, _, told = replayed(source, tmp_path / "out", capsys)
    assert (paid, len(dead), told) == (0, 1, "")


@pytest.mark.parametrize("wage", [10_000.01, 1e308, -1])
def test_no_money_is_made_of_a_wage_that_nobody_earns(right, tmp_path, capsys, wage):
    policies = [each | {"daily_wage_inr": wage} for each in storm()["subscriptions"]]
    source = write_streams(tmp_path / "in", {**storm(), "subscriptions": policies})
    paid, dead, _, _ = replayed(source, tmp_path / "out", capsys)
    assert (paid, [*dead]) == (0, ["out_of_range:daily_wage_inr"])


def test_a_phone_that_once_had_no_fix_is_paid_as_ever(right, tmp_path, capsys):
    lost = report("w1", -0.5, lat=0, lon=0)
    source = write_streams(tmp_path / "in", {**storm(), "telemetry": [*storm()["telemetry"], lost]})
    paid, dead, _, _ = replayed(source, tmp_path / "out", capsys)
    assert (paid, [*dead]) == (right, ["out_of_range:lat"])


MARK = b"\xef\xbb\xbf"
HALF = b',"note":"\\ud83d"}\n'
DEEP = "dt=2024-06-28/hour=2"
LAID_OUT = {
    "a mark": ("a.json", lambda data: MARK + data),
    "a mark, compressed": ("A.NDJSON.GZ", lambda data: gzip.compress(MARK + data)),
    "deep": (f"{DEEP}/topic+0+0.json.gz", gzip.compress),
    "half a character": ("a.jsonl", lambda data: data.replace(b"}\n", HALF)),
}


@pytest.mark.parametrize("way", LAID_OUT)
def test_the_same_records_otherwise_laid_out(right, tmp_path, capsys, way):
    name, made = LAID_OUT[way]
    for stream, records in storm().items():
        (tmp_path / "in" / stream / DEEP).mkdir(parents=True)
        data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        (tmp_path / "in" / stream / name).write_bytes(made(data))
    assert replayed(tmp_path / "in", tmp_path / "out", capsys) == (right, {}, {}, "")


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_parquet_with_timestamps(right, tmp_path, capsys, unit):
    times = ("event_time", "issued_time", "coverage_start", "coverage_end")
    for stream, records in storm().items():
        rows = pl.DataFrame(records, infer_schema_length=None)
        in_utc = [
            pl.from_epoch(name, "ms").cast(pl.Datetime(unit)).dt.replace_time_zone("UTC")
            for name in rows.columns
            if name in times
        ]
        (tmp_path / "in" / stream).mkdir(parents=True)
        rows.with_columns(in_utc).write_parquet(tmp_path / "in" / stream / "part.parquet")
    assert replayed(tmp_path / "in", tmp_path / "out", capsys) == (right, {}, {}, "")


def test_what_other_tools_leave_behind(right, tmp_path, capsys):
    source = write_streams(tmp_path / "in", storm())
    left = ["_old.jsonl", ".part-0.jsonl.crc", "._part-0.parquet", "_SUCCESS"]
    for name in left:
        (source / "telemetry" / name).write_bytes(b"\x00\x05\x16\x07")
    (source / "telemetry" / ".#part-0.jsonl").symlink_to("asha@phone.4711:1719500000")
    (source / "telemetry" / "_temporary" / "0").mkdir(parents=True)
    (source / "telemetry" / "_temporary" / "0" / "part-0.jsonl").write_text("half of a li")
    ignored = {"telemetry": sorted([*left, ".#part-0.jsonl", "_temporary/"])}
    assert replayed(source, tmp_path / "out", capsys) == (right, {}, ignored, "")


@pytest.mark.parametrize("indent", [None, 1])
def test_a_file_that_is_one_array(right, tmp_path, capsys, indent):
    source = write_streams(tmp_path / "in", {**storm(), "oracle_readings": []})
    (source / "oracle_readings" / "a.json").write_text(json.dumps(storm()["oracle_readings"], indent=indent))
    paid, dead, _, told = replayed(source, tmp_path / "out", capsys)
    assert (paid, [*dead]) == (0, ["not_json"])
    assert told.count("\n") == 1
    assert "one array" in told


@pytest.mark.parametrize("stream", ["telemetry", "oracle_readings"])
def test_latitude_and_longitude_swapped(right, tmp_path, capsys, stream):
    swapped = [each | {"lat": LON, "lon": LAT} for each in storm()[stream]]
    _, dead, _, told = replayed(write_streams(tmp_path / "in", {**storm(), stream: swapped}), tmp_path / "out", capsys)
    assert dead == {}
    assert told == (
        f"monsoon replay: warning: {stream}: nothing in it lies within 500 km of any policy's home; are latitude and "
        "longitude swapped?\n"
    )
