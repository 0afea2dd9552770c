"""Results on their way to files: each record a line, each stream by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, ProcessFunction, RuntimeContext

from monsoon.pipelines.flink.result_metrics import ResultMetrics
from monsoon.pipelines.runtime.keyed_operator import END_OF_TIME_MS
from monsoon.pipelines.runtime.messages import END, WRITTEN


class ToResultLines(ProcessFunction):
    """Results to the lines of their stream; what is no record of a stream goes to the last one, with its kind.
    So does how many records there were, so that none can be missing in the end without a word."""

    def __init__(self, streams: Sequence[str]) -> None:
        self._streams = tuple(streams)
        self._tags: dict[str, OutputTag] = {}
        self._meters: ResultMetrics | None = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker."""
        self._tags = {stream: OutputTag(stream, Types.STRING()) for stream in self._streams}
        self._meters = ResultMetrics(runtime_context)

    def process_element(self, value: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """One result: one element of as many lines as it has records."""
        _, kind, payload = value
        assert self._meters is not None
        self._meters.count(kind, payload)
        *records, rest = self._streams
        if kind in records:
            # The contract's records as they are: parsed only as far as where one ends.
            lines = [bytes(raw).decode() for raw in msgspec.json.decode(payload, type=list[msgspec.Raw])]
            yield self._tags[kind], "\n".join(lines)
            yield self._tags[rest], f"{WRITTEN} {msgspec.json.encode((kind, len(lines))).decode()}"
        else:
            yield self._tags[rest], f"{kind} {payload}"


class UpToTheEnd(KeyedProcessFunction):
    """Hands accounts on under one key, and says when event time has ended: a job that was stopped says nothing."""

    def process_element(self, value: str, ctx: KeyedProcessFunction.Context) -> Iterator[str]:
        """As it is."""
        ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        yield value

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[str]:
        """Every step has given all it had."""
        yield f"{END} true"
