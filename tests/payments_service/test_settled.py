"""The end of `monsoon chaos --payments`: it passes only where every book says the same of every instruction."""

import json
import time
from types import SimpleNamespace

import pytest
from kit.book import instruction
from payments_service.test_service import now_ms

from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.payments import chaos
from monsoon.pipelines.stack.payments import BOOK
from monsoon.sinks.dispatcher.dispatcher import Dispatcher
from monsoon.sinks.dispatcher.provider import HttpProvider
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.provider_simulator.book import ACCOUNT, ProviderBook
from monsoon.sinks.provider_simulator.journal import Journal
from monsoon.sinks.provider_simulator.script import Misbehavior
from monsoon.sinks.provider_simulator.server import ProviderServer

INSTRUCTIONS = [instruction(number) for number in range(3)]
PAISE = {each.reference_id: each.amount_paise for each in INSTRUCTIONS}


@pytest.fixture
def stack(address, tmp_path, monkeypatch):
    """Of which three instructions are paid; only what `settled` looks at."""
    monkeypatch.setattr(chaos, "_STUCK_S", 1.0)
    (tmp_path / BOOK).parent.mkdir()
    book = ProviderBook(Misbehavior(), now_ms, journal=Journal(tmp_path / BOOK))
    server = ProviderServer(book, 0, *chaos.KEY)
    server.start()
    with connect(address, "monsoon_dispatcher") as connection:
        store = Store(connection, DispatchSettings(ACCOUNT, requests_per_s=None))
        store.take_in(INSTRUCTIONS)
        Dispatcher("test", store, HttpProvider(server.url, *chaos.KEY, ACCOUNT), time.sleep).work_once()
    services = SimpleNamespace(ledger=address, provider_url=server.url)
    yield SimpleNamespace(payments=services, folder=tmp_path, book=book)
    server.stop()


def test_books_that_agree(stack):
    assert -chaos.settled(stack, PAISE).provider_paise == sum(PAISE.values())


def test_a_payout_that_is_not_paid(stack):
    with pytest.raises(ClusterError, match=r"of 4 payouts: {'paid': 3}, and no change"):
        chaos.settled(stack, PAISE | {"p" + 32 * "9": 100})


def test_a_payout_of_another_amount(stack):
    first = INSTRUCTIONS[0].reference_id
    with pytest.raises(ClusterError, match=f"the ledger differs from the payouts in 1 of them, {first} the first"):
        chaos.settled(stack, PAISE | {first: PAISE[first] + 1})


def test_an_instruction_that_was_paid_twice_under_another_key(stack):
    first = INSTRUCTIONS[0]
    body = {"account_number": ACCOUNT, "fund_account_id": "fa_1", "amount": first.amount_paise, "currency": "INR"}
    key = f"{first.reference_id}-1"
    stack.book.create(key, json.dumps(body | {"mode": "UPI", "purpose": "payout", "reference_id": key}).encode())
    with pytest.raises(ClusterError, match="the provider's book differs from the payouts in 1 of them"):
        chaos.settled(stack, PAISE)


def test_no_payouts_at_all(address, tmp_path, monkeypatch):
    monkeypatch.setattr(chaos, "_STUCK_S", 1.0)
    (tmp_path / BOOK).parent.mkdir()
    server = ProviderServer(ProviderBook(Misbehavior(), now_ms, journal=Journal(tmp_path / BOOK)), 0, *chaos.KEY)
    server.start()
    services = SimpleNamespace(ledger=address, provider_url=server.url)
    try:
        assert chaos.settled(SimpleNamespace(payments=services, folder=tmp_path), {}).provider_paise == 0
    finally:
        server.stop()
