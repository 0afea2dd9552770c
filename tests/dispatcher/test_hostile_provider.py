"""Answers that a provider should not give: nothing is booked of them, nothing stops, and nobody is paid twice."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from kit.book import instruction
from kit.payments import PAYOUT_OF_ONE, Silent

from monsoon.sinks.dispatcher.provider import HttpProvider, ProviderPayout, Reply, payout_of, reply_of
from monsoon.sinks.provider_simulator.script import Misbehavior

HOUR_MS = 3_600_000
REFERENCE = instruction(1).reference_id
PAID = {"claims_incurred": 40_000, "cash": -40_000}
OWED = {"claims_incurred": 40_000, "claims_payable": -40_000}
GARBAGE = [
    None,
    [],
    7,
    "processed",
    {},
    PAYOUT_OF_ONE | {"status": []},
    PAYOUT_OF_ONE | {"status": {}},
    PAYOUT_OF_ONE | {"status": "gone"},
    PAYOUT_OF_ONE | {"amount": "40000"},
    PAYOUT_OF_ONE | {"amount": 40_000.0},
    PAYOUT_OF_ONE | {"amount": True},
    PAYOUT_OF_ONE | {"amount": None},
    PAYOUT_OF_ONE | {"id": "\0"},
    PAYOUT_OF_ONE | {"id": "\ud800"},
    PAYOUT_OF_ONE | {"id": "x" * 65},
    PAYOUT_OF_ONE | {"id": ""},
    PAYOUT_OF_ONE | {"reference_id": None},
    PAYOUT_OF_ONE | {"reference_id": instruction(2).reference_id},
    PAYOUT_OF_ONE | {"currency": None},
    {"entity": "collection"},
    {"entity": "collection", "items": {"a": 1}},
    {"entity": "collection", "items": 5},
    {"entity": "collection", "items": [None, [], PAYOUT_OF_ONE | {"status": []}]},
]


class Answering(Silent):
    """A provider that gives one answer to all."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def create(self, key, body):
        self.keys.append(key)
        return self.answer

    def fetch(self, key, provider_id):
        return self.answer


@pytest.mark.parametrize("document", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_payout_is_unclear(document):
    assert reply_of(200, document, REFERENCE).kind == "unclear"


@pytest.mark.parametrize("error", [None, [], 7, {"error": 5}, {"error": {"description": []}}], ids=range(5))
def test_errors_of_any_form(error):
    assert reply_of(400, error, REFERENCE).kind == "refused"
    assert reply_of(503, error, REFERENCE, retry_after="soon").retry_after_ms == 0
    assert reply_of(302, error, REFERENCE).kind == "unclear"


def test_the_payout_of_a_key_is_found_among_others():
    others = [PAYOUT_OF_ONE | {"reference_id": "p-other"}, None, PAYOUT_OF_ONE]
    reply = reply_of(200, {"entity": "collection", "items": others}, REFERENCE)
    assert reply.payout == payout_of(PAYOUT_OF_ONE)


def test_words_of_the_provider_are_told_without_what_is_personal():
    described = "VPA rider.name@okbank of 9876543210 is invalid for fa_1"
    assert reply_of(400, {"error": {"description": described}}, "k").detail == "400: VPA ... of ... is invalid for fa_1"


def test_garbage_is_called_for_again_and_the_book_is_right(counter):
    counter = counter()
    counter.instruct(1)
    counter.work(HOUR_MS, dispatcher=counter.instance(provider=Answering(reply_of(200, [], REFERENCE))))
    assert counter.states() == {1: "calling"}
    assert counter.balances() == OWED
    counter.work(HOUR_MS)
    assert counter.balances() == PAID
    assert counter.paid_by_provider() == {1: 40_000}


def test_an_answer_in_another_currency(counter):
    counter = counter()
    counter.instruct(1)
    dollars = reply_of(200, PAYOUT_OF_ONE | {"currency": "USD"}, REFERENCE)
    counter.work(HOUR_MS, dispatcher=counter.instance(provider=Answering(dollars)))
    assert counter.states() == {1: "held"}
    assert counter.anomalies() == ["other_amount"]
    assert counter.balances() == OWED


def test_a_payout_that_is_another_instructions(counter):
    """The provider names for one what it made for another: it is paid once, and a person looks at the second."""
    counter = counter()
    counter.instruct(1)
    counter.work(HOUR_MS)
    (made,) = counter.book.by_reference(REFERENCE)
    counter.instruct(2)
    other = ProviderPayout(made["id"], instruction(2).reference_id, "processed", 40_000)
    counter.work(HOUR_MS, dispatcher=counter.instance(provider=Answering(Reply("payout", other))))
    assert counter.states() == {1: "paid", 2: "held"}
    assert counter.anomalies() == ["other_payout"]
    assert counter.balances() == {"claims_incurred": 80_000, "claims_payable": -40_000, "cash": -40_000}
    assert counter.paid_by_provider() == {1: 40_000}


def test_a_payout_that_is_not_found_any_more_is_left_to_a_person(counter):
    counter = counter(Misbehavior(settle_ms=10**12))
    counter.instruct(1)
    counter.work(60_000)
    lost = Answering(Reply("refused", detail="400: The id provided does not exist"))
    counter.work(HOUR_MS, dispatcher=counter.instance(provider=lost))
    assert counter.states() == {1: "held"}
    rows = counter.store.connection.execute("SELECT held_for FROM dispatch.jobs").fetchall()
    assert rows == [{"held_for": "unknown_to_provider"}]
    assert counter.balances() == OWED


def test_a_reference_of_36_characters_has_room_for_no_number(counter):
    """As the contract allows; further keys are made of its digest."""
    counter = counter(Misbehavior(failed=1.0, settle_ms=1_000))
    counter.store.take_in([instruction(1, reference_id="r" * 36), instruction(2)])
    counter.work(HOUR_MS)
    rows = counter.store.connection.execute("SELECT state FROM dispatch.jobs").fetchall()
    assert [row["state"] for row in rows] == ["failed", "failed"]
    assert len(set(counter.provider.keys)) == 6
    assert all(4 <= len(key) <= 36 for key in counter.provider.keys)
    assert counter.balances() == {"claims_incurred": 80_000, "claims_payable": -80_000}


@pytest.fixture
def http_server():
    """Answers what `answers` says for a path, a list of bodies; without one, a redirect."""

    asked, answers = [], {"/elsewhere": [json.dumps(PAYOUT_OF_ONE).encode()]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.command, self.path))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            bodies = answers.get(self.path.partition("?")[0])
            self.send_response(200 if bodies else 307)
            body = bodies[min(len(asked), len(bodies)) - 1] if bodies else b""
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(server_port=server.server_port, asked=asked, answers=answers)
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(http_server):
    return HttpProvider(f"http://127.0.0.1:{http_server.server_port}", "key", "secret", "account")


def test_redirects_are_not_followed(http_server, client):
    """The order to pay and the key would go to whoever is named."""
    assert client.create(REFERENCE, b"{}").kind == "unclear"
    assert client.fetch(REFERENCE, None).kind == "unclear"
    with pytest.raises(ConnectionError):
        client.payout("pout_1")
    assert not any(path.startswith("/elsewhere") for _, path in http_server.asked)


def test_an_id_is_no_path(http_server, client):
    client.fetch(REFERENCE, "../transactions?x=1#")
    assert http_server.asked == [("GET", "/v1/payouts/..%2Ftransactions%3Fx%3D1%23")]


def test_an_order_is_not_answered_by_a_list(http_server, client):
    http_server.answers["/v1/payouts"] = [b'{"entity": "collection", "items": []}']
    assert client.create(REFERENCE, b"{}").kind == "unclear"
    assert client.fetch(REFERENCE, None).kind == "unknown"


def transaction(number, **changed):
    made = {"id": f"txn_{number}", "credit": 0, "debit": 100, "currency": "INR", "created_at": 1}
    return made | {"source": {"id": f"pout_{number}", "entity": "payout"}} | changed


def pages(*each):
    return [json.dumps({"items": items}).encode() for items in each]


def test_a_statement_whose_pages_shift_has_each_line_once(http_server, client):
    """The newest come first, and there is a new one before the second page is asked for."""
    first = [transaction(number) for number in range(200, 100, -1)]
    second = [transaction(number) for number in range(101, 51, -1)]
    http_server.answers["/v1/transactions"] = pages(first, second)
    ids = [line.transaction_id for line in client.statement(0, 1)]
    assert ids == [f"txn_{number}" for number in range(200, 51, -1)]


def test_a_statement_that_never_ends(http_server, client):
    http_server.answers["/v1/transactions"] = pages([transaction(number) for number in range(100)])
    with pytest.raises(ConnectionError, match="the same page"):
        list(client.statement(0, 1))


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'{"items": 5}',
        *pages([None], [transaction(1, credit="5")], [transaction(1, source=7)], [transaction(1, currency="USD")]),
        *pages([transaction(1, created_at=None)], [transaction(1, source={"id": 5, "entity": "payout"})]),
        *pages([transaction(1, source={"id": 99 * "p", "entity": "payout"})]),
    ],
    ids=range(10),
)
def test_what_is_no_statement(http_server, client, body):
    http_server.answers["/v1/transactions"] = [body]
    with pytest.raises(ConnectionError, match="is no statement in rupees"):
        list(client.statement(0, 1))
