"""The provider's HTTP interface: payouts, one payout, payouts of a reference, the statement."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from monsoon.sinks.provider_simulator.book import Document, ProviderBook

IDEMPOTENCY_HEADER = "X-Payout-Idempotency"
_MAX_BODY = 64 * 1024
_STALL_S = 30.0


class ProviderServer:
    """Serves a book on a port of this machine, in threads of its own."""

    def __init__(self, book: ProviderBook, port: int, key_id: str, key_secret: str, stall_s: float = _STALL_S) -> None:
        """`stall_s`: how long an answer takes that the script lets stall."""
        self.book, self.stall_s = book, stall_s
        token = base64.b64encode(f"{key_id}:{key_secret}".encode()).decode()
        self.authorization = f"Basic {token}"
        self.stopped = threading.Event()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.provider = self
        self._thread = threading.Thread(target=self._http.serve_forever, name="provider", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def start(self) -> None:
        """Returns when it accepts requests."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; requests that it is at are dropped."""
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    provider: ProviderServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """As ever, but nothing is printed of a caller that went away: tests and chaos kill callers."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        provider, book = self.server.provider, self.server.provider.book
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            self.close_connection = True
            return self._answer(413, _error("The request is too large."))
        body = self.rfile.read(length)
        if not self._is_allowed():
            return None
        if urlsplit(self.path).path != "/v1/payouts":
            return self._answer(404, _error("The requested URL was not found on the server."))
        key = self.headers.get(IDEMPOTENCY_HEADER)
        fault = book.misbehavior.fault(key or "", book.request_number(key or ""))
        time.sleep(book.misbehavior.latency_ms / 1000)
        if fault is None:
            return self._answer(*book.create(key, body))
        what, when = fault.split("_")
        if when == "after":
            book.create(key, body)
        if what == "reset":
            return self._reset()
        if what == "stall" and provider.stopped.wait(provider.stall_s):
            return self._reset()
        return self._answer(500 if when == "before" else 504, _error("We are facing some trouble.", "SERVER_ERROR"))

    def do_GET(self) -> None:
        book = self.server.provider.book
        if not self._is_allowed():
            return None
        place = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(place.query).items()}
        time.sleep(book.misbehavior.latency_ms / 1000)
        if place.path.startswith("/v1/payouts/"):
            payout = book.fetch(place.path.rpartition("/")[2])
            if payout is None:
                return self._answer(400, _error("The id provided does not exist"))
            return self._answer(200, payout)
        if asked.get("account_number") != book.account:
            return self._answer(400, _error("The account number is invalid."))
        if place.path == "/v1/payouts":
            return self._answer(200, _collection(book.by_reference(asked.get("reference_id", ""))))
        if place.path == "/v1/transactions":
            from_s, to_s = int(asked.get("from", 0)), int(asked.get("to", 2**40))
            page = book.transactions(from_s, to_s, int(asked.get("count", 10)), int(asked.get("skip", 0)))
            shown = [{name: value for name, value in each.items() if name != "reference_id"} for each in page]
            return self._answer(200, _collection(shown))
        return self._answer(404, _error("The requested URL was not found on the server."))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: what it did is in its book."""

    def _is_allowed(self) -> bool:
        if self.headers.get("Authorization") == self.server.provider.authorization:
            return True
        self._answer(401, _error("The api key provided is invalid"))
        return False

    def _answer(self, status: int, document: Document) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Closes the connection without an answer."""
        self.close_connection = True


def _collection(items: list[Document]) -> Document:
    return {"entity": "collection", "count": len(items), "items": items}


def _error(description: str, code: str = "BAD_REQUEST_ERROR") -> Document:
    return {"error": {"code": code, "description": description}}
