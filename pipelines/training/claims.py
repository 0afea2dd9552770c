"""Claims for training and evaluation: simulated riders asked, at many moments of a storm, for their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import polars as pl

from monsoon.feature_store.offline import OfflineStore
from monsoon.pipelines.training.stored_features import stored_riders
from monsoon.sources.accounting import StreamCounts
from monsoon.sources.line_blocks import ValidatedBlock
from monsoon.sources.reference import ACCESS_POINTS_FILE, TOWERS_FILE, ReferenceTables, read_references
from monsoon.sources.scenarios import LabeledScenario, build_labeled_scenario
from monsoon.sources.simulator import Storm
from monsoon.sources.simulator.frames import Scenario, build_scenario
from monsoon.sources.telemetry_columns import compact, parse_schema
from monsoon.sources.telemetry_store import TelemetryStore
from monsoon.sources.telemetry_table import to_telemetry_table
from monsoon.transforms.evidence.measure import measure
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.guard.signals import signals_of
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.validation.fields import stream_fields

Generator = Literal["rides", "scenarios"]
"""Of simulated riders: `sources/simulator/`, `sources/scenarios/`."""

_MINUTE_MS = 60_000
PRESENT_MS = 90 * _MINUTE_MS
"""How old the report may be that says where a rider is (products.md, Presence)."""
FIRST_CLAIM_MS = 75 * _MINUTE_MS
"""Before that, hardly a shift has reports enough to say anything."""
HOLD_MS = 120 * _MINUTE_MS
RESCORED_SHARE = 0.2
"""Share of claims that are judged again HOLD_MS later, with what came since: kawaach's soft hold."""
PRETENDING_MS = 10 * _MINUTE_MS
"""An attacker's claim counts as one from this long after the lie began."""
RIDERS_AT_ONCE = 1_280
"""Riders whose telemetry is in memory together: ten of the simulator's blocks, some 2M rows."""


@dataclass(frozen=True)
class Claims:
    """One element a claim: `columns` float64 by feature; `kinds`, `tiers` and `workers` text; `signals` int8 by signal
    of the guard, without rings and payout accounts, which are of several riders."""

    columns: Mapping[str, np.ndarray]
    kinds: np.ndarray
    tiers: np.ndarray
    workers: np.ndarray
    signals: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.kinds)

    @staticmethod
    def joined(parts: list[Claims]) -> Claims:
        """The claims of all parts, in their order."""
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
        signals = {name: np.concatenate([part.signals[name] for part in parts]) for name in parts[0].signals}
        kinds, tiers, workers = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("kinds", "tiers", "workers")
        )
        return Claims(columns, kinds, tiers, workers, signals)

    def of(self, which: np.ndarray) -> Claims:
        """Some of them: bool (n,)."""
        columns, signals = (
            {name: values[which] for name, values in table.items()} for table in (self.columns, self.signals)
        )
        return Claims(columns, self.kinds[which], self.tiers[which], self.workers[which], signals)

    def rows(self, features: tuple[str, ...]) -> np.ndarray:
        """float64 (n, features)."""
        return np.column_stack([self.columns[name] for name in features])


def simulated_claims(
    storm: Storm,
    riders: int,
    moments: int,
    seed: int,
    *,
    attackers: float,
    generator: Generator = "rides",
    resolution: int = 9,
) -> Claims:
    """Claims of `riders` simulated riders, at `moments` moments each, those of one zone and moment a batch.

    A rider claims where the last report of the 90 min up to the moment lies; who has none does not claim.
    """
    scenario = simulation(storm, riders, seed, attackers=attackers, generator=generator)
    tables = reference_tables(scenario)
    rng = np.random.default_rng((seed, 0x636C61696D))
    terms = storm.modeled.riders
    begin_ms, end_ms = storm.time_ms(terms.start) + FIRST_CLAIM_MS, storm.time_ms(terms.end)
    moments_ms = np.sort(rng.integers(begin_ms, end_ms, moments))
    parts, step = [], RIDERS_AT_ONCE // 128
    for first in range(0, scenario.blocks, step):
        telemetry = simulated_telemetry(scenario, first, first + step)
        parts.append(_claims(telemetry, tables, scenario.labels, moments_ms, resolution, rng))
    return Claims.joined(parts)


def simulation(
    storm: Storm, riders: int, seed: int, *, attackers: float, generator: Generator
) -> Scenario | LabeledScenario:
    """The storm by one of the generators, in memory."""
    build = build_scenario if generator == "rides" else build_labeled_scenario
    return build(storm, riders, seed, attackers=attackers)


def reference_tables(scenario: Scenario | LabeledScenario) -> ReferenceTables:
    """The scenario's references, by way of the files that a replay would read."""
    with TemporaryDirectory() as folder:
        scenario.cell_towers.write_csv(Path(folder) / TOWERS_FILE)
        scenario.access_points.write_csv(Path(folder) / ACCESS_POINTS_FILE)
        return read_references(Path(folder))


def simulated_telemetry(scenario: Scenario | LabeledScenario, first: int, last: int) -> TelemetryTable:
    """The reports of the scenario's blocks `first` to `last` (exclusive)."""
    fields = stream_fields("telemetry")
    schema = parse_schema(fields)
    store = TelemetryStore(StreamCounts())
    for frame in scenario.telemetry(first, last):
        # What a scenario does not simulate, nobody stated.
        unstated = [name for name in schema if name not in frame.columns]
        frame = frame.with_columns(pl.lit(None, dtype=schema[name]).alias(name) for name in unstated)
        store.add(ValidatedBlock(read=frame.height, frames=[compact(frame, fields)]))
    return to_telemetry_table(store.finish())


def _claims(
    telemetry: TelemetryTable,
    tables: ReferenceTables,
    labels: pl.DataFrame,
    moments_ms: np.ndarray,
    resolution: int,
    rng: np.random.Generator,
) -> Claims:
    worker, at_ms = (axis.ravel() for axis in np.meshgrid(np.arange(len(telemetry.workers)), moments_ms, indexing="ij"))
    last = telemetry.last_at_or_before(worker, at_ms)
    truth = _truth(telemetry, labels)
    present = (last >= 0) & (at_ms - telemetry.event_time_ms[last] <= PRESENT_MS)
    # Until it pretends, an attacker's phone is neither an honest claimant nor an attack.
    present &= ~truth["attacker"][worker] | (at_ms >= truth["attack_ms"][worker] + PRETENDING_MS)
    worker, at_ms, last = worker[present], at_ms[present], last[present]
    zone = cells_of(telemetry.lat[last], telemetry.lon[last], resolution)
    _, batch = np.unique(np.stack([zone.astype(np.int64), at_ms]), axis=1, return_inverse=True)
    rescored = rng.random(len(worker)) < RESCORED_SHARE
    queries = Queries.of(
        resolution=resolution,
        worker=worker,
        zone=zone,
        confirmed_at_ms=at_ms,
        decided_at_ms=at_ms + np.where(rescored, HOLD_MS, 0),
        batch=batch.reshape(-1),
    )
    panes = panes_of(telemetry)
    with TemporaryDirectory() as folder:
        riders = stored_riders(OfflineStore(Path(folder)), telemetry, panes)
        evidence = measure(telemetry, panes, tables.locate(telemetry), queries, riders)
    unknown = np.full(len(worker), np.nan)
    signals = signals_of(evidence, unknown, unknown)
    return Claims(
        dict(evidence.values),
        truth["kind"][worker],
        truth["tier"][worker],
        np.array(telemetry.workers)[worker],
        {name: signal.status for name, signal in signals.items()},
    )


def _truth(telemetry: TelemetryTable, labels: pl.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """The labels of the trail's workers, in the order of their codes."""
    workers = pl.DataFrame({"worker_id": list(telemetry.workers)}, schema={"worker_id": pl.String})
    table = workers.join(labels, on="worker_id", how="left", maintain_order="left")
    kind = table["kind"].to_numpy().astype(np.str_)
    return {
        "kind": kind,
        "tier": table["device_tier"].to_numpy().astype(np.str_),
        "attacker": kind != "honest",
        "attack_ms": table["attack_ms"].fill_null(0).to_numpy(),
    }
