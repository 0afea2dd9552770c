"""Instances with threads, over HTTP, against a provider that misbehaves, with webhooks: ledger and provider agree."""

import threading
import time

import psycopg
import pytest
from kit.book import balances, instruction

from monsoon.pipelines.payments.service import DispatcherService, ServiceOptions
from monsoon.pipelines.stack.ports import free_ports
from monsoon.sinks.dispatcher.provider import HttpProvider
from monsoon.sinks.dispatcher.reconcile import reconcile
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.provider_simulator.book import ACCOUNT, ProviderBook
from monsoon.sinks.provider_simulator.script import Misbehavior
from monsoon.sinks.provider_simulator.server import ProviderServer
from monsoon.sinks.provider_simulator.webhooks import WebhookSender
from monsoon.transforms.payments import Patience

SECRET = "webhook-secret"
PATIENCE = Patience(first_retry_ms=50, max_retry_ms=400, first_fetch_ms=300, max_fetch_ms=1_000)
SETTINGS = DispatchSettings(ACCOUNT, PATIENCE, lease_ms=2_000, requests_per_s=None)
FATE = Misbehavior(
    seed=5, latency_ms=2, faults=0.2, webhook_faults=0.3, failed=0.1, reversed=0.1, slow=0.3, settle_ms=300
)
COUNT = 60
AMOUNT = 40_000
PATIENCE_S = 90


def now_ms():
    return time.time_ns() // 1_000_000


@pytest.fixture
def provider():
    server = ProviderServer(ProviderBook(FATE, now_ms), 0, "key", "secret", stall_s=0.3)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(address):
    with connect(address, "monsoon_dispatcher") as connection:
        yield Store(connection, SETTINGS)


def options(address, provider, owner, **changed):
    fields = {"workers": 3, "webhook_secrets": (SECRET,)}
    return ServiceOptions(owner, address, provider.url, "key", "secret", SETTINGS, **(fields | changed))


def settled(store):
    (row,) = store.connection.execute(
        "SELECT count(*) AS n FROM dispatch.jobs WHERE state IN ('instructed', 'calling', 'pending')"
    )
    return row["n"] == 0


def wait_until(condition):
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "not in time"
        time.sleep(0.1)


def require_agreement(store, provider):
    """To the paisa, between ledger, provider and statement; nobody was paid twice."""
    client = HttpProvider(provider.url, "key", "secret", ACCOUNT)
    time.sleep(3 * FATE.settle_ms / 1000)  # what was paid last may be returned
    at_s = now_ms() // 1000
    assert reconcile(store, client, at_s - 3_600, at_s + 3_600).differences == ()
    paid = provider.book.paid_paise
    assert balances(store.connection).get("cash", 0) == -sum(paid.values())
    assert len({key[:33] for key in paid}) == len(paid)
    assert set(paid.values()) == {AMOUNT}
    (row,) = store.connection.execute("SELECT count(*) AS n FROM dispatch.jobs")
    assert row["n"] == COUNT


def test_two_instances_with_webhooks(address, provider, store):
    first = DispatcherService(
        options(address, provider, "first", webhook_port=free_ports(1)[0], webhook_host="127.0.0.2")
    )
    second = DispatcherService(options(address, provider, "second"))
    first.start()
    second.start()
    sender = WebhookSender(provider.book, f"http://127.0.0.2:{first.webhook_port}/webhooks", SECRET)
    sender.start()
    try:
        assert store.take_in([instruction(number) for number in range(COUNT)]) == COUNT
        first.wake()
        wait_until(lambda: settled(store))
    finally:
        sender.stop()
        first.stop()
        second.stop()
    require_agreement(store, provider)
    (row,) = store.connection.execute("SELECT count(*) AS n FROM dispatch.observations WHERE source = 'webhook'")
    assert row["n"] > 0


def test_the_database_fails_in_transactions(address, provider, store):
    """Its connections are cut again and again, as by a failover; whatever was under way is done again."""
    service = DispatcherService(options(address, provider, "first"))
    service.start()
    cut = threading.Event()

    def cutter():
        with psycopg.connect(address, autocommit=True) as superuser:
            while not cut.wait(0.3):
                superuser.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'monsoon dispatcher%' AND random() < 0.5"
                )

    thread = threading.Thread(target=cutter)
    try:
        assert store.take_in([instruction(number) for number in range(COUNT)]) == COUNT
        thread.start()
        time.sleep(4)
        cut.set()
        thread.join()
        wait_until(lambda: settled(store))
    finally:
        cut.set()
        service.stop()
    require_agreement(store, provider)
