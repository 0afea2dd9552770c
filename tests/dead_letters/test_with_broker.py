"""Dead letters and evidence by way of a real broker: read from their topics, and sent to those of their streams."""

import json

import msgspec
import pytest
from dead_letters.conftest import SENT_AT, SENT_AT_MS, lines, refused
from dead_letters.test_dlq import LAT, dlq
from kit.broker import broker_in
from kit.streams import report

from monsoon.cli.main import main
from monsoon.contracts.topics import TOPICS, key_of
from monsoon.sources.kafka.create_topics import create_topics

pytestmark = [pytest.mark.flink, pytest.mark.slow]
STREAMS = ("claims", "dead_letters", "telemetry")


def test_mended_letters_and_evidence_arrive(storm, capsys):
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    with broker_in(storm / "broker") as broker:
        create_topics(broker.address, [TOPICS[stream] for stream in STREAMS])
        producer = KafkaProducer(bootstrap_servers=broker.address)
        for stream in STREAMS[:2]:
            for line in lines(storm / "out", stream).splitlines():
                producer.send(stream, line, key=key_of(stream, json.loads(line)).encode())
        producer.close()
        place = ["--brokers", broker.address]
        assert dlq("list", *place, "--reason", "missing_field:lat") == 0
        (letter, *_) = capsys.readouterr().out.split()
        assert dlq("fix", letter, *place, "--mended", storm / "mended", "--set", f"lat={LAT}") == 0
        assert dlq("redrive", *place, "--mended", storm / "mended", "--at", SENT_AT) == 0
        claim = json.loads(lines(storm / "out", "claims").splitlines()[0])
        (storm / "phone.json").write_text(json.dumps(report(claim["worker_id"], 0, event_id="found")))
        evidence = ["--report", str(storm / "phone.json"), "--at", SENT_AT]
        assert main(["dispute", claim["claim_id"], *evidence, *place]) == 0
        consumer = KafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest")
        consumer.assign([TopicPartition("telemetry", number) for number in range(TOPICS["telemetry"].partitions)])
        found = []
        while len(found) < 2:
            found += [record for each in consumer.poll(timeout_ms=10_000).values() for record in each]
        consumer.close()
    assert [record.timestamp for record in found] == [SENT_AT_MS] * 2
    sent = {msgspec.json.decode(record.value)["event_id"]: record for record in found}
    assert set(sent) == {"x-lat", "found"}
    expected = json.loads(refused()[0]) | {"lat": LAT, "received_time": SENT_AT_MS}
    assert (sent["x-lat"].key, msgspec.json.decode(sent["x-lat"].value)) == (b"w1", expected)
