"""Payments against a provider that misbehaves: each instalment leaves once, and the book says so."""

import json
import threading

import pytest
from kit.book import JUNE_28_MS, instruction
from kit.payments import DAY_MS, Counter, Silent
from kit.postgres import copy_of

from monsoon.sinks.dispatcher.dispatcher import Dispatcher
from monsoon.sinks.dispatcher.provider import Reply, payout_of, reply_of
from monsoon.sinks.dispatcher.reconcile import reconcile
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.provider_simulator.script import Misbehavior

HOUR_MS = 3_600_000
REFERENCE = instruction(1).reference_id
PAID = {"claims_incurred": 40_000, "cash": -40_000}
OWED = {"claims_incurred": 40_000, "claims_payable": -40_000}


def test_a_payout_is_paid_once(counter):
    counter = counter()
    assert counter.instruct(1) == 1
    counter.work(HOUR_MS)
    assert counter.states() == {1: "paid"}
    assert counter.balances() == PAID
    assert counter.paid_by_provider() == {1: 40_000}
    assert counter.provider.keys == [instruction().reference_id]


def test_what_is_told_again_changes_nothing(counter):
    counter = counter()
    counter.instruct(1)
    counter.work(HOUR_MS)
    assert counter.instruct(1) == 0
    counter.work(HOUR_MS)
    assert counter.balances() == PAID
    assert counter.anomalies() == []


def test_a_payout_record_edited_on_the_topic(counter):
    """The first stands, paid or not; the other is noted."""
    counter = counter()
    counter.instruct(1)
    assert counter.instruct(1, amount_paise=900_000) == 0
    counter.work(HOUR_MS)
    assert counter.instruct(1, fund_account_id="fa_other") == 0
    counter.work(HOUR_MS)
    assert counter.balances() == PAID
    assert counter.paid_by_provider() == {1: 40_000}
    assert counter.anomalies() == ["edited_instruction", "edited_instruction"]


@pytest.mark.parametrize("seed", range(3))
def test_a_provider_that_errs_before_and_after(counter, seed):
    """Errors, closed connections and time-outs on half of the requests: the same key and body until it is clear."""
    counter = counter(Misbehavior(seed=seed, faults=0.5, settle_ms=5_000, slow=0.3))
    counter.instruct(*range(20))
    counter.work(3 * HOUR_MS, 60_000)
    assert set(counter.states().values()) == {"paid"}
    assert counter.paid_by_provider() == dict.fromkeys(range(20), 40_000)
    assert counter.balances() == {"claims_incurred": 800_000, "cash": -800_000}
    assert len(counter.provider.keys) > 20
    assert set(counter.provider.keys) == {instruction(number).reference_id for number in range(20)}


def test_a_new_key_only_after_failed(counter):
    counter = counter(Misbehavior(seed=3, failed=0.5, settle_ms=5_000))
    counter.instruct(*range(20))
    counter.work(2 * DAY_MS, HOUR_MS // 2)
    states = counter.states()
    assert set(states.values()) == {"paid", "failed"}
    assert counter.paid_by_provider() == {number: 40_000 for number, state in states.items() if state == "paid"}
    assert any(key.endswith("-1") for key in counter.provider.keys)
    assert any(key.endswith("-2") for key in counter.provider.keys)
    assert not any(key.endswith("-3") for key in counter.provider.keys)
    assert counter.balances()["cash"] == -40_000 * list(states.values()).count("paid")


@pytest.mark.parametrize(
    ("end", "state"), [("reversed", "reversed"), ("rejected", "rejected"), ("cancelled", "cancelled")]
)
def test_what_the_provider_gives_back_is_owed_and_not_tried_again(counter, end, state):
    counter = counter(Misbehavior(settle_ms=5_000, **{end: 1.0}))
    counter.instruct(1)
    counter.work(DAY_MS, HOUR_MS // 2)
    assert counter.states() == {1: end}
    assert counter.balances() == OWED
    assert counter.paid_by_provider() == {}
    assert len(counter.provider.keys) == 1


def test_processed_then_reversed(counter):
    counter = counter()
    counter.instruct(1)
    counter.work(HOUR_MS)
    counter.book.inject(instruction().reference_id, "reversed")
    document = counter.provider.payout(counter.book.by_reference(instruction().reference_id)[0]["id"])
    assert counter.store.observe(document, "webhook") == "noted"
    assert counter.states() == {1: "reversed"}
    assert counter.balances() == OWED


def test_a_further_instalment_of_a_claim_whose_first_came_back(counter):
    """A dispute or a correction raises what is due: the rest is paid, and the first is still owed."""
    counter = counter()
    counter.instruct(1)
    counter.work(HOUR_MS)
    counter.book.inject(REFERENCE, "reversed")
    document = counter.provider.payout(counter.book.by_reference(REFERENCE)[0]["id"])
    counter.store.observe(document, "webhook")
    counter.instruct(2, claim_id=instruction(1).claim_id, instalment=1, amount_paise=15_000)
    counter.work(HOUR_MS)
    assert counter.states() == {1: "reversed", 2: "paid"}
    assert counter.balances() == {"claims_incurred": 55_000, "claims_payable": -40_000, "cash": -15_000}
    assert counter.paid_by_provider() == {2: 15_000}


def test_without_an_account_it_waits_for_a_person(counter):
    counter = counter()
    counter.instruct(1, fund_account_id=None)
    counter.work(HOUR_MS)
    assert counter.states() == {1: "held"}
    assert counter.provider.keys == []
    assert counter.balances() == OWED
    assert counter.store.release(instruction().reference_id), "which gives it no account"
    assert counter.states() == {1: "held"}


def test_a_refused_request_waits_for_a_person(counter):
    counter = counter()
    counter.instruct(1, fund_account_id="no handle of this provider")
    counter.work(HOUR_MS)
    assert counter.states() == {1: "held"}
    assert counter.provider.keys == [instruction().reference_id]


def test_a_key_that_the_provider_may_have_forgotten_is_only_asked_for(counter):
    """Seven days after it was first used, a key would make a second payout."""
    counter = counter()
    counter.instruct(1)
    silent = counter.instance(provider=Silent())
    counter.work(10 * DAY_MS, HOUR_MS, silent)
    calls = len(silent._provider.keys)
    assert calls > 100
    counter.work(HOUR_MS)
    assert counter.provider.keys == []
    assert counter.states() == {1: "held"}
    assert counter.paid_by_provider() == {}


def test_calls_are_made_less_and_less_often(counter):
    counter = counter()
    counter.instruct(1)
    silent = Silent()
    counter.work(HOUR_MS, 10_000, counter.instance(provider=silent))
    assert 10 <= len(silent.keys) <= 30


def test_access_denied_stops_all_until_a_person_says_otherwise(counter):
    counter = counter()
    counter.instruct(1, 2)

    class Denying(Silent):
        def create(self, key, body):
            super().create(key, body)
            return Reply("denied", detail="401")

    denying = Denying()
    counter.work(HOUR_MS, dispatcher=counter.instance(provider=denying))
    assert len(denying.keys) <= 2
    assert counter.store.breaker() == "the provider denies access"
    counter.work(HOUR_MS)
    assert counter.paid_by_provider() == {}
    counter.store.set_breaker(False, "key renewed")
    counter.work(HOUR_MS)
    assert counter.paid_by_provider() == {1: 40_000, 2: 40_000}


def test_an_answer_of_another_amount_is_left_to_a_person(counter):
    counter = counter()
    counter.instruct(1)

    class Generous(Silent):
        def create(self, key, body):
            status, document = counter.book.create(key, body.replace(b"40000", b"50000"))
            return reply_of(status, document, key)

    counter.work(HOUR_MS, dispatcher=counter.instance(provider=Generous()))
    assert counter.states() == {1: "held"}
    assert counter.anomalies() == ["other_amount"]
    assert counter.balances() == OWED


def test_the_hour_limit_opens_the_breaker(counter):
    counter = counter(hour_limit_paise=100_000)
    counter.instruct(*range(5))
    counter.work(5 * HOUR_MS)
    assert len(counter.paid_by_provider()) == 2
    assert counter.store.breaker() == "more than 100000 paise in an hour"
    counter.store.set_breaker(False, "looked at")
    counter.work(HOUR_MS // 2)
    assert len(counter.paid_by_provider()) == 4


def test_whoever_closes_the_breaker_lets_an_hours_limit_go_out_again(counter):
    """Within the same hour; else it would open at once."""
    counter = counter(hour_limit_paise=100_000)
    counter.instruct(*range(5))
    counter.work(60_000)
    assert len(counter.paid_by_provider()) == 2
    counter.store.set_breaker(False, "a real storm")
    counter.work(60_000)
    assert len(counter.paid_by_provider()) == 4
    assert counter.store.breaker() == "more than 100000 paise in an hour"
    assert counter.balances()["cash"] == -160_000


def test_a_payment_that_no_hour_has_room_for_stops_no_others(counter):
    counter = counter(hour_limit_paise=50_000)
    counter.instruct(1, amount_paise=50_001)
    counter.instruct(2)
    counter.work(60_000)
    assert counter.states() == {1: "held", 2: "paid"}
    assert counter.store.breaker() is None
    assert counter.store.release(instruction(1).reference_id)
    counter.work(60_000)
    assert counter.states() == {1: "paid", 2: "paid"}
    assert counter.balances() == {"claims_incurred": 90_001, "cash": -90_001}


def test_what_a_person_released_counts_for_those_after_it(counter):
    counter = counter(rider_day_limit_paise=100_000)
    counter.instruct(1, amount_paise=100_001)
    counter.work(60_000)
    assert counter.states() == {1: "held"}
    counter.store.release(instruction(1).reference_id)
    counter.work(60_000)
    counter.instruct(2)
    counter.work(60_000)
    assert counter.states() == {1: "paid", 2: "held"}
    assert counter.balances()["cash"] == -100_001


@pytest.mark.parametrize(
    ("before_midnight_ms", "states"), [(1, ["held", "paid"]), (0, ["paid", "paid"])], ids=["one day", "two days"]
)
def test_the_day_of_a_limit_begins_at_midnight_in_kolkata(counter, before_midnight_ms, states):
    """18:30 in UTC, which is in the middle of a day there."""
    counter = counter(rider_day_limit_paise=50_000)
    counter.instruct(1, created_at_ms=JUNE_28_MS - before_midnight_ms - HOUR_MS)
    counter.instruct(2, created_at_ms=JUNE_28_MS - before_midnight_ms)
    counter.work(60_000)
    assert sorted(counter.states().values()) == states


def test_two_instances_race_for_the_rest_of_a_riders_day(counter):
    """Each has read that there is room; the second waits for the first, and finds none."""
    counter = counter(rider_day_limit_paise=100_000, hour_limit_paise=10**9)
    counter.instruct(*range(8))
    barrier, stores = threading.Barrier(4), [counter.new_store(batch=2) for _ in range(4)]

    def race(store):
        barrier.wait()
        for work in store.claim(str(id(store))):
            store.observe(payout_of(counter.book.create(work.key, work.body)[1]), "call")

    threads = [threading.Thread(target=race, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counter.work(HOUR_MS)
    assert sorted(counter.states().values()) == ["held"] * 6 + ["paid"] * 2
    assert counter.balances() == {"claims_incurred": 320_000, "claims_payable": -240_000, "cash": -80_000}


def test_the_limit_of_a_rider_and_day_counts_all_products(counter):
    counter = counter(rider_day_limit_paise=100_000)
    counter.instruct(1, 2, 3)
    counter.instruct(4, created_at_ms=JUNE_28_MS + DAY_MS)
    counter.instruct(5, worker_id="rider-2")
    counter.work(HOUR_MS)
    assert sorted(counter.states().values()) == ["held", "paid", "paid", "paid", "paid"]
    (held,) = [number for number, state in counter.states().items() if state == "held"]
    assert held in (1, 2, 3)
    assert not counter.store.release(instruction(4).reference_id)
    assert counter.store.release(instruction(held).reference_id)
    counter.work(HOUR_MS)
    assert counter.states() == dict.fromkeys(range(1, 6), "paid")
    assert counter.balances() == {"claims_incurred": 200_000, "cash": -200_000}


@pytest.mark.parametrize("stops_after_ms", [0, 20_000, 60_000, 120_000])
def test_a_failover_to_a_database_that_is_behind(server, counter, stops_after_ms):
    """A copy without synchronous replication, or a backup: of some it knows no intent, of some not even that they
    were instructed. The topic is read again; the keys are the same."""
    fate = Misbehavior(seed=6, faults=0.3, failed=0.3, reversed=0.2, settle_ms=5_000)
    before = counter(fate)
    before.instruct(*range(6))
    before.work(stops_after_ms)
    before.close()
    behind = copy_of(server, before.address)
    before.connections.clear()
    before.store = before.new_store()
    before.instruct(*range(6, 12))
    before.work(HOUR_MS, 60_000)
    after = Counter(behind, fate)
    try:
        after.now_ms, after.book, after.provider = before.now_ms, before.book, before.provider
        after.book._clock_ms = after.clock_ms
        after.instruct(*range(12))
        after.work(6 * HOUR_MS, 300_000)
        states = after.states()
        assert set(states) == set(range(12))
        assert set(states.values()) <= {"paid", "failed", "reversed"}
        paid = {number: 40_000 for number, state in states.items() if state == "paid"}
        assert after.paid_by_provider() == paid
        assert after.balances()["cash"] == -sum(paid.values())
        day_s = JUNE_28_MS // 1000
        assert reconcile(after.store, after.provider, day_s, day_s + 86_400).differences == ()
    finally:
        after.close()


def test_two_dispatchers_of_different_versions(counter):
    """What the older intended, the newer sends word for word, whatever it would write itself."""
    counter = counter(Misbehavior(seed=1, faults=0.6))
    counter.instruct(*range(10))
    old = counter.instance(counter.new_store(version="old", lease_ms=1))
    new = counter.instance(counter.new_store(version="new", account_number="another account", lease_ms=1))
    old.work_once()
    for _ in range(60):
        counter.now_ms += 30_000
        new.work_once()
        old.work_once()
    paid = counter.paid_by_provider()
    held = {number for number, state in counter.states().items() if state == "held"}
    assert set(paid) | held == set(range(10))
    assert counter.balances().get("cash", 0) == -sum(paid.values())


def test_outcomes_are_told_once_in_order(counter):
    counter = counter(Misbehavior(settle_ms=5_000, reversed=1.0))
    counter.instruct(1)
    counter.work(DAY_MS, HOUR_MS // 4)
    sent = []
    assert counter.store.publish(sent.extend) > 0
    assert counter.store.publish(sent.extend) == 0
    results = [json.loads(record) for stream, _, record in sent if stream == "payout_results"]
    assert results[0]["status"] == "pending"
    assert results[-1]["status"] == "reversed"
    assert [each["revision"] for each in results] == list(range(1, len(results) + 1))
    kinds = [json.loads(record)["kind"] for stream, _, record in sent if stream == "notifications"]
    assert kinds[-1] == "payment_returned"


def test_one_instance_publishes_at_a_time(counter):
    """Else the last record of a key might not be the last revision."""
    counter = counter(Misbehavior(settle_ms=5_000))
    counter.instruct(1)
    counter.work(HOUR_MS)
    other, sent = counter.new_store(), []

    def send(records):
        assert other.publish(sent.extend) == 0
        sent.extend(records)

    assert counter.store.publish(send, 1) == 1
    assert other.publish(sent.extend) > 0
    revisions = [json.loads(record)["revision"] for stream, _, record in sent if stream == "payout_results"]
    assert revisions == [1, 2]


def test_a_crash_between_sending_and_marking_repeats(counter):
    counter = counter()
    counter.instruct(1)
    counter.work(HOUR_MS)

    def fail(records):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        counter.store.publish(fail)
    sent = []
    counter.store.publish(sent.extend)
    assert [key for stream, key, _ in sent if stream == "payout_results"] == [instruction().reference_id]


def test_the_bucket_of_tokens_is_of_all_instances(counter):
    counter = counter(requests_per_s=10.0, burst=2)
    other = counter.new_store()
    waits = [store.wait_us() for store in (counter.store, other, counter.store, other)]
    assert waits == [0, 0, 100_000, 200_000]
    counter.now_ms += 1_000
    assert [other.wait_us() for _ in range(3)] == [0, 0, 100_000]


def test_no_instance_goes_by_its_own_clock(address, counter, monkeypatch):
    """Ten minutes off or a year: the time of decisions is the database's."""
    counter = counter()
    own = Store(counter.store.connection, counter.settings)
    before_ms = own.now_ms()
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("time.time_ns", lambda: 0)
    assert before_ms <= own.now_ms() < before_ms + 60_000
    own.take_in([instruction(1)])
    Dispatcher("ahead", own, counter.provider, lambda seconds: None).work_once()
    assert counter.states() == {1: "paid"}
    assert counter.balances() == PAID
    (row,) = own.connection.execute("SELECT intended_at_ms FROM dispatch.attempts")
    assert before_ms <= row["intended_at_ms"] < before_ms + 60_000
