"""The simulated provider over HTTP, through the dispatcher's own client: the documented semantics, and misbehavior."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from monsoon.sinks.dispatcher.provider import HttpProvider, ProviderPayout, request_body
from monsoon.sinks.provider_simulator.book import ACCOUNT, ProviderBook
from monsoon.sinks.provider_simulator.script import FAULTS, Misbehavior
from monsoon.sinks.provider_simulator.server import ProviderServer
from monsoon.sinks.provider_simulator.webhooks import WebhookSender, sign

KEY = "p" + 32 * "1"


class Clock:
    def __init__(self):
        self.now_ms = 1_700_000_000_000

    def __call__(self):
        return self.now_ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def serve(clock):
    """A provider that behaves so, and a client of it."""
    servers = []

    def start(misbehavior=None, secret="secret", stall_s=0.5):
        server = ProviderServer(ProviderBook(misbehavior or Misbehavior(), clock), 0, "key", "secret", stall_s)
        server.start()
        servers.append(server)
        return server.book, HttpProvider(server.url, "key", secret, ACCOUNT, read_timeout_s=0.2)

    yield start
    for server in servers:
        server.stop()


def body(key=KEY, amount=40_000, **changed):
    return json.dumps({**json.loads(request_body(key, "fa_1", amount, ACCOUNT)), **changed}).encode()


def test_the_same_key_and_body_is_one_payout_as_it_is_now(serve, clock):
    book, provider = serve(Misbehavior(settle_ms=1_000))
    first = provider.create(KEY, body())
    assert first.payout == ProviderPayout(first.payout.provider_id, KEY, "processing", 40_000)
    clock.now_ms += 2_000
    again = provider.create(KEY, body())
    assert again.payout == ProviderPayout(first.payout.provider_id, KEY, "processed", 40_000)
    assert book.paid_paise == {KEY: 40_000}


def test_the_same_key_with_another_body_is_refused(serve):
    book, provider = serve()
    provider.create(KEY, body())
    reply = provider.create(KEY, body(amount=40_001))
    assert (reply.kind, "Different request body" in reply.detail) == ("refused", True)
    assert book.paid_paise == {KEY: 40_000}


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 99},
        {"amount": "40000"},
        {"amount": 400.5},
        {"currency": "USD"},
        {"mode": "CASH"},
        {"fund_account_id": None},
        {"account_number": "1"},
        {"purpose": ""},
        {"reference_id": 41 * "x"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_no_payout_is_made_of(serve, wrong):
    book, provider = serve()
    assert provider.create(KEY, body(**wrong)).kind == "refused"
    assert book.paid_paise == {}


@pytest.mark.parametrize("key", ["abc", 37 * "x", "no/slash"])
def test_what_is_no_key(serve, key):
    _, provider = serve()
    assert provider.create(key, body()).kind == "refused"


def test_who_may_not_ask(serve):
    book, provider = serve(secret="wrong")
    assert provider.create(KEY, body()).kind == "denied"
    assert provider.fetch(KEY, None).kind == "denied"
    assert book.paid_paise == {}


def test_a_payout_by_id_and_by_reference(serve):
    _, provider = serve()
    made = provider.create(KEY, body()).payout
    assert provider.fetch(KEY, made.provider_id).payout == made
    assert provider.fetch(KEY, None).payout == made
    assert provider.fetch("p-other", None).kind == "unknown"
    assert provider.fetch("p-other", made.provider_id).kind == "unclear"


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_unclear_and_repeated_is_one_payout(serve, fault):
    """With or without the payout made: the client cannot tell."""
    seed = next(
        seed
        for seed in range(1_000)
        if (script := Misbehavior(seed=seed, faults=0.5)).fault(KEY, 0) == fault and script.fault(KEY, 1) is None
    )
    book, provider = serve(Misbehavior(seed=seed, faults=0.5))
    assert provider.create(KEY, body()).kind == "unclear"
    assert (book.paid_paise == {KEY: 40_000}) == fault.endswith("after")
    assert provider.create(KEY, body()).payout.status == "processed"
    assert book.paid_paise == {KEY: 40_000}


def test_nobody_answers():
    provider = HttpProvider("http://127.0.0.1:9", "key", "secret", ACCOUNT, connect_timeout_s=0.2)
    assert provider.create(KEY, body()).kind == "unclear"
    with pytest.raises(ConnectionError):
        list(provider.statement(0, 2**40))


def test_the_statement_has_every_line_over_pages(serve, clock):
    book, provider = serve(Misbehavior(settle_ms=1_000, reversed=0.2))
    for number in range(230):
        assert book.create(f"key-{number}", body(f"key-{number}", 100 + number))[0] == 200
    clock.now_ms += 10_000
    lines = list(provider.statement(0, 2**40))
    assert len({line.transaction_id for line in lines}) == len(lines) > 230
    by_payout = {}
    for line in lines:
        by_payout[line.provider_id] = by_payout.get(line.provider_id, 0) - line.paise
    assert sorted(filter(None, by_payout.values())) == sorted(book.paid_paise.values())


def test_what_goes_wrong_is_a_function_of_the_seed():
    script = Misbehavior(seed=1, faults=0.3, webhook_faults=0.3, failed=0.2, settle_ms=1_000, slow=0.2)
    keys = [f"key-{number}" for number in range(300)]
    fate = [(script.fault(key, 0), script.course(key), script.webhook_fault(key, "processed")) for key in keys]
    again = Misbehavior(seed=1, faults=0.3, webhook_faults=0.3, failed=0.2, settle_ms=1_000, slow=0.2)
    assert fate == [(again.fault(key, 0), again.course(key), again.webhook_fault(key, "processed")) for key in keys]
    assert 60 < sum(fault is not None for fault, _, _ in fate) < 120
    assert {course[-1][1] for _, course, _ in fate} == {"processed", "failed"}


def test_webhooks_are_signed_repeated_until_accepted_and_some_are_wrong(clock):
    got, refused = [], []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            first = body not in refused
            refused.append(body)
            if not first:
                got.append((body, self.headers["X-Razorpay-Signature"]))
            self.send_response(500 if first else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    book = ProviderBook(Misbehavior(), clock)
    sender = WebhookSender(book, f"http://127.0.0.1:{receiver.server_port}/hook", "secret")
    sender.start()
    try:
        book.create(KEY, body())
        end_s = time.monotonic() + 20
        while not got and time.monotonic() < end_s:
            time.sleep(0.05)
    finally:
        sender.stop()
        receiver.shutdown()
        receiver.server_close()
    (raw, signature), *_ = got
    assert signature == sign("secret", raw)
    document = json.loads(raw)
    assert document["event"] == "payout.processed"
    assert document["payload"]["payout"]["entity"]["reference_id"] == KEY
