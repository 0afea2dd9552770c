"""One Kafka broker in KRaft mode, with its topics, on ports of this machine."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from monsoon.contracts.topics import FOREVER_MS, Topic
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.jars import broker_classpath
from monsoon.pipelines.stack.jvm import QUICK_START, java_command, launch
from monsoon.pipelines.stack.ports import HOST, answers, free_ports
from monsoon.pipelines.stack.processes import StackProcess, last_error, stop
from monsoon.sources.files import InputError
from monsoon.sources.kafka.admin import delete_topics, topics_at
from monsoon.sources.kafka.create_topics import create_topics
from monsoon.sources.kafka.producer import MAX_RECORD_BYTES

MAX_MESSAGE_BYTES = MAX_RECORD_BYTES
"""Far above what the job accepts: a record that is too long for it has to reach it, to become a dead letter."""
MAX_TRANSACTION_MS = 900_000
"""Kafka's own default. A producer that asks for a longer timeout of its transactions is refused."""
_PATIENCE_S = 120
_GRACE_S = 15
_JVM = (*QUICK_START, "-Xms64m", "-XX:+UseSerialGC")


class KafkaBroker:
    """The broker of a stack's folder. Started again on the same folder, it has its data."""

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        controller_port: int | None = None,
        *,
        heap_mb: int = 512,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        max_transaction_ms: int = MAX_TRANSACTION_MS,
    ) -> None:
        """Ports are free ones where none are given, and stay the same when the broker is started again."""
        free = free_ports(2)
        self.port = port or free[0]
        self.controller_port = controller_port or free[1]
        self.process = StackProcess(folder, "kafka")
        self._folder = folder.absolute() / "kafka"
        self._heap_mb = heap_mb
        self._max_message_bytes = max_message_bytes
        self._max_transaction_ms = max_transaction_ms

    @property
    def address(self) -> str:
        """Host and port, as a client's list of bootstrap servers."""
        return f"{HOST}:{self.port}"

    def start(self, progress: Progress = no_progress) -> None:
        """Starts it, and returns when it accepts clients. Raises StackError."""
        self.launch()
        self.wait_until_ready(progress)

    def launch(self) -> None:
        """Starts it, without waiting. Raises StackError."""
        if self.process.pid is None and answers(self.port):
            raise StackError(f"port {self.port}, the broker's, is taken; stop what listens there, or give another")
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        if not (self._folder / "data" / "meta.properties").exists():
            self._format(settings)
        options = (*_JVM, f"-Xmx{self._heap_mb}m")
        launch(self.process, "kafka.Kafka", [str(settings)], broker_classpath(), options)

    def wait_until_ready(self, progress: Progress) -> None:
        """Returns when it accepts clients. Raises StackError."""
        self.process.wait_until(lambda: answers(self.port), _PATIENCE_S, progress)

    def stop(self) -> None:
        """Ends it in good order."""
        stop([self.process], _GRACE_S)

    def kill(self) -> None:
        """Ends it as a crash does."""
        stop([self.process], 0)

    def create_topics(self, topics: Iterable[Topic], prefix: str = "") -> None:
        """Creates those topics that are not there, to be kept for good: by their timestamps the records of a storm are
        older than any retention, and the broker would delete them unread. Raises StackError if the broker refuses
        one."""
        with self._refusals():
            create_topics(self.address, [replace(topic, retention_ms=FOREVER_MS) for topic in topics], prefix)

    def topics(self) -> set[str]:
        """The names of the topics that are there. Raises StackError."""
        with self._refusals():
            return topics_at(self.address)

    def delete_topics(self, prefix: str) -> None:
        """Deletes the topics whose names begin with `prefix`. Raises StackError."""
        with self._refusals():
            delete_topics(self.address, prefix)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise StackError(f"{error}; the broker's log: {self.process.log}") from error

    def _format(self, settings: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        words = ["format", f"--cluster-id={cluster_id}", "--config", str(settings)]  # the id may begin with a dash
        command = java_command(self.process.folder, "kafka.tools.StorageTool", words, broker_classpath(), _JVM)
        log = self._folder / "format.log"
        with open(log, "wb") as output:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        if done.returncode != 0:
            raise StackError(f"the broker's folder could not be formatted: {last_error(log)}; the log: {log}")

    def _settings(self) -> dict[str, str | int]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._folder / "data"),
            "message.max.bytes": self._max_message_bytes,
            "transaction.max.timeout.ms": self._max_transaction_ms,
            "auto.create.topics.enable": "false",
            # By time of the records, which in a replayed storm is years ago: what is kept is for each topic to say.
            "log.retention.ms": -1,
            # A storm may have phones whose clocks are years ahead.
            "log.message.timestamp.after.max.ms": 2**63 - 1,
            # For so long the controller refuses a broker that comes back after a crash: it is taken for the old one.
            "broker.session.timeout.ms": 3_000,
            "broker.heartbeat.interval.ms": 500,
            # A single broker, and few clients.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 2,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
        }
