"""Webhooks: forged, replayed, reordered, a day late, of unknown payouts, of other amounts. The book is right."""

import http.client
import itertools
import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from kit.book import instruction
from kit.payments import receive

from monsoon.sinks.dispatcher.webhooks import MAX_BODY, WebhookServer, is_signed, payout_in
from monsoon.sinks.provider_simulator.script import Misbehavior
from monsoon.sinks.provider_simulator.webhooks import sign, webhook_body

SECRET = "a secret"
HOUR_MS = 3_600_000
REFERENCE = instruction().reference_id
PAID = {"claims_incurred": 40_000, "cash": -40_000}
OWED = {"claims_incurred": 40_000, "claims_payable": -40_000}
ODD = b'{"event": "payout.processed", "payload": {"payout": {"entity": %s}}}'
NEVER = Misbehavior(settle_ms=10**12)
"""A provider whose payouts stay in processing."""


@pytest.fixture
def sent(counter):
    """A counter whose only payout is under way."""
    counter = counter(NEVER)
    counter.instruct(1)
    counter.work(60_000)
    assert counter.states() == {1: "pending"}
    return counter


def told(counter, status, signed_with=SECRET, **changed):
    """A webhook of the payout, and the answer to it."""
    document = {**counter.book.by_reference(REFERENCE)[0], **changed}
    body = webhook_body(status, document, counter.now_ms // 1000)
    return receive(counter.store, body, sign(signed_with, body), (SECRET,))


def test_a_webhook_settles_a_payment(sent):
    assert told(sent, "processed") == 200
    assert sent.balances() == PAID


def test_a_forged_one_changes_nothing(sent):
    assert told(sent, "processed", signed_with="another") == 401
    assert sent.states() == {1: "pending"}
    assert sent.balances() == OWED


def test_one_whose_body_was_changed_on_the_way(sent):
    body = webhook_body("failed", sent.book.by_reference(REFERENCE)[0], 0)
    assert receive(sent.store, body.replace(b"failed", b"processed"), sign(SECRET, body), (SECRET,)) == 401
    assert receive(sent.store, body + b" ", sign(SECRET, body), (SECRET,)) == 401
    assert sent.balances() == OWED


@pytest.mark.parametrize("signature", ["", "00", "é", "0" * 64])
def test_what_is_no_signature(signature):
    assert not is_signed(b"{}", signature, (SECRET,))
    assert not is_signed(b"{}", sign(SECRET, b"{}").upper(), (SECRET,))


def test_two_secrets_while_one_is_replaced():
    assert is_signed(b"{}", sign("new", b"{}"), ("old", "new"))
    assert is_signed(b"{}", sign("old", b"{}"), ("old", "new"))


def test_one_that_is_replayed(sent):
    """Under any event id: that header is not signed."""
    for _ in range(3):
        assert told(sent, "processed") == 200
    assert sent.balances() == PAID


@pytest.mark.parametrize("order", list(itertools.permutations(["queued", "processing", "processed", "reversed"])))
def test_they_come_in_any_order(sent, order):
    for status in order:
        assert told(sent, status) == 200
        sent.now_ms += 1_000
    assert sent.states() == {1: "reversed"}
    assert sent.balances() == OWED
    kinds = {key.partition("/")[0] for key in _entries(sent)}
    assert kinds == {"instructed", "paid", "reversed"}


def _entries(counter):
    return [row["entry_key"] for row in counter.store.connection.execute("SELECT entry_key FROM ledger.entries")]


def test_one_that_is_25_hours_late(sent):
    """It is signed, and what it says is true: it counts."""
    late = webhook_body("processed", sent.book.by_reference(REFERENCE)[0], sent.now_ms // 1000)
    sent.now_ms += 25 * HOUR_MS
    assert receive(sent.store, late, sign(SECRET, late), (SECRET,)) == 200
    assert sent.balances() == PAID


def test_one_of_an_unknown_payout(sent):
    assert told(sent, "processed", id="pout_x", reference_id="p-unknown") == 200
    assert sent.anomalies() == ["unknown_key"]
    assert sent.balances() == OWED


@pytest.mark.parametrize("name", ["9876543210", "rider.name@okaxis", "203.0.113.77", "a4:5e:60:c2:11:22"])
def test_one_of_others_whose_reference_is_a_person(sent, caplog, name):
    """Whoever else pays from the account: what is remembered of it names nobody."""
    assert told(sent, "processed", reference_id=name) == 200
    assert told(sent, "processed", id=name, amount=1) == 200
    assert sent.anomalies() == ["other_amount", "unknown_key"]
    remembered = str(sent.store.connection.execute("SELECT * FROM dispatch.anomalies").fetchall())
    assert "pout_" in remembered
    assert name not in remembered + caplog.text


@pytest.mark.parametrize("amount", [39_999, 4_000_000, 0])
def test_one_of_another_amount(sent, amount):
    assert told(sent, "processed", amount=amount) == 200
    assert sent.anomalies() == ["other_amount"]
    assert sent.states() == {1: "pending"}
    assert sent.balances() == OWED


def test_a_late_failure_of_what_was_paid(sent):
    assert told(sent, "processed") == 200
    assert told(sent, "failed") == 200
    sent.work(HOUR_MS, 600_000)
    assert sent.states() == {1: "paid"}
    assert sent.balances() == PAID
    assert len(sent.provider.keys) == 1


def test_paid_after_failed_and_paid_again(sent):
    """The provider's error: the instalment is paid once, and what left beside that is a difference."""
    assert told(sent, "failed") == 200
    sent.book.misbehavior = Misbehavior()
    sent.work(HOUR_MS, 600_000)
    assert sent.provider.keys == [REFERENCE, f"{REFERENCE}-1"]
    assert sent.balances() == PAID
    assert told(sent, "processed") == 200
    assert sent.balances() == {"claims_incurred": 40_000, "cash": -80_000, "provider_differences": 40_000}
    assert told(sent, "reversed") == 200
    assert sent.balances() == PAID
    assert told(sent, "processed") == 200
    assert sent.balances() == PAID
    # What came back of one key leaves what was paid by the other.
    assert sent.states() == {1: "paid"}
    assert "payment_returned" not in str(sent.records()["notifications"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"event": 1}',
        b'{"event": "payout.processed"}',
        b'{"event": "payout.processed", "payload": {"payout": {"entity": null}}}',
        b'{"event": "payout.processed", "payload": {"payout": {"entity": {"status": "gone"}}}}',
        b'{"event": "fund_account.validation.completed", "payload": {}}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"event": "payout.processed"}'.decode().encode("utf-16"),
        b"\xef\xbb\xbf{}",
        ODD % b'{"id": "\\u0000", "reference_id": "p0001", "status": "processed", "amount": 1, "currency": "INR"}',
        ODD % b'{"id": "x", "reference_id": "\\ud800", "status": "processed", "amount": 1, "currency": "INR"}',
        ODD % b'{"id": "x", "reference_id": "p0001", "status": ["processed"], "amount": 1, "currency": "INR"}',
        ODD
        % (
            b'{"id": "x", "reference_id": "p0001", "status": "processed", "currency": "INR", "amount": 1%s}'
            % (b"0" * 5000)
        ),
        ODD % b'{"id": "x", "reference_id": "p0001", "status": "processed", "amount": NaN, "currency": "INR"}',
    ],
    ids=range(18),
)
def test_what_tells_of_no_payout_is_passed_over(sent, body):
    assert payout_in(body) is None
    assert receive(sent.store, body, sign(SECRET, body), (SECRET,)) == 200
    assert sent.balances() == OWED


def test_over_http(sent):
    server = WebhookServer(sent.new_store, 0, (SECRET,))
    server.start()
    try:
        body = webhook_body("processed", sent.book.by_reference(REFERENCE)[0], 0)
        for signature, answer in (
            (sign("x", body), 401),
            ("", 401),
            (sign(SECRET, body), 200),
            (sign(SECRET, body), 200),
        ):
            assert posted(server.port, body, {"X-Razorpay-Signature": signature}) == answer
        assert posted(server.port, b"x" * (MAX_BODY + 1), {}) == 413
        assert sent.balances() == PAID
    finally:
        server.stop()


def test_one_that_cannot_be_taken_in_is_to_be_sent_again(sent):
    def no_store():
        raise OSError

    server = WebhookServer(no_store, 0, (SECRET,))
    server.start()
    try:
        body = json.dumps({}).encode()
        assert posted(server.port, body, {"X-Razorpay-Signature": sign(SECRET, body)}) == 503
        assert posted(server.port, body, {}) == 401, "for which no store is asked"
    finally:
        server.stop()


def test_one_of_another_currency(sent):
    assert told(sent, "processed", currency="USD") == 200
    assert sent.anomalies() == ["other_amount"]
    assert sent.balances() == OWED


def test_one_that_names_the_payout_of_another_instruction(sent):
    sent.instruct(2)
    sent.work(60_000)
    assert told(sent, "processed", reference_id=instruction(2).reference_id) == 200
    assert sent.anomalies() == ["other_payout"]
    assert sent.balances() == {"claims_incurred": 80_000, "claims_payable": -80_000}


def test_forged_ones_open_no_connection_to_the_ledger(sent):
    """They come from anybody, in any number, and connections are few."""
    made = []

    def new_store():
        made.append(sent.new_store())
        return made[-1]

    answers = Counter()
    server = WebhookServer(new_store, 0, (SECRET,), count=lambda answer: answers.update([answer]))
    server.start()
    try:
        body = webhook_body("processed", sent.book.by_reference(REFERENCE)[0], 0)
        for _ in range(30):
            assert posted(server.port, body, {"X-Razorpay-Signature": "0" * 64}) == 401
        assert made == []
        with ThreadPoolExecutor(24) as pool:
            headers = {"X-Razorpay-Signature": sign(SECRET, body)}
            assert set(pool.map(lambda _: posted(server.port, body, headers), range(48))) == {200}
        assert 1 <= len(made) <= 8
        assert answers == {"forged": 30, "accepted": 48}
        assert sent.balances() == PAID
    finally:
        server.stop()


def test_one_that_drips_is_given_up(sent, monkeypatch):
    monkeypatch.setattr("monsoon.sinks.dispatcher.webhooks._PATIENCE_S", 0.5)
    answers = []
    server = WebhookServer(sent.new_store, 0, (SECRET,), count=answers.append)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as slow:
            slow.sendall(b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            end_s = time.monotonic() + 20
            while not answers and time.monotonic() < end_s:
                with suppress(OSError):  # it has closed the connection
                    slow.sendall(b"x")
                time.sleep(0.1)
        assert answers == ["unfinished"]
        assert sent.balances() == OWED
    finally:
        server.stop()


@pytest.mark.parametrize("length", ["-1", "1e3", "", "99999999999", "0x10", "\u0663"])
def test_lengths_that_are_none(sent, length):
    server = WebhookServer(sent.new_store, 0, (SECRET,))
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sender:
            sender.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
            assert sender.recv(100).startswith(b"HTTP/1.1 413")
    finally:
        server.stop()


@pytest.mark.parametrize("secrets", [(), ("",), ("one", "")])
def test_an_empty_secret_is_anybodys(sent, secrets):
    with pytest.raises(ValueError, match="anybody's"):
        WebhookServer(sent.new_store, 0, secrets)


def posted(port, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/webhooks", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
