"""What an instance of the dispatcher reports, as Prometheus reads it: its own counts, and the state of the ledger."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

from monsoon.pipelines.metrics import Metric
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.errors import LedgerError

PREFIX = "monsoon_dispatcher_"
_log = logging.getLogger("monsoon.dispatcher.metrics")

LEDGER_UP = Metric("ledger_up", "gauge", "0 or 1", "whether the ledger answers", "start PostgreSQL")
BREAKER_OPEN = Metric("breaker_open", "gauge", "0 or 1", "whether payments are stopped", "monsoon dispatch")
DUE = Metric("due_payments", "gauge", "payments", "that could go on now", "see oldest_due_s")
OLDEST_DUE = Metric(
    "oldest_due_s", "gauge", "s", "for how long the oldest of them has been due", "raise requests_per_s, or workers"
)
FOR_A_PERSON = Metric(
    "payments_for_a_person", "gauge", "payments", "that do not go on by themselves", "look at each", ("state",)
)
DIFFERENCES = Metric(
    "provider_differences_paise",
    "gauge",
    "paise",
    "the account of what the provider's statement says otherwise",
    "read the report of monsoon reconcile",
)
ANOMALIES = Metric("anomalies", "gauge", "records", "what did not fit, since the ledger began", "read it", ("kind",))
UNPUBLISHED = Metric("unpublished_records", "gauge", "records", "results not yet in topics", "see the brokers")
CALLS = Metric("calls", "counter", "calls", "to the provider, by what came of them", "see the provider", ("reply",))
WEBHOOKS = Metric("webhooks", "counter", "webhooks", "by the answer to them", "see the secret", ("answer",))
REFUSED = Metric("records_refused", "counter", "records", "that the ledger cannot take", "see anomalies")
FAILURES = Metric("thread_failures", "counter", "failures", "of threads, tried again", "see the log")

_KNOWN_LABELS = {
    CALLS.name: ("payout", "refused", "unknown", "denied", "unclear"),
    WEBHOOKS.name: ("accepted", "forged", "too_large", "unfinished", "busy", "failed"),
    ANOMALIES.name: (
        "edited_instruction",
        "unknown_key",
        "other_amount",
        "other_payout",
        "refused_payouts",
        "refused_subscriptions",
        "refused_reserves",
    ),
}
"""Reported from the beginning: of a value that appears, Prometheus knows no increase."""
METRICS = tuple(each for each in [*globals().values()] if isinstance(each, Metric))


class Counts:
    """What one instance has counted, by metric and label."""

    def __init__(self) -> None:
        self._lock, self._counts = threading.Lock(), Counter[tuple[str, str]]()

    def add(self, metric: Metric, label: str = "", count: int = 1) -> None:
        """Adds to a counter."""
        with self._lock:
            self._counts[metric.name, label] += count

    def of(self, metric: Metric) -> Mapping[str, int]:
        """By label."""
        with self._lock:
            return {label: count for (name, label), count in self._counts.items() if name == metric.name}


def exposition(samples: Iterable[tuple[Metric, Mapping[str, float]]]) -> str:
    """The text that Prometheus reads; values by label, `""` where the metric has none."""
    lines = []
    for metric, values in samples:
        name = PREFIX + metric.name + ("_total" if metric.kind == "counter" else "")
        lines += [f"# HELP {name} {metric.meaning}, in {metric.unit}", f"# TYPE {name} {metric.kind}"]
        for label, value in sorted(values.items()):
            where = f'{{{metric.labels[0]}="{label}"}}' if metric.labels else ""
            lines.append(f"{name}{where} {value}")
    return "\n".join(lines) + "\n"


def samples(counts: Counts, new_store: Callable[[], Store]) -> list[tuple[Metric, Mapping[str, float]]]:
    """All of them; of a ledger that does not answer only that."""
    found: list[tuple[Metric, Mapping[str, float]]] = [
        (metric, _with_known_labels(metric, counts.of(metric))) for metric in METRICS if metric.kind == "counter"
    ]
    try:
        store = new_store()
        try:
            state, persons, anomalies = store.facts()
        finally:
            store.connection.close()
    except (psycopg.Error, LedgerError):
        return [(LEDGER_UP, {"": 0}), *found]
    gauges = (BREAKER_OPEN, DUE, OLDEST_DUE, DIFFERENCES, UNPUBLISHED)
    found += [(metric, {"": state[metric.name]}) for metric in gauges]
    return [
        (LEDGER_UP, {"": 1}),
        *found,
        (FOR_A_PERSON, persons),
        (ANOMALIES, _with_known_labels(ANOMALIES, anomalies)),
    ]


def _with_known_labels(metric: Metric, values: Mapping[str, int]) -> dict[str, int]:
    return {**dict.fromkeys(_KNOWN_LABELS.get(metric.name, ("",)), 0), **values}


class MetricsServer:
    """Answers every request with what `text` makes."""

    def __init__(self, text: Callable[[], str], port: int, host: str = "") -> None:
        self._http = _Server((host, port), _Handler)
        self._http.text = text
        self._thread = threading.Thread(target=self._http.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """On which it listens."""
        return self._http.server_port

    def start(self) -> None:
        """Returns when it answers."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._http.shutdown()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    text: Callable[[], str]


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_GET(self) -> None:
        try:
            body = self.server.text().encode()
        except Exception:
            _log.exception("metrics could not be made")
            return self.send_error(500)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing of whoever asks."""
