"""Results as lines of files: each record a line, each stream in a side output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, ProcessFunction, RuntimeContext

from monsoon.pipelines.flink.result_metrics import ResultMetrics
from monsoon.pipelines.runtime.messages import END, HEARTBEAT, WRITTEN
from monsoon.transforms.triggers.history import END_OF_TIME_MS


class ToResultLines(ProcessFunction):
    """Maps results to lines of their stream. Other results go to the last stream, with their kind; so does the number
    of records of each result, by which missing records are detected at the end."""

    def __init__(self, streams: Sequence[str]) -> None:
        self._streams = tuple(streams)
        self._tags: dict[str, OutputTag] = {}
        self._metrics: ResultMetrics | None = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker."""
        self._tags = {stream: OutputTag(stream, Types.STRING()) for stream in self._streams}
        self._metrics = ResultMetrics(runtime_context)

    def process_element(self, value: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """One result: one element of as many lines as it has records."""
        _, kind, payload = value
        assert self._metrics is not None
        self._metrics.count(kind, payload)
        *records, accounts_stream = self._streams
        if kind in records:
            # The contract's records as they are: parsed only as far as where one ends.
            lines = [bytes(raw).decode() for raw in msgspec.json.decode(payload, type=list[msgspec.Raw])]
            yield self._tags[kind], "\n".join(lines)
            yield self._tags[accounts_stream], f"{WRITTEN} {msgspec.json.encode((kind, len(lines))).decode()}"
        else:
            yield self._tags[accounts_stream], f"{kind} {payload}"


class UpToTheEnd(KeyedProcessFunction):
    """Forwards accounts under one key, and adds END when event time has ended, which it does not in a stopped job."""

    def process_element(self, value: str, ctx: KeyedProcessFunction.Context) -> Iterator[str]:
        """As it is; heartbeats are not forwarded."""
        ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        if value != HEARTBEAT:
            yield value

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[str]:
        """All operators have processed all their input."""
        yield f"{END} true"
