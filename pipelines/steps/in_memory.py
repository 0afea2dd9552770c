"""The keyed steps in one process, without an engine: watermark by watermark, with what each keeps at hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Self

from monsoon.pipelines.steps.envelopes import RESULTS, Envelope, Item
from monsoon.pipelines.steps.order import ORDER, Workshop
from monsoon.pipelines.steps.reading import Validate
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import BEFORE_TIME_MS, END_OF_TIME_MS, Kept, Step
from monsoon.sources.files import FilePart


class Entry(NamedTuple):
    """One thing that a step keeps."""

    uid: str
    kind: str
    name: str
    payload: bytes


class InMemory:
    """`read` what a source gives, `advance` the watermark; `results` are what was written, in that order."""

    def __init__(self, settings: Settings, keeps: bool = True, workshop: Workshop | None = None) -> None:
        self.settings, self.keeps = settings, keeps
        self.validate = Validate(settings)
        self.workshop = workshop or Workshop(settings)
        self.steps = {step.uid: step for step in ORDER}
        self.live: dict[str, dict[int, Step]] = defaultdict(dict)
        self.state: dict[str, dict[int, dict[str, bytes]]] = defaultdict(lambda: defaultdict(dict))
        """What is kept, by step, key and name."""
        self.results: list[tuple[str, str | bytes]] = []
        self.watermarks_ms = dict.fromkeys(self.steps, BEFORE_TIME_MS)
        """By step, how far the watermark has come there."""

    def read(self, stream: str, part: FilePart) -> None:
        """A part of an input file arrives."""
        self._send(self.validate(stream, part))

    def advance(
        self,
        upto_ms: int,
        lags: Callable[[], bool] = lambda: False,
        strays: Callable[[int, int], int] = lambda own_ms, upto_ms: upto_ms,
    ) -> None:
        """The watermark goes on. A step for which `lags` says so stays behind, and those after it too, as on a busy
        cluster; it catches up in one go. `strays` says how far a step comes for now, of at most as far as the one
        before: what that one sent has arrived, the watermark after it not yet."""
        for step in ORDER:
            if lags():
                return
            own_ms = self.watermarks_ms[step.uid]
            upto_ms = max(own_ms, strays(own_ms, upto_ms))
            for key, live in sorted(self.live[step.uid].items()):
                if upto_ms == END_OF_TIME_MS or (live.timer_ms is not None and live.timer_ms <= upto_ms):
                    self._send(live.advance(upto_ms))
                    self._keep(step.uid, key, live)
            self.watermarks_ms[step.uid] = upto_ms

    def resume(self, state: Mapping[str, Mapping[int, Mapping[str, bytes]]]) -> Self:
        """Goes on from kept entries, by step and key."""
        for uid, keys in state.items():
            for key, entries in keys.items():
                live = self._live(uid, key)
                live.resume(entries)
                self.state[uid][key] = dict(entries)
                self._keep(uid, key, live)
        return self

    def entries(self) -> Iterator[Entry]:
        """Everything kept."""
        for uid, keys in self.state.items():
            for entries in keys.values():
                for name, payload in entries.items():
                    yield Entry(uid, name.partition("/")[0], name, payload)

    def _send(self, envelopes: Iterable[Envelope]) -> None:
        for envelope in envelopes:
            if envelope.to == RESULTS:
                self.results.append((envelope.kind, envelope.payload))
                continue
            live = self._live(envelope.to, envelope.key)
            live.reach(self.watermarks_ms[envelope.to])
            live.take(Item(envelope.kind, envelope.due_ms, envelope.payload))
            self._keep(envelope.to, envelope.key, live)

    def _live(self, uid: str, key: int) -> Step:
        if key not in self.live[uid]:
            self.live[uid][key] = self.workshop.make(self.steps[uid], key, Kept(self.keeps))
        return self.live[uid][key]

    def _keep(self, uid: str, key: int, live: Step) -> None:
        for name, payload in live.kept.drain().items():
            if payload is None:
                self.state[uid][key].pop(name, None)
            else:
                self.state[uid][key][name] = payload
