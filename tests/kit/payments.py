"""A dispatcher, its provider and its ledger, in one process with a clock of their own."""

from dataclasses import replace

from kit.book import JUNE_28_MS, balances, instruction
from monsoon.sinks.dispatcher import webhooks
from monsoon.sinks.dispatcher.dispatcher import Dispatcher
from monsoon.sinks.dispatcher.provider import Reply, Transaction, payout_of, reply_of
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.provider_simulator.book import ACCOUNT, ProviderBook
from monsoon.sinks.provider_simulator.script import Misbehavior
from monsoon.transforms.payments import Patience

SETTINGS = DispatchSettings(ACCOUNT, Patience(seed="test"), requests_per_s=None)
DAY_MS = 86_400_000


class BookProvider:
    """A provider's book without HTTP: what its script lets go wrong is an unclear answer, before a payout or after."""

    def __init__(self, book):
        self.book = book
        self.keys = []

    def create(self, key, body):
        self.keys.append(key)
        fault = self.book.misbehavior.fault(key, self.book.request_number(key))
        if fault is not None and fault.endswith("before"):
            return Reply("unclear", detail=fault)
        status, document = self.book.create(key, body)
        return Reply("unclear", detail=fault) if fault is not None else reply_of(status, document, key)

    def fetch(self, key, provider_id):
        if provider_id is None:
            items = self.book.by_reference(key)
            return reply_of(200, {"entity": "collection", "items": items}, key)
        return reply_of(200, self.book.fetch(provider_id), key)

    def payout(self, provider_id):
        return payout_of(self.book.fetch(provider_id))

    def statement(self, from_s, to_s):
        for item in self.book.transactions(from_s, to_s, 100, 0):
            source = item["source"]
            yield Transaction(
                item["id"],
                source["id"] if source["entity"] == "payout" else source["payout_id"],
                item["credit"] - item["debit"],
                item["created_at"] * 1000,
            )


PAYOUT_OF_ONE = {
    "id": "pout_1",
    "entity": "payout",
    "reference_id": instruction(1).reference_id,
    "status": "processed",
    "amount": 40_000,
    "currency": "INR",
}
"""What a provider may say of the first instruction."""


class Silent:
    """A provider that does not answer."""

    def __init__(self):
        self.keys = []

    def create(self, key, body):
        self.keys.append(key)
        return Reply("unclear")

    def fetch(self, key, provider_id):
        return Reply("unclear")


def receive(store, body, signature, secrets):
    """As the server does: the status of HTTP that it answers with."""
    if not webhooks.is_signed(body, signature, secrets):
        return 401
    webhooks.receive(store, body)
    return 200


class Counter:
    """One provider and one ledger, with any number of instances that pay; time stands until it is moved."""

    def __init__(self, address, misbehavior=None, **changed):
        self.address = address
        self.now_ms = JUNE_28_MS
        self.settings = replace(SETTINGS, **changed)
        self.book = ProviderBook(misbehavior or Misbehavior(), self.clock_ms)
        self.book.keeps_events = True
        self.provider = BookProvider(self.book)
        self.connections = []
        self.store = self.new_store()

    def clock_ms(self):
        return self.now_ms

    def new_store(self, **changed):
        connection = connect(self.address, "monsoon_dispatcher")
        self.connections.append(connection)
        return Store(connection, replace(self.settings, **changed), self.clock_ms)

    def instance(self, store=None, provider=None):
        """Another dispatcher; of a store of its own where none is given."""
        return Dispatcher("test", store or self.new_store(), provider or self.provider, lambda seconds: None)

    def close(self):
        for connection in self.connections:
            connection.close()

    def instruct(self, *numbers, **changed):
        return self.store.take_in([instruction(number, **changed) for number in numbers])

    def work(self, until_ms, step_ms=20_000, dispatcher=None):
        """Lets time go on, and an instance with it."""
        dispatcher = dispatcher or self.instance(self.store)
        end_ms = self.now_ms + until_ms
        while self.now_ms < end_ms:
            while dispatcher.work_once():
                pass
            self.now_ms += step_ms

    def states(self):
        rows = self.store.connection.execute("SELECT reference_id, state FROM dispatch.jobs ORDER BY reference_id")
        return {int(row["reference_id"][1:], 16): row["state"] for row in rows}

    def balances(self):
        return balances(self.store.connection)

    def paid_by_provider(self):
        """By number of the instruction: what left the account, by whatever key."""
        sums = {}
        for key, paise in self.book.paid_paise.items():
            number = int(key[1:33], 16)
            sums[number] = sums.get(number, 0) + paise
        return {number: paise for number, paise in sums.items() if paise}

    def anomalies(self):
        return [row["kind"] for row in self.store.connection.execute("SELECT kind FROM dispatch.anomalies ORDER BY 1")]

    def records(self):
        """What was left to be published, by stream."""
        found = {}
        for row in self.store.connection.execute("SELECT stream, record FROM dispatch.outbox ORDER BY outbox_id"):
            found.setdefault(row["stream"], []).append(row["record"])
        return found
