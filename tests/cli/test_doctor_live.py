"""`monsoon doctor --settings`: what settings and the running parts disagree in, and how to mend it."""

import pytest

from monsoon.cli.doctor_checks import FAULT, OK, WARNING
from monsoon.cli.doctor_live import LiveFacts, check_live, settings_findings
from monsoon.sources.kafka.settings import SettingsError, parse_settings

YAML = b"kafka: {brokers: 'one:9092,two:9092'}\nstate: {parallelism: 4}\n"
GOOD = {
    "broker_error": "",
    "partitions": {"telemetry": 4, "oracle_readings": 2, "claims": 4},
    "clock": {"telemetry": "LogAppendTime", "oracle_readings": "LogAppendTime"},
    "max_transaction_ms": 900_000,
    "rest_error": "",
    "flink_version": "2.3.0",
    "slots": 4,
    "free_slots": 4,
    "skew_s": 0.4,
    "free_mb": 50_000,
}


def findings(yaml=YAML, **facts):
    return check_live(parse_settings(yaml, where="live.yaml"), LiveFacts(**(GOOD | facts)))


def test_nothing_is_wrong():
    assert {finding.state for finding in findings()} == {OK}


@pytest.mark.parametrize(
    ("facts", "what", "state", "says", "mend"),
    [
        ({"broker_error": "no answer"}, "brokers", FAULT, "no answer", "kafka.brokers"),
        ({"partitions": {"telemetry": 4, "claims": None}}, "topics", FAULT, "not there: claims", "create_topics"),
        ({"partitions": {"telemetry": 2, "claims": 9}}, "partitions", FAULT, "4 tasks", "parallelism"),
        ({"partitions": {"telemetry": 4, "control": 3}}, "control", FAULT, "control has 3 partitions", "with one"),
        ({"clock": {"telemetry": "CreateTime"}}, "timestamps", WARNING, "telemetry", "LogAppendTime"),
        ({"max_transaction_ms": 60_000}, "transactions", FAULT, "600, the brokers allow 60", "Lower it"),
        ({"rest_error": "refused"}, "cluster", FAULT, "refused", "--cluster"),
        ({"flink_version": "1.20.1"}, "cluster", FAULT, "Flink 1.20.1", "Run Flink 2.3"),
        ({"free_slots": 1}, "slots", FAULT, "1 free, the job takes 4", "TaskManagers"),
        ({"jobs": ("monsoon live",)}, "jobs", WARNING, "already", "kafka.group"),
        ({"skew_s": -90.0}, "clock", WARNING, "-90 s", "NTP"),
        ({"lacking_places": ("/opt/model",)}, "folders", WARNING, "/opt/model", "every worker"),
        ({"free_mb": 12}, "checkpoints", WARNING, "12 MB", "Free some"),
    ],
)
def test_what_is_wrong_is_said_with_its_mend(facts, what, state, says, mend):
    (found,) = [finding for finding in findings(**facts) if finding.state != OK]
    assert (found.what, found.state) == (what, state)
    assert says in found.message
    assert mend in found.mend


def test_a_broken_file_is_one_fault_with_its_line(tmp_path):
    (tmp_path / "live.yaml").write_text("kafka:\n  brokers: nowhere\n")
    (found,) = settings_findings(tmp_path / "live.yaml", None)
    assert found.state == FAULT
    assert "live.yaml:2" in found.message
    assert "brokers" in found.message


@pytest.mark.parametrize(
    ("yaml", "says"),
    [
        (b"state: {}\n", "kafka"),
        (b"kafka: {brokers: 'a:1', port: 3}\n", "port"),
        (b"kafka: {brokers: 'a:1', transaction_timeout_s: 10}\nstate: {checkpoint_interval_ms: 6000}\n", "6 s"),
        (b"kafka: {brokers: 'a:1'}\nstate: {checkpoint_interval_ms: 10}\n", "200"),
        (b"kafka: {brokers: 'a:1'}\nstate: {parallelism: 8, buckets: 4}\n", "buckets"),
        (b"kafka: {brokers: 'a:1'}\nevent_time: {lateness_ms: {telemetri: 5}}\n", "telemetri"),
        (b"kafka: {brokers: 'a:1'}\nevent_time: {idle_after_s: 0}\n", "idle_after_s"),
    ],
)
def test_settings_that_cannot_be_used(yaml, says):
    with pytest.raises(SettingsError, match=says):
        parse_settings(yaml, where="live.yaml")
