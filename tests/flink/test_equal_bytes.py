"""Local, batch and streaming end in the same bytes, summary included, whatever the input and the parallelism."""

import gzip
import json
import random

import pytest
from kit.flink_runs import in_batch, locally, streaming
from kit.hostile import HOSTILE
from kit.reserves import RESERVES, answer
from kit.streams import STREAMS, report, small_storm, write_lines, write_parquet, write_streams

from monsoon.cli.main import main
from monsoon.sinks.folder import STREAMS as OUTPUTS
from monsoon.sources.erased_workers import erased_workers_text
from monsoon.sources.files import InputError
from monsoon.transforms.erasure import worker_hash

pytestmark = pytest.mark.flink

HOUR_MS = 3_600_000


def same(tmp_path, source, batch, stream, **options):
    """Compares every way with the local engine, whose output it returns."""
    expected = locally(source, tmp_path / "local")
    for parallelism in batch:
        found = in_batch(source, tmp_path / f"batch-{parallelism}", parallelism, buckets=2 * parallelism + 1)
        assert found == expected, f"batch, parallelism {parallelism}"
    for parallelism in stream:
        found = streaming(source, tmp_path / f"stream-{parallelism}", parallelism, **options)
        assert found == expected, f"streaming, parallelism {parallelism}"
    return expected


def crowd():
    """Twelve riders of two platforms in one zone, with pressures, orders and habits of their own; two lie. One
    policy changes hands."""
    minutes = range(-600, 60)
    storm = small_storm()
    telemetry = [
        report(f"w{rider}", minute) | {
            "pressure_hpa": 990.0 + ((rider + 1) * minute % 17) / 10,
            "orders_completed": int(minute % (rider + 9) == 0),
            "platform": ("zepto", "blinkit")[rider % 2], "mock_location": rider in (3, 7),
            "battery_pct": 90.0 - (minute + 600) / 20,
        }
        for rider in range(12) for minute in minutes if minute > -60 - 40 * rider
    ]  # fmt: skip
    first = storm["subscriptions"][0]
    policies = [
        first
        | {
            "event_id": f"s{n}",
            "policy_id": f"p{n}",
            "worker_id": f"w{n}",
            "device_id": f"dw{n}x",
            "payout_account": f"u{n}xx",
            "orders_per_hour": 4.0,
        }
        for n in range(12)
    ]  # fmt: skip
    handed = {"event_id": "handed", "event_time": first["event_time"] + 1, "type": "renewed", "worker_id": "w13"}
    return storm | {"telemetry": telemetry, "subscriptions": [*policies, first | handed]}


def spoiled(records):
    """The lines of a storm, among them every hostile one, conflicts, and fields that become null."""
    one = records["telemetry"][100]
    telemetry = [
        *records["telemetry"],
        # The same id with other content, another rider's among them; a field that becomes null, once and twice.
        one | {"battery_pct": 79.0}, one | {"worker_id": "w3"}, one | {"worker_id": "w3"},
        *[report("w2", 7.1) | {"battery_pct": 1000.0}] * 2, report("w2", 7.2) | {"accuracy_m": "x"},
        one | {"charging": 1},
    ]  # fmt: skip
    subscriptions = [*records["subscriptions"], records["subscriptions"][0] | {"daily_wage_inr": 1}]
    records = records | {"telemetry": telemetry, "subscriptions": subscriptions}
    long = ["x" * 3_000_000, '{"a":"' + "y" * 2_000_000 + '"}']
    return {
        stream: [*HOSTILE[stream], *(json.dumps(record) for record in records[stream]), *HOSTILE[stream], *long]
        for stream in STREAMS
    }


def late(records, by_ms):
    """Records in the order in which they arrive, up to so much after their time."""
    chance = random.Random(7)
    arrival = {id(record): record["event_time"] + chance.randrange(by_ms) for record in records}
    return sorted(records, key=lambda record: arrival[id(record)])


@pytest.fixture
def everything(tmp_path):
    """One input with all at once: hostile lines, conflicts, repeats, Parquet and gzip beside plain files, telemetry an
    hour late, one stream whole before another has begun."""
    records = crowd()
    lines = spoiled(records)
    chance = random.Random(3)
    for stream in STREAMS:
        chance.shuffle(lines[stream])
    source = tmp_path / "in"
    write_lines(source, "subscriptions", lines["subscriptions"])
    write_lines(source, "oracle_readings", lines["oracle_readings"], parts=1, gz=True)
    write_lines(source, "telemetry", lines["telemetry"], parts=3, gz=True)
    delayed = late(records["telemetry"], HOUR_MS)
    (source / "telemetry" / "late.jsonl").write_text("".join(json.dumps(record) + "\n" for record in delayed))
    write_parquet(tmp_path / "columns", records)
    for stream in STREAMS:
        for file in (tmp_path / "columns" / stream).iterdir():
            file.rename(source / stream / file.name)
    return source


def test_everything_at_once_in_batch_and_streaming(tmp_path, everything):
    expected = same(tmp_path, everything, batch=(2,), stream=(2,))
    dead = b"\n".join(expected["dead_letters"])
    for reason in (b"conflicting_duplicate", b"too_long", b"not_json", b"raw_identifier:device_id"):
        assert reason in dead
    summary = json.loads(expected["summary"])
    assert summary["streams"]["telemetry"]["nulled"]
    assert summary["streams"]["telemetry"]["duplicate"] > 4000
    claims = [json.loads(line) for line in expected["claims"]]
    for feature in ("barometric_delta_match", "claim_burst_rank", "peer_divergence"):
        assert sum(claim["features"].get(feature) is not None for claim in claims) > 5, feature
    assert {"step_up", "approved"} <= {claim["status"] for claim in claims}


@pytest.mark.slow
def test_everything_at_once_at_other_parallelisms(tmp_path, everything):
    assert len(same(tmp_path, everything, batch=(4,), stream=(1,), part_bytes=100_000)["payouts"]) >= 5


@pytest.mark.slow
def test_reserves_and_answers(tmp_path):
    """What waits for a reserve is the same whatever the engine; the summary says what still waits at the end."""
    source = write_streams(
        tmp_path / "in", small_storm() | {"reserves": RESERVES[:3], "confirmations": [answer("a", 5)]}
    )
    write_lines(source, "reserves", ["nonsense", *(json.dumps(each) for each in RESERVES[:4])], gz=True)
    expected = same(tmp_path, source, batch=(2,), stream=(2,))
    assert len(expected["reserve_alerts"]) >= 2
    assert b'"queued"' in b"".join(expected["notifications"])
    summary = json.loads(expected["summary"])
    assert summary["products"]["kawaach"]["queued_claims"] > 0
    assert summary["streams"]["reserves"]["duplicate"] == 3


@pytest.mark.slow
def test_telemetry_an_hour_late_in_many_parts(tmp_path):
    records = crowd()
    records["telemetry"] = late(records["telemetry"], HOUR_MS)
    same(tmp_path, write_streams(tmp_path / "in", records), batch=(), stream=(2,), part_bytes=60_000)


@pytest.mark.slow
@pytest.mark.parametrize("whole", STREAMS)
def test_one_stream_is_there_before_the_others(tmp_path, whole):
    """A compressed file is one part, read as early as its first record; the others come in many, later."""
    records = small_storm()
    for stream in STREAMS:
        records[stream].sort(key=lambda record: record["event_time"])
        write_lines(tmp_path / "in", stream, [json.dumps(each) for each in records[stream]], gz=stream == whole)
    same(tmp_path, tmp_path / "in", batch=(), stream=(1,), part_bytes=4_000 if whole == "telemetry" else 40_000)


@pytest.mark.slow
def test_streams_without_a_record(tmp_path):
    for stream in STREAMS:
        (tmp_path / "in" / stream).mkdir(parents=True)
    (tmp_path / "in" / "telemetry" / "empty.jsonl").write_text("\n\n")
    same(tmp_path, tmp_path / "in", batch=(1,), stream=(1,))


@pytest.mark.slow
def test_a_simulated_storm(tmp_path):
    words = [
        "simulate",
        "--storm",
        "delhi-2019-11-02-smog",
        "--riders",
        "60",
        "--seed",
        "5",
        "--output",
        str(tmp_path / "in"),
    ]
    assert main(words) == 0
    expected = same(tmp_path, tmp_path / "in", batch=(2,), stream=(2,), part_bytes=1_000_000)
    assert len(expected["claims"]) > 10


@pytest.mark.slow
def test_a_damaged_file_is_told_in_a_line_and_leaves_nothing(tmp_path):
    source = write_streams(tmp_path / "in", small_storm())
    whole = gzip.compress(b'{"event_id":"e"}\n' * 50)
    (source / "telemetry" / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    for engine in (in_batch, streaming):
        with pytest.raises(InputError, match="damaged gzip file"):
            engine(source, tmp_path / "out")
        assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_parquet_is_the_same_from_both_engines(tmp_path):
    source = write_streams(tmp_path / "in", small_storm(every_min=5) | {"reserves": RESERVES[:3]})
    for engine in ("local", "flink"):
        words = ["replay", "--input", str(source), "--output", str(tmp_path / engine), "--engine", engine]
        assert main([*words, "--format", "parquet", "--products", "kawaach"]) == 0
    parts = {
        engine: {path.parent.name: path.read_bytes() for path in (tmp_path / engine).glob("*/part-*")}
        for engine in ("local", "flink")
    }
    assert parts["local"] == parts["flink"]
    assert set(parts["local"]) == set(OUTPUTS)


def test_withdrawn_and_erased_riders(tmp_path):
    """One withdraws his consent and gives it again, of another the old reports are refused."""
    records = crowd()
    last = max(each["event_time"] for each in records["telemetry"])
    first = next(each for each in records["subscriptions"] if each["worker_id"] == "w2")
    for number, (before_ms, consents) in enumerate(((2 * HOUR_MS, ["payout"]), (HOUR_MS // 2, ["location"]))):
        event = {"event_id": f"consents-{number}", "event_time": last - before_ms, "type": "renewed"}
        records["subscriptions"].append(first | event | {"consents": consents})
    source = write_streams(tmp_path / "in", records, parts=3)
    (source / "reference").mkdir()
    erased = erased_workers_text({worker_hash("w4"): last - HOUR_MS})
    (source / "reference" / "erased_workers.csv").write_text(erased)
    found = same(tmp_path, source, batch=(2,), stream=(1,), part_bytes=50_000)
    letters = [json.loads(line) for line in found["dead_letters"]]
    assert {each["reason"] for each in letters} == {"erased_worker"}
