"""A folder through Kafka and the live job on a real cluster ends in the records of a replay, to the byte."""

import filecmp
import json

import pytest
from flink.test_equal_bytes import crowd, spoiled
from kit.broker import need_jars
from kit.reserves import RESERVES, answer
from kit.streams import report, small_storm, write_lines, write_parquet, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.flink.live import LiveOptions, live
from monsoon.sinks.folder import STREAMS, SUMMARY
from monsoon.sources.product_files import load_products

pytestmark = [pytest.mark.flink, pytest.mark.slow]

HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS


def same(stack, source, tmp_path, *words):
    """Plays the folder live, on the stack, and compares each stream with a replay's."""
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "replay")]) == 0
    place = ["--stack", str(stack.folder), "--speed", "0", "--buckets", "4"]
    assert main(["live", "--input", str(source), "--output", str(tmp_path / "live"), *place, *words]) == 0
    for stream in (*STREAMS, SUMMARY):
        names = (tmp_path / "replay" / stream, tmp_path / "live" / stream)
        files = [names] if names[0].is_file() else [(file, names[1] / file.name) for file in names[0].iterdir()]
        for expected, found in files:
            assert filecmp.cmp(expected, found, shallow=False), f"{stream} differs: {found}"
    return json.loads((tmp_path / "live" / SUMMARY).read_text())


def test_hostile_lines_clocks_that_are_wrong_reserves_and_answers(stack, tmp_path):
    records = crowd()
    wrong = [report("w5", 3) | {"event_id": "old", "event_time": 1_262_304_000_000}]
    for rider, ahead_ms in (("w6", HOUR_MS), ("w7", 10 * YEAR_MS), ("w8", -HOUR_MS)):
        wrong += [
            each | {"event_id": f"wrong-{rider}-{n}", "event_time": each["event_time"] + ahead_ms}
            for n, each in enumerate(report(rider, minute) for minute in range(-30, 10, 2))
        ]
    late = report("w9", -20) | {"event_id": "late"}
    wrong.append(late | {"received_time": late["event_time"] + 2 * HOUR_MS})
    records = records | {"telemetry": [*records["telemetry"], *wrong]}
    for stream, lines in spoiled(records).items():
        write_lines(tmp_path / "in", stream, lines, parts=3, gz=stream == "telemetry")
    write_streams(tmp_path / "in", {"reserves": RESERVES, "confirmations": [answer("a", 100)]})
    summary = same(stack, tmp_path / "in", tmp_path, "--max-refused-share", "1")
    assert summary["streams"]["telemetry"]["reasons"]["too_long"] >= 2
    assert summary["records"]["payouts"]


def test_rows_of_parquet_at_another_parallelism(stack, tmp_path):
    write_parquet(tmp_path / "in", small_storm())
    assert same(stack, tmp_path / "in", tmp_path, "--parallelism", "1")["records"]["payouts"]


def test_a_folder_of_no_records(stack, tmp_path):
    write_streams(tmp_path / "in", {"telemetry": [], "oracle_readings": [], "subscriptions": []})
    assert same(stack, tmp_path / "in", tmp_path)["records"]["claims"] == 0


def test_more_slots_than_are_free_are_refused(stack, tmp_path):
    write_streams(tmp_path / "in", small_storm())
    options = LiveOptions(stack.folder, parallelism=3)
    with pytest.raises(ClusterError, match="2 free slots, the job takes 3"):
        live(tmp_path / "in", tmp_path / "out", load_products(), ["kawaach"], options)
    assert not (tmp_path / "out").exists()


def test_a_stack_of_its_own_leaves_nothing(tmp_path):
    need_jars()
    write_streams(tmp_path / "in", small_storm())
    place = ["--stack", str(tmp_path / "stack"), "--speed", "0"]
    assert main(["live", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"), *place]) == 0
    assert not (tmp_path / "stack").exists()
