"""Queries of telemetry conditions, the reports from their zones, and who holds which policy.

Interpretations of the specification: docs/interpretations.md#disruptions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.transforms.coverage import Policy, PolicyState
from monsoon.transforms.evidence.ragged import Ints, Ragged
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.geo.near import cells_around, cells_within
from monsoon.transforms.telemetry_table import TelemetryTable, bisect_right, slices_of

_BLOCK_ROWS = 1_000_000
"""Reports processed together: some tens of MB, whatever the number of queries."""


@dataclass(frozen=True, eq=False)
class ZoneQueries:
    """One element per query: a zone (uint64 H3 cells, all of `resolution`) at a moment (ms), for a platform where the
    trigger is for one."""

    resolution: int
    platform: tuple[str | None, ...]
    zone: npt.NDArray[np.uint64]
    at_ms: Ints

    def __len__(self) -> int:
        return len(self.at_ms)

    @staticmethod
    def of(resolution: int, keys: Sequence[tuple[str | None, int, int]]) -> ZoneQueries:
        """From (platform, zone, moment)."""
        return ZoneQueries(
            resolution,
            tuple(platform for platform, _, _ in keys),
            np.array([zone for _, zone, _ in keys], dtype=np.uint64),
            np.array([at_ms for _, _, at_ms in keys], dtype=np.int64),
        )

    def take(self, part: slice) -> ZoneQueries:
        """Some of them."""
        return ZoneQueries(self.resolution, self.platform[part], self.zone[part], self.at_ms[part])


@dataclass(frozen=True, eq=False)
class ZoneReports:
    """Reports from some zones: rows of a telemetry table and their times, sorted by zone, time and row.

    With a margin a report is from every zone within it (`transforms.geo.near`).
    """

    zones: npt.NDArray[np.uint64]
    starts: Ints
    row: Ints
    time_ms: Ints

    @staticmethod
    def of(
        telemetry: TelemetryTable,
        zone_queries: ZoneQueries,
        margin_m: float = 0.0,
        among: npt.NDArray[np.bool_] | None = None,
        cells: npt.NDArray[np.uint64] | None = None,
    ) -> ZoneReports:
        """Those from the zones of the queries, of the riders `among` (one flag per worker code; None: all). `cells`:
        those of the telemetry table's rows, where they were computed before."""
        zones = np.unique(zone_queries.zone)
        if cells is None:
            cells = cells_of(telemetry.lat, telemetry.lon, zone_queries.resolution)
        near = np.isin(cells, cells_around(zones.tolist(), margin_m) if margin_m > 0 else zones)
        if among is not None:
            near &= among[telemetry.worker]
        row = np.flatnonzero(near)
        cell = cells[row]
        if margin_m > 0:
            point, cell = cells_within(telemetry.lat[row], telemetry.lon[row], cell, margin_m)
            wanted = np.isin(cell, zones)
            row, cell = row[point[wanted]], cell[wanted]
        time_ms = telemetry.event_time_ms[row]
        order = np.lexsort((row, time_ms, cell))
        starts = np.searchsorted(cell[order], zones).astype(np.int64)
        return ZoneReports(zones, np.append(starts, len(order)), row[order], time_ms[order])

    def between(self, zone: npt.NDArray[np.uint64], start_ms: Ints, end_ms: Ints) -> Ragged:
        """For each query the indices in `row` of the reports from its zone with start < event_time <= end."""
        first, stop = slices_of(self.starts, np.searchsorted(self.zones, zone))
        lo = bisect_right(self.time_ms, first, stop, start_ms)
        return Ragged(lo, np.maximum(lo, bisect_right(self.time_ms, lo, stop, end_ms)))

    def blocks(self, zone_queries: ZoneQueries, start_ms: Ints) -> Iterator[slice]:
        """The queries in parts with few reports from `start_ms` to the moment of the query; at least one part."""
        lengths = self.between(zone_queries.zone, start_ms, zone_queries.at_ms).lengths
        total = np.cumsum(lengths + 1)
        first = 0
        while first < len(zone_queries):
            before = int(total[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(total, before + _BLOCK_ROWS, side="right")))
            yield slice(first, last)
            first = last


class PolicyHolders:
    """The holders of the policies of one product, and the terms of these at a moment."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._policies: dict[str, list[Policy]] = defaultdict(list)
        for policy in sorted(policies, key=lambda policy: policy.policy_id):
            for worker_id in policy.workers:
                self._policies[worker_id].append(policy)

    @property
    def workers(self) -> list[str]:
        """Every rider whom an event of a policy ever named, sorted."""
        return sorted(self._policies)

    def in_force(self, worker_id: str, at_ms: int) -> list[PolicyState]:
        """The rider's policies that cover a moment, by id."""
        states = (policy.in_force(at_ms) for policy in self._policies.get(worker_id, ()))
        return [state for state in states if state is not None and state.worker_id == worker_id]

    def known(self, worker_id: str, at_ms: int) -> list[Mapping[str, Any]]:
        """The terms that count at a moment of each of the rider's policies, by id, whether they cover it or not."""
        terms = (policy.terms.at(at_ms) for policy in self._policies.get(worker_id, ()))
        return [each for each in terms if each is not None and each["worker_id"] == worker_id]
