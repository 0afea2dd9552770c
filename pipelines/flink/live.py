"""A folder's streams through the whole stack: produced to Kafka in event-time order, decided by the live job on a
cluster, consumed as committed, and written in the layout of a replay."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from monsoon.contracts.topics import INPUT_TOPICS, OUTPUT_TOPICS, TOPICS, topic_name
from monsoon.pipelines.flink.errors import ClusterError, deepest_cause
from monsoon.pipelines.flink.live_job import job_config
from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.results import write_results
from monsoon.pipelines.runtime.messages import ACCOUNTS, END
from monsoon.pipelines.stack.payments import PaymentOptions
from monsoon.pipelines.stack.stack import Stack
from monsoon.pipelines.stack.submit import submit
from monsoon.sinks.dispatcher.results import NOTIFICATION_KINDS
from monsoon.sinks.folder import OutputFolder
from monsoon.sinks.record_files import Format
from monsoon.sources.files import INPUT_FOLDERS, streams_in
from monsoon.sources.kafka.admin import partition_counts
from monsoon.sources.kafka.committed import CommittedRecords
from monsoon.sources.kafka.history import History
from monsoon.sources.kafka.producer import HistoryProducer, history_producer
from monsoon.sources.kafka.settings import (
    EventTimeSettings,
    FeatureSettings,
    InsuranceSettings,
    KafkaSettings,
    LiveSettings,
    StateSettings,
)
from monsoon.sources.model_files import load_scorer
from monsoon.sources.reference import read_references
from monsoon.transforms.product import Product
from monsoon.transforms.validation.input_checks import RefusalLimit

_POLL_MS = 500
_UNCOMMITTED_S = 700.0
"""The last transactions are committed within two checkpoints, or hidden until an abandoned one has timed out."""
_FAILURES = 6
"""So often a job may fail before anything is committed, which is not for want of a machine."""
_JOB_LOOK_S = 2.0
_HOUR_MS = 3_600_000
_DISTURBED_TRANSACTION_TIMEOUT_S = 120
"""A transaction that a killed process left open hides what was committed after it for so long. Where nothing is killed
it is the settings' default, since a checkpoint of a busy machine may outlast two minutes, and ends the job then."""
_INTERVAL_WALL_MS = 10_000
"""At a multiple of real time an interval of event time takes as long as one of a live source."""


@dataclass(frozen=True)
class LiveOptions:
    """How to run: all but the input, the products and the model."""

    stack: Path
    """A new or empty folder for the stack's processes, logs and state."""
    product_files: tuple[Path, ...] = ()
    speed: float = 0.0
    """So many times as fast as real time; 0: as fast as it goes."""
    parallelism: int = 2
    buckets: int | None = None
    task_managers: int = 1
    checkpoint_interval_ms: int = 1_000
    state_backend: str = "rocksdb"
    limit: RefusalLimit | None = None
    disturb: Callable[[Stack], None] | None = None
    """Called now and then while the job runs, and may do to the stack what it likes."""
    hurried: Callable[[], bool] = lambda: False
    """Asked now and then whether to send the rest of the input as fast as it goes, whatever `speed` says."""
    payments: PaymentOptions | None = None
    """Pay what the job instructs too; not on a stack that runs already."""
    features: bool = False
    """Measure features and keep them too; not on a stack that runs already."""
    finish: Callable[[Stack], None] = lambda stack: None
    """Called when all is decided, before the stack is taken down."""


def live(
    input_dir: Path,
    output_dir: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    options: LiveOptions,
    model: Path | None = None,
    progress: Progress = no_progress,
    file_format: Format = "jsonl",
) -> dict[str, Any]:
    """Runs the folder's streams through a stack of its own, which it brings up and takes down; returns the summary that
    it also wrote.

    Raises InputError, OutputError, ModelFolderError, ClusterError and StackError.
    """
    Stack(options.stack).require_usable()
    with OutputFolder(output_dir, (input_dir / name for name in INPUT_FOLDERS), file_format) as output:
        running = {name: products[name] for name in sorted(selected)}
        scorer = load_scorer(model)
        references = read_references(input_dir / "reference")
        progress("reading the input", None)
        with History(input_dir) as history:
            collected = _through_the_stack(history, input_dir, running, model, options, progress)
        collected.require_within(options.limit, input_dir)
        collected.record_inputs(history.ignored, references)
        return write_results(output, collected, collected.outcome, running, {scorer.name: scorer.version}, progress)


def _through_the_stack(
    history: History,
    input_dir: Path,
    running: Mapping[str, Product],
    model: Path | None,
    options: LiveOptions,
    progress: Progress,
) -> CollectedResults:
    stack = Stack(options.stack)
    settings = _settings(input_dir, running, model, options)
    job_config(settings, options.parallelism)  # refused before anything starts
    slots = -(-options.parallelism // options.task_managers)
    brought_up = False
    try:
        brought_up = stack.up(
            options.task_managers, slots, payments=options.payments, features=options.features, progress=progress
        )
        if not brought_up and (options.payments is not None or options.features):
            raise ClusterError(
                f"{options.stack}: the stack runs already; end it first, to have another one pay or keep features"
            )
        prefix = "" if brought_up else _own_topics(stack, options.parallelism)
        settings = settings.at(stack.broker.address, prefix)
        progress("submitting the job", None)
        job = submit(stack, settings)
        try:
            collected = _Exchange(stack, settings, job, options, progress).run(history)
            options.finish(stack)
        finally:
            if not brought_up:
                stack.cluster.cancel(job)
                stack.broker.delete_topics(prefix)
    except BaseException as error:
        if brought_up:
            progress("ending the stack", None)
            stack.down(keep_data=isinstance(error, Exception))  # its logs; after Ctrl-C nothing is left
        raise
    if brought_up:
        stack.down()
    return collected


def _own_topics(stack: Stack, parallelism: int) -> str:
    """Topics of this run on a stack that runs already; returns the prefix of their names. Raises ClusterError where
    Flink lacks slots."""
    free = stack.cluster.get("/overview")["slots-available"]
    if free < parallelism:
        raise ClusterError(f"the stack has {free} free slots, the job takes {parallelism}; end a job, or give less")
    present = stack.broker.topics()
    number = next(number for number in count(1) if topic_name("telemetry", f"live-{number}-") not in present)
    prefix = f"live-{number}-"
    stack.broker.create_topics(TOPICS.values(), prefix)
    return prefix


def _settings(
    input_dir: Path, running: Mapping[str, Product], model: Path | None, options: LiveOptions
) -> LiveSettings:
    """Of a stream that ends: no partition is ever idle, since its producer says how far it has come. The brokers are
    not known yet."""
    interval_ms = max(_INTERVAL_WALL_MS, int(_INTERVAL_WALL_MS * options.speed)) if options.speed else _HOUR_MS
    kafka = KafkaSettings(brokers="127.0.0.1:0")
    if options.disturb is not None:
        kafka = replace(kafka, transaction_timeout_s=_DISTURBED_TRANSACTION_TIMEOUT_S)
    return LiveSettings(
        kafka=kafka,
        event_time=EventTimeSettings(idle_after_s=None, interval_ms=min(interval_ms, _HOUR_MS)),
        state=StateSettings(
            checkpoint_interval_ms=options.checkpoint_interval_ms,
            backend=options.state_backend,  # type: ignore[arg-type]
            parallelism=options.parallelism,
            buckets=options.buckets,
        ),
        insurance=InsuranceSettings(
            products=tuple(running),
            product_files=tuple(str(file.absolute()) for file in options.product_files),
            model=None if model is None else str(model.absolute()),
            reference=str((input_dir / "reference").absolute()),
            reserves="reserves" in streams_in(input_dir),
        ),
        features=FeatureSettings(enabled=options.features),
    )


class _Exchange:
    """The producer and the consumer at the two ends of a running job."""

    def __init__(
        self, stack: Stack, settings: LiveSettings, job: str, options: LiveOptions, progress: Progress
    ) -> None:
        self._stack, self._job, self._options, self._progress = stack, job, options, progress
        self._brokers = settings.kafka.brokers
        streams = [topic.stream for topic in INPUT_TOPICS if topic.stream != "reserves" or settings.insurance.reserves]
        prefix = settings.kafka.topic_prefix
        self._inputs = {stream: topic_name(stream, prefix) for stream in streams}
        outputs = [*OUTPUT_TOPICS, TOPICS[ACCOUNTS], *([TOPICS["features"]] if settings.features.enabled else [])]
        self._outputs = {topic.stream: topic_name(topic.stream, prefix) for topic in outputs}
        self._partitions = partition_counts(self._brokers, self._inputs)
        self._failed: BaseException | None = None
        self._stopped = False
        self._looked_s = 0.0

    def run(self, history: History) -> CollectedResults:
        """Sends the history and returns what the job has committed when event time has ended."""
        producer = HistoryProducer(
            history_producer(self._brokers),
            self._inputs,
            self._partitions,
            self._options.speed,
            lambda: self._stopped,
            self._options.hurried,
        )
        sending = threading.Thread(target=self._send, args=(producer, history), name="produce", daemon=True)
        sending.start()
        committed = CommittedRecords(self._brokers, self._outputs)
        found: list[tuple[str, bytes]] = []
        ended, ended_s = False, 0.0
        try:
            while True:
                for stream, key, value in committed.poll(_POLL_MS):
                    if stream == "notifications" and self._is_of_dispatcher(value):
                        continue
                    if stream != ACCOUNTS:
                        found.append((stream, b"[" + (value or b"") + b"]"))
                    else:
                        kind = (key or b"").decode()
                        if kind == END and not ended:
                            ended, ended_s = True, time.monotonic()
                        found.append((kind, value or b""))
                if ended:
                    collected = CollectedResults.of(found)
                    if not collected.missing:
                        return collected
                    if time.monotonic() - ended_s > _UNCOMMITTED_S:
                        collected.require_records()
                self._look(producer, history)
                if not sending.is_alive():
                    producer.end_again()
        finally:
            self._stopped = True
            sending.join(timeout=30)
            committed.close()

    def _is_of_dispatcher(self, value: bytes | None) -> bool:
        """Of a stack that pays: the dispatcher writes into this topic of the job too."""
        return self._options.payments is not None and json.loads(value or b"{}").get("kind") in NOTIFICATION_KINDS

    def _send(self, producer: HistoryProducer, history: History) -> None:
        try:
            producer.send(history)
            producer.end()
        except BaseException as error:  # raised where the job is waited for
            self._failed = error

    def _look(self, producer: HistoryProducer, history: History) -> None:
        """Shows progress, disturbs, and raises what ended the producer or the job."""
        share = producer.sent / max(1, len(history))
        self._progress("deciding" if share < 1 else "waiting for the last decisions to be committed", share % 1)
        if self._failed is not None:
            raise self._failed
        if self._options.disturb is not None:
            self._options.disturb(self._stack)
        if time.monotonic() - self._looked_s < _JOB_LOOK_S:
            return
        self._looked_s = time.monotonic()
        with suppress(OSError, ValueError):  # a JobManager that was killed, and is coming back
            state = self._stack.cluster.get(f"/jobs/{self._job}")["state"]
            if state in ("FAILED", "CANCELED", "FINISHED"):
                raise ClusterError(
                    f"the job is {state.lower()}: {self._root_cause()}; the logs: {self._options.stack / 'logs'}"
                )

            completed = self._stack.cluster.get(f"/jobs/{self._job}/checkpoints")["counts"]["completed"]
            if not completed and len(self._failures()) >= _FAILURES:
                raise ClusterError(
                    f"the job failed {_FAILURES} times before its first checkpoint: {self._root_cause()}; the logs: "
                    f"{self._options.stack / 'logs'}"
                )

    def _failures(self) -> list[dict[str, Any]]:
        """The latest failures that made the job restart, the last one first."""
        found: list[dict[str, Any]] = self._stack.cluster.get(f"/jobs/{self._job}/exceptions")["exceptionHistory"][
            "entries"
        ]
        return found

    def _root_cause(self) -> str:
        with suppress(OSError, ValueError, LookupError):
            return deepest_cause(self._failures()[0]["stacktrace"])
        return "it gives no reason"
