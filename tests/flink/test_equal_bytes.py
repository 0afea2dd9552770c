"""Flink and the local engine write the same bytes, summary included, whatever the input and the parallelism."""

import gzip
import json
import random

import pytest
from kit.hostile import HOSTILE
from kit.streams import STREAMS, report, small_storm, write_lines, write_parquet, write_streams

from monsoon.cli.main import main
from monsoon.sinks.folder import STREAMS as OUTPUTS
from monsoon.sources.files import InputError
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

pytestmark = [pytest.mark.flink, pytest.mark.slow]
PRODUCTS = load_products()


def written(folder):
    """The bytes of every output, by name."""
    found = {stream: (folder / stream / "part-00000.jsonl").read_bytes() for stream in OUTPUTS}
    return found | {"summary": (folder / "summary.json").read_bytes()}


def locally(source, folder):
    from monsoon.pipelines.local.replay import replay

    replay(source, folder, PRODUCTS, list(PRODUCTS), load_scorer())
    return written(folder)


def on_flink(source, folder, parallelism=1, buckets=3):
    from monsoon.pipelines.flink.replay import replay

    replay(source, folder, PRODUCTS, list(PRODUCTS), parallelism=parallelism, buckets=buckets)
    return written(folder)


def assert_same(tmp_path, source, **options):
    expected = locally(source, tmp_path / "local")
    assert on_flink(source, tmp_path / "flink", **options) == expected
    return expected


@pytest.mark.parametrize(("parallelism", "buckets"), [(1, 1), (2, 5)])
def test_small_storm(tmp_path, parallelism, buckets):
    source = write_streams(tmp_path / "in", small_storm())
    expected = assert_same(tmp_path, source, parallelism=parallelism, buckets=buckets)
    assert expected["payouts"].count(b"\n") >= 5


def test_shuffled_split_gzipped_and_in_part_repeated(tmp_path):
    records = small_storm()
    for stream in STREAMS:
        random.Random(3).shuffle(records[stream])
    source = write_streams(tmp_path / "in", records, parts=4, gz=True)
    write_streams(tmp_path / "in", {stream: some[: len(some) // 2] for stream, some in records.items()})
    assert_same(tmp_path, source, parallelism=2)


def test_hostile_lines_conflicts_and_nulled_fields(tmp_path):
    records = small_storm()
    one = records["telemetry"][100]
    records["telemetry"] += [
        # The same id with other content, another rider's among them; a field that becomes null, once and twice.
        one | {"battery_pct": 79.0}, one | {"worker_id": "w3"}, one | {"worker_id": "w3"},
        *[report("w2", 7.1) | {"battery_pct": 1000.0}] * 2, report("w2", 7.2) | {"accuracy_m": "x"},
        one | {"charging": 1},
    ]  # fmt: skip
    records["subscriptions"].append(records["subscriptions"][0] | {"daily_wage_inr": 1})
    for stream in STREAMS:
        lines = [*HOSTILE[stream], *(json.dumps(record) for record in records[stream]), *HOSTILE[stream]]
        write_lines(tmp_path / "in", stream, [*lines, "x" * 3_000_000, '{"a":"' + "y" * 2_000_000 + '"}'], parts=3)
    expected = assert_same(tmp_path, tmp_path / "in", parallelism=2)
    for reason in (b"conflicting_duplicate", b"too_long", b"not_json", b"raw_identifier:device_id"):
        assert reason in expected["dead_letters"]
    assert json.loads(expected["summary"])["streams"]["telemetry"]["nulled"]


def test_a_policy_that_changed_hands(tmp_path):
    records = small_storm()
    first = records["subscriptions"][0]
    handed = first | {"event_id": "handed", "event_time": first["event_time"] + 1, "type": "renewed"}
    records["subscriptions"].append(handed | {"worker_id": "w4"})
    assert_same(tmp_path, write_streams(tmp_path / "in", records), buckets=7)


def test_parquet(tmp_path):
    assert_same(tmp_path, write_parquet(tmp_path / "in", small_storm()))


def test_streams_without_a_record(tmp_path):
    for stream in STREAMS:
        (tmp_path / "in" / stream).mkdir(parents=True)
    (tmp_path / "in" / "telemetry" / "empty.jsonl").write_text("\n\n")
    assert_same(tmp_path, tmp_path / "in")


def crowd():
    """Twelve riders of two platforms in one zone, with pressures, orders and habits of their own; two lie."""
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
    names = [
        {
            "event_id": f"s{n}",
            "policy_id": f"p{n}",
            "worker_id": f"w{n}",
            "device_id": f"dw{n}x",
            "orders_per_hour": 4.0,
        }
        for n in range(12)
    ]
    return storm | {"telemetry": telemetry, "subscriptions": [first | name for name in names]}


def test_what_only_shows_in_comparison(tmp_path):
    expected = assert_same(tmp_path, write_streams(tmp_path / "in", crowd()), parallelism=2, buckets=5)
    claims = [json.loads(line) for line in expected["claims"].splitlines()]
    for feature in ("barometric_delta_match", "claim_burst_rank", "peer_divergence"):
        assert sum(claim["features"].get(feature) is not None for claim in claims) > 5, feature
    assert {"step_up", "approved"} <= {claim["status"] for claim in claims}


def test_a_simulated_storm(tmp_path):
    words = ["simulate", "--storm", "delhi-2024-06-28", "--riders", "100", "--seed", "5"]
    assert main([*words, "--output", str(tmp_path / "in")]) == 0
    expected = assert_same(tmp_path, tmp_path / "in", parallelism=2, buckets=8)
    assert expected["claims"].count(b"\n") > 20


def test_the_command(tmp_path, capsys):
    source = write_streams(tmp_path / "in", small_storm())
    assert main(["replay", "--engine", "flink", "--input", str(source), "--output", str(tmp_path / "flink")]) == 0
    assert "10 payouts" in capsys.readouterr().out
    assert written(tmp_path / "flink") == locally(source, tmp_path / "local")


def test_a_damaged_file_is_told_in_a_line_and_leaves_nothing(tmp_path):
    source = write_streams(tmp_path / "in", small_storm())
    whole = gzip.compress(b'{"event_id":"e"}\n' * 50)
    (source / "telemetry" / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged gzip file"):
        on_flink(source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
