"""Builders of small trails and queries around one zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import pytest

from monsoon.transforms.evidence.measure import Evidence, measure
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.geo.sphere import EARTH_RADIUS_M
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.telemetry_table import TelemetryTable

NOW_MS = 1_719_570_000_000  # 2024-06-28 15:50 in Kolkata, a whole pane
ZONE = h3.latlng_to_cell(28.6, 77.2, 9)
CENTER = h3.cell_to_latlng(ZONE)
STEP_MS = 15_000


def north(meters: float, lat: float = CENTER[0]) -> float:
    """The latitude so many meters north."""
    return lat + float(np.degrees(meters / EARTH_RADIUS_M))


def reports(
    worker: str, count: int, *, end_ms: int = NOW_MS, step_ms: int = STEP_MS, **columns: Any
) -> list[dict[str, Any]]:
    """`count` reports up to `end_ms`; a column's value is one for all or a list of one per report."""
    columns = {"lat": CENTER[0], "lon": CENTER[1], **columns}
    rows = []
    for index in range(count):
        row = {"worker": worker, "event_time_ms": end_ms - (count - 1 - index) * step_ms}
        row |= {name: _one(name, value, index, count) for name, value in columns.items()}
        rows.append(row)
    return rows


def _one(name: str, value: Any, index: int, count: int) -> Any:
    if isinstance(value, list) and (name != "bssids" or (value and isinstance(value[0], list))):
        assert len(value) == count
        return value[index]
    return value


def telemetry_table_of(rows: Sequence[dict[str, Any]]) -> TelemetryTable:
    names = sorted({name for row in rows for name in row} | {"worker", "event_time_ms", "lat", "lon"})
    return TelemetryTable.from_columns(**{name: [row.get(name) for row in rows] for name in names})


def evidence_of(
    rows: Sequence[dict[str, Any]],
    workers: Sequence[str] = ("w",),
    references: References | None = None,
    zone: int = ZONE,
    confirmed_at_ms: int | Sequence[int] = NOW_MS,
    **columns: Any,
) -> Evidence:
    """Evidence of one query per worker; a worker without reports has no code."""
    telemetry = telemetry_table_of(rows)
    codes = [telemetry.workers.index(worker) if worker in telemetry.workers else -1 for worker in workers]
    confirmed = np.broadcast_to(confirmed_at_ms, len(codes))
    queries = Queries.of(h3.get_resolution(zone), codes, [zone] * len(codes), confirmed, **columns)
    return measure(telemetry, panes_of(telemetry), references or References.none(telemetry), queries)


@pytest.fixture
def one():
    """The value and count of one feature for the single query of worker w."""

    def of(rows: Sequence[dict[str, Any]], feature: str, **options: Any) -> tuple[float, int]:
        evidence = evidence_of(rows, **options)
        return float(evidence.values[feature][0]), int(evidence.reports[feature][0])

    return of
