"""One instance of the dispatcher as a service: threads that take in, pay, publish, and listen to webhooks.

Any number of instances share the topics by their group, the payments by leases and the rate by a bucket of tokens, all
of them in the database. Whatever fails is tried again; an instance may be killed at any moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import psycopg

from monsoon.client.connection import OffsetAndMetadata, TopicPartition
from monsoon.client.connection import connect as connect_kafka
from monsoon.contracts.topics import topic_name
from monsoon.pipelines.payments.intake import Intake
from monsoon.pipelines.payments.metrics import (
    CALLS,
    FAILURES,
    REFUSED,
    WEBHOOKS,
    Counts,
    MetricsServer,
    exposition,
    samples,
)
from monsoon.sinks.dispatcher.dispatcher import Dispatcher
from monsoon.sinks.dispatcher.provider import HttpProvider
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.dispatcher.webhooks import WebhookServer
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.ledger.errors import LedgerError
from monsoon.transforms.product import Product

IDLE_S = 0.5
"""After which a worker looks for what has become due, even if nothing came."""
_LONG_IDLE_S = 10.0
_RETRY_S = 1.0
_POLL_MS = 200
_BROKER_PATIENCE_MS = 30_000
_log = logging.getLogger("monsoon.dispatcher")


@dataclass(frozen=True)
class ServiceOptions:
    """What an instance needs. `brokers`: None where instructions come otherwise."""

    owner: str
    ledger: str = field(repr=False)
    provider_url: str
    key_id: str
    key_secret: str = field(repr=False)
    settings: DispatchSettings
    products: Mapping[str, Product] = field(default_factory=dict)
    workers: int = 16
    brokers: str | None = None
    prefix: str = ""
    group: str = "dispatcher"
    timeouts_s: tuple[float, float] = (3.0, 10.0)
    """To connect to the provider, and to be answered."""
    webhook_port: int | None = None
    webhook_host: str = "127.0.0.1"
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    metrics_port: int | None = None


class DispatcherService:
    """Runs from `start` to `stop`."""

    def __init__(self, options: ServiceOptions) -> None:
        self._options = options
        patience = replace(options.settings.patience, seed=options.owner)
        self._settings = replace(options.settings, patience=patience)
        self.provider = HttpProvider(
            options.provider_url,
            options.key_id,
            options.key_secret,
            options.settings.account_number,
            connections=options.workers,
            connect_timeout_s=options.timeouts_s[0],
            read_timeout_s=options.timeouts_s[1],
        )
        self._stopped = threading.Event()
        self._due = threading.Condition()
        self._webhooks: WebhookServer | None = None
        self._metrics: MetricsServer | None = None
        self._counts = Counts()
        threads: list[tuple[str, Callable[[], None]]] = [
            (f"worker-{n}", partial(self._work, n == 0)) for n in range(options.workers)
        ]
        if options.brokers is not None:
            threads += [("intake", self._take_in), ("publisher", self._publish)]
        self._threads = [
            threading.Thread(target=self._again_and_again, args=(run,), name=name, daemon=True) for name, run in threads
        ]

    @property
    def webhook_port(self) -> int | None:
        """Where webhooks are listened to."""
        return None if self._webhooks is None else self._webhooks.port

    def start(self) -> None:
        """Starts all threads. Raises LedgerError where the ledger cannot be reached."""
        self._store().connection.close()
        options = self._options
        if options.webhook_port is not None:
            count = partial(self._counts.add, WEBHOOKS)
            self._webhooks = WebhookServer(
                self._store, options.webhook_port, options.webhook_secrets, options.webhook_host, count
            )
            self._webhooks.start()
        if options.metrics_port is not None:
            self._metrics = MetricsServer(self.metrics, options.metrics_port)
            self._metrics.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends it in good order: calls that are under way are waited for."""
        self._stopped.set()
        self.wake()
        if self._webhooks is not None:
            self._webhooks.stop()
        for thread in self._threads:
            thread.join()
        if self._metrics is not None:
            self._metrics.stop()

    def metrics(self) -> str:
        """As Prometheus reads them."""
        return exposition(samples(self._counts, self._store))

    def wake(self, count: int | None = None) -> None:
        """Tells workers that something may be due: all, or as many as so many payments need."""
        with self._due:
            self._due.notify(self._options.workers if count is None else count)

    def _store(self) -> Store:
        connection = connect(self._options.ledger, "monsoon_dispatcher", f"monsoon dispatcher {self._options.owner}")
        return Store(connection, self._settings)

    def _again_and_again(self, run: Callable[[], None]) -> None:
        """A thread goes on after the database or a broker failed."""
        while not self._stopped.is_set():
            try:
                run()
                continue
            except (psycopg.Error, LedgerError) as error:
                _log.warning("the ledger failed, and is tried again: %s", str(error).strip().partition("\n")[0])
            except Exception:
                _log.exception("%s failed, and is tried again", threading.current_thread().name)
            self._counts.add(FAILURES)
            self._stopped.wait(_RETRY_S)

    def _work(self, is_watch: bool) -> None:
        """Pays. One thread, the watch, looks often for what has become due, and wakes others; these sleep longer."""
        store = self._store()
        try:
            dispatcher = Dispatcher(
                self._options.owner, store, self.provider, time.sleep, partial(self._counts.add, CALLS)
            )
            while not self._stopped.is_set():
                if dispatcher.work_once():
                    self.wake(1)  # there may be more; those who wake find out, and wake others
                else:
                    with self._due:
                        self._due.wait(IDLE_S if is_watch else _LONG_IDLE_S)
        finally:
            store.connection.close()

    def _take_in(self) -> None:
        """Offsets are committed after what was read is in the ledger: a crash between the two reads it again."""
        streams = {topic_name(stream, self._options.prefix): stream for stream in Intake.STREAMS}
        store = self._store()
        consumer = self._kafka()
        try:
            intake = Intake(store, self._options.products)
            consumer.subscribe(list(streams))
            while not self._stopped.is_set():
                offsets, count = {}, 0
                polled = consumer.poll(timeout_ms=_POLL_MS).items()
                # Payouts last: what is told of one names the product of its policy.
                for partition, messages in sorted(polled, key=lambda item: streams[item[0].topic] == "payouts"):
                    values = [message.value for message in messages if message.value is not None]
                    count += intake.take_in(streams[partition.topic], values)
                    at = TopicPartition(partition.topic, partition.partition)
                    offsets[at] = OffsetAndMetadata(messages[-1].offset + 1)
                if count:
                    self.wake(count)
                self._counts.add(REFUSED, count=intake.refused)
                intake.refused = 0
                if offsets:
                    consumer.commit(offsets, timeout_ms=_BROKER_PATIENCE_MS)
        finally:
            store.connection.close()
            consumer.close()

    def _kafka(self) -> Any:
        assert self._options.brokers is not None
        return connect_kafka(self._options.brokers.split(","), self._options.group, _BROKER_PATIENCE_MS, {})

    def _publish(self) -> None:
        from kafka import KafkaProducer

        assert self._options.brokers is not None
        store = self._store()
        producer = KafkaProducer(
            bootstrap_servers=self._options.brokers.split(","), acks="all", enable_idempotence=True, linger_ms=5
        )

        def send(records: Sequence[tuple[str, str, str]]) -> None:
            sent = [
                producer.send(topic_name(stream, self._options.prefix), key=key.encode(), value=record.encode())
                for stream, key, record in records
            ]
            for each in sent:
                each.get(timeout=_BROKER_PATIENCE_MS / 1000)

        try:
            while not self._stopped.is_set():
                if not store.publish(send):
                    self._stopped.wait(IDLE_S)
        finally:
            store.connection.close()
            producer.close(timeout=1)
