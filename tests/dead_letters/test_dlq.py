"""`monsoon dlq`: a refused record mended and sent again takes part as a late record does."""

import json
from types import SimpleNamespace

import msgspec
import pytest
from dead_letters.conftest import SENT_AT, SENT_AT_MS, lines, pretended, refused, replayed
from kit.fake_kafka import FakeBroker
from kit.streams import report, small_storm, write_streams

from monsoon.cli.main import main
from monsoon.contracts.topics import key_of
from monsoon.pipelines.dead_letters import letters_of_folder, mended_in
from monsoon.testing.clock import Clock

LAT = 28.5845


def dlq(*words):
    return main(["dlq", *map(str, words)])


def letter(storm, reason):
    (found,) = [each for each in letters_of_folder(storm / "out") if each.reason == reason]
    return found


def fixed(storm, *words):
    found = letter(storm, "missing_field:lat")
    assert dlq("fix", found.letter_id, "--results", storm / "out", "--mended", storm / "mended", *words) == 0
    return found


def test_letters_are_listed_by_reason(storm, capsys):
    assert dlq("list", "--results", storm / "out") == 0
    told = capsys.readouterr().out
    assert "\n1 telemetry missing_field:lat\n" in told
    assert told.endswith("monsoon dlq: 3 dead letters\n")
    assert dlq("list", "--results", storm / "out", "--reason", "not_json") == 0
    assert capsys.readouterr().out.endswith("monsoon dlq: 1 dead letters\n")


def test_a_letter_is_named_by_its_key_in_kafka(storm):
    records = [json.loads(line) for line in lines(storm / "out", "dead_letters").splitlines()]
    assert [each.letter_id for each in letters_of_folder(storm / "out")] == [
        key_of("dead_letters", record) for record in records
    ]


def test_a_letter_is_shown_by_what_only_it_begins_with(storm, capsys):
    found = letter(storm, "not_json")
    assert dlq("show", found.letter_id[:8], "--results", storm / "out") == 0
    told = capsys.readouterr().out
    assert f"letter_id  {found.letter_id}\n" in told
    assert "raw        " + refused()[2] in told


@pytest.mark.parametrize("wanted", ["", "00", "ffffffffffff"])
def test_an_id_that_no_letter_has_is_told(storm, capsys, wanted):
    assert dlq("show", wanted, "--results", storm / "out") == 1
    assert f"no dead letter {wanted!r}" in capsys.readouterr().err


def test_sent_again_it_is_a_late_record(storm):
    """What was decided before stays, byte for byte: the same as if the record had come late in the first place."""
    fixed(storm, "--set", f"lat={LAT}")
    assert dlq("redrive", "--mended", storm / "mended", "--input", storm / "in", "--at", SENT_AT) == 0
    again = replayed(storm / "in", storm / "again")
    late = pretended(lat=LAT, received_time=SENT_AT_MS)
    write_streams(storm / "late", small_storm())
    (storm / "late" / "telemetry" / "late.jsonl").write_text("\n".join([json.dumps(late), *refused()[1:]]))
    as_late = replayed(storm / "late", storm / "late-out")
    for stream in ("claims", "payouts", "disruptions", "notifications"):
        assert lines(again, stream) == lines(as_late, stream) == lines(storm / "out", stream)
    counts = json.loads((again / "summary.json").read_text())["streams"]["telemetry"]
    assert (counts["used"], counts["dead"]) == (1 + 1_920, 3)


def test_sent_again_in_time_a_replay_decides_anew(storm):
    fixed(storm, "--set", f"lat={LAT}")
    assert dlq("redrive", "--mended", storm / "mended", "--input", storm / "in", "--in-time") == 0
    again = replayed(storm / "in", storm / "again")
    claims = [json.loads(line) for line in lines(again, "claims").splitlines()]
    mine = {claim["status"] for claim in claims if claim["worker_id"] == "w1" and claim["peril"] == "curfew"}
    assert "step_up" in mine
    assert "step_up" not in {claim["status"] for claim in claims if claim["worker_id"] != "w1"}


def test_sending_twice_sends_once(storm, capsys):
    fixed(storm, "--set", f"lat={LAT}")
    words = ["redrive", "--mended", storm / "mended", "--input", storm / "in", "--at", SENT_AT]
    for sent, more in ((1, []), (0, []), (1, ["--again"])):
        assert dlq(*words, *more) == 0
        assert capsys.readouterr().out.endswith(f"monsoon dlq: {sent} records sent again to {storm / 'in'}\n")
    assert len(list((storm / "in" / "telemetry").glob("mended-*"))) == 1
    (kept,) = mended_in(storm / "mended")
    assert kept.is_sent
    assert "received_time" not in msgspec.json.decode(kept.line)


def test_what_a_mended_line_was_made_of_is_kept(storm):
    found = fixed(storm, "--set", f"lat={LAT}", "--unset", "cell", "--set", "app_state=on_trip")
    about = json.loads((storm / "mended" / ".letters" / f"{found.letter_id}.json").read_text())
    assert about["letter"]["raw"] == refused()[0]
    expected = json.loads(refused()[0]) | {"lat": LAT, "app_state": "on_trip"}
    del expected["cell"]
    assert json.loads(about["line"]) == expected


def test_mended_records_are_a_folder_of_streams(storm):
    """What waits can be read as an input; what it was made of is passed over."""
    fixed(storm, "--set", f"lat={LAT}")
    for stream in ("oracle_readings", "subscriptions"):
        (storm / "mended" / stream).mkdir()
    out = replayed(storm / "mended", storm / "waiting")
    assert json.loads((out / "summary.json").read_text())["streams"]["telemetry"]["read"] == 1


@pytest.mark.parametrize(
    ("reason", "words", "message"),
    [
        ("missing_field:lat", [], "would be refused: missing_field:lat"),
        ("missing_field:lat", ["--set", "lat=91"], "would be refused: out_of_range:lat"),
        ("missing_field:lat", ["--set", "lat"], "no field and value"),
        ("raw_identifier:bssids", [], "bssids is masked: what was refused there is not kept"),
        ("raw_identifier:bssids", ["--set", 'bssids=["00:1a:2b:3c:4d:5e"]'], "raw_identifier:bssids"),
        ("not_json", ["--set", "lat=1"], "is no JSON object, so that its fields cannot be set"),
    ],
)
def test_what_cannot_be_mended_so_is_told_and_nothing_kept(storm, capsys, reason, words, message):
    found = letter(storm, reason)
    assert dlq("fix", found.letter_id, "--results", storm / "out", "--mended", storm / "mended", *words) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (storm / "mended").exists()


def test_a_masked_field_is_given_or_left_out(storm):
    found = letter(storm, "raw_identifier:bssids")
    for words, expected in ((["--set", 'bssids=["b0001x"]'], ["b0001x"]), (["--unset", "bssids"], None)):
        assert dlq("fix", found.letter_id, "--results", storm / "out", "--mended", storm / "mended", *words) == 0
        (kept,) = mended_in(storm / "mended")
        assert msgspec.json.decode(kept.line).get("bssids") == expected


def test_a_whole_record_takes_the_place_of_a_broken_line(storm):
    (storm / "whole.json").write_text(json.dumps(report("w1", 0.2, event_id="x-half"), indent=2))
    found = letter(storm, "not_json")
    words = ["--results", storm / "out", "--mended", storm / "mended", "--record", storm / "whole.json"]
    assert dlq("fix", found.letter_id, *words) == 0
    (kept,) = mended_in(storm / "mended")
    assert msgspec.json.decode(kept.line)["event_id"] == "x-half"
    assert b"\n" not in kept.line


def test_all_letters_of_a_stream_are_mended_as_far_as_they_can_be(storm, capsys):
    words = ["--results", storm / "out", "--mended", storm / "mended", "--set", f"lat={LAT}", "--unset", "bssids"]
    assert dlq("fix", *words) == 1
    assert "which letters?" in capsys.readouterr().err
    assert dlq("fix", "--stream", "telemetry", *words) == 1
    told = capsys.readouterr()
    assert "monsoon dlq: 2 of 3 letters mended" in told.out
    assert told.err.count("not mended: ") == 1
    assert dlq("redrive", "--mended", storm / "mended", "--input", storm / "in", "--at", SENT_AT) == 0
    again = replayed(storm / "in", storm / "again")
    assert json.loads((again / "summary.json").read_text())["streams"]["telemetry"]["used"] == 2 + 1_920


class FakeProducer:
    """Keeps what it is given."""

    def __init__(self):
        self.sent = []

    def send(self, topic, **record):
        self.sent.append((topic, record))
        return SimpleNamespace(get=lambda timeout: None)

    def flush(self):
        pass

    def close(self):
        pass


def test_letters_of_the_topic_go_back_to_their_topics(storm, monkeypatch, capsys):
    broker, producer, clock = FakeBroker(), FakeProducer(), Clock()
    monkeypatch.setattr("monsoon.client.consumer.connect", broker.connect)
    monkeypatch.setattr("monsoon.sources.kafka.producer.history_producer", lambda brokers: producer)
    monkeypatch.setattr("monsoon.pipelines.dead_letters.partition_counts", lambda brokers, topics: {})
    monkeypatch.setattr("time.time_ns", lambda: clock.now_ms * 1_000_000)
    broker.create("eu-dead_letters")
    for line in lines(storm / "out", "dead_letters").splitlines():
        broker.put("eu-dead_letters", json.loads(line), stream="dead_letters")
    found = letter(storm, "missing_field:lat")
    place = ["--brokers", "kafka:9092", "--prefix", "eu-"]
    assert dlq("fix", found.letter_id, "--mended", storm / "mended", "--set", f"lat={LAT}", *place) == 0
    assert dlq("redrive", "--mended", storm / "mended", *place) == 0
    assert dlq("redrive", "--mended", storm / "mended", *place) == 0
    assert capsys.readouterr().out.endswith("0 records sent again to kafka:9092\n")
    ((topic, record),) = producer.sent
    assert (topic, record["key"], record["timestamp_ms"]) == ("eu-telemetry", b"w1", clock.now_ms)
    expected = json.loads(refused()[0]) | {"lat": LAT, "received_time": clock.now_ms}
    assert msgspec.json.decode(record["value"]) == expected


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"raw": 200_000 * "["}, "is no JSON object"),
        ({"stream": "control"}, "is of 'control', which is no stream of an input"),
        ({"stream": "../evil"}, "is of '../evil', which is no stream of an input"),
    ],
)
def test_letters_that_nobody_can_mend_are_told(storm, capsys, changed, message):
    (part,) = (storm / "out" / "dead_letters").iterdir()
    record = json.loads(part.read_text().splitlines()[0]) | {"reason": "odd"} | changed
    part.write_text(json.dumps(record) + "\n")
    words = ["fix", "--reason", "odd", "--results", storm / "out", "--mended", storm / "mended"]
    assert dlq(*words, "--set", "lat=1") == 1
    assert message in capsys.readouterr().err
    (storm / "record.json").write_text(200_000 * '{"a":')
    assert dlq(*words, "--record", storm / "record.json") == 1
    assert "no record" in capsys.readouterr().err
    assert not list((storm / "mended").rglob("*.jsonl"))


@pytest.mark.parametrize("line", ["x", "[]", 200_000 * "["])
def test_a_mended_line_that_was_broken_since_is_told(storm, capsys, line):
    found = fixed(storm, "--set", f"lat={LAT}")
    (storm / "mended" / "telemetry" / f"mended-{found.letter_id}.jsonl").write_text(line)
    assert dlq("redrive", "--mended", storm / "mended", "--input", storm / "in") == 1
    assert "a mended line of telemetry: no record" in capsys.readouterr().err
