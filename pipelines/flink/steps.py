"""Flink's shells around the steps: they hold what belongs to a key, call the step when event time has come, and hand
on what it gives.

Bounded input needs no state but what has arrived: `WholeKey` gives a step everything at the end. A stream needs all
that the step wants to keep: `RunningKey` writes it entry by entry, and makes the step anew from it after a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, ProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, MapStateDescriptor

from monsoon.pipelines.flink.keys import buckets_by_key, keys_of
from monsoon.pipelines.steps.envelopes import RESULTS, Envelope, Item
from monsoon.pipelines.steps.order import Workshop
from monsoon.pipelines.steps.reading import Validate
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import END_OF_TIME_MS, Kept, Step
from monsoon.sources.files import FilePart

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
ITEM = Types.ROW_NAMED(
    ["bucket", "kind", "due_ms", "payload"],
    [Types.INT(), Types.STRING(), Types.LONG(), BYTES],
)
ENVELOPE = Types.ROW([Types.INT(), ITEM])
"""A key and what goes to it: the form in which PyFlink wants the elements of a keyed stream."""
RESULT = Types.ROW_NAMED(["key", "kind", "payload"], [Types.INT(), Types.STRING(), Types.STRING()])
PART = Types.ROW_NAMED(
    ["stream", "path", "start", "stop", "since_ms", "before_ms", "low_ms", "ballast"],
    [Types.STRING(), Types.STRING(), *[Types.LONG()] * 5, BYTES],
)
LOW = 6
"""The place of `low_ms` in it."""
NONE = -1
"""In the place of a number that a part has not."""


def tags_to(names: tuple[str, ...]) -> dict[str, OutputTag]:
    """A side output to each step."""
    return {name: OutputTag(name, RESULT if name == RESULTS else ENVELOPE) for name in names}


def _row(envelope: Envelope, buckets: int) -> Row:
    if envelope.to == RESULTS:
        return Row(envelope.key, envelope.kind, envelope.payload.decode())
    # Triggers are few, and have names of their own.
    key = keys_of(buckets)[envelope.key] if envelope.key < buckets else envelope.key
    return Row(key, Row(envelope.key, envelope.kind, envelope.due_ms, envelope.payload))


class ReadParts(ProcessFunction):
    """Reads and validates parts of files."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tags: dict[str, OutputTag] = {}
        self._validate: Validate | None = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker."""
        self._tags = tags_to(Validate.to)
        self._validate = Validate(self._settings)

    def process_element(self, value: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """One part to envelopes."""
        stream, path, start, *bounds = value[:LOW]
        part = FilePart(Path(path), start, *(None if bound == NONE else bound for bound in bounds))
        assert self._validate is not None
        for envelope in self._validate(stream, part):
            yield self._tags[envelope.to], _row(envelope, self._settings.buckets)


class WholeKey(KeyedProcessFunction):
    """Gives a step everything of its key, once there is no more of it: order of arrival cannot matter."""

    def __init__(self, step: type[Step], settings: Settings) -> None:
        self._step, self._settings = step, settings
        self._tags: dict[str, OutputTag] = {}
        self._workshop: Workshop | None = None
        self._held: Any = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker."""
        self._tags = tags_to(self._step.to)
        self._workshop = Workshop(self._settings)
        self._held = runtime_context.get_list_state(ListStateDescriptor("held", ITEM))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Keeps it."""
        self._held.add(value)
        ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """The key is whole."""
        assert self._workshop is not None
        step: Step | None = None
        for bucket, kind, due_ms, payload in self._held.get():
            step = step or self._workshop.make(self._step, bucket, Kept(keeps=False))
            step.take(Item(kind, due_ms, bytes(payload)))
        self._held.clear()
        assert step is not None
        for envelope in step.advance(END_OF_TIME_MS):
            yield self._tags[envelope.to], _row(envelope, self._settings.buckets)


class RunningKey(KeyedProcessFunction):
    """Runs a step up to the watermark, whenever that reaches a moment at which the step has something to do."""

    def __init__(self, step: type[Step], settings: Settings) -> None:
        self._step, self._settings = step, settings
        self._tags: dict[str, OutputTag] = {}
        self._workshop: Workshop | None = None
        self._kept: Any = None
        self._running: dict[int, Step] = {}

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker, and again after a failure."""
        self._tags = tags_to(self._step.to)
        self._workshop = Workshop(self._settings)
        self._kept = runtime_context.get_map_state(MapStateDescriptor("kept", Types.STRING(), BYTES))
        self._running = {}

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Hands it to the step."""
        step = self._of(ctx.get_current_key())
        step.reach(ctx.timer_service().current_watermark())
        step.take(Item(value[1], value[2], bytes(value[3])))
        self._keep(step, ctx)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """Event time has come."""
        step = self._of(ctx.get_current_key())
        upto_ms = ctx.timer_service().current_watermark()
        # Of several timers that one watermark passes the first does all the work.
        if step.timer_ms is not None and step.timer_ms <= upto_ms:
            for envelope in step.advance(upto_ms):
                yield self._tags[envelope.to], _row(envelope, self._settings.buckets)
        self._keep(step, ctx)

    def _of(self, key: int) -> Step:
        if key not in self._running:
            assert self._workshop is not None
            bucket = buckets_by_key(self._settings.buckets).get(key, key)
            step = self._workshop.make(self._step, bucket, Kept())
            step.resume({name: bytes(payload) for name, payload in self._kept.items()})
            self._running[key] = step
        return self._running[key]

    def _keep(self, step: Step, ctx: Any) -> None:
        for name, payload in step.kept.drain().items():
            if payload is None:
                self._kept.remove(name)
            else:
                self._kept.put(name, payload)
        # A timer that has passed would fire at once, under the same watermark.
        watermark_ms = ctx.timer_service().current_watermark()
        if step.timer_ms is not None and watermark_ms < END_OF_TIME_MS:
            ctx.timer_service().register_event_time_timer(max(0, step.timer_ms, watermark_ms + 1))
