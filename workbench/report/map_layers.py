"""The map of a report: cells of one product, and in steps of time their disruptions, claims and payouts; where the
input is there, stations with their readings, and how many riders reported from each cell."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import h3.api.basic_str as h3
import numpy as np
import polars as pl

from monsoon.transforms.geo.cells import cells_of
from monsoon.workbench.output import Output

MAX_CELLS = 2_500
"""Of a product: with more, larger cells are shown."""
MAX_RIDER_COUNTS = 1_200_000
"""Cells times steps, over all products, for which riders are shown: each is 2 bytes, 2.7 in the page."""
_MAX_STEPS = 150
_STEPS_MIN = (5, 10, 15, 30, 60, 120, 240, 480, 1440, 10_080)
"""What a step of the slider may be, in minutes."""
_MIN_MS = 60_000


class TimeAxis:
    """Steps of time, from a moment on; what happens in a step is seen at its end."""

    def __init__(self, moments_ms: Sequence[int]) -> None:
        first, last = (min(moments_ms), max(moments_ms)) if moments_ms else (0, 0)
        span_min = (last - first) / _MIN_MS
        self.step_ms = next((s for s in _STEPS_MIN if span_min / s <= _MAX_STEPS), _STEPS_MIN[-1]) * _MIN_MS
        self.from_ms = first // self.step_ms * self.step_ms
        self.count = self.step(last) + 1

    def step(self, at_ms: int) -> int:
        """The first step at whose end a moment has come."""
        return -(-(at_ms - self.from_ms) // self.step_ms)


def maps_of(
    output: Output,
    levels: Mapping[str, Sequence[str]],
    readings: Iterable[Mapping[str, Any]],
    telemetry: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """The time axis, a map by product, and stations with their readings.

    Args:
        levels: by product what a disruption may be, `trigger` or `trigger level`, the mildest first.
        readings: valid oracle readings; those with a point of their own are shown.
        telemetry: valid reports: worker_id, event_time (ms), lat, lon. None: riders are not shown.

    Raises InputError where the output cannot be read.
    """
    columns = ["disruption_id", "product", "trigger", "level", "zone", "state", "revised_at", "revision"]
    disruptions = output.polars("disruptions", columns).sort("disruption_id", "revision")
    claims = output.polars("claims", ["claim_id", "revision", "product", "zone", "decided_at"]).sort(
        "claim_id", "revision"
    )
    opened = claims.unique("claim_id", keep="first", maintain_order=True)
    payouts = output.polars("payouts", ["claim_id", "amount_paise", "created_at"]).join(
        opened.select("claim_id", "product", "zone"), on="claim_id"
    )
    moments = [
        *disruptions["revised_at"].dt.epoch("ms"),
        *opened["decided_at"].dt.epoch("ms"),
        *payouts["created_at"].dt.epoch("ms"),
    ]
    axis = TimeAxis(moments)
    rings = output.polars("ring_alerts", ["ring_id", "state", "product", "event_time", "claim_ids"])
    rings = rings.filter(pl.col("state") == "raised").sort("event_time").unique("ring_id", keep="last")
    products = sorted({*disruptions["product"], *opened["product"]})
    maps = {
        name: _map_of(
            axis,
            list(levels.get(name, ())),
            *(table.filter(pl.col("product") == name) for table in (disruptions, opened, payouts, rings)),
        )
        for name in products
    }
    if telemetry is not None and axis.count * sum(len(each["cells"]) for each in maps.values()) <= MAX_RIDER_COUNTS:
        for each in maps.values():
            each["riders"] = riders_in_cells(axis, [cell["name"] for cell in each["cells"]], telemetry)
    return {
        "from_ms": axis.from_ms,
        "step_ms": axis.step_ms,
        "steps": axis.count,
        "products": maps,
        **_stations(axis, readings),
    }


def riders_in_cells(axis: TimeAxis, cells: Sequence[str], telemetry: pl.DataFrame) -> str:
    """How many riders reported from each cell in each step, as base64 of 16-bit numbers, low byte first: all cells of
    the first step, and so on. 65,535 stands for that many or more.

    `cells` are of one resolution; `telemetry`: worker_id, event_time (ms), lat, lon (degrees).
    """
    counts = np.zeros((axis.count, len(cells)), dtype="<u2")
    if cells:
        codes = np.array([int(cell, 16) for cell in cells], dtype=np.uint64)
        resolution = h3.get_resolution(cells[0])
        place = pl.DataFrame({"cell": codes, "place": np.arange(len(cells))})
        seen = telemetry.select(
            "worker_id",
            step=-(-(pl.col("event_time") - axis.from_ms) // axis.step_ms),
            cell=pl.Series(cells_of(telemetry["lat"].to_numpy(), telemetry["lon"].to_numpy(), resolution)),
        )
        seen = seen.filter(pl.col("step").is_between(0, axis.count - 1)).join(place, on="cell")
        found = seen.group_by("step", "place").agg(pl.col("worker_id").n_unique())
        counts[found["step"], found["place"]] = found["worker_id"].clip(upper_bound=0xFFFF)
    return base64.b64encode(counts.tobytes()).decode()


def _map_of(
    axis: TimeAxis,
    levels: list[str],
    disruptions: pl.DataFrame,
    opened: pl.DataFrame,
    payouts: pl.DataFrame,
    rings: pl.DataFrame,
) -> dict[str, Any]:
    zones = sorted({*disruptions["zone"], *opened["zone"]})
    cell_of = _cells(zones)
    cells = sorted(set(cell_of.values()))
    numbers = {cell: number for number, cell in enumerate(cells)}
    place = {zone: numbers[cell] for zone, cell in cell_of.items()}
    zone_of = dict(opened.select("claim_id", "zone").iter_rows())
    return {
        "levels": levels,
        "cells": [
            {"name": cell, "ring": [[round(x, 5) for x in point] for point in h3.cell_to_boundary(cell)]}
            for cell in cells
        ],
        "centers": [[round(x, 5) for x in h3.cell_to_latlng(cell)] for cell in cells],
        "rings": {
            ring_id: [place[zone_of[claim]] for claim in claims if claim in zone_of]
            for ring_id, claims in rings.sort("ring_id").select("ring_id", "claim_ids").iter_rows()
        },
        "changes": _changes(axis, levels, disruptions, place),
        "claims": _counted(axis, place, opened.select("zone", "decided_at", pl.lit(1)).iter_rows()),
        "paid": _counted(axis, place, payouts.select("zone", "created_at", "amount_paise").iter_rows()),
    }


def _cells(zones: Sequence[str]) -> dict[str, str]:
    """The cell in which each zone is shown: itself, or a parent where there would be too many."""
    shown = {zone: zone for zone in zones}
    while len(set(shown.values())) > MAX_CELLS:
        shown = {zone: h3.cell_to_parent(cell, h3.get_resolution(cell) - 1) for zone, cell in shown.items()}
    return shown


def _changes(
    axis: TimeAxis, levels: list[str], disruptions: pl.DataFrame, place: Mapping[str, int]
) -> list[tuple[int, int, int, int]]:
    """(step, cell, level, by how many more zones of the cell it holds), in the order of time. A level that is not
    listed is appended to `levels`."""
    changes: Counter[tuple[int, int, int]] = Counter()
    now: dict[str, int] = {}
    for row in disruptions.iter_rows(named=True):
        name = " ".join(filter(None, (row["trigger"], row["level"])))
        if name not in levels:
            levels.append(name)
        step, cell = axis.step(round(row["revised_at"].timestamp() * 1000)), place[row["zone"]]
        if (before := now.pop(row["disruption_id"], None)) is not None:
            changes[step, cell, before] -= 1
        if row["state"] == "confirmed":
            now[row["disruption_id"]] = levels.index(name)
            changes[step, cell, levels.index(name)] += 1
    return sorted((*key, by) for key, by in changes.items() if by)


def _counted(
    axis: TimeAxis, place: Mapping[str, int], rows: Iterable[tuple[Any, ...]]
) -> list[tuple[int, int, int, int]]:
    """(step, cell, records, sum of their amounts), in the order of time."""
    records: Counter[tuple[int, int]] = Counter()
    amounts: Counter[tuple[int, int]] = Counter()
    for zone, moment, amount in rows:
        key = axis.step(round(moment.timestamp() * 1000)), place[zone]
        records[key] += 1
        amounts[key] += amount
    return sorted((*key, count, amounts[key]) for key, count in records.items())


def _stations(axis: TimeAxis, readings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Places with readings of their own: latitude, longitude, the largest radius in km that a reading there speaks for
    (0: none said); and by metric what each provider's last reading there is at a step."""
    places: dict[tuple[float, float], int] = {}
    radii_km: dict[int, float] = defaultdict(float)
    last: dict[str, dict[tuple[int, int, str], float]] = defaultdict(dict)
    for reading in sorted(readings, key=lambda each: (each["event_time"], each["reading_id"], each["revision"])):
        if reading.get("lat") is None or reading.get("lon") is None:
            continue
        station = places.setdefault((reading["lat"], reading["lon"]), len(places))
        radii_km[station] = max(radii_km[station], reading.get("radius_km") or 0)
        step = max(0, axis.step(reading["event_time"]))
        if step < axis.count:
            last[reading["metric"]][step, station, reading["provider"]] = reading["value"]
    return {
        "stations": [[*place, radii_km[station]] for place, station in places.items()],
        "readings": {
            metric: sorted((*key, value) for key, value in of_metric.items())
            for metric, of_metric in sorted(last.items())
        },
    }
