"""The rows of the telemetry table that queries rest on: who, where, when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.arrival import received_rows
from monsoon.transforms.evidence.limits import WINDOW_MS
from monsoon.transforms.evidence.ragged import Floats, Ints, Ragged, segment_medians
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.geo.sphere import distance_m
from monsoon.transforms.telemetry_table import TelemetryTable


@dataclass(frozen=True, eq=False)
class Queries:
    """One element per claim and decision.

    `worker` code in the telemetry table, -1 = no telemetry; `zone` uint64 H3 cells, all of `resolution`. `rescored` is
    1 for the re-score of a claim that was measured before, else 0; `asked_at_ms` is when the rider of a re-read was
    asked, else -1; `anchor.anchored` puts the window in accordingly. `batch` names the disruption whose claims are
    compared with one another (claim_burst_rank, peer_divergence): a batch holds every claim of the disruption, -1 =
    leave those two unmeasured. `usual_inr` is what the amount that decides the payout, `stated_inr`, is compared with
    (`wages.py`); the rest is from the policy, NaN = unknown. Raises ValueError for columns of different length and for
    a decision before its confirmation.
    """

    resolution: int
    worker: Ints
    zone: npt.NDArray[np.uint64]
    confirmed_at_ms: Ints
    decided_at_ms: Ints
    rescored: Ints
    asked_at_ms: Ints
    window_start_ms: Ints
    """Exclusive start of the window, where baselines end."""
    window_end_ms: Ints
    anchor_row: Ints
    """The row of the telemetry table that is evidence whenever it was received, -1 = none."""
    batch: Ints
    account_created_at_ms: Floats
    activated_at_ms: Floats
    first_alert_ms: Floats
    claims_7d: Floats
    orders_per_hour: Floats
    stated_inr: Floats
    usual_inr: Floats

    def __post_init__(self) -> None:
        for field in fields(self)[1:]:
            if getattr(self, field.name).shape != self.worker.shape:
                raise ValueError(f"{field.name}: not one value per query")
        if np.any(self.decided_at_ms < self.confirmed_at_ms):
            raise ValueError("a query is decided before its disruption was confirmed")

    def __len__(self) -> int:
        return len(self.worker)

    @staticmethod
    def of(
        resolution: int,
        worker: npt.ArrayLike,
        zone: npt.ArrayLike,
        confirmed_at_ms: npt.ArrayLike,
        **optional: Sequence[Any] | npt.NDArray[Any] | None,
    ) -> Queries:
        """Queries from arrays or lists. Absent columns: decided_at_ms is confirmed_at_ms, the window that from
        WINDOW_MS before the confirmation to the decision, rescored 0, asked_at_ms, anchor_row and batch -1, the rest
        NaN; None in a list is NaN. Raises TypeError for an unknown column."""
        n = len(np.asarray(worker))
        confirmed_ms = np.asarray(confirmed_at_ms, dtype=np.int64)
        decided_at_ms = optional.get("decided_at_ms")
        decided_ms = confirmed_ms if decided_at_ms is None else np.asarray(decided_at_ms, dtype=np.int64)
        columns: dict[str, npt.NDArray[Any]] = {
            "decided_at_ms": confirmed_ms,
            "rescored": np.zeros(n, dtype=np.int64),
            "asked_at_ms": np.full(n, -1, dtype=np.int64),
            "window_start_ms": confirmed_ms - WINDOW_MS,
            "window_end_ms": decided_ms,
            "anchor_row": np.full(n, -1, dtype=np.int64),
            "batch": np.full(n, -1, dtype=np.int64),
        }
        for field in fields(Queries)[11:]:
            columns[field.name] = np.full(n, np.nan)
        for name, values in optional.items():
            if values is not None:
                like = columns.get(name)
                columns[name] = np.array(values, dtype=np.float64 if like is None else like.dtype)
        return Queries(
            resolution,
            np.asarray(worker, dtype=np.int64),
            np.asarray(zone, dtype=np.uint64),
            confirmed_ms,
            **columns,
        )

    def take(self, queries: slice | Ints) -> Queries:
        """Some of the queries."""
        columns = {field.name: getattr(self, field.name)[queries] for field in fields(self)[1:]}
        return Queries(self.resolution, **columns)


@dataclass(frozen=True, eq=False)
class Window:
    """The reports of some queries' windows, columns gathered when first used."""

    telemetry: TelemetryTable
    span: Ragged

    @staticmethod
    def of(telemetry: TelemetryTable, worker: Ints, start_ms: Ints, end_ms: Ints, received_by_ms: Ints) -> Window:
        """Reports with start < event_time <= end that were received by a moment."""
        return Window(
            telemetry, received_rows(telemetry, *telemetry.rows_between(worker, start_ms, end_ms), received_by_ms)
        )

    @staticmethod
    def of_queries(telemetry: TelemetryTable, queries: Queries, length_ms: int | None = None) -> Window:
        """The reports of the queries' windows that were received by the decision, and their anchors; or those of the
        last `length_ms` of them."""
        end_ms = queries.window_end_ms
        start_ms = queries.window_start_ms if length_ms is None else end_ms - length_ms
        start_ms = np.where(queries.window_start_ms < end_ms, start_ms, end_ms)
        lo, hi = telemetry.rows_between(queries.worker, start_ms, end_ms)
        return Window(telemetry, received_rows(telemetry, lo, hi, queries.decided_at_ms, queries.anchor_row))

    def __len__(self) -> int:
        return len(self.span.lo)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        known = self._columns.get(column)
        if known is None:
            known = self._columns[column] = getattr(self.telemetry, column)[self.span.rows]
        return known

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    @cached_property
    def step_m(self) -> Floats:
        """Distance from the previous report of the window, for each row of `span.follows`."""
        at = self.span.follows
        lat, lon = self["lat"], self["lon"]
        return distance_m(lat[at - 1], lon[at - 1], lat[at], lon[at])

    @cached_property
    def step_ms(self) -> Ints:
        """Time since the previous report of the window, for each row of `span.follows`."""
        at, time_ms = self.span.follows, self["event_time_ms"]
        return time_ms[at] - time_ms[at - 1]

    @cached_property
    def last_device(self) -> Ints:
        """Device of each window's last report, -1 for an empty window."""
        last = self.span.last
        device = np.full(len(self), -1, dtype=np.int64)
        device[last >= 0] = self.telemetry.device[last[last >= 0]]
        return device

    def median(self, values: Floats, measured: npt.NDArray[np.bool_]) -> tuple[Floats, Ints]:
        """Median of `values` over each window's measured rows, and how many these are."""
        query = self.span.query[measured]
        return segment_medians(values[measured], query, len(self)), self.span.count(measured)


def one_rider(event_time_s: Sequence[float], resolution: int = 9, **columns: Sequence[Any]) -> tuple[Window, Queries]:
    """The window of one claim from a few reports of one rider, confirmed at the last of them; for examples.

    Columns are those of `Trail.from_columns`; a time may be in seconds, as `NAME_s` for `NAME_ms`. The rider is at
    28.6 N, 77.2 E unless lat and lon are given, and the zone is the cell (of the resolution) of the last report.
    """
    given: dict[str, Sequence[Any]] = {"event_time_s": event_time_s, **columns}
    for name in [name for name in given if f"{name.removesuffix('_s')}_ms" in _TIMES]:
        seconds = given.pop(name)
        given[f"{name.removesuffix('_s')}_ms"] = [None if each is None else round(1000 * each) for each in seconds]
    count = len(event_time_s)
    here: dict[str, Sequence[Any]] = {"worker": ["w"] * count, "lat": [28.6] * count, "lon": [77.2] * count}
    telemetry = TelemetryTable.from_columns(**(here | given))
    end_ms = int(telemetry.event_time_ms[-1])
    zone = cells_of(telemetry.lat[-1:], telemetry.lon[-1:], resolution)
    queries = Queries.of(resolution, [0], zone, [end_ms])
    return Window.of_queries(telemetry, queries), queries


_TIMES = ("event_time_ms", "received_time_ms", "gnss_time_ms", "network_time_ms")
