"""Versions of riders' features at the watermark, from their bucket's panes; and the panes of which those of phones,
zones and neighborhoods are measured, to `MeasureFeatures`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import polars as pl

from monsoon.feature_store.definitions import FEATURE_SETS, pair_id
from monsoon.feature_store.measured import ZONE_RESOLUTION, device_baselines, rider_shifts
from monsoon.pipelines.operators.measure_features import NEW_PANES, feature_results
from monsoon.pipelines.operators.pane_buffer import PANES_WAIT_MS, PaneBuffer, decoded, to_panes
from monsoon.pipelines.operators.peer_features import PHONES
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.messages import (
    REMOVED_FEATURES,
    Message,
    buckets_of,
    buckets_of_cells,
    messages_by_bucket,
    result,
)
from monsoon.sources.report_batch import concatenated, to_table
from monsoon.transforms.erasure import ErasedWorkers, worker_hash
from monsoon.transforms.evidence.batch import dwell_ages
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.evidence.surroundings import pressure_changes_pa
from monsoon.transforms.panes import PANE_MS


class RiderFeatures:
    """The features of one bucket of riders; does nothing unless the job measures features.

    It has no state of its own: what was emitted is what became known up to the operator's `done_ms`.
    """

    def __init__(self, config: JobConfig, panes: PaneBuffer) -> None:
        self._config, self._panes = config, panes
        self._pending: dict[int, set[str]] = defaultdict(set)
        """Of closed panes that are not known yet: from when on they are (ms), and their riders."""

    @property
    def panes_wait_ms(self) -> int:
        """How long after its start a pane may stay open (ms)."""
        return PANE_MS if self._config.features else PANES_WAIT_MS

    @property
    def next_ms(self) -> int | None:
        """When the next of the closed panes is known (ms)."""
        return min(self._pending, default=None)

    def add(self, frame: pl.DataFrame, from_ms: int, done_ms: int, upto_ms: int) -> Iterator[Message]:
        """Takes the panes that start at `from_ms` or later, which were just closed; `frame` also has those before them
        that a change of pressure and a stay look back on. Panes that were known by `done_ms`, of reports behind the
        watermark, have no version of their own."""
        if not self._config.features:
            return
        # Codes of their own: no telemetry table is needed.
        workers = sorted(set(frame["worker_id"].to_list()))
        panes = to_panes(frame, workers, ()).in_time
        cells = PaneCells.of(panes, ZONE_RESOLUTION)
        new = np.flatnonzero((panes.pane_start_ms >= from_ms) & (panes.known_from_ms > done_ms))
        columns = {
            "worker_id": decoded(workers, panes.worker[new]),
            "pane_start_ms": panes.pane_start_ms[new],
            "neighborhood": cells.neighborhood[new],
            "age": dwell_ages(panes, cells)[new],
            "change_pa": pressure_changes_pa(panes)[new],
            "zone": cells.zone[new],
            **{name: panes[name][new] for name in ("orders", "on_trip_reports", "reports")},
        }
        rows, buckets = pl.DataFrame(columns, schema=NEW_PANES), self._config.buckets
        to_cells = buckets_of_cells(cells.neighborhood[new], buckets)
        yield from messages_by_bucket("measure-features", "new-panes", upto_ms, rows, to_cells)
        fresh = frame.filter(pl.col("pane_start_ms") >= from_ms, pl.col("known_from_ms") > done_ms)
        self._await(fresh)
        phones = fresh.filter(pl.col("device_id").is_not_null()).select(*PHONES)
        for (known_ms,), part in phones.group_by("known_from_ms", maintain_order=True):
            due_ms = max(upto_ms, self._config.intervals.end_of(int(known_ms)))
            to_devices = buckets_of(part["device_id"].to_list(), buckets)
            yield from messages_by_bucket("measure-features", "new-phones", due_ms, part, to_devices)

    def versions(self, done_ms: int, upto_ms: int) -> Iterator[Message]:
        """The versions that became known after `done_ms`, up to `upto_ms`."""
        due = [known_ms for known_ms in self._pending if known_ms <= upto_ms]
        if not due:
            return
        workers = set().union(*(self._pending.pop(known_ms) for known_ms in due))
        frame = self._panes.of_workers(workers).filter(pl.col("known_from_ms") <= upto_ms)
        devices = {*frame["device_id"].to_list()} - {None}
        telemetry = to_table(concatenated([])).with_codes_for(frame["worker_id"].to_list(), devices)
        panes = to_panes(frame, telemetry.workers, telemetry.devices)
        yield from feature_results(
            device_baselines(telemetry, panes, done_ms),
            rider_shifts(telemetry, panes, done_ms),
        )

    def removals(self, erased: ErasedWorkers) -> Iterator[Message]:
        """The keys of which versions of erased riders were emitted."""
        if not self._config.features:
            return
        phones = self._panes.frame().select("worker_id", "device_id").unique()
        mine = [(worker, device) for worker, device in phones.iter_rows() if worker_hash(worker) in erased.before_ms]
        ids = {
            "rider": {worker for worker, _ in mine},
            "rider_device": {pair_id(worker, device) for worker, device in mine if device is not None},
        }
        keys = [
            f"{about.name}/{about.version}/{entity_id}"
            for about in FEATURE_SETS
            for entity_id in sorted(ids.get(about.entity, ()))
        ]
        if keys:
            yield result(REMOVED_FEATURES, keys)

    def restore(self, done_ms: int) -> None:
        """Restores from the panes, which are restored already."""
        if self._config.features:
            self._await(self._panes.frame().filter(pl.col("known_from_ms") > done_ms))

    def _await(self, panes: pl.DataFrame) -> None:
        for known_ms, worker in panes.select("known_from_ms", "worker_id").unique().iter_rows():
            self._pending[known_ms].add(worker)
