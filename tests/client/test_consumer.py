"""Records of a stream: in order, each once, from where a service left off; and what is no record is told."""

import time
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.fake_kafka import FakeBroker
from kit.output_records import claim, payout

from monsoon.client import (
    BrokerUnavailableError,
    Claim,
    ClientError,
    CommitRefusedError,
    Consumer,
    DeadLetter,
    ForeignRecordError,
    Latest,
    Payout,
    TopicNotFoundError,
)

SERVERS = "broker-1:9092, broker-2:9092"


def identities(received):
    return [(each.record.claim_id, each.record.revision) for each in received]


def to_end(broker, positions, **arguments):
    with Consumer(Claim, SERVERS, positions=positions, **arguments) as consumer:
        return list(consumer.read_to_end()), consumer.positions


def test_records_are_typed_and_say_where_they_were(broker):
    broker.create("claims", partitions=2)
    broker.put("claims", claim(1, later_field={"new": True}), partition=1)
    (received,), positions = to_end(broker, {})
    assert received.record.features == {"claims_7d": 1.0, "ring_score": None}
    assert received.record.payout_inr is None
    assert (received.key, received.partition, received.offset, received.timestamp_ms) == ("c-1", 1, 0, 1_000)
    assert positions == {0: 0, 1: 1}


def test_repeats_are_passed_over_and_revisions_are_not(broker):
    broker.create("claims")
    for number, revision in ((1, 0), (1, 0), (1, 1), (2, 0), (1, 0), (1, 1), (2, 1)):
        broker.put("claims", claim(number, revision))
    received, positions = to_end(broker, {})
    assert identities(received) == [("c-1", 0), ("c-1", 1), ("c-2", 0), ("c-2", 1)]
    assert positions == {0: 7}


def test_the_memory_of_repeats_has_its_limit(broker):
    broker.create("claims")
    for number in (1, 2, 3, 3, 1):
        broker.put("claims", claim(number))
    received, _ = to_end(broker, {}, max_remembered=2)
    assert [each.key for each in received] == ["c-1", "c-2", "c-3", "c-1"]


def test_the_end_is_reached_past_markers_of_transactions(broker):
    broker.create("claims", partitions=2)
    broker.end_transaction("claims", 1)
    broker.put("claims", claim(1))
    broker.end_transaction("claims")
    received, positions = to_end(broker, {})
    assert identities(received) == [("c-1", 0)]
    assert to_end(broker, positions)[0] == []


def test_a_prefix_is_part_of_the_name(broker):
    broker.create("test-claims")
    broker.put("test-claims", claim(1), stream="claims")
    assert len(to_end(broker, {}, prefix="test-")[0]) == 1
    with pytest.raises(TopicNotFoundError, match=r"no topic claims at broker-1:9092, broker-2:9092.*prefix"):
        Consumer(Claim, SERVERS, positions={})
    assert broker.connections[-1].closed


def test_a_partition_that_is_added_is_read(broker):
    broker.create("claims")
    broker.put("claims", claim(1))
    with Consumer(Claim, SERVERS, positions={}) as consumer:
        assert identities(islice(consumer, 1)) == [("c-1", 0)]
        broker.topics["claims"].append([])
        broker.put("claims", claim(2), partition=1)
        assert identities(islice(consumer, 1)) == [("c-2", 0)]
        assert consumer.positions == {0: 1, 1: 1}


def test_where_to_begin_must_be_said_and_fit(broker):
    broker.create("claims")
    for arguments in ({}, {"group": "ledger", "positions": {}}):
        with pytest.raises(ValueError, match="either group or positions"):
            Consumer(Claim, SERVERS, **arguments)
    with pytest.raises(ValueError, match="claims has no partition 3"):
        Consumer(Claim, SERVERS, positions={3: 7})


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=20), st.data())
def test_with_positions_of_its_own_a_service_does_everything_once(written, data):
    """It stops anywhere, in the midst of a batch as well, and stores effect and positions together."""
    broker, partitions = FakeBroker(), 2
    broker.create("claims", partitions)
    for number, revision in written:
        broker.put("claims", claim(number, revision), partition=number % partitions)
        if data.draw(st.booleans()):
            broker.end_transaction("claims", number % partitions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monsoon.client.consumer.connect", broker.connect)
        stored, positions = set(), {}
        for _ in range(len(written) + 1):
            with Consumer(Claim, SERVERS, positions=positions) as consumer:
                for received in islice(consumer.read_to_end(), data.draw(st.integers(1, 4))):
                    identity = (received.record.claim_id, received.record.revision)
                    if identity in stored:  # a repeat in the topic itself, forgotten by a restart
                        assert written.count((received.record.claim_id, received.record.revision)) != 1
                    stored.add(identity)
                    positions = consumer.positions
        assert stored == {(f"c-{number}", revision) for number, revision in written}
        assert to_end(broker, positions)[0] == []


def test_a_group_goes_on_where_it_committed(broker):
    broker.create("claims")
    for number in range(5):
        broker.put("claims", claim(number))
    with Consumer(Claim, SERVERS, group="ledger") as consumer:
        records = iter(consumer)
        for _ in range(2):
            next(records)
        consumer.commit()
        next(records)
    with Consumer(Claim, SERVERS, group="ledger") as consumer:
        assert [each.key for each in islice(consumer, 3)] == ["c-2", "c-3", "c-4"]
        with pytest.raises(ClientError, match="positions"):
            next(consumer.read_to_end())
    with Consumer(Claim, SERVERS, group="another") as consumer:
        assert next(iter(consumer)).key == "c-0"


def test_partitions_of_another_member_are_not_committed(broker):
    broker.create("claims", partitions=2)
    broker.put("claims", claim(0), partition=0)
    broker.put("claims", claim(1), partition=1)
    with Consumer(Claim, SERVERS, group="ledger") as consumer:
        assert len(list(islice(consumer, 2))) == 2
        broker.connections[-1].revoke(0)
        consumer.commit()
    assert {each.partition: offset for each, offset in broker.committed["ledger"].items()} == {1: 1}


def test_a_commit_that_comes_too_late_is_told(broker):
    broker.create("claims")
    broker.put("claims", claim(0))
    with Consumer(Claim, SERVERS, group="ledger") as consumer:
        consumer.commit()  # nothing yet
        next(iter(consumer))
        broker.connections[-1].rebalanced = True
        with pytest.raises(CommitRefusedError, match="group ledger was rebalanced"):
            consumer.commit()
    with (
        Consumer(Claim, SERVERS, positions={}) as consumer,
        pytest.raises(ClientError, match="without a group"),
    ):
        consumer.commit()


FOREIGN = [
    (b"c-1", None, "a tombstone"),
    (b"c-1", b"", "a tombstone"),
    (b"c-1", b"{", "not a record of the contract"),
    (b"c-1", b'{"claim_id": "c-1"}', "missing required field"),
    (b"\xff", b"{}", "a key that is not UTF-8"),
    (b"c-2", "c-1", "a key that is not the record's claim_id"),
    (None, "c-1", "a key that is not the record's claim_id"),
]


@pytest.mark.parametrize(("key", "value", "reason"), FOREIGN)
def test_what_is_no_record_is_told_and_not_lost(broker, key, value, reason):
    broker.create("claims")
    broker.put("claims", claim(0))
    broker.put_bytes("claims", key, broker_bytes(claim(1)) if value == "c-1" else value)
    broker.put("claims", claim(2))
    with Consumer(Claim, SERVERS, positions={}) as consumer:
        records = iter(consumer)
        assert next(records).key == "c-0"
        for _ in range(2):  # it stays there
            with pytest.raises(ForeignRecordError, match=f"claims, partition 0, offset 1: .*{reason}.*on_foreign"):
                next(iter(consumer))
        assert consumer.positions == {0: 1}
    met = []
    received, positions = to_end(broker, {}, on_foreign=met.append)
    assert [each.key for each in received] == ["c-0", "c-2"]
    assert [(each.key, each.offset, each.value is None) for each in met] == [(key, 1, value is None)]
    assert positions == {0: 3}


def broker_bytes(record):
    broker = FakeBroker()
    broker.create("claims")
    broker.put("claims", record)
    return broker.topics["claims"][0][0].value


def test_dead_letters_have_the_id_that_they_came_with(broker):
    broker.create("dead_letters")
    letter = {"stream": "telemetry", "reason": "not_json", "raw": "{", "seen_at": 0}
    broker.put("dead_letters", letter)
    broker.put("dead_letters", letter)
    broker.put("dead_letters", letter | {"seen_at": 1, "detail": "x"})
    broker.put_bytes("dead_letters", None, broker.topics["dead_letters"][0][0].value)
    met = []
    with Consumer(DeadLetter, SERVERS, positions={}, on_foreign=met.append) as consumer:
        received = list(consumer.read_to_end())
    assert [each.record.seen_at for each in received] == [0, 1]
    assert [each.reason for each in met] == ["no key"]


def test_a_broker_that_falls_silent_is_told(broker, monkeypatch):
    broker.create("claims")
    broker.put("claims", claim(0))
    now_s = iter(range(1_000))
    monkeypatch.setattr(time, "monotonic", lambda: next(now_s))
    with Consumer(Claim, SERVERS, positions={}, timeout_ms=3_000) as consumer:
        broker.end_transaction("claims")
        records = consumer.read_to_end()
        assert next(records).key == "c-0"
        broker.topics["claims"][0].append(broker.topics["claims"][0][0])
        broker.answers = False
        # What was fetched is there; what was promised does not come.
        broker.connections[-1].at = dict.fromkeys(broker.connections[-1].at, 1)
        with pytest.raises(
            BrokerUnavailableError, match=r"no broker answered at broker-1:9092, broker-2:9092 within 3 s"
        ):
            list(records)
        with pytest.raises(BrokerUnavailableError):
            next(consumer.read_to_end())


def test_offsets_that_are_gone_are_told(broker):
    broker.create("claims")
    for number in range(4):
        broker.put("claims", claim(number))
    consumer = Consumer(Claim, SERVERS, positions={0: 9})
    with consumer, pytest.raises(ClientError, match=r"does not have the offsets.*positions=\{\}"):
        next(iter(consumer))
    (each,) = broker.connections[-1].at
    broker.deleted_before[each] = 2
    assert [received.key for received in to_end(broker, {})[0]] == ["c-2", "c-3"]


def test_the_latest_revision_of_each(broker):
    broker.create("claims", partitions=2)
    for number, revision in ((1, 0), (2, 0), (1, 2), (1, 1)):
        broker.put("claims", claim(number, revision), partition=number % 2)
    claims = Latest(Claim, SERVERS)
    assert {key: record.revision for key, record in claims.items()} == {"c-1": 2, "c-2": 0}
    broker.put("claims", claim(2, 1), partition=0)
    broker.put_bytes("claims", b"c-1", None, partition=1)
    assert claims["c-2"].revision == 0
    claims.refresh()
    assert {key: record.revision for key, record in claims.items()} == {"c-2": 1}
    broker.put_bytes("claims", b"c-1", b"{}")
    with pytest.raises(ForeignRecordError):
        claims.refresh()
    claims.close()
    assert broker.connections[-1].closed
    met = []
    assert len(Latest(Claim, SERVERS, on_foreign=met.append)) == 1
    assert len(met) == 1


def test_the_latest_of_records_without_revisions(broker):
    broker.create("payouts")
    broker.put("payouts", payout(1))
    broker.put("payouts", payout(2))
    assert sorted(Latest(Payout, SERVERS)) == ["r-1", "r-2"]
