"""Flink's shells: they hold what belongs to a key until it is whole, call the step, and hand on what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, ProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor

from monsoon.pipelines.flink.entrance import Validate
from monsoon.pipelines.flink.envelopes import RESULTS, Envelope, Item
from monsoon.pipelines.flink.settings import Settings
from monsoon.sources.files import FilePart

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
ENVELOPE = Types.ROW_NAMED(["key", "kind", "payload"], [Types.INT(), Types.STRING(), BYTES])
RESULT = Types.ROW_NAMED(["key", "kind", "payload"], [Types.INT(), Types.STRING(), Types.STRING()])
PART = Types.ROW_NAMED(
    ["stream", "path", "start", "stop"], [Types.STRING(), Types.STRING(), Types.LONG(), Types.LONG()]
)
WHOLE_FILE = -1
"""`stop` of a part that is a whole file."""

END_OF_TIME_MS = 2**63 - 1
"""The watermark at the end of bounded input."""

Step = Callable[[int, Sequence[Item]], Iterator[Envelope]]


def tags_to(names: Sequence[str]) -> dict[str, OutputTag]:
    """A side output to each step."""
    return {name: OutputTag(name, RESULT if name == RESULTS else ENVELOPE) for name in names}


def _row(envelope: Envelope) -> Row:
    payload = envelope.payload.decode() if envelope.to == RESULTS else envelope.payload
    return Row(envelope.key, envelope.kind, payload)


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
        stream, path, start, stop = value
        assert self._validate is not None
        for envelope in self._validate(stream, FilePart(Path(path), start, None if stop == WHOLE_FILE else stop)):
            yield self._tags[envelope.to], _row(envelope)


class WholeKey(KeyedProcessFunction):
    """Gives a step everything of its key, once there is no more of it: order of arrival cannot matter."""

    def __init__(self, make: Callable[[Settings], Step], names: Sequence[str], settings: Settings) -> None:
        self._make, self._names, self._settings = make, names, settings
        self._tags: dict[str, OutputTag] = {}
        self._step: Step | None = None
        self._held: Any = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker."""
        self._tags = tags_to(self._names)
        self._step = self._make(self._settings)
        kept = Types.ROW_NAMED(["kind", "payload"], [Types.STRING(), BYTES])
        self._held = runtime_context.get_list_state(ListStateDescriptor("held", kept))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Keeps it."""
        self._held.add(Row(value[1], bytes(value[2])))
        ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """The key is whole."""
        items = [Item(kind, payload) for kind, payload in self._held.get()]
        self._held.clear()
        assert self._step is not None
        for envelope in self._step(ctx.get_current_key(), items):
            yield self._tags[envelope.to], _row(envelope)
