"""Versions of the features of phones, by bucket of phone, and of zones and neighborhoods, by bucket of neighborhood:
each when it becomes known, at the watermark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import polars as pl

from monsoon.feature_store.measured import (
    ZONE_RESOLUTION,
    activity_of_zones,
    arrivals_of_neighborhoods,
    pressure_of_neighborhoods,
    riders_of_devices,
)
from monsoon.feature_store.versions import FeatureVersions
from monsoon.pipelines.operators.neighbor_panes import PANES, NeighborPanes
from monsoon.pipelines.operators.peer_features import PHONES, PhoneBuffer
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, pack_frame, result, unpack, unpack_frame
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS
from monsoon.transforms.evidence.devices import DeviceDays, local_day_number
from monsoon.transforms.panes import PANE_MS

NEW_PANES: dict[str, Any] = {
    **PANES,
    "zone": pl.UInt64,
    "orders": pl.Int64,
    "on_trip_reports": pl.Int64,
    "reports": pl.Int64,
}
"""A pane that was known as soon as it was over, with what features of zones and neighborhoods need."""

_DEFERRED = ("new-panes", "new-phones")
_BEFORE_MS = -1
"""Before any moment at which something becomes known."""


class MeasureFeatures(KeyedOperator):
    """All panes of some neighborhoods; all riders of some phones."""

    uid: ClassVar = "measure-features"
    label: ClassVar = "panes by neighborhood and phone"
    to: ClassVar = (RESULTS,)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._panes = NeighborPanes(state, "features", self._new_entry)
        self._phones = PhoneBuffer(state, "phones", "pane_start_ms", self._new_entry, schema=PHONES)
        self._newest_ms: dict[str, int] = {}
        """By phone, the start of its newest pane that is known."""

    def process(self, message: Message) -> None:
        self._defer(message.kind, message, (message.kind, unpack_frame(message.payload)))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        due = self._drop_due(upto_ms)
        panes, phones = ([frame for kind, frame in due if kind == wanted] for wanted in _DEFERRED)
        if panes:
            yield from feature_results(*self._of_cells(pl.concat(panes)))
        if phones:
            yield from feature_results(self._of_phones(pl.concat(phones)))

    def _of_cells(self, new: pl.DataFrame) -> Iterator[FeatureVersions]:
        kept = new.select(*PANES)
        self._panes.put(kept, pack_frame(kept))
        start_ms, neighborhood = new["pane_start_ms"].to_numpy(), new["neighborhood"].to_numpy()
        work = (new[name].to_numpy() for name in ("orders", "on_trip_reports", "reports"))
        yield activity_of_zones(new["zone"].to_numpy(), start_ms, *work)
        yield pressure_of_neighborhoods(neighborhood, start_ms, new["change_pa"].to_numpy())
        ends_ms = np.unique(start_ms) + PANE_MS
        dwells = self._panes.dwells(np.unique(neighborhood), ends_ms, ZONE_RESOLUTION)
        yield arrivals_of_neighborhoods(neighborhood, start_ms, dwells)

    def _of_phones(self, new: pl.DataFrame) -> FeatureVersions:
        known = self._phones.of_devices(new["device_id"])
        day = ["device_id", "worker_id", "_day"]
        first = _with_day(new).sort("known_from_ms", "pane_start_ms").unique(day, keep="first", maintain_order=True)
        first = first.join(_with_day(known), on=day, how="anti").select(*PHONES)
        if first.height:
            self._phones.put(first)
        every = pl.concat([known, first])
        devices = sorted(set(every["device_id"].to_list()))
        code_of = {device: code for code, device in enumerate(devices)}
        workers = every["worker_id"].rank("dense").cast(pl.Int64).to_numpy()
        times = (every[name].to_numpy() for name in ("pane_start_ms", "known_from_ms"))
        days = DeviceDays.of_panes([code_of[each] for each in every["device_id"].to_list()], workers, *times)
        # The newest pane of before makes no version of its own, but may be the newest still.
        mine = new["device_id"].unique().sort().to_list()
        before = {device: self._newest_ms[device] for device in mine if device in self._newest_ms}
        versions = riders_of_devices(
            devices,
            np.array([code_of[each] for each in [*before, *new["device_id"].to_list()]], dtype=np.int64),
            np.array([*before.values(), *new["pane_start_ms"].to_list()], dtype=np.int64),
            np.array([*(_BEFORE_MS for _ in before), *new["known_from_ms"].to_list()], dtype=np.int64),
            days,
            _BEFORE_MS,
        )
        for device, start_ms in new.select("device_id", "pane_start_ms").iter_rows():
            self._newest_ms[device] = max(start_ms, self._newest_ms.get(device, start_ms))
        self.state.put_packed("newest", self._newest_ms)
        return versions

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._panes or self._phones or self._newest_ms)

    def expire(self, upto_ms: int) -> None:
        before_ms = upto_ms - self._config.history_kept_ms - self._config.reports_kept_ms
        self._panes.expire(before_ms)
        self._panes.compact(upto_ms)
        # The local days of four weeks may begin a day before these do.
        self._phones.expire(before_ms - DAY_MS)
        self._phones.compact(upto_ms)
        kept = {device: start_ms for device, start_ms in self._newest_ms.items() if start_ms >= before_ms}
        if len(kept) < len(self._newest_ms):
            self._newest_ms = kept
            if kept:
                self.state.put_packed("newest", kept)
            else:
                self.state.drop("newest")

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._panes.restore(entries)
        self._phones.restore(entries)
        if "newest" in entries:
            self._newest_ms = unpack(entries["newest"], dict[str, int])
        for kind in _DEFERRED:
            for name, payload in entries_of(entries, kind):
                self._restore_deferred(name, (kind, unpack_frame(payload)))


def feature_results(*versions: FeatureVersions) -> Iterator[Message]:
    """Versions as results of the stream `features`."""
    for each in versions:
        if len(each):
            yield result("features", list(each.records()))


def _with_day(phones: pl.DataFrame) -> pl.DataFrame:
    return phones.with_columns(_day=local_day_number(phones["pane_start_ms"].to_numpy()))
