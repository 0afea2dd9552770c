"""Rows ahead of the watermark, released when it has passed their event time, at a cost that depends only on how many
rows are released.

Rows of the next two hours are kept unpacked, each chunk sorted by time, with the position up to which it was released.
Rows further ahead come from phones whose clocks are wrong. They are kept packed in a hierarchical timing wheel: a slot
holds rows from 2^k to 2^(k+1) hours ahead, and is redistributed when its first row is due.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.messages import pack_frame, unpack_frame

_HOUR_MS = 3_600_000
_NEAR_HOURS = 2
_ALIKE = 8
"""So many packages of one slot and of similar size are merged: an Arrow stream of one row has 2 KB of headers."""

_Slot = tuple[int, int]
"""k, and the number of the span of 2^k hours since 1970."""


@dataclass
class _Open:
    """A state entry of rows sorted by time, released up to (excluding) row `at`."""

    name: str
    rows: pl.DataFrame
    times_ms: npt.NDArray[np.int64]
    at: int = 0

    @staticmethod
    def of(name: str, rows: pl.DataFrame) -> _Open:
        if not rows["event_time"].is_sorted():
            rows = rows.sort("event_time", maintain_order=True)
        return _Open(name, rows, rows["event_time"].to_numpy())

    @property
    def next_ms(self) -> int:
        return int(self.times_ms[self.at])


@dataclass(frozen=True)
class _Package:
    """A state entry of a slot, packed; `size` is its size class."""

    name: str
    payload: bytes
    first_ms: int
    size: int


class EarlyRows:
    """Buffers rows that are not due (`put`) and gives those that are (`release`)."""

    def __init__(self, state: StateWriter, new_name: Callable[[str], str]) -> None:
        """`new_name` names entries."""
        self._state, self._new_name = state, new_name
        self._whole: list[pl.DataFrame] = []
        """Frames of bounded input, which is released as a whole."""
        self._open: list[tuple[int, str, _Open]] = []
        """Unpacked chunks: a heap by the time of the next row."""
        self._slots: dict[_Slot, list[_Package]] = defaultdict(list)
        self._slots_due: list[tuple[int, _Slot]] = []
        """A heap by the time of the first row; one element for every package."""

    @property
    def first_ms(self) -> int | None:
        """When the next row is due (ms); None: there is none."""
        return min((heap[0][0] for heap in (self._open, self._slots_due) if heap), default=None)

    def put(self, rows: pl.DataFrame, now_ms: int, payload: bytes | None = None) -> None:
        """Adds rows that are not due, at least one; `now_ms` is the current event time, `payload` the same rows packed,
        where the caller has that."""
        if not self._state.durable:
            self._whole.append(rows)
            return
        base = now_ms // _HOUR_MS
        ahead = rows["event_time"].to_numpy() // _HOUR_MS - base
        far = ahead >= _NEAR_HOURS
        if not far.any():
            self._put_near(rows, payload)
            return
        if not far.all():
            self._put_near(rows.filter(pl.Series(~far)), None)
        rows, ahead = rows.filter(pl.Series(far)), ahead[far]
        power = np.frexp(ahead.astype(np.float64))[1].astype(np.int64) - 1
        slots, slot_of = np.unique(np.column_stack((power, (ahead + base) >> power)), axis=0, return_inverse=True)
        for number, (k, stretch) in enumerate(slots.tolist()):
            self._put_far((k, stretch), rows.filter(pl.Series(slot_of.ravel() == number)))

    def release(self, upto_ms: int) -> Iterator[pl.DataFrame]:
        """Removes the rows that are due by `upto_ms` and gives them; all rows of bounded input."""
        yield from self._whole
        self._whole.clear()
        while self._slots_due and self._slots_due[0][0] <= upto_ms:
            packages = self._slots.pop(heapq.heappop(self._slots_due)[1], [])
            for package in packages:
                self._state.drop(package.name)
            if packages:
                rows = pl.concat([unpack_frame(package.payload) for package in packages])
                self.put(rows, upto_ms)
        while self._open and self._open[0][0] <= upto_ms:
            waiting = heapq.heappop(self._open)[2]
            stop = int(np.searchsorted(waiting.times_ms, upto_ms, side="right"))
            yield waiting.rows[waiting.at : stop]
            waiting.at = stop
            if stop < len(waiting.times_ms):
                self._add(waiting)
            else:
                self._state.drop(waiting.name)

    def restore(self, entries: Mapping[str, bytes], done_ms: int) -> None:
        """Restores from state entries; rows up to `done_ms` were released."""
        for name, payload in entries_of(entries, "waiting"):
            waiting = _Open.of(name, unpack_frame(payload))
            waiting.at = int(np.searchsorted(waiting.times_ms, done_ms, side="right"))
            if waiting.at < len(waiting.times_ms):
                self._add(waiting)
            else:
                self._state.drop(name)
        for name, payload in entries_of(entries, "far"):
            k, place, first_ms, size = map(int, name.split("/")[1:5])
            self._add_package((k, place), _Package(name, payload, first_ms, size))

    def _put_near(self, rows: pl.DataFrame, payload: bytes | None) -> None:
        name = self._new_name("waiting")
        self._add(_Open.of(name, rows))
        self._state.put(name, pack_frame(rows) if payload is None else payload)

    def _add(self, waiting: _Open) -> None:
        heapq.heappush(self._open, (waiting.next_ms, waiting.name, waiting))

    def _put_far(self, slot: _Slot, rows: pl.DataFrame) -> None:
        first: Any = rows["event_time"].min()
        size = rows.height.bit_length() // 3
        name = self._new_name(f"far/{slot[0]}/{slot[1]}/{int(first)}/{size}")
        package = _Package(name, pack_frame(rows), int(first), size)
        self._state.put(name, package.payload)
        self._add_package(slot, package)
        alike = [each for each in self._slots[slot] if each.size == size]
        if len(alike) >= _ALIKE:
            self._slots[slot] = [each for each in self._slots[slot] if each.size != size]
            for each in alike:
                self._state.drop(each.name)
            self._put_far(slot, pl.concat([unpack_frame(each.payload) for each in alike]))

    def _add_package(self, slot: _Slot, package: _Package) -> None:
        self._slots[slot].append(package)
        heapq.heappush(self._slots_due, (package.first_ms, slot))
