"""Panes of which older days are cold: what claims are compared with is the same as if all were in memory."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from monsoon.pipelines.operators.neighbor_panes import PANES, NeighborPanes
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.pipelines.runtime.messages import pack_frame
from monsoon.transforms.evidence.batch import DwellIntervals
from monsoon.transforms.evidence.limits import HISTORY_MS, MIN_DWELLS
from monsoon.transforms.panes import PANE_MS

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CELLS = (2**59 + 1, 2**59 + 2, 2**59 + 3)


class Stored:
    """Panes with their state entries; `restart` makes them anew from these."""

    def __init__(self):
        self.entries, self.cold, self.serial = {}, {}, 0
        self._start()

    def _start(self):
        self.writer = StateWriter(cold=self.cold.get)
        self.panes = NeighborPanes(self.writer, "kawaach", self.new_name)

    def new_name(self, kind):
        self.serial += 1
        return f"{kind}/{self.serial:012d}"

    def save(self):
        for kept, changes in ((self.entries, self.writer.drain()), (self.cold, self.writer.drain_cold())):
            for name, payload in changes.items():
                kept.pop(name, None)
                if payload is not None:
                    kept[name] = payload

    def restart(self):
        self.save()
        self._start()
        self.panes.restore(self.entries)


def frame_of(day, rows):
    """Panes of a day: `rows` are of (neighborhood, pane of the day, rider, age)."""
    columns = {
        "worker_id": [f"w{rider}" for _, _, rider, _ in rows],
        "pane_start_ms": [day * DAY_MS + PANE_MS * pane for _, pane, _, _ in rows],
        "neighborhood": [CELLS[cell] for cell, _, _, _ in rows],
        "age": [age for _, _, _, age in rows],
        "change_pa": [float(rider) for _, _, rider, _ in rows],
    }
    return pl.DataFrame(columns, schema=PANES)


DAYS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 287), st.integers(0, 3), st.integers(0, 18)),
            min_size=MIN_DWELLS,
            max_size=2 * MIN_DWELLS,
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(DAYS, st.lists(st.integers(0, 3 * DAY_MS), min_size=1, max_size=4), st.integers(0, 2))
def test_cold_days_change_no_comparison(days, back, cell):
    """Days in order but for late panes of days before, restarts in between, curves that end at any moment."""
    stored, day, frames = Stored(), 0, []
    for gap, rows, restarts in days:
        day += gap
        frame = frame_of(day - (len(rows) % 5 == 0), rows)
        frames.append(frame)
        stored.panes.put(frame, pack_frame(frame))
        stored.panes.expire((day + 1) * DAY_MS - HISTORY_MS - 4 * DAY_MS)
        stored.panes.compact((day + 1) * DAY_MS + 7 * HOUR_MS)
        if restarts:
            stored.restart()
    stored.save()
    assert not [name for name in stored.entries if name.startswith("panes/")], "each day is cold"
    panes = pl.concat(frames)
    expected = DwellIntervals(
        *(panes[name].to_numpy() for name in ("neighborhood", "pane_start_ms", "age")), resolution=9
    ).sorted()
    end_ms = np.unique([(day + 2) * DAY_MS - back_ms for back_ms in back])
    found = stored.panes.dwells(np.array([CELLS[cell]], dtype=np.uint64), end_ms, 9)
    for each in end_ms.tolist():
        mine, theirs = (dwells.curve(np.uint64(CELLS[cell]), each) for dwells in (found, expected))
        assert mine.tobytes() == theirs.tobytes()
    wanted = frames[-3:][0].filter(pl.col("neighborhood") == CELLS[cell]).select("neighborhood", "pane_start_ms")
    near = panes.join(wanted, on=["neighborhood", "pane_start_ms"], how="semi")
    assert stored.panes.of_neighborhoods(wanted).sort(*PANES).equals(near.sort(*PANES))
