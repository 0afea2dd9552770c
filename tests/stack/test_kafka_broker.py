"""A real broker: transactions, topics as they are defined, large records, and its data after a crash."""

import pytest
from kit.broker import broker_in

from monsoon.contracts.topics import TOPICS
from monsoon.pipelines.stack.kafka_broker import MAX_TRANSACTION_MS

pytestmark = [pytest.mark.flink, pytest.mark.slow]
LARGE = b"x" * 2_000_000


@pytest.fixture
def broker(tmp_path):
    with broker_in(tmp_path) as started:
        yield started


def produce(broker, values, *, commit):
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=broker.address,
        transactional_id="test",
        max_request_size=4_000_000,
        transaction_timeout_ms=MAX_TRANSACTION_MS,
    )
    producer.init_transactions()
    producer.begin_transaction()
    sent = [producer.send("telemetry", value, key=b"key", partition=0, timestamp_ms=1_000) for value in values]
    assert all(each.get(timeout=30).offset >= 0 for each in sent)
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()
    producer.close()


def consume(broker, count):
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=broker.address,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        consumer_timeout_ms=10_000,
    )
    consumer.assign([TopicPartition("telemetry", 0)])
    records = [record for _, record in zip(range(count), consumer, strict=False)]
    consumer.close()
    return records


def test_committed_records_survive_a_kill_and_a_restart(broker):
    broker.create_topics(TOPICS.values())
    produce(broker, [b"aborted"], commit=False)
    produce(broker, [b"one", b"two", LARGE], commit=True)
    records = consume(broker, 3)
    assert [record.value for record in records] == [b"one", b"two", LARGE]
    assert {record.timestamp for record in records} == {1_000}, "the producer's, not the broker's"
    address = broker.address
    broker.kill()
    assert broker.process.pids() == []
    broker.start()
    assert broker.address == address
    broker.create_topics(TOPICS.values())
    assert [record.value for record in consume(broker, 3)] == [b"one", b"two", LARGE]


def test_topics_are_as_they_are_defined(broker):
    from kafka import KafkaAdminClient

    broker.create_topics(TOPICS.values(), prefix="test-")
    with KafkaAdminClient(bootstrap_servers=broker.address) as admin:
        described = admin.describe_topics([f"test-{stream}" for stream in TOPICS])
    partitions = {topic["name"]: len(topic["partitions"]) for topic in described}
    assert partitions == {f"test-{stream}": topic.partitions for stream, topic in TOPICS.items()}
