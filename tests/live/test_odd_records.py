"""Whatever lies in a topic of a running broker: the job goes on, and ends in the records of a replay of what was
readable."""

import json

import pytest
from kit.hostile import HOSTILE
from kit.live_job import Committed, Some, settings, topics_for, write
from kit.streams import report, small_storm, write_streams

from monsoon.cli.main import main
from monsoon.contracts.topics import topic_name
from monsoon.pipelines.stack.submit import submit
from monsoon.sinks.folder import STREAMS
from monsoon.sources.kafka.history import History
from monsoon.sources.product_files import load_products

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PREFIX = "odd-"


def odd_lines():
    """Lines of telemetry: unknown fields, other people's records, one of 2 MB, bytes that are no text."""
    unknown = report("w1", 3.3) | {"firmware": {"major": 7}, "note": "x", "schema": "monsoon.telemetry/9"}
    return [
        json.dumps(unknown).encode(),
        b'{"order_id":17,"restaurant":"Karim\'s","items":["kebab"]}',
        b'<?xml version="1.0"?><ping/>',
        b"\x00\x00\x00\x01\x0cavro\xff\xfe",
        b'{"event_id":"' + b"y" * 2_000_000 + b'"}',
        *(line.encode() for line in HOSTILE["telemetry"] if line.strip()),
    ]


def test_odd_records(stack, tmp_path):
    storm, odd = small_storm(), odd_lines()
    source = write_streams(tmp_path / "in", storm)
    whole = write_streams(tmp_path / "whole", storm)
    with (whole / "telemetry" / "part-0.jsonl").open("ab") as lines:
        lines.write(b"\n".join(odd) + b"\n")
    words = ["--input", str(whole), "--output", str(tmp_path / "replay"), "--max-refused-share", "1"]
    assert main(["replay", *words]) == 0
    producer = topics_for(stack, PREFIX)
    topic = topic_name("telemetry", PREFIX)
    with History(source) as history:
        lines, first_ms = list(history), history.first_ms
    job = submit(stack, settings(stack, PREFIX))
    half = len(lines) // 2
    producer.send(Some(lines[:half], first_ms))
    now_ms = lines[half].time_ms
    for number, line in enumerate(odd):
        # Keys that contradict the record, and partitions that contradict the key.
        producer.producer.send(topic, key=b"w0", value=line, partition=number % 4, timestamp_ms=now_ms)
    for stream in producer.topics:
        producer.producer.send(producer.topics[stream], key=b"w1", value=None, partition=0, timestamp_ms=now_ms)
    for number, line in enumerate(lines[half : half + 40]):  # of a rider each in another partition than before
        stamp_ms = line.stamp_ms
        if line.stream == "telemetry":
            producer.producer.send(topic, key=b"w9", value=line.line, partition=number % 4, timestamp_ms=stamp_ms)
    rest = [line for line in lines[half : half + 40] if line.stream != "telemetry"] + lines[half + 40 :]
    producer.send(Some(rest, now_ms))
    producer.end()
    collected = Committed(stack.broker.address, PREFIX)
    write(collected.wait_for_the_end(), tmp_path / "live", load_products())
    stack.cluster.cancel(job)
    stack.broker.delete_topics(PREFIX)
    for stream in STREAMS:
        for expected in (tmp_path / "replay" / stream).iterdir():
            assert (tmp_path / "live" / stream / expected.name).read_bytes() == expected.read_bytes(), stream
    replayed, live = (
        json.loads((tmp_path / place / "summary.json").read_text())["streams"]["telemetry"]
        for place in ("replay", "live")
    )
    assert live == {name: count for name, count in replayed.items() if name != "ignored"}  # files, which it has none of
    assert live["reasons"]["too_long"] == 2
    assert (tmp_path / "live" / "payouts" / "part-00000.jsonl").read_bytes()
