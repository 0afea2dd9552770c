"""The job graph in memory: its steps driven by hand, watermark by watermark."""

from collections import defaultdict
from pathlib import Path

from monsoon.pipelines.flink.outcome import Collected
from monsoon.pipelines.steps.envelopes import RESULTS, Item
from monsoon.pipelines.steps.order import ORDER, Workshop
from monsoon.pipelines.steps.reading import Validate
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import BEFORE_TIME_MS, END_OF_TIME_MS, Kept
from monsoon.sources.product_files import load_products

PRODUCTS = load_products()


def settings_of(source, buckets=3, products=None, **others):
    running = {name: PRODUCTS[name] for name in sorted(products or PRODUCTS)}
    return Settings(PRODUCTS, running, Path(source) / "reference", None, buckets, **others)


class Graph:
    """`read` what a source gives, `advance` the watermark; `results` are what was written, in that order."""

    def __init__(self, settings, keeps=True):
        self.settings, self.keeps = settings, keeps
        self.validate = Validate(settings)
        self.workshop = Workshop(settings)
        self.steps = {step.uid: step for step in ORDER}
        self.live = defaultdict(dict)
        self.state = defaultdict(lambda: defaultdict(dict))
        self.results = []
        self.watermark_ms = BEFORE_TIME_MS

    def read(self, stream, part):
        self._send(self.validate(stream, part))

    def _send(self, envelopes):
        for envelope in envelopes:
            if envelope.to == RESULTS:
                self.results.append((envelope.kind, envelope.payload))
                continue
            live = self._live(envelope.to, envelope.key)
            live.reach(self.watermark_ms)
            live.take(Item(envelope.kind, envelope.due_ms, envelope.payload))
            self._keep(envelope.to, envelope.key, live)

    def _live(self, uid, key):
        if key not in self.live[uid]:
            self.live[uid][key] = self.workshop.make(self.steps[uid], key, Kept(self.keeps))
        return self.live[uid][key]

    def _keep(self, uid, key, live):
        for name, payload in live.kept.drain().items():
            if payload is None:
                self.state[uid][key].pop(name, None)
            else:
                self.state[uid][key][name] = payload

    def advance(self, upto_ms, lags=lambda: False):
        """The watermark goes on. A step for which `lags` says so stays behind, and those after it too, as on a busy
        cluster; it catches up in one go."""
        for step in ORDER:
            if lags():
                return
            for key, live in sorted(self.live[step.uid].items()):
                if upto_ms == END_OF_TIME_MS or (live.due_ms is not None and live.due_ms <= upto_ms):
                    self._send(live.advance(upto_ms))
                    self._keep(step.uid, key, live)
        self.watermark_ms = max(self.watermark_ms, upto_ms)

    def finish(self):
        self.advance(END_OF_TIME_MS)
        return self.collected()

    def collected(self):
        return Collected.of(self.results)

    def restored(self):
        """Another graph that goes on from what this one kept."""
        other = Graph(self.settings)
        other.results = list(self.results)
        for uid, keys in self.state.items():
            for key, entries in keys.items():
                other._live(uid, key).resume(entries)
                other.state[uid][key] = dict(entries)
        return other
