"""`monsoon dispute`: added evidence makes new revisions by the ordinary corrections, and edits none."""

import json

import msgspec
import pytest
from dead_letters.conftest import SENT_AT_MS, lines, replayed
from dead_letters.test_dlq import FakeProducer
from kit import at, reading_record
from kit.fake_kafka import FakeBroker
from kit.streams import report, small_storm, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.dispute import after_everything

PROVIDERS = ("imd", "skymet")


def rain(provider, value, minutes, **fields):
    made = reading_record(
        "rain_mm_24h", value, minutes, provider=provider, reading_id=f"{provider}-{minutes}", **fields
    )
    return {name: each for name, each in made.items() if each is not None}


@pytest.fixture
def storm(tmp_path):
    """Both gauges said that it rained for part of a wage; `in` and `out`."""
    records = small_storm()
    readings = [rain(provider, value, minutes) for provider in PROVIDERS for minutes, value in ((0, 80.0), (60, 40.0))]
    write_streams(tmp_path / "in", records | {"oracle_readings": readings})
    replayed(tmp_path / "in", tmp_path / "out")
    return tmp_path


def put(folder, name, record):
    (folder / name).write_text(json.dumps(record, indent=1))
    return str(folder / name)


def claims(folder):
    return [json.loads(line) for line in lines(folder, "claims").splitlines()]


def dispute(storm, claim_id, *words):
    places = ["--results", storm / "out", "--input", storm / "in", "--output", storm / "new"]
    return main(["dispute", claim_id, *map(str, [*words, *places])])


def test_a_reading_that_was_missing_is_a_correction(storm, capsys):
    """It had rained for a whole wage: the difference is paid, and nothing that was published is another."""
    before = claims(storm / "out")
    claim = next(each for each in before if each["worker_id"] == "w2")
    words = [
        word
        for provider in PROVIDERS
        for word in ("--reading", put(storm, f"{provider}.json", rain(provider, 110.0, 0)))
    ]
    assert dispute(storm, claim["claim_id"], *words) == 0
    told = capsys.readouterr().out
    assert "new    revision" in told
    after = claims(storm / "new")
    assert [each for each in after if each in before] == before
    mine = [each for each in after if each["claim_id"] == claim["claim_id"]]
    last_before = [each for each in before if each["claim_id"] == claim["claim_id"]][-1]
    assert mine[-1]["payout_inr"] > last_before["payout_inr"]
    assert mine[-1]["decided_at"] == after_everything(storm / "out")
    payouts = [json.loads(line) for line in lines(storm / "new", "payouts").splitlines()]
    paid = sum(each["amount_paise"] for each in payouts if each["claim_id"] == claim["claim_id"])
    assert paid == 100 * mine[-1]["payout_inr"]
    assert set(lines(storm / "out", "payouts").splitlines()) < set(lines(storm / "new", "payouts").splitlines())


def test_disputed_again_with_the_same_it_is_the_same(storm):
    claim = claims(storm / "out")[0]["claim_id"]
    words = ["--reading", put(storm, "imd.json", rain("imd", 110.0, 0))]
    assert dispute(storm, claim, *words) == 0
    first = lines(storm / "new", "claims")
    assert dispute(storm, claim, *words) == 0
    assert lines(storm / "new", "claims") == first
    assert len(list((storm / "in" / "oracle_readings").glob("dispute-*"))) == 1


def test_a_report_changes_nothing_that_is_decided_for_good(storm, capsys):
    claim = next(each for each in claims(storm / "out") if each["worker_id"] == "w2")
    path = put(storm, "phone.json", report("w2", -0.1, event_id="found", mock_location=True))
    assert dispute(storm, claim["claim_id"], "--report", path) == 0
    assert capsys.readouterr().out.endswith("no revision follows from it\n")
    assert lines(storm / "new", "claims") == lines(storm / "out", "claims")
    (added,) = (storm / "in" / "telemetry").glob("dispute-*")
    assert json.loads(added.read_text())["received_time"] == after_everything(storm / "out")


@pytest.mark.parametrize(
    ("option", "record", "message"),
    [
        ("--report", report("w1", 0), "is of another rider, w1. The claim is w2's"),
        ("--report", report("w2", 300), "is of a moment after the dispute"),
        ("--report", {"worker_id": "w2"}, "would be refused: missing_field:event_id"),
        ("--reading", rain("imd", 9e9, 0), "would be refused: out_of_range:value"),
        ("--reading", [], "no record"),
    ],
)
def test_evidence_that_cannot_be_is_told_and_nothing_added(storm, capsys, option, record, message):
    claim = next(each for each in claims(storm / "out") if each["worker_id"] == "w2")
    assert dispute(storm, claim["claim_id"], option, put(storm, "evidence.json", record)) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert list((storm / "in").rglob("dispute-*")) == []


def test_a_moment_before_what_was_published_would_edit_it(storm, capsys):
    claim = claims(storm / "out")[0]["claim_id"]
    path = put(storm, "imd.json", rain("imd", 110.0, -10))
    assert dispute(storm, claim, "--reading", path, "--at", "2024-06-28T11:51:00+05:30") == 1
    assert "is before what those results tell of, which it would edit" in capsys.readouterr().err
    assert list((storm / "in").rglob("dispute-*")) == []


def test_another_input_than_that_of_the_results_is_told(storm, capsys):
    """Its published revisions would be others."""
    claim = next(each for each in claims(storm / "out") if each["worker_id"] == "w2")
    policies = storm / "in" / "subscriptions" / "part-0.jsonl"
    policies.write_text(policies.read_text().replace('"daily_wage_inr": 500', '"daily_wage_inr": 700'))
    assert dispute(storm, claim["claim_id"], "--reading", put(storm, "imd.json", rain("imd", 110.0, 0))) == 1
    assert "revisions that were published have changed" in capsys.readouterr().err


def test_what_is_lacking_is_told(storm, capsys):
    claim = claims(storm / "out")[0]["claim_id"]
    assert dispute(storm, claim) == 1
    assert "no evidence" in capsys.readouterr().err
    path = put(storm, "imd.json", rain("imd", 110.0, 0))
    assert main(["dispute", claim, "--reading", path, "--input", str(storm / "in")]) == 1
    assert "--input needs --results and --output" in capsys.readouterr().err
    assert dispute(storm, "c-none", "--reading", path) == 1
    assert "no claim 'c-none'" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["out", "out/sub", "in/sub", "."])
def test_what_was_published_is_no_place_for_the_replay(storm, capsys, place):
    before = lines(storm / "out", "claims")
    claim = claims(storm / "out")[0]["claim_id"]
    words = ["--results", storm / "out", "--input", storm / "in", "--output", storm / place]
    words += ["--reading", put(storm, "imd.json", rain("imd", 110.0, 0))]
    assert main(["dispute", claim, *map(str, words)]) == 1
    assert capsys.readouterr().err.startswith(f"monsoon dispute: {storm / place}: ")
    assert lines(storm / "out", "claims") == before
    assert not list((storm / "in" / "oracle_readings").glob("dispute-*"))


@pytest.mark.parametrize("moment", ["1969-12-31T00:00:00+05:30", "2100-01-01T06:00:00+05:30"])
def test_a_moment_that_no_record_can_have(storm, capsys, moment):
    claim = claims(storm / "out")[0]["claim_id"]
    with pytest.raises(SystemExit):
        dispute(storm, claim, "--reading", put(storm, "imd.json", rain("imd", 110.0, 0)), "--at", moment)
    assert "is not from 1970 to 2099" in capsys.readouterr().err


def test_evidence_goes_to_its_topic(storm, monkeypatch):
    broker, producer = FakeBroker(), FakeProducer()
    monkeypatch.setattr("monsoon.client.consumer.connect", broker.connect)
    monkeypatch.setattr("monsoon.sources.kafka.producer.history_producer", lambda brokers: producer)
    monkeypatch.setattr("monsoon.pipelines.dead_letters.partition_counts", lambda brokers, topics: {})
    broker.create("claims")
    claim = next(each for each in claims(storm / "out") if each["worker_id"] == "w2")
    broker.put("claims", claim)
    words = ["--reading", put(storm, "imd.json", rain("imd", 110.0, 0)), "--report"]
    words += [put(storm, "phone.json", report("w2", 0, event_id="found")), "--at", "2024-06-28T15:20:00+05:30"]
    assert main(["dispute", claim["claim_id"], *words, "--brokers", "kafka:9092"]) == 0
    (reading, phone) = producer.sent
    assert [topic for topic, _ in producer.sent] == ["oracle_readings", "telemetry"]
    assert {record["timestamp_ms"] for _, record in producer.sent} == {SENT_AT_MS}
    sent = msgspec.json.decode(reading[1]["value"])
    assert (sent["revision"], sent["issued_time"]) == (1, SENT_AT_MS)
    assert msgspec.json.decode(phone[1]["value"])["received_time"] == SENT_AT_MS
    assert at(200) == SENT_AT_MS
