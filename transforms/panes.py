"""Panes: telemetry reduced to (worker, 5 min), defined once as data; `pane_aggregation.py` computes what it says.

Reports of one rider and 5 min that were received later than the pane was over are panes of their own, one for each 5
min in which they came, so that a decision can leave out what had not been received by then; and so are those that came
too late to be history.

The vocabulary is closed. A term is a telemetry table column times a scale, rounded half up and clamped to an integer:
`clamp(floor(column * scale + 0.5), -LIMIT, LIMIT)`; it is null where the column is null. An aggregate takes
the reports of a pane at which its term is not null and all of its conditions `column = value` hold. Everything
is an integer, so that no result depends on the order of rows.

Interpretations of the specification: docs/interpretations.md#when-a-report-was-received.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from monsoon.transforms.telemetry_table import DTYPES, ON_TRIP, ONLINE

PANE_MS = 5 * 60_000
"""Panes tumble from the epoch: a report at t belongs to the pane that starts at t - t mod PANE_MS."""

NULL = np.iinfo(np.int64).min
"""What stands for "no report had it" in a min, max or last column; counts and sums are 0 then."""

LIMIT = 10**13
"""Terms are clamped to it: above every time in ms, and a pane's sum of it stays within int64."""

Kind = Literal["count", "sum", "min", "max", "last", "distinct"]

BASELINE_GRACE_MS = 6 * 3_600_000
"""`system.md`, "When it came": what is received later after its event_time builds no baseline, no pattern of shifts."""


CENTI = 100
"""Scale of sensor sums: hundredths of a dB, of an hPa and of a percent are finer than any phone reports."""

DEGREES_E7 = 10_000_000
"""Scale of positions: 1e-7 degrees is about a centimeter."""


@dataclass(frozen=True)
class Aggregate:
    """One column of a pane.

    Kinds: count (of reports), sum, min, max, distinct (number of different values), and last (the value at
    the greatest (event_time, event_id)). `where` lists (column, value) pairs that must all hold. Raises
    ValueError for a column that the telemetry table does not have.
    """

    name: str
    kind: Kind
    column: str
    scale: int = 1
    where: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        for column in (self.column, *(column for column, _ in self.where)):
            if column not in DTYPES:
                raise ValueError(f"aggregate {self.name}: the trail has no column {column}")

    @property
    def empty(self) -> int:
        """The value over no reports."""
        return NULL if self.kind in ("min", "max", "last") else 0


_ONLINE = (("app_state", ONLINE),)
_ON_TRIP = (("app_state", ON_TRIP),)
_DISCHARGING = (("charging", 0),)
_CHARGING = (("charging", 1),)

AGGREGATES: tuple[Aggregate, ...] = (
    Aggregate("reports", "count", "event_time_ms"),
    Aggregate("online_reports", "count", "app_state", where=_ONLINE),
    Aggregate("on_trip_reports", "count", "app_state", where=_ON_TRIP),
    Aggregate("orders", "sum", "orders_completed"),
    Aggregate("lat_e7", "last", "lat", DEGREES_E7),
    Aggregate("lon_e7", "last", "lon", DEGREES_E7),
    Aggregate("device", "last", "device"),
    Aggregate("devices", "distinct", "device"),
    Aggregate("agc_reports", "count", "agc_db"),
    Aggregate("agc_sum_cdb", "sum", "agc_db", CENTI),
    Aggregate("cn0_reports", "count", "cn0_dbhz"),
    Aggregate("cn0_sum_cdbhz", "sum", "cn0_dbhz", CENTI),
    Aggregate("pressure_reports", "count", "pressure_hpa"),
    Aggregate("pressure_sum_pa", "sum", "pressure_hpa", CENTI),
    Aggregate("charging_reports", "count", "charging", where=_CHARGING),
    Aggregate("discharging_reports", "count", "battery_pct", where=_DISCHARGING),
    Aggregate("battery_max_cpct", "max", "battery_pct", CENTI, _DISCHARGING),
    Aggregate("battery_min_cpct", "min", "battery_pct", CENTI, _DISCHARGING),
    Aggregate("discharging_first_ms", "min", "event_time_ms", where=_DISCHARGING),
    Aggregate("discharging_last_ms", "max", "event_time_ms", where=_DISCHARGING),
)
"""What the baselines need; nothing else is aggregated."""


@dataclass(frozen=True, eq=False)
class Panes:
    """Panes sorted by (worker, pane_start_ms, known_from_ms, history); worker w has the rows
    `worker_starts[w]:worker_starts[w + 1]`.

    `known_from_ms`: when the pane is over and the 5 min in which its reports were received are, too. `history`: whether
    these were received within BASELINE_GRACE_MS of their event_time, and so may build a baseline or a pattern of
    shifts. `values` holds one int64 column (n,) per aggregate. Worker and device codes are those of the telemetry
    table."""

    worker: npt.NDArray[np.int32]
    pane_start_ms: npt.NDArray[np.int64]
    known_from_ms: npt.NDArray[np.int64]
    history: npt.NDArray[np.bool_]
    values: Mapping[str, npt.NDArray[np.int64]]
    worker_starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pane_start_ms)

    def __getitem__(self, name: str) -> npt.NDArray[np.int64]:
        return self.values[name]

    @cached_property
    def in_time(self) -> Panes:
        """Those that were known as soon as they were over."""
        return self._where(self.known_from_ms == self.pane_start_ms + PANE_MS)

    @cached_property
    def of_history(self) -> Panes:
        """Those that may build a baseline or a pattern of shifts."""
        return self._where(self.history)

    def of_workers(self, workers: npt.NDArray[np.integer[Any]]) -> Panes:
        """Those of some riders (codes)."""
        return self._where(np.isin(self.worker, workers))

    def _where(self, kept: npt.NDArray[np.bool_]) -> Panes:
        if kept.all():
            return self
        before = np.concatenate(([0], np.cumsum(kept)))
        columns = {name: column[kept] for name, column in self.values.items()}
        keys = (self.worker[kept], self.pane_start_ms[kept], self.known_from_ms[kept], self.history[kept])
        return Panes(*keys, columns, before[self.worker_starts].astype(np.int64))

    @staticmethod
    def of(
        worker: npt.NDArray[Any],
        pane_start_ms: npt.NDArray[Any],
        known_from_ms: npt.NDArray[Any],
        history: npt.NDArray[Any],
        values: Mapping[str, npt.NDArray[Any]],
        workers: int,
    ) -> Panes:
        """Panes from columns in any order; `workers` is how many the telemetry table codes.

        Raises ValueError where a column of AGGREGATES is absent or one pane occurs twice.
        """
        if missing := [aggregate.name for aggregate in AGGREGATES if aggregate.name not in values]:
            raise ValueError(f"panes without {', '.join(missing)}")
        order = np.lexsort((history, known_from_ms, pane_start_ms, worker))
        keys = (
            worker[order].astype(np.int32),
            pane_start_ms[order].astype(np.int64),
            known_from_ms[order].astype(np.int64),
            history[order].astype(np.bool_),
        )
        if np.any(np.all([key[1:] == key[:-1] for key in keys], axis=0)):
            raise ValueError("a pane occurs twice")
        columns = {aggregate.name: values[aggregate.name][order].astype(np.int64) for aggregate in AGGREGATES}
        worker_starts = np.searchsorted(keys[0], np.arange(workers + 1)).astype(np.int64)
        return Panes(*keys, columns, worker_starts)
