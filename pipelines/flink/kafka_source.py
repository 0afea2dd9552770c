"""Kafka topics as the entry of the graph: records are gathered by task in SQL, validated in Python, and event time
advances by their partitions' watermarks.

Python sees many records at once, since each call costs as much as validating several reports. Every message on a side
output has the watermark that holds there, and the watermark is assigned behind it in the JVM: so no record that was
sent before a watermark can come after it. A heartbeat message carries the watermark to operators to which nothing is
sent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from pyflink.common import Duration, Row, Types, WatermarkStrategy
from pyflink.datastream import DataStream, OutputTag, ProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from monsoon.pipelines.flink.control import ControlInput, controlled
from monsoon.pipelines.flink.partition_keys import MAX_PARTITIONS, PartitionKeys, code_of
from monsoon.pipelines.flink.process_functions import KEYED_MESSAGE, RESULT, control_messages, message_row
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.messages import HEARTBEAT, RESULTS, Message
from monsoon.pipelines.topology import operators_of
from monsoon.sources.files import INPUT_STREAMS, InputError
from monsoon.sources.kafka.records import lines_of
from monsoon.sources.kafka.watermarks import PartitionWatermarks, WatermarkBounds

_SQL = Path(__file__).with_name("kafka_records.sql")


@dataclass(frozen=True)
class KafkaInput:
    """The input topics of a job. `topics`: name by stream; `partitions`: how many each has; `properties`: of the
    consumer, the broker's address included; `parallelism`: with how many tasks the job is started; `submitted_s`: when
    (s since 1970); `gather_ms`: for how long records are gathered."""

    topics: Mapping[str, str]
    partitions: Mapping[str, int]
    properties: Mapping[str, str]
    bounds: WatermarkBounds
    control: ControlInput
    parallelism: int
    submitted_s: int
    gather_ms: int

    @cached_property
    def keys(self) -> PartitionKeys:
        """Where the records of each partition go."""
        return PartitionKeys(self.partitions, self.parallelism)


def kafka_messages(env: StreamExecutionEnvironment, source: KafkaInput, config: JobConfig) -> dict[str, DataStream]:
    """Adds the source and the validation of its records to `env`; gives the messages to each operator, with event
    time."""
    read = _gathered(env, source).process(ReadRecords(source, config), Types.STRING())
    read.name(f"{Validate.uid}: {Validate.label}").uid(Validate.uid)
    receivers = {operator.uid for operator in operators_of(config)} | {RESULTS}
    return {
        to: _with_watermarks(read.get_side_output(tag), to, source.bounds)
        for to, tag in _tags().items()
        if to in receivers
    }


def _gathered(env: StreamExecutionEnvironment, source: KafkaInput) -> DataStream:
    env.get_config().set_auto_watermark_interval(_WATERMARK_INTERVAL_MS)
    table_env = StreamTableEnvironment.create(env)
    table_env.get_config().set("table.exec.uid.generation", "ALWAYS")  # else a changed query could not be restored
    table_env.get_config().set("table.local-time-zone", "UTC")  # of which the ends of windows are
    options = {
        "connector": "kafka",
        "topic": ";".join([*(source.topics[stream] for stream in sorted(source.topics)), source.control.topic]),
        "scan.startup.mode": "group-offsets",
        "properties.auto.offset.reset": "earliest",
        "format": "raw",
        **{f"properties.{name}": value for name, value in source.properties.items()},
    }
    written = {
        "options": ", ".join(f"{_quoted(name)} = {_quoted(value)}" for name, value in options.items()),
        "key": _by_topic(source, _key_expression(source)),
        "code": _by_topic(source, {stream: f"{code_of(stream, 0)} + `partition`" for stream in source.topics}),
        "stamps": str(_STAMPS),
        "control": _quoted(source.control.topic),
        "gather_s": f"{source.gather_ms / 1000:.3f}",
    }
    *definitions, query = Template(_SQL.read_text()).substitute(written).strip().rstrip(";").split(";\n")
    for definition in definitions:
        table_env.execute_sql(definition)
    gathered = table_env.to_data_stream(table_env.sql_query(query))
    # Behind it elements are few and large, and wait for none; records are many and small, and gathered anyhow.
    for transformation in gathered._j_data_stream.getTransformation().getTransitivePredecessors():
        transformation.setBufferTimeout(_BUFFER_TIMEOUT_MS)
    return gathered


def _key_expression(source: KafkaInput) -> dict[str, str]:
    """By stream, SQL for the key of a partition's task; a partition added since the job began goes with the topic's
    first."""
    expressions = {}
    for stream in source.topics:
        keys = [source.keys.keys[stream, number] for number in range(source.partitions[stream])]
        numbers = " ".join(f"WHEN {number} THEN {key}" for number, key in enumerate(keys))
        expressions[stream] = f"CASE `partition` {numbers} ELSE {keys[0]} END"
    return expressions


def _by_topic(source: KafkaInput, by_stream: Mapping[str, str]) -> str:
    """SQL for what depends on the topic. A control record comes to some task, as one of telemetry without a value: a
    sign to read the topic."""
    cases = [f"WHEN {_quoted(topic)} THEN {by_stream[stream]}" for stream, topic in sorted(source.topics.items())]
    return f"CASE topic {' '.join(cases)} ELSE {by_stream['telemetry']} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _tags() -> dict[str, OutputTag]:
    """The tag of the side output to each operator: a message, and the watermark behind which it comes."""
    return {
        to: OutputTag(to, Types.TUPLE([RESULT if to == RESULTS else KEYED_MESSAGE, Types.LONG()])) for to in Validate.to
    }


def _with_watermarks(messages: DataStream, to: str, bounds: WatermarkBounds) -> DataStream:
    """Watermarks by the second field, which is taken away: in Java, since a Python assigner would be one more way to
    Python and back."""
    java = get_gateway().jvm.org.apache.flink.streaming.api.functions.python.eventtime
    strategy = WatermarkStrategy.for_monotonous_timestamps()
    if bounds.idle_after_s is not None:
        # A task to which nothing comes at all says nothing, not even that its partitions are idle.
        strategy = strategy.with_idleness(Duration.of_millis(int(2_000 * bounds.idle_after_s)))
    timed = messages._j_data_stream.assignTimestampsAndWatermarks(
        strategy._j_watermark_strategy.withTimestampAssigner(java.CustomTimestampAssigner())
    )
    timed.name(f"event-time: {to}").uid(f"event-time-{to}")
    message = RESULT if to == RESULTS else KEYED_MESSAGE
    plain = DataStream(timed.map(java.RemoveTimestampMapFunction(), message.get_java_type_info()))
    plain.name(f"messages: {to}").uid(f"messages-{to}")
    return plain


class ReadRecords(ProcessFunction):
    """Validates gathered records, and says how far event time has come.

    Keeps nothing in state: after a restart its watermark is unknown until its partitions have said something again, and
    operators go on from theirs.
    """

    def __init__(self, source: KafkaInput, config: JobConfig) -> None:
        self._source, self._config = source, config
        self._sent_ms: int | None = None
        """The watermark that was sent last."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker, and again after a failure."""
        self._tags = _tags()
        self._controlled = controlled(self._config, self._source.control)
        self._changes, self._config = self._controlled.refresh()
        self._sent_changes, self._asked_s = 0, time.monotonic()
        self._validate = Validate(self._config)
        task, tasks = runtime_context.get_index_of_this_subtask(), runtime_context.get_number_of_parallel_subtasks()
        mine = self._source.keys.of_task(task, tasks)
        self._watermarks = PartitionWatermarks(mine, self._source.bounds, time.monotonic())

    def process_element(self, value: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """Some records to messages."""
        gathered_s, origins, values = value
        codes, stamps_ms = np.divmod(np.array(origins, dtype=np.int64), _STAMPS)
        stream_of, numbers = np.divmod(codes, MAX_PARTITIONS)
        streams = np.unique(stream_of).tolist()
        yield from self._take_over(_SUBSCRIPTIONS in streams or None in values)
        for place in streams:
            at, stream = np.flatnonzero(stream_of == place), INPUT_STREAMS[place]
            some = values if len(streams) == 1 else [values[each] for each in at.tolist()]
            lines, spoken = lines_of(some, numbers[at], stamps_ms[at]), dict[int, dict[str, int]]()
            if lines.content:
                for message in self._validate.lines(stream, lines, spoken):
                    yield self._tags[message.to], self._timed(message)
            if gathered_s >= self._source.submitted_s:
                self._observe(stream, np.unique(numbers[at]).tolist(), spoken, lines.beats_ms)
        yield from self._advance(time.monotonic())

    def _observe(
        self, stream: str, partitions: list[int], spoken: Mapping[int, Mapping[str, int]], beats_ms: Mapping[int, int]
    ) -> None:
        """Takes what moves event time in some partitions. What a job before this one had gathered at its savepoint does
        not: with another parallelism it comes to tasks that read other partitions. It comes before anything new."""
        now_s = time.monotonic()
        for number in partitions:
            self._watermarks.observe(stream, number, spoken.get(number, {}), now_s)
            if number in beats_ms:
                self._watermarks.beat(stream, number, beats_ms[number], now_s)

    def _take_over(self, at_once: bool) -> Iterator[Any]:
        """Decides on what is in the control topic, and tells all operators what was taken over, before event time goes
        on. A policy may name a product that is there since just now; for the rest a second is soon enough."""
        if at_once or time.monotonic() - self._asked_s > _CONTROL_INTERVAL_S:
            try:
                changes, config = self._controlled.decide(self._sent_ms)
            except InputError as error:
                _LOG.warning("control records wait: %s", error)
                changes, config = self._controlled.current
            self._asked_s = time.monotonic()
            if changes > self._changes:
                self._changes, self._config, self._validate = changes, config, Validate(config)
        if self._changes > self._sent_changes:
            self._sent_changes = self._changes
            for message in control_messages(Validate.to, self._changes, self._config):
                yield self._tags[message.to], self._timed(message)

    def _advance(self, now_s: float) -> Iterator[Any]:
        """Heartbeats behind what was sent, where event time has come to the end of another interval."""
        watermark_ms = self._watermarks.at(now_s)
        if watermark_ms is None:
            return
        end_ms = self._config.intervals.last_end(watermark_ms)
        if self._sent_ms is None or end_ms > self._sent_ms:
            self._sent_ms = end_ms
            for to, tag in self._tags.items():
                yield tag, self._timed(Message(to, 0, HEARTBEAT, 0, b""))

    def _timed(self, message: Message) -> tuple[Row, int]:
        """A message, and the timestamp that makes Flink's watermark the one that was sent last."""
        row = message_row(message, self._config.buckets)
        return row, _BEFORE_MS if self._sent_ms is None else self._sent_ms + 1


_LOG = logging.getLogger(__name__)
_BUFFER_TIMEOUT_MS = 10
_CONTROL_INTERVAL_S = 1.0
_STAMPS = 2**43
"""Timestamps (ms) that are told apart: up to the year 2248."""
_SUBSCRIPTIONS = INPUT_STREAMS.index("subscriptions")
_BEFORE_MS = -(2**62)
_WATERMARK_INTERVAL_MS = 50
"""In processing time; Flink's 200 ms would be a part of every decision's latency."""
