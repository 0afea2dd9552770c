"""The client against a real broker: what is committed, where transactions end, a restart, groups."""

import threading
from itertools import islice

import msgspec
import pytest
from kit.broker import broker_in
from kit.output_records import claim

from monsoon.client import (
    BrokerUnavailableError,
    Claim,
    ClientError,
    Consumer,
    Foreign,
    Latest,
    Received,
    TopicNotFoundError,
)
from monsoon.contracts.topics import TOPICS, key_of

pytestmark = [pytest.mark.flink, pytest.mark.slow]


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with broker_in(tmp_path_factory.mktemp("broker")) as started:
        yield started


@pytest.fixture
def prefix(broker, request):
    """Topics of the test's own."""
    own = f"{request.node.name.replace('_', '-')}-"
    broker.create_topics([TOPICS["claims"]], own)
    return own


@pytest.fixture
def produce(broker, prefix):
    """Writes messages of one transaction, and commits or aborts it."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=broker.address, transactional_id=prefix)
    producer.init_transactions()

    def write(*records, commit=True, key=None):
        producer.begin_transaction()
        for record in records:
            named = {"key": (key or key_of("claims", record or {}).encode())}
            producer.send(f"{prefix}claims", record and msgspec.json.encode(record), **named).get(timeout=30)
        (producer.commit_transaction if commit else producer.abort_transaction)()

    yield write
    producer.close()


def to_end(broker, prefix, positions, **arguments):
    with Consumer(Claim, broker.address, positions=positions, prefix=prefix, **arguments) as consumer:
        return sorted((each.key, each.record.revision) for each in consumer.read_to_end()), consumer.positions


def test_committed_records_are_read_to_the_end_and_from_there_on(broker, prefix, produce):
    assert to_end(broker, prefix, {}) == ([], {0: 0, 1: 0, 2: 0, 3: 0})
    produce(claim(1), claim(2))
    produce(claim(1, 1), claim(3), commit=False)
    produce(claim(1, 1))
    produce(claim(4), commit=False)
    records, positions = to_end(broker, prefix, {})
    assert records == [("c-1", 0), ("c-1", 1), ("c-2", 0)]
    assert to_end(broker, prefix, positions)[0] == []
    produce(claim(2, 1))
    assert to_end(broker, prefix, positions)[0] == [("c-2", 1)]
    claims = Latest(Claim, broker.address, prefix=prefix)
    assert {key: record.revision for key, record in claims.items()} == {"c-1": 1, "c-2": 1}
    produce(None, key=b"c-1")
    produce(claim(2, 2))
    claims.refresh()
    assert {key: record.revision for key, record in claims.items()} == {"c-2": 2}
    claims.close()


def test_what_is_no_claim_is_handed_over(broker, prefix, produce):
    produce(claim(1))
    produce({"claim_id": "c-1"}, key=b"c-1")
    produce(None, key=b"c-1")
    met: list[Foreign] = []
    assert to_end(broker, prefix, {}, on_foreign=met.append)[0] == [("c-1", 0)]
    assert ["missing required field" in met[0].reason, met[1].reason, met[1].value] == [True, "a tombstone", None]


def test_members_of_a_group_go_on_where_they_committed(broker, prefix, produce):
    produce(*map(claim, range(6)))
    with Consumer(Claim, broker.address, group=prefix, prefix=prefix) as consumer:
        first = [each.key for each in islice(consumer, 4)]
        consumer.commit()
        first_uncommitted = next(iter(consumer)).key
    with Consumer(Claim, broker.address, group=prefix, prefix=prefix) as consumer:
        second = [each.key for each in islice(consumer, 2)]
    assert first_uncommitted in second
    assert sorted(first + second) == [f"c-{number}" for number in range(6)]


def test_stored_offsets_that_the_topic_never_had_are_told(broker, prefix, produce):
    produce(claim(1))
    with (
        Consumer(Claim, broker.address, positions={0: 1_000}, prefix=prefix) as consumer,
        pytest.raises(ClientError, match="does not have the offsets"),
    ):
        list(consumer.read_to_end())


def test_a_topic_that_is_not_there_is_told_and_not_made(broker):
    for _ in range(2):
        for where in ({"positions": {}}, {"group": "ledger"}):
            with pytest.raises(TopicNotFoundError, match="no topic nowhere-claims"):
                Consumer(Claim, broker.address, prefix="nowhere-", timeout_ms=5_000, **where)


def test_a_broker_that_is_not_there_is_told():
    with pytest.raises(BrokerUnavailableError, match=r"no broker answered at 127\.0\.0\.1:1 within 1 s"):
        Consumer(Claim, "127.0.0.1:1", positions={}, timeout_ms=1_000)


def test_a_broker_that_goes_away_is_waited_for(broker, prefix, produce):
    """And one that does not come back ends `read_to_end`."""
    produce(claim(1))
    received: list[Received[Claim]] = []
    with Consumer(Claim, broker.address, positions={}, prefix=prefix, timeout_ms=30_000) as consumer:
        reader = threading.Thread(target=lambda: received.extend(islice(consumer, 2)))
        reader.start()
        with Consumer(Claim, broker.address, positions={}, prefix=prefix, timeout_ms=2_000) as other:
            assert len(list(other.read_to_end())) == 1
            broker.kill()
            with pytest.raises(BrokerUnavailableError):
                list(other.read_to_end())
        broker.start()
        produce(claim(2))
        reader.join(60)
        assert [each.key for each in received] == ["c-1", "c-2"]
