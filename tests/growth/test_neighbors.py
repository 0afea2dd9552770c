"""What claims cost in the operator that compares neighbors: the panes and phones that they ask for, not all history."""

import numpy as np
import polars as pl
import pytest
from kit import LAT, LON, at, kawaach
from kit.graph import settings_of
from kit.growth import CONSTANT, bytes_allocated, lines_run

from monsoon.pipelines.operators.neighbor_panes import PANES
from monsoon.pipelines.operators.peer_features import PHONES, ComparePeers
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.pipelines.runtime.messages import Message, pack_frame
from monsoon.transforms.evidence.neighborhoods import neighborhoods_of
from monsoon.transforms.geo.cells import cell_of
from monsoon.transforms.panes import PANE_MS

RESOLUTION = kawaach().zone_resolution
DAY_MIN = 24 * 60
NEWS_MIN = 35 * DAY_MIN
RIDERS = 30


def place(north=0.0):
    """A zone and its neighborhood."""
    zone = cell_of(LAT + north, LON, RESOLUTION)
    return zone, int(neighborhoods_of(np.array([zone], dtype=np.uint64), RESOLUTION)[0])


def panes(start_min, count, neighborhood, riders=RIDERS):
    """Consecutive panes of some riders."""
    start_ms = np.repeat(at(start_min) // PANE_MS * PANE_MS + PANE_MS * np.arange(count), riders)
    workers = np.tile(np.arange(riders), count)
    columns = {
        "worker_id": [f"w{each}" for each in workers],
        "pane_start_ms": start_ms,
        "neighborhood": np.full(len(workers), neighborhood),
        "age": np.minimum(18, np.repeat(np.arange(count), riders)),
        "change_pa": workers.astype(np.float64),
    }
    return pl.DataFrame(columns, schema=PANES)


class Compared:
    """The operator, which has had panes for some days before the news; `read` are the cold entries that it has read."""

    def __init__(self, tmp_path, every_days):
        self.state, self.cold, self.read = {}, {}, []
        self.operator = ComparePeers(
            0, StateWriter(cold=self.read_cold), settings_of(tmp_path, buckets=1, products=["kawaach"])
        )
        self.zone, self.neighborhood = place()
        for day in range(-28, 0, every_days):
            start_min = NEWS_MIN + day * DAY_MIN - 4 * 60
            for north in (0.0, 0.5):
                self.say("panes/kawaach", panes(start_min, 96, place(north)[1]))
            mine = "" if day % 14 == 0 else "other-"
            used = {name: [f"{mine}{name[0]}{n}" for n in range(RIDERS)] for name in ("device_id", "worker_id")}
            self.say("phones/-", pl.DataFrame(used | {"pane_start_ms": at(start_min)} | {"known_from_ms": 0}, PHONES))
            self.advance(start_min + 12 * 60)
        self.say("panes/kawaach", panes(NEWS_MIN - 95, 19, self.neighborhood))
        self.now_min = NEWS_MIN
        self.advance(self.now_min)

    def read_cold(self, name):
        self.read.append(name)
        return self.cold[name]

    def say(self, kind, frame):
        self.operator.process(Message("compare-neighbors", 0, kind, at(NEWS_MIN), pack_frame(frame)))

    def advance(self, minutes):
        found = list(self.operator.advance(at(minutes)))
        for kept, changes in ((self.state, self.operator.state.drain()), (self.cold, self.operator.state.drain_cold())):
            kept.update({name: payload for name, payload in changes.items() if payload is not None})
            for name in [name for name, payload in changes.items() if payload is None]:
                kept.pop(name, None)
        return [message.kind for message in found]

    def ask(self, kind):
        """Says what a claim of each rider asks of this kind, and gives the kinds of the answers."""
        riders = [f"w{n}" for n in range(RIDERS)]
        claims = {"disruption_id": "d", "confirmed_at_ms": at(NEWS_MIN), "worker_id": riders}
        if kind == "claims":
            arrived = {"zone_cell": self.zone, "age": 3, "arrival_reports": 9, "neighborhood": self.neighborhood}
            work = {"orders": 1.0, "work_reports": 9, "platform": "zepto", "orders_per_hour": 2.0}
            frame = pl.DataFrame(claims | arrived | work, schema_overrides={"zone_cell": pl.UInt64})
        elif kind == "riders":
            frame = pl.DataFrame(
                claims | {"decided_at_ms": at(NEWS_MIN), "device_id": [f"d{n}" for n in range(RIDERS)]}
            )
        else:
            frame = panes(NEWS_MIN - 30, 6, self.neighborhood).drop("age", "change_pa")
        self.say(f"{kind}/kawaach", frame)
        self.now_min += 1
        return self.advance(self.now_min)


@pytest.mark.parametrize("kind", ["claims", "sought", "riders"])
def test_panes_of_a_neighborhood(tmp_path, kind):
    """Two days of panes in the last four weeks, and all 28: the same lines and the same memory. Only the day that
    begins before the four weeks is read.

    The neighborhood of the claims has all of these panes, and another one has as many; other phones are used.
    """
    answers = {"claims": "compared/kawaach", "sought": "apart/kawaach", "riders": "riders/kawaach"}
    lines, allocated, read = [], [], []
    for every_days in (14, 1):
        made = Compared(tmp_path, every_days)
        assert made.ask(kind) == [answers[kind]]  # what is computed once, however much comes
        lines.append(lines_run(made.ask, kind))
        allocated.append(bytes_allocated(made.ask, kind))
        read.append(len(made.read))
    assert lines[1] < CONSTANT * lines[0]
    assert allocated[1] < CONSTANT * allocated[0]
    assert read == ([3, 3] if kind == "claims" else [0, 0])


def test_a_restored_operator_reads_no_cold_panes(tmp_path):
    made, again = Compared(tmp_path, 1), Compared(tmp_path, 28)
    again.cold = made.cold
    again.operator = ComparePeers(0, again.operator.state, settings_of(tmp_path, buckets=1, products=["kawaach"]))
    again.operator.resume(made.state)
    assert again.read == []
    assert again.ask("claims") == ["compared/kawaach"]
    assert len(again.read) == 1
