"""A state buffer of rows, partitioned by time: one state entry a frame; entries are merged as they age (compaction) and
dropped when they are too old (retention).

Rows arrive in frames that cover only the time between two watermarks. Without compaction four weeks of them would be
thousands of entries a key, all scanned for every claim.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.messages import pack_frame, unpack_frame
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def any_within(times_ms: npt.NDArray[np.int64], first_ms: int, last_ms: int) -> bool:
    """Whether some of these times (sorted) lie in [first, last]."""
    after = int(times_ms.searchsorted(first_ms))
    return after < len(times_ms) and bool(times_ms[after] <= last_ms)


def pack_rows(frame: pl.DataFrame) -> bytes:
    """A few rows, column by column."""
    return pack_small(frame.to_dict(as_series=False))


@dataclass(frozen=True)
class Part:
    """One state entry: its rows, and their first and last time (ms)."""

    name: str
    frame: pl.DataFrame
    first_ms: int
    last_ms: int

    @cached_property
    def rows_of_worker(self) -> Mapping[str, npt.NDArray[np.uint32]]:
        """The rows of each rider (worker_id)."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, worker in enumerate(self.frame["worker_id"].to_list()):
            rows[worker].append(row)
        return {worker: np.array(mine, dtype=np.uint32) for worker, mine in rows.items()}

    @cached_property
    def by_device(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Hashes of phones (device_id), sorted, of use in this process alone; and the row of each."""
        hashes = self.frame["device_id"].hash().to_numpy()
        order = np.argsort(hashes)
        return hashes[order], order


class TimePartitionedBuffer:
    """Frames of one schema and kind of entry, by the column `time` (ms).

    `new_name` names entries; `spans_ms` are the lengths, ascending, of the time spans whose parts are merged once the
    span is over. With a `schema` rows are few and stored as deflated MessagePack: an Arrow stream of ten rows has 2 KB
    of headers.
    """

    def __init__(
        self,
        state: StateWriter,
        kind: str,
        time: str,
        new_name: Callable[[str], str],
        spans_ms: tuple[int, ...] = (HOUR_MS, DAY_MS),
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self._state, self._kind, self._time, self._new_name = state, kind, time, new_name
        self._spans_ms, self._schema = spans_ms, schema
        self.parts: list[Part] = []

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def frames(self) -> list[pl.DataFrame]:
        """All rows."""
        return [part.frame for part in self.parts]

    def around(self, times_ms: npt.NDArray[np.int64]) -> list[pl.DataFrame]:
        """The rows of all parts that may have some of these times (sorted)."""
        return [part.frame for part in self.parts if any_within(times_ms, part.first_ms, part.last_ms)]

    def put(self, frame: pl.DataFrame, payload: bytes | None = None) -> None:
        """Adds rows, at least one; `payload` is the same frame packed, where the caller has it."""
        name = self._new_name(self._kind)
        self._add(name, frame)
        if self._state.durable:
            self._state.put(name, self._packed(frame, payload))

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores the parts from state entries."""
        for name, payload in entries_of(entries, self._kind):
            self._add(name, self._unpacked(payload))

    def expire(self, before_ms: int) -> None:
        """Drops parts whose last row is older."""
        self.take_before(before_ms)

    def take_before(self, before_ms: int) -> list[Part]:
        """Removes the parts whose last row is older, and gives them."""
        old = [part for part in self.parts if part.last_ms < before_ms]
        for part in old:
            self._state.drop(part.name)
        self.parts = [part for part in self.parts if part.last_ms >= before_ms]
        return old

    def compact(self, upto_ms: int) -> None:
        """Merges parts that end in the same span, where that span is over at `upto_ms`."""
        groups: dict[tuple[int, int], list[Part]] = defaultdict(list)
        unmerged: list[Part] = []
        for part in self.parts:
            over = [span_ms for span_ms in self._spans_ms if part.last_ms < upto_ms // span_ms * span_ms]
            if over:
                groups[over[-1], part.last_ms // over[-1]].append(part)
            else:
                unmerged.append(part)
        self.parts = [parts[0] for parts in groups.values() if len(parts) == 1] + unmerged
        for parts in groups.values():
            if len(parts) > 1:
                for part in parts:
                    self._state.drop(part.name)
                self.put(pl.concat([part.frame for part in parts]))

    def _packed(self, frame: pl.DataFrame, payload: bytes | None) -> bytes:
        if self._schema is not None:
            return pack_rows(frame)
        return pack_frame(frame) if payload is None else payload

    def _unpacked(self, payload: bytes) -> pl.DataFrame:
        if self._schema is None:
            return unpack_frame(payload)
        return pl.DataFrame(unpack_small(payload, dict[str, list[Any]]), schema=self._schema)

    def _add(self, name: str, frame: pl.DataFrame) -> None:
        times: Any = frame[self._time]
        self.parts.append(Part(name, frame, int(times.min()), int(times.max())))

    def rows_after(self, at_ms: int | None) -> Iterator[pl.DataFrame]:
        """Rows later than a moment (ms; None: all), part by part."""
        for part in self.parts:
            if at_ms is None or part.first_ms > at_ms:
                yield part.frame
            elif part.last_ms > at_ms:
                yield part.frame.filter(pl.col(self._time) > at_ms)
