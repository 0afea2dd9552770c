"""The job graph: source, operators with their keys and side outputs.

The same for files and for Kafka, for batch and streaming; the source, the process function around an operator and the
sink differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyflink.common import Row, Types, WatermarkStrategy
from pyflink.common.watermark_strategy import TimestampAssigner
from pyflink.datastream import DataStream, KeyedStream, ProcessFunction, StreamExecutionEnvironment
from pyflink.datastream.connectors.number_seq import NumberSequenceSource
from pyflink.java_gateway import get_gateway

from monsoon.pipelines.flink.control import ControlInput
from monsoon.pipelines.flink.file_splits import FileSplit
from monsoon.pipelines.flink.process_functions import (
    KEYED_MESSAGE,
    LOW,
    MESSAGE_ROW,
    NONE,
    PART,
    BatchOperatorFunction,
    ReadSplits,
    StreamingOperatorFunction,
    tags_to,
)
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.messages import RESULTS
from monsoon.pipelines.topology import operators_of


@dataclass(frozen=True)
class Config:
    """What a graph is built from: the splits to read, in order, and the configuration of the operators."""

    parts: Sequence[FileSplit]
    settings: JobConfig
    streaming: bool = False
    source: Callable[[StreamExecutionEnvironment], DataStream] | None = None
    """Instead of `parts`, which are known beforehand: adds a stream of splits (PART), earliest first."""
    messages: Callable[[StreamExecutionEnvironment], Mapping[str, DataStream]] | None = None
    """Instead of either: adds a source and its validation, and gives the messages to each operator, with event time."""
    control: ControlInput | None = None
    """Where the products and models that a streaming job takes over come from; None: it takes over none."""


def build(env: StreamExecutionEnvironment, config: Config) -> DataStream:
    """Adds the whole graph to `env`; returns the stream of results (key, kind, JSON)."""
    inputs: dict[str, list[DataStream]] = defaultdict(list)

    def connect(stream: Any, name: str, label: str, names: tuple[str, ...]) -> None:
        stream.name(f"{name}: {label}").uid(name)
        for to, tag in tags_to(names).items():
            inputs[to].append(stream.get_side_output(tag))

    if config.messages is not None:
        for to, stream in config.messages(env).items():
            inputs[to].append(stream)
    else:
        read = _parts(env, config).rebalance().process(ReadSplits(config.settings), KEYED_MESSAGE)
        connect(read, Validate.uid, Validate.label, Validate.to)
    for operator in operators_of(config.settings):
        first, *others = inputs[operator.uid]
        keyed = _keyed(first.union(*others) if others else first)
        function = (
            StreamingOperatorFunction(operator, config.settings, config.control)
            if config.streaming
            else BatchOperatorFunction(operator, config.settings)
        )
        connect(keyed.process(function, KEYED_MESSAGE), operator.uid, operator.label, operator.to)
    first, *others = inputs[RESULTS]
    return first.union(*others)


def _keyed(messages: DataStream) -> KeyedStream:
    """Messages keyed by their first field, in Java: `key_by` would send each of them to Python and back."""
    selector = get_gateway().jvm.KeyByKeySelector()
    by_key = messages._j_data_stream.keyBy(selector, Types.ROW([Types.INT()]).get_java_type_info())
    return KeyedStream(by_key, MESSAGE_ROW, messages)


def _parts(env: StreamExecutionEnvironment, config: Config) -> DataStream:
    """The splits to read: a number sequence over the plan, whose position is part of a checkpoint."""
    parallelism = env.get_parallelism()
    env.set_parallelism(1)  # also for operators that Flink adds: one order, and the same graph at any parallelism
    parts = _planned(env, config) if config.source is None else config.source(env)
    if config.streaming:
        strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(_Low())
        parts = parts.assign_timestamps_and_watermarks(strategy)
    env.set_parallelism(parallelism)
    return parts


def _planned(env: StreamExecutionEnvironment, config: Config) -> DataStream:
    places: Any = NumberSequenceSource(0, len(config.parts) - 1)
    numbers = env.from_source(places, WatermarkStrategy.no_watermarks(), "plan: places")
    numbers.uid("plan")
    parts = numbers.process(_Plan(config.parts, _BALLAST if config.streaming else b""), PART)
    parts.name("plan: parts of files, earliest first").uid("plan-parts")
    return parts


_BALLAST = bytes(128 * 1024)
"""Padding of each split in a stream: otherwise Flink's buffers would hold thousands of splits, and a savepoint, whose
barriers may not overtake them, would wait until all are read."""


def split_row(planned: FileSplit, ballast: bytes = b"") -> Row:
    """A split as PART has it."""
    part = planned.part
    bounds = (NONE if bound is None else bound for bound in (part.stop, part.since_ms, part.before_ms))
    return Row(planned.stream, str(part.path), part.start, *bounds, planned.low_ms, ballast)


class _Plan(ProcessFunction):
    """Maps positions in the plan to its splits."""

    def __init__(self, parts: Sequence[FileSplit], ballast: bytes) -> None:
        self._parts, self._ballast = parts, ballast

    def process_element(self, value: int, ctx: ProcessFunction.Context) -> Any:
        """One part."""
        yield split_row(self._parts[value], self._ballast)


class _Low(TimestampAssigner):
    """Splits are ordered by `low_ms`: as their timestamp it gives the watermark."""

    def extract_timestamp(self, value: Row, record_timestamp: int) -> int:
        """In milliseconds."""
        return int(value[LOW])
