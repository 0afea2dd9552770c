"""How gathered records become messages and event time, without a cluster."""

import json
from types import SimpleNamespace

import pytest
from kit import at
from kit.streams import report

from monsoon.pipelines.runtime.intervals import FixedIntervals
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.sources.kafka.watermarks import END_OF_STREAM_MS, WatermarkBounds
from monsoon.sources.product_files import load_products

pytestmark = pytest.mark.flink

SUBMITTED_S = 1_000
STREAMS = {"telemetry": 2, "subscriptions": 1}


@pytest.fixture
def read_records(monkeypatch, tmp_path):
    """An opened ReadRecords, the only task."""
    from monsoon.pipelines.flink import kafka_source
    from monsoon.pipelines.flink.control import ControlInput

    products = load_products()
    config = JobConfig(products, products, tmp_path, None, 2, intervals=FixedIntervals(60_000))
    known = SimpleNamespace(refresh=lambda: (0, config), decide=lambda upto_ms: (0, config), current=(0, config))
    monkeypatch.setattr(kafka_source, "controlled", lambda config, control: known)
    bounds = WatermarkBounds(dict.fromkeys(STREAMS, 0), None)
    names = {stream: stream for stream in STREAMS}
    control = ControlInput("nowhere", "control", "group")
    function = kafka_source.ReadRecords(
        kafka_source.KafkaInput(names, STREAMS, {}, bounds, control, 1, SUBMITTED_S, 50), config
    )
    function.open(
        SimpleNamespace(get_index_of_this_subtask=lambda: 0, get_number_of_parallel_subtasks=lambda: 1)  # type: ignore[arg-type]
    )
    return function


def messages(function, gathered_s, records):
    """Kinds and timestamps of the messages to `riders-evidence`; records are (stream, partition, stamp, value)."""
    from monsoon.pipelines.flink.partition_keys import code_of

    origins = [code_of(stream, number) * 2**43 + stamp_ms for stream, number, stamp_ms, _ in records]
    row = (gathered_s, origins, [value for *_, value in records])
    found = [(tag.tag_id, content) for tag, content in function.process_element(row, None)]
    return [(row[1][1], stamp_ms) for to, (row, stamp_ms) in found if to == "riders-evidence"]


def ends():
    return [(stream, number, END_OF_STREAM_MS, b"") for stream, count in STREAMS.items() for number in range(count)]


def line(worker, minutes):
    return json.dumps(report(worker, minutes)).encode()


def test_event_time_advances_behind_all_that_was_gathered(read_records):
    reports = [("telemetry", number, at(1), line(f"w{number}", 1)) for number in (0, 1)]
    kinds = [kind for kind, _ in messages(read_records, SUBMITTED_S, [*reports, *ends()])]
    assert kinds == ["rows"] * (len(kinds) - 1) + ["heartbeat"]


def test_it_waits_for_each_partition(read_records):
    some = messages(read_records, SUBMITTED_S, ends()[:2])
    assert some == []
    assert [kind for kind, _ in messages(read_records, SUBMITTED_S, ends()[2:])] == ["heartbeat"]


def test_what_was_gathered_before_the_job_was_submitted_does_not_move_it(read_records):
    old = [("telemetry", 0, at(1), line("w0", 1)), *ends()]
    assert [kind for kind, _ in messages(read_records, SUBMITTED_S - 1, old)] == ["rows"]
    assert messages(read_records, SUBMITTED_S, ends()[:1]) == []
    assert [kind for kind, _ in messages(read_records, SUBMITTED_S, ends())] == ["heartbeat"]
