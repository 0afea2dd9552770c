"""Webhooks of the provider: verified over the raw body, noted, and answered.

They come at least once, in no order, up to a day late, and from anybody: the signature is checked before anything is
read. What is noted of a payout is each status once, so that a repeat changes nothing, under whatever event id it comes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from monsoon.sinks.dispatcher.provider import ProviderPayout, payout_of
from monsoon.sinks.dispatcher.store import Noted, Store

SIGNATURE_HEADER = "X-Razorpay-Signature"
MAX_BODY = 256 * 1024
_PATIENCE_S = 10
_MAX_AT_ONCE = 8
"""Webhooks, and so connections to the ledger. What comes meanwhile is to be sent again."""
_log = logging.getLogger("monsoon.dispatcher.webhooks")


def is_signed(body: bytes, signature: str, secrets: tuple[str, ...]) -> bool:
    """Whether one of the secrets signed exactly these bytes. There are two while a secret is replaced."""
    given = signature.encode("utf-8", "replace")
    return any(
        hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode(), given)
        for secret in secrets
    )


def payout_in(body: bytes) -> ProviderPayout | None:
    """The payout that a webhook tells of, as it was then; None: it tells of none."""
    try:
        document = json.loads(body)
        event, payload = document["event"], document["payload"]
        if not event.startswith("payout."):
            return None
        return payout_of(payload["payout"]["entity"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def receive(store: Store, body: bytes) -> Noted | None:
    """Takes in a webhook that is signed; None: it is of something else.

    It is accepted even if it means nothing to us: a provider stops sending to whom refuses for a day.
    """
    payout = payout_in(body)
    if payout is None:
        _log.info("a webhook of something else is passed over")
        return None
    noted = store.observe(payout, "webhook")
    if noted not in ("noted", "known"):
        _log.error("a webhook of %s, %s: it changes nothing", payout.masked().key, noted.replace("_", " "))
    return noted


class WebhookServer:
    """Listens on a port of this machine; TLS is the business of what stands before it.

    `new_store` makes a store of its own for each thread that answers.
    """

    def __init__(
        self,
        new_store: Callable[[], Store],
        port: int,
        secrets: tuple[str, ...],
        host: str = "127.0.0.1",
        count: Callable[[str], None] = lambda answer: None,
    ) -> None:
        """`count` is told of each answer: accepted, forged, too_large, busy, unfinished, failed."""
        if not secrets or not all(secrets):
            raise ValueError("webhooks without a secret could be anybody's")
        self._http = _Server((host, port), _Handler)
        self._http.new_store, self._http.secrets = new_store, secrets
        self._http.stores, self._http.lock, self._http.count = [], threading.Lock(), count
        self._http.free = threading.BoundedSemaphore(_MAX_AT_ONCE)
        self._thread = threading.Thread(target=self._http.serve_forever, name="webhook-server", daemon=True)

    @property
    def port(self) -> int:
        """On which it listens."""
        return self._http.server_port

    def start(self) -> None:
        """Returns when it accepts webhooks."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; the provider sends again what was not answered."""
        self._http.shutdown()
        self._http.server_close()
        for store in self._http.stores:
            store.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    new_store: Callable[[], Store]
    secrets: tuple[str, ...]
    stores: list[Store]
    """That no thread is using."""
    lock: threading.Lock
    free: threading.BoundedSemaphore
    count: Callable[[str], None]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        if not (length.isascii() and length.isdecimal() and len(length) < 10 and int(length) <= MAX_BODY):
            self.close_connection = True
            return self._answer(413, "too_large")
        body = self._read(int(length))
        if body is None:
            self.close_connection = True
            return self._answer(408, "unfinished")
        # Before a connection to the ledger is opened: forged ones come from anybody, in any number.
        if not is_signed(body, self.headers.get(SIGNATURE_HEADER) or "", self.server.secrets):
            return self._answer(401, "forged")
        if not self.server.free.acquire(timeout=_PATIENCE_S):
            return self._answer(503, "busy")
        try:
            return self._take_in(body)
        finally:
            self.server.free.release()

    def _read(self, length: int) -> bytes | None:
        """The body; None: it did not come in time, however steadily it drips."""
        end_s, body = time.monotonic() + _PATIENCE_S, b""
        while len(body) < length:
            more = self.rfile.read1(length - len(body)) if time.monotonic() < end_s else b""
            if not more:
                return None
            body += more
        return body

    def _take_in(self, body: bytes) -> None:
        with self.server.lock:
            store = self.server.stores.pop() if self.server.stores else None
        try:
            store = store or self.server.new_store()
            receive(store, body)
        except Exception:
            _log.exception("a webhook could not be taken in; it will be sent again")
            if store is not None:
                store.connection.close()
            return self._answer(503, "failed")
        with self.server.lock:
            self.server.stores.append(store)
        return self._answer(200, "accepted")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing of whoever calls."""

    def _answer(self, status: int, counted: str) -> None:
        self.server.count(counted)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
