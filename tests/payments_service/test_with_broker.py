"""Through a real broker: instructions in, results and notifications out, whatever is killed in between."""

import json

import pytest
from kafka import KafkaProducer
from kit.book import balances
from kit.broker import broker_in
from payments_service.test_intake import PAYOUT, RESERVE
from payments_service.test_service import now_ms, options, wait_until
from validation.lines import GOOD

from monsoon.client import Consumer, Notification, PayoutResult
from monsoon.contracts.topics import TOPICS
from monsoon.pipelines.payments.service import DispatcherService
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.provider_simulator.book import ProviderBook
from monsoon.sinks.provider_simulator.script import Misbehavior
from monsoon.sinks.provider_simulator.server import ProviderServer
from monsoon.sources.product_files import load_products

STREAMS = ("payouts", "subscriptions", "reserves", "payout_results", "notifications")


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with broker_in(tmp_path_factory.mktemp("broker")) as broker:
        broker.create_topics([TOPICS[stream] for stream in STREAMS])
        yield broker


def test_from_topic_to_topic(broker, address):
    policy = GOOD["subscriptions"]
    payouts = [
        PAYOUT | {"reference_id": f"p{number:032x}", "claim_id": f"c{number}", "policy_id": policy["policy_id"]}
        for number in range(20)
    ]
    producer = KafkaProducer(bootstrap_servers=broker.address)
    producer.send("subscriptions", json.dumps(policy | {"premium_inr": 49}).encode())
    producer.send("reserves", json.dumps(RESERVE | {"amount_paise": 10**7}).encode())
    producer.flush()
    provider = ProviderServer(ProviderBook(Misbehavior(seed=9, faults=0.2), now_ms), 0, "key", "secret", 0.3)
    provider.start()
    made = options(address, provider, "first", brokers=broker.address, products=load_products())
    first, second = DispatcherService(made), DispatcherService(made)
    first.start()
    second.start()
    try:
        with connect(address, "monsoon_reader") as reader:
            # A policy comes long before its payout, whose notification names its product.
            wait_until(lambda: balances(reader).get("cash") == 4_900)
            for payout in [*payouts, *payouts[:5]]:
                producer.send("payouts", json.dumps(payout).encode(), key=str(payout["reference_id"]).encode())
            producer.send("payouts", b"rubbish", key=b"x")
            producer.flush()
            wait_until(lambda: balances(reader).get("cash") == 4_900 - 20 * 40_000)
            wait_until(lambda: balances(reader).get("reserves") == -(10**7))
            with Consumer(PayoutResult, broker.address, positions={}) as consumer:
                results = {}
                wait_until(lambda: take(consumer, results) == {payout["reference_id"]: "paid" for payout in payouts})
            with Consumer(Notification, broker.address, positions={}) as consumer:
                told = {}
                wait_until(lambda: len(take(consumer, told)) >= 20)
            assert set(told.values()) == {("payment_completed", policy["product"])}
    finally:
        first.stop()
        second.stop()
        provider.stop()
    assert provider.book.paid_paise == {payout["reference_id"]: 40_000 for payout in payouts}


def take(consumer, found):
    """What is there by now: the last status of each payout, or kind and product of each notification."""
    for received in consumer.read_to_end():
        record = received.record
        found[received.key] = record.status if isinstance(record, PayoutResult) else (record.kind, record.product)
    return found
