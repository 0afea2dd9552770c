"""The operators in one process, without an engine: advanced watermark by watermark, their state at hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Self

from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, END_OF_TIME_MS, KeyedOperator, StateWriter
from monsoon.pipelines.runtime.messages import RESULTS, Message
from monsoon.pipelines.topology import OPERATORS, OperatorFactory
from monsoon.sources.files import FilePart

COLD = "cold/"


class Entry(NamedTuple):
    """One thing that an operator keeps."""

    uid: str
    kind: str
    name: str
    payload: bytes


class OperatorTestHarness:
    """`read` what a source gives, `advance` the watermark; `results` are what was written, in that order."""

    def __init__(self, settings: JobConfig, durable: bool = True, factory: OperatorFactory | None = None) -> None:
        self.settings, self.durable = settings, durable
        self.validate = Validate(settings)
        self.factory = factory or OperatorFactory(settings)
        self.operators = {operator.uid: operator for operator in OPERATORS}
        self.live: dict[str, dict[int, KeyedOperator]] = defaultdict(dict)
        self.state: dict[str, dict[int, dict[str, bytes]]] = defaultdict(lambda: defaultdict(dict))
        """What is kept, by operator, key and name; cold entries have names that begin with COLD."""
        self.results: list[tuple[str, str | bytes]] = []
        self.watermarks_ms = dict.fromkeys(self.operators, BEFORE_TIME_MS)
        """By operator, how far the watermark has come there."""

    def read(self, stream: str, part: FilePart) -> None:
        """A part of an input file arrives."""
        self._send(self.validate(stream, part))

    def advance(
        self,
        upto_ms: int,
        lags: Callable[[], bool] = lambda: False,
        strays: Callable[[int, int], int] = lambda own_ms, upto_ms: upto_ms,
    ) -> None:
        """The watermark goes on.

        An operator for which `lags` says so stays behind, and those after it too, as on a busy cluster; it catches up
        in one go. `strays` says how far an operator comes for now, of at most as far as the one before: what that one
        sent has arrived, the watermark after it not yet.
        """
        for operator in OPERATORS:
            if lags():
                return
            own_ms = self.watermarks_ms[operator.uid]
            upto_ms = max(own_ms, strays(own_ms, upto_ms))
            for key, live in sorted(self.live[operator.uid].items()):
                while upto_ms == END_OF_TIME_MS or (live.timer_ms is not None and live.timer_ms <= upto_ms):
                    self._send(live.advance(upto_ms))
                    self._keep(operator.uid, key, live)
                    if not live.must_erase:
                        break
                    live = self._erased(operator.uid, key, live)
            self.watermarks_ms[operator.uid] = upto_ms

    def resume(self, state: Mapping[str, Mapping[int, Mapping[str, bytes]]]) -> Self:
        """Goes on from kept entries, by operator and key."""
        for uid, keys in state.items():
            for key, entries in keys.items():
                live = self._live(uid, key)
                self.state[uid][key] = dict(entries)
                live.resume({name: payload for name, payload in entries.items() if not name.startswith(COLD)})
                self._keep(uid, key, live)
        return self

    def entries(self) -> Iterator[Entry]:
        """Everything kept."""
        for uid, keys in self.state.items():
            for entries in keys.values():
                for name, payload in entries.items():
                    yield Entry(uid, name.removeprefix(COLD).partition("/")[0], name, payload)

    def _send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.to == RESULTS:
                self.results.append((message.kind, message.payload))
                continue
            live = self._live(message.to, message.key)
            live.observe_watermark(self.watermarks_ms[message.to])
            live.process(message)
            self._keep(message.to, message.key, live)

    def _erased(self, uid: str, key: int, live: KeyedOperator) -> KeyedOperator:
        """Restored without what it holds of riders who are to be erased."""
        self._send(live.removals())
        del self.live[uid][key]
        live = self._live(uid, key)
        entries = {name: payload for name, payload in self.state[uid][key].items() if not name.startswith(COLD)}
        live.resume(entries, erases=True)
        self._keep(uid, key, live)
        return live

    def _live(self, uid: str, key: int) -> KeyedOperator:
        if key not in self.live[uid]:
            state = StateWriter(self.durable, lambda name: self.state[uid][key].get(COLD + name))
            self.live[uid][key] = self.factory.make(self.operators[uid], key, state)
        return self.live[uid][key]

    def _keep(self, uid: str, key: int, live: KeyedOperator) -> None:
        for prefix, changes in (("", live.state.drain()), (COLD, live.state.drain_cold())):
            for name, payload in changes.items():
                if payload is None:
                    self.state[uid][key].pop(prefix + name, None)
                else:
                    self.state[uid][key][prefix + name] = payload
