"""The process functions around the keyed operators: Flink keeps their state and timers, and carries their messages.

Bounded input needs no state but the messages that have arrived: `BatchOperatorFunction` hands all of them to an
operator at the end. A stream needs all that the operator writes to its state: `StreamingOperatorFunction` puts it into
Flink's map state entry by entry, and restores the operator from there after a failure.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, ProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, MapStateDescriptor

from monsoon.pipelines.flink.control import ControlInput, controlled
from monsoon.pipelines.flink.keys import buckets_by_key, keys_of
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import END_OF_TIME_MS, KeyedOperator, StateWriter
from monsoon.pipelines.runtime.messages import CONTROL, HEARTBEAT, RESULTS, Message, pack, unpack
from monsoon.pipelines.topology import OperatorFactory, operators_of
from monsoon.sources.files import FilePart

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
MESSAGE_ROW = Types.ROW_NAMED(
    ["bucket", "kind", "due_ms", "payload"],
    [Types.INT(), Types.STRING(), Types.LONG(), BYTES],
)
KEYED_MESSAGE = Types.ROW([Types.INT(), MESSAGE_ROW])
"""A key and what goes to it: the form in which PyFlink wants the elements of a keyed stream."""
RESULT = Types.ROW_NAMED(["key", "kind", "payload"], [Types.INT(), Types.STRING(), Types.STRING()])
PART = Types.ROW_NAMED(
    ["stream", "path", "start", "stop", "since_ms", "before_ms", "low_ms", "ballast"],
    [Types.STRING(), Types.STRING(), *[Types.LONG()] * 5, BYTES],
)
LOW = 6
"""The index of `low_ms` in PART."""
NONE = -1
"""Stands for a bound that a part does not have."""


_COLLECTOR_THRESHOLDS = (50_000, 20, 20)
"""Of the cycle collector: operators make records by the hundred thousand and hardly any cycles, and to scan these at
Python's default of every 700 takes a quarter of their time."""


def tags_to(names: tuple[str, ...]) -> dict[str, OutputTag]:
    """The tag of the side output to each operator."""
    return {name: OutputTag(name, RESULT if name == RESULTS else KEYED_MESSAGE) for name in names}


def message_row(message: Message, buckets: int) -> Row:
    """A message as an element of a stream: of RESULT for results, else of KEYED_MESSAGE."""
    if message.to == RESULTS:
        return Row(message.key, message.kind, message.payload.decode())
    # Where a trigger is a key, it is none of a bucket.
    key = keys_of(buckets)[message.key] if message.key < buckets else message.key
    return Row(key, Row(message.key, message.kind, message.due_ms, message.payload))


class ReadSplits(ProcessFunction):
    """Reads and validates parts of files."""

    def __init__(self, settings: JobConfig) -> None:
        self._settings = settings
        self._tags: dict[str, OutputTag] = {}
        self._validate: Validate | None = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker."""
        self._tags = tags_to(Validate.to)
        self._validate = Validate(self._settings)

    def process_element(self, value: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """One part to messages."""
        stream, path, start, *bounds = value[:LOW]
        part = FilePart(Path(path), start, *(None if bound == NONE else bound for bound in bounds))
        assert self._validate is not None
        for message in self._validate(stream, part):
            yield self._tags[message.to], message_row(message, self._settings.buckets)


def control_messages(names: tuple[str, ...], changes: int, settings: JobConfig) -> Iterator[Message]:
    """To every key of those of these operators that are in the graph: the configuration has so many changes by now."""
    present = {operator.uid for operator in operators_of(settings)}
    for name in names:
        for bucket in range(settings.buckets) if name in present else ():
            yield Message(name, bucket, CONTROL, 0, pack(changes))


class _OperatorFunction(KeyedProcessFunction):
    """What both process functions around an operator need."""

    def __init__(self, operator: type[KeyedOperator], settings: JobConfig) -> None:
        self._operator, self._settings = operator, settings
        self._tags: dict[str, OutputTag] = {}
        self._factory: OperatorFactory | None = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker, and again after a failure."""
        gc.set_threshold(*_COLLECTOR_THRESHOLDS)
        self._tags = tags_to(self._operator.to)
        self._factory = OperatorFactory(self._settings)

    def _made(self, bucket: int, state: StateWriter) -> KeyedOperator:
        assert self._factory is not None
        return self._factory.make(self._operator, bucket, state)

    def _rows(self, messages: Iterable[Message]) -> Iterator[Any]:
        for message in messages:
            yield self._tags[message.to], message_row(message, self._settings.buckets)


class BatchOperatorFunction(_OperatorFunction):
    """Runs an operator once all messages of its key have arrived, so that their order cannot matter."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker."""
        super().open(runtime_context)
        self._messages: Any = runtime_context.get_list_state(ListStateDescriptor("held", MESSAGE_ROW))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Keeps it."""
        self._messages.add(value)
        ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """At the end of input: all messages of the key have arrived."""
        operator: KeyedOperator | None = None
        for bucket, kind, due_ms, payload in self._messages.get():
            operator = operator or self._made(bucket, StateWriter(durable=False))
            operator.process(Message(self._operator.uid, bucket, kind, due_ms, bytes(payload)))
        self._messages.clear()
        assert operator is not None
        yield from self._rows(operator.advance(END_OF_TIME_MS))


class StreamingOperatorFunction(_OperatorFunction):
    """Runs an operator whenever the watermark reaches its next timer; its state entries are in Flink's map state.

    When the configuration changes, operators are restored from their state with the new one, as after a restart. Before
    anything that follows from the change the operators after this one are told of it, so that they know what is meant.
    """

    def __init__(self, operator: type[KeyedOperator], settings: JobConfig, control: ControlInput | None = None) -> None:
        super().__init__(operator, settings)
        self._control = control

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker, and again after a failure."""
        super().open(runtime_context)
        self._state: Any = runtime_context.get_map_state(MapStateDescriptor("kept", Types.STRING(), BYTES))
        self._cold: Any = runtime_context.get_map_state(MapStateDescriptor("cold", Types.STRING(), BYTES))
        self._operators: dict[int, KeyedOperator] = {}
        self._changes = self._sent_changes = 0
        """Of the configuration: those that this task knows, and those that it has told of."""
        self._controlled = None if self._control is None else controlled(self._settings, self._control)
        if self._controlled is not None:
            self._reconfigure(*self._controlled.refresh())

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Hands it to the operator."""
        if value[1] == HEARTBEAT:
            return iter(())
        if value[1] == CONTROL:
            self._take_over(unpack(bytes(value[3]), int))
        operator = self._operator_for(ctx.get_current_key())
        operator.observe_watermark(ctx.timer_service().current_watermark())
        if value[1] != CONTROL:
            operator.process(Message(operator.uid, operator.key, value[1], value[2], bytes(value[3])))
        self._save(operator, ctx)  # with a timer for the work that a new trigger is
        removals = list(self._erased(operator, ctx))
        return chain(self._change_messages(), removals)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """Advances the operator to the watermark."""
        yield from self._change_messages()
        operator = self._operator_for(ctx.get_current_key())
        upto_ms = ctx.timer_service().current_watermark()
        # Where one watermark fires several timers, the first call does all the work.
        while (timer_ms := operator.timer_ms) is not None and timer_ms <= upto_ms:
            yield from self._rows(operator.advance(upto_ms))
            self._save(operator, ctx)
            if not operator.must_erase:
                break
            yield from self._erased(operator, ctx)
            operator = self._operator_for(ctx.get_current_key())
        self._save(operator, ctx)

    def _erased(self, operator: KeyedOperator, ctx: Any) -> Iterator[Any]:
        """Restores an operator that has come to an erasure without what its state has of the rider."""
        while operator.must_erase:
            yield from self._rows(operator.removals())
            del self._operators[ctx.get_current_key()]
            operator = self._operator_for(ctx.get_current_key(), erases=True)
            self._save(operator, ctx)

    def _take_over(self, changes: int) -> None:
        if changes > self._changes:
            assert self._controlled is not None
            self._reconfigure(*self._controlled.at_least(changes))

    def _reconfigure(self, changes: int, settings: JobConfig) -> None:
        if changes > self._changes:
            self._changes, self._settings = changes, settings
            self._factory = OperatorFactory(settings)
            self._operators.clear()

    def _change_messages(self) -> Iterator[Any]:
        """To the operators after this one, where they may not know of a change that this task knows."""
        if self._sent_changes == self._changes:
            return iter(())
        self._sent_changes = self._changes
        buckets = self._settings.buckets
        return (
            (self._tags[message.to], message_row(message, buckets))
            for message in control_messages(self._operator.to, self._changes, self._settings)
        )

    def _operator_for(self, key: int, erases: bool = False) -> KeyedOperator:
        if key not in self._operators:
            bucket = buckets_by_key(self._settings.buckets).get(key, key)
            operator = self._made(bucket, StateWriter(cold=self._read_cold))
            operator.resume({name: bytes(payload) for name, payload in self._state.items()}, erases)
            self._operators[key] = operator
        return self._operators[key]

    def _read_cold(self, name: str) -> bytes | None:
        """A cold entry of the current key, which is the operator's whenever it asks."""
        payload = self._cold.get(name)
        return None if payload is None else bytes(payload)

    def _save(self, operator: KeyedOperator, ctx: Any) -> None:
        changes = ((self._state, operator.state.drain()), (self._cold, operator.state.drain_cold()))
        for entries, changed in changes:
            for name, payload in changed.items():
                if payload is None:
                    entries.remove(name)
                else:
                    entries.put(name, payload)
        # A timer that has passed would fire at once, under the same watermark.
        watermark_ms = ctx.timer_service().current_watermark()
        if watermark_ms < END_OF_TIME_MS and (timer_ms := operator.timer_ms) is not None:
            ctx.timer_service().register_event_time_timer(max(0, timer_ms, watermark_ms + 1))
