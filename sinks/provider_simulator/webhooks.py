"""Sends webhooks as a provider does: signed, at least once, in no order, again until they are accepted.

With a share of faults it sends some forged, of ids or amounts that it never had, twice, or late.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from monsoon.sinks.provider_simulator.book import Document, Event, ProviderBook

SIGNATURE_HEADER = "X-Razorpay-Signature"
EVENT_ID_HEADER = "x-razorpay-event-id"
_LOOK_S = 0.02
_FIRST_RETRY_S = 0.5
_MAX_RETRY_S = 3_600.0
_GIVE_UP_S = 24 * 3_600.0


def sign(secret: str, body: bytes) -> str:
    """The signature of a raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def webhook_body(status: str, payout: Document, at_s: int) -> bytes:
    """The webhook of a status that a payout has reached."""
    event = "payout.initiated" if status == "processing" else f"payout.{status}"
    contained = {"payout": {"entity": {**payout, "status": status}}}
    head = {"entity": "event", "account_id": "acc_monsoon", "event": event, "contains": ["payout"]}
    return json.dumps({**head, "payload": contained, "created_at": at_s}, separators=(",", ":")).encode()


class WebhookSender(threading.Thread):
    """Sends what a book's payouts reach to an address, until it is stopped."""

    def __init__(self, book: ProviderBook, url: str, secret: str) -> None:
        super().__init__(name="webhooks", daemon=True)
        self._book, self._url, self._secret = book, urlsplit(url), secret
        book.keeps_events = True
        self._waiting: list[tuple[float, int, str, bytes, str, float]] = []
        """When, in which order, the id, the body, the signature, and for how long it was tried."""
        self._stopped = threading.Event()
        self._count = 0

    def run(self) -> None:
        """One connection, one webhook after another."""
        while not self._stopped.is_set():
            for event in self._book.events():
                for after_s, body, signature in self._deliveries(event):
                    self._count += 1
                    event_id = hashlib.blake2b(body, digest_size=8).hexdigest()
                    self._waiting.append((time.monotonic() + after_s, self._count, event_id, body, signature, 0.0))
            now_s = time.monotonic()
            due = sorted(each for each in self._waiting if each[0] <= now_s)
            self._waiting = [each for each in self._waiting if each[0] > now_s]
            for _, count, event_id, body, signature, tried_s in due:
                if not self._send(event_id, body, signature) and tried_s < _GIVE_UP_S:
                    wait_s = min(_MAX_RETRY_S, max(_FIRST_RETRY_S, tried_s))
                    self._waiting.append((now_s + wait_s, count, event_id, body, signature, tried_s + wait_s))
            self._stopped.wait(_LOOK_S)

    def stop(self) -> None:
        """What was not accepted is dropped."""
        self._stopped.set()
        self.join()

    def _deliveries(self, event: Event) -> Iterator[tuple[float, bytes, str]]:
        misbehavior = self._book.misbehavior
        body = webhook_body(event.status, event.document, event.document["created_at"])
        fault = misbehavior.webhook_fault(event.key, event.status)
        late_s = misbehavior.late_ms / 1000
        if fault == "forged":
            yield 0, webhook_body("reversed", event.document, 0), sign("another secret", body)
        elif fault == "unknown_id":
            other = {**event.document, "id": "pout_unknown", "reference_id": "p-unknown"}
            body_of_other = webhook_body(event.status, other, 0)
            yield 0, body_of_other, sign(self._secret, body_of_other)
        elif fault == "other_amount":
            other = {**event.document, "amount": event.document["amount"] + 1}
            body_of_other = webhook_body(event.status, other, 0)
            yield 0, body_of_other, sign(self._secret, body_of_other)
        elif fault == "duplicate":
            yield late_s / 2, body, sign(self._secret, body)
        yield late_s if fault == "late" else 0, body, sign(self._secret, body)

    def _send(self, event_id: str, body: bytes, signature: str) -> bool:
        """Whether it was accepted; a forged one is not sent again."""
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature, EVENT_ID_HEADER: event_id}
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=5)
            try:
                connection.request("POST", self._url.path or "/", body, headers)
                status = connection.getresponse().status
                return status < 300 or signature != sign(self._secret, body)
            finally:
                connection.close()
        return False
