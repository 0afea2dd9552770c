"""Panes by neighborhood. Those of the last day are in memory; of older ones memory has counts by age, and the panes
themselves are in cold state, from which they are read when a claim asks for a part of their day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.messages import pack_frame, stacked, unpack_frame
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS, HOUR_MS, TimePartitionedBuffer, any_within
from monsoon.transforms.evidence.batch import DwellCounts, DwellIntervals
from monsoon.transforms.evidence.neighborhoods import Cells
from monsoon.transforms.evidence.ragged import Ints

PANES: dict[str, Any] = {
    "worker_id": pl.String,
    "pane_start_ms": pl.Int64,
    "neighborhood": pl.UInt64,
    "age": pl.Int64,
    "change_pa": pl.Float64,
}
"""A pane with what the comparison of neighbors needs."""

WARM_MS = 6 * HOUR_MS
"""The panes of a day stay in memory for so long after its last one: for claims that are held or corrected."""

_COUNTS = "pane-counts"
"""The kind of entry that stands for panes in cold state."""


class _ColdPart(NamedTuple):
    """A state entry of panes in cold state: the starts of its first and last pane (ms)."""

    name: str
    first_ms: int
    last_ms: int


class _Counts(msgspec.Struct, array_like=True):
    """What a cold entry leaves in the other entries: its span (ms), and the number of panes of each age by
    neighborhood."""

    first_ms: int
    last_ms: int
    neighborhoods: list[int]
    counts: list[list[int]]


class NeighborPanes:
    """The panes (PANES) of some neighborhoods, of one product; `new_name` names entries."""

    def __init__(self, state: StateWriter, product: str, new_name: Callable[[str], str]) -> None:
        self._state, self._new_name = state, new_name
        self._kind = f"{_COUNTS}/{product}"
        self._hot = TimePartitionedBuffer(state, f"panes/{product}", "pane_start_ms", new_name)
        self._cold: list[_ColdPart] = []
        self._counts = DwellCounts.of((), (), 0, 0)

    def __bool__(self) -> bool:
        return bool(self._hot or self._cold)

    def put(self, frame: pl.DataFrame, payload: bytes) -> None:
        """Adds panes, at least one; `payload` is the same frame packed."""
        self._hot.put(frame, payload)

    def dwells(self, neighborhoods: Cells, end_ms: Ints, resolution: int) -> DwellIntervals:
        """What is needed for the curves of some neighborhoods (distinct) before some moments (ms)."""
        counts = self._counts.of_neighborhoods(neighborhoods)
        extents = np.array([part[1:] for part in self._cold], dtype=np.int64).reshape(-1, 2)
        cut = DwellIntervals.are_cut(extents[:, 0], extents[:, 1], end_ms)
        parts = [part for part, is_cut in zip(self._cold, cut.tolist(), strict=True) if is_cut]
        frame = stacked([*self._hot.frames, *map(self._read, parts)], PANES)
        frame = frame.filter(frame["neighborhood"].is_in(pl.Series(neighborhoods, dtype=pl.UInt64).implode()))
        return DwellIntervals(
            frame["neighborhood"].to_numpy(),
            frame["pane_start_ms"].to_numpy(),
            frame["age"].to_numpy(),
            resolution,
            counts.where(~DwellIntervals.are_cut(counts.first_ms, counts.last_ms, end_ms)),
        ).sorted()

    def of_neighborhoods(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """All panes of some neighborhoods and times (columns `neighborhood` and `pane_start_ms`)."""
        groups = wanted.select("neighborhood", "pane_start_ms").unique()
        times_ms = groups["pane_start_ms"].unique().sort().to_numpy()
        cold = [part for part in self._cold if any_within(times_ms, part.first_ms, part.last_ms)]
        frames = [*self._hot.around(times_ms), *map(self._read, cold)]
        return stacked(frames, PANES).join(groups, on=["neighborhood", "pane_start_ms"], how="semi")

    def expire(self, before_ms: int) -> None:
        """Drops parts whose last pane is older."""
        self._hot.expire(before_ms)
        for part in self._cold:
            if part.last_ms < before_ms:
                self._state.drop(part.name)
                self._state.drop_cold(part.name)
        self._cold = [part for part in self._cold if part.last_ms >= before_ms]
        self._counts = self._counts.where(self._counts.last_ms >= before_ms)

    def compact(self, upto_ms: int) -> None:
        """Merges the parts of each hour and day that is over at `upto_ms`; puts those of the days before in cold
        state."""
        self._hot.compact(upto_ms)
        for part in self._hot.take_before(min(upto_ms // DAY_MS * DAY_MS, upto_ms - WARM_MS)):
            name = self._new_name(self._kind)
            counts = _counts_of(part.frame)
            self._state.put(name, cold_counts(part.frame))
            self._state.put_cold(name, pack_frame(part.frame))
            self._cold.append(_ColdPart(name, part.first_ms, part.last_ms))
            self._counts = DwellCounts.join([self._counts, counts])

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries; the panes of cold ones are not read."""
        self._hot.restore(entries)
        counts = [self._counts]
        for name, payload in entries_of(entries, self._kind):
            part = unpack_small(payload, _Counts)
            self._cold.append(_ColdPart(name, part.first_ms, part.last_ms))
            counts.append(DwellCounts.of_span(part.neighborhoods, part.counts, part.first_ms, part.last_ms))
        self._counts = DwellCounts.join(counts)

    def _read(self, part: _ColdPart) -> pl.DataFrame:
        return unpack_frame(self._state.read_cold(part.name))


def cold_counts(frame: pl.DataFrame) -> bytes:
    """The entry that stands for panes (PANES), at least one, in cold state."""
    start_ms, counts = frame["pane_start_ms"].to_numpy(), _counts_of(frame)
    span = int(start_ms.min()), int(start_ms.max())
    return pack_small(_Counts(*span, counts.neighborhood.tolist(), counts.count.tolist()))


def _counts_of(frame: pl.DataFrame) -> DwellCounts:
    start_ms, neighborhood, age = (frame[name].to_numpy() for name in ("pane_start_ms", "neighborhood", "age"))
    return DwellCounts.of(neighborhood, age, int(start_ms.min()), int(start_ms.max()))
