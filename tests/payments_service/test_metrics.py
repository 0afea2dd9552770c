"""What an instance reports: of all payments what the ledger knows, of itself what it did."""

import urllib.request

import pytest
from kit.book import instruction
from kit.payments import Counter
from payments_service.test_service import SECRET, now_ms, options, wait_until

from monsoon.pipelines.payments.metrics import ANOMALIES, METRICS, PREFIX, Counts, exposition, samples
from monsoon.pipelines.payments.service import DispatcherService
from monsoon.pipelines.stack.ports import free_ports
from monsoon.sinks.dispatcher.provider import ProviderPayout
from monsoon.sinks.ledger.errors import LedgerError
from monsoon.sinks.provider_simulator.book import ProviderBook
from monsoon.sinks.provider_simulator.script import Misbehavior
from monsoon.sinks.provider_simulator.server import ProviderServer

HOUR_MS = 3_600_000


@pytest.fixture
def counter(address):
    counter = Counter(address)
    yield counter
    counter.close()


def values(text):
    """Samples by name."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    assert len({name for name, _, _ in lines}) == len(lines)
    return {name.removeprefix(PREFIX): float(value) for name, _, value in lines}


def reported(counter):
    return values(exposition(samples(Counts(), counter.new_store)))


def test_a_queue_that_grows_old(counter):
    counter.instruct(1, 2, 3)
    counter.now_ms += 90_000
    told = reported(counter)
    assert (told["due_payments"], told["oldest_due_s"], told["breaker_open"]) == (3, 90, 0)
    counter.work(HOUR_MS)
    told = reported(counter)
    assert (told["due_payments"], told["oldest_due_s"], told["provider_differences_paise"]) == (0, 0, 0)
    assert told["unpublished_records"] > 0


def test_what_waits_for_a_person(counter):
    counter.instruct(1, fund_account_id=None)
    counter.instruct(2)
    counter.instruct(2, amount_paise=900)
    counter.work(HOUR_MS)
    counter.store.observe(ProviderPayout("pout_x", instruction(2).reference_id, "reversed", 40_000), "webhook")
    counter.store.set_breaker(True, "test")
    told = reported(counter)
    assert told['payments_for_a_person{state="held"}'] == 1
    assert told['payments_for_a_person{state="reversed"}'] == 1
    assert told['payments_for_a_person{state="failed"}'] == 0
    assert told['anomalies{kind="edited_instruction"}'] == 1
    assert told["breaker_open"] == 1


def test_a_ledger_that_does_not_answer():
    def no_store():
        raise LedgerError("no")

    told = values(exposition(samples(Counts(), no_store)))
    assert told["ledger_up"] == 0
    assert "breaker_open" not in told


def test_every_metric_is_reported_with_its_type(counter):
    counter.instruct(1)
    counter.instruct(1, amount_paise=900)
    text = exposition(samples(Counts(), counter.new_store))
    for metric in METRICS:
        total = "_total" if metric.kind == "counter" else ""
        assert f"# TYPE {PREFIX}{metric.name}{total} {metric.kind}\n" in text
    assert f'{PREFIX}{ANOMALIES.name}{{kind="edited_instruction"}} 1\n' in text


def test_an_instance_serves_what_it_counts(address):
    provider = ProviderServer(ProviderBook(Misbehavior(settle_ms=0), now_ms), 0, "key", "secret")
    provider.start()
    port, webhooks = free_ports(2)
    service = DispatcherService(options(address, provider, "one", metrics_port=port, webhook_port=webhooks))
    service.start()
    try:
        store = service._store()
        store.take_in([instruction(1)])
        service.wake()
        wait_until(lambda: store.facts()[0]["due_payments"] == 0 and provider.book.paid_paise)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{webhooks}/", b"forged", timeout=10)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            told = values(answer.read().decode())
        assert told['calls_total{reply="payout"}'] >= 1
        assert told['webhooks_total{answer="forged"}'] == 1
        assert (told["ledger_up"], told["thread_failures_total"], told["records_refused_total"]) == (1, 0, 0)
        assert SECRET not in repr(service._options)
        store.connection.close()
    finally:
        service.stop()
        provider.stop()
