"""What was known of riders, phones, zones and neighborhoods as a table of telemetry came in, version by version.

A version is of the end of the newest 5-min pane of its entity, and is received when a pane of it becomes known: when it
is over, or when the reports that were late have come. Its values are what the functions of `transforms.evidence` give
for a decision at that time, of an anchor at its event time: baselines end 30 min before it, as those of a claim do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.feature_store.definitions import feature_set, pair_id
from monsoon.feature_store.versions import FeatureVersions
from monsoon.transforms.evidence.activity import ShiftHistory
from monsoon.transforms.evidence.baselines import BatteryBaseline, SignalBaseline
from monsoon.transforms.evidence.batch import DwellIntervals
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.limits import MIN_OTHERS_PRESSURE, NEIGHBORHOOD_RESOLUTION, WINDOW_MS
from monsoon.transforms.evidence.neighborhoods import Cells, PaneCells
from monsoon.transforms.evidence.ragged import Bools, Floats, Ints, ratio, segment_medians
from monsoon.transforms.evidence.surroundings import pressure_changes_pa
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.panes import NULL, PANE_MS, Panes
from monsoon.transforms.telemetry_table import TelemetryTable

ZONE_RESOLUTION = 9


def measured_versions(telemetry: TelemetryTable, panes: Panes, after_ms: int = -1) -> Iterator[FeatureVersions]:
    """The versions of every set that rests on telemetry, in the order of FEATURE_SETS; of those only what was received
    after a moment (ms), as a job asks at each watermark for what is new since the last."""
    if not len(panes):
        return
    yield device_baselines(telemetry, panes, after_ms)
    yield device_riders(telemetry, panes, after_ms)
    yield rider_shifts(telemetry, panes, after_ms)
    known = panes.in_time
    cells = PaneCells.of(known, ZONE_RESOLUTION)
    yield zone_activity(known, cells, after_ms)
    yield neighborhood_pressure(known, cells, after_ms)
    yield neighborhood_arrivals(known, cells, after_ms)


def device_baselines(telemetry: TelemetryTable, panes: Panes, after_ms: int = -1) -> FeatureVersions:
    """device_baseline: of each rider with each phone, by `SignalBaseline` and `BatteryBaseline`."""
    about = feature_set("device_baseline")
    history = panes.of_history
    its = np.flatnonzero((history["devices"] == 1) & (history["device"] != NULL))
    times = history.pane_start_ms[its], history.known_from_ms[its]
    moments = _Moments.of((history.worker[its], history["device"][its]), *times, its, after_ms)
    worker, device = moments.keys
    queries = moments.queries(worker, np.zeros(len(worker), dtype=np.uint64))
    reports, agc_db, cn0_dbhz = SignalBaseline.of(telemetry, panes).before(queries, device)
    half_hours, drain, drain_sd = BatteryBaseline.of(telemetry, panes).before(queries, device)
    riders, phones = telemetry.workers, telemetry.devices
    names = [pair_id(riders[who], phones[phone]) for who, phone in zip(worker.tolist(), device.tolist(), strict=True)]
    columns = {
        "agc_mean_db": agc_db,
        "cn0_mean_dbhz": cn0_dbhz,
        "signal_reports": reports,
        "battery_drain_mean_pct_h": drain,
        "battery_drain_sd_pct_h": drain_sd,
        "battery_half_hours": half_hours,
    }
    return FeatureVersions.of(about, names, moments.event_time_ms, moments.received_time_ms, columns)


def device_riders(telemetry: TelemetryTable, panes: Panes, after_ms: int = -1) -> FeatureVersions:
    """device_riders: of each phone, by `DeviceDays`."""
    its = np.flatnonzero(panes["device"] != NULL)
    device, start_ms, known_ms = panes["device"][its], panes.pane_start_ms[its], panes.known_from_ms[its]
    return riders_of_devices(telemetry.devices, device, start_ms, known_ms, DeviceDays.of(panes), after_ms)


def riders_of_devices(
    devices: Sequence[str], device: Ints, pane_start_ms: Ints, known_from_ms: Ints, days: DeviceDays, after_ms: int = -1
) -> FeatureVersions:
    """The same from columns, one element a pane, and from the days on which riders had the phones (codes of
    `devices`)."""
    moments = _Moments.of((device,), pane_start_ms, known_from_ms, np.arange(len(device)), after_ms)
    (device,) = moments.keys
    riders, _ = days.riders(device, moments.received_time_ms)
    return FeatureVersions.of(
        feature_set("device_riders"),
        [devices[code] for code in device.tolist()],
        moments.event_time_ms,
        moments.received_time_ms,
        {"riders_on_device_28d": riders},
    )


def rider_shifts(telemetry: TelemetryTable, panes: Panes, after_ms: int = -1) -> FeatureVersions:
    """rider_shifts: of each rider where the newest pane ends, by `ShiftHistory`."""
    rows = np.arange(len(panes))
    moments = _Moments.of((panes.worker,), panes.pane_start_ms, panes.known_from_ms, rows, after_ms)
    (worker,) = moments.keys
    cells = PaneCells.of(panes, NEIGHBORHOOD_RESOLUTION)
    queries = moments.queries(worker, cells.zone[moments.newest])
    pattern, reports = ShiftHistory.of(panes, cells, NEIGHBORHOOD_RESOLUTION).shift_pattern(queries)
    return FeatureVersions.of(
        feature_set("rider_shifts"),
        [telemetry.workers[code] for code in worker.tolist()],
        moments.event_time_ms,
        moments.received_time_ms,
        {"shift_pattern": pattern, "shift_reports": reports},
    )


def zone_activity(panes: Panes, cells: PaneCells, after_ms: int = -1) -> FeatureVersions:
    """zone_activity: of each zone with a rider, of panes that were known as soon as they were over."""
    versions = activity_of_zones(
        cells.zone, panes.pane_start_ms, panes["orders"], panes["on_trip_reports"], panes["reports"]
    )
    return versions.take(versions.event_time_ms > after_ms)


def activity_of_zones(
    zone: Cells, pane_start_ms: Ints, orders: Ints, on_trip_reports: Ints, reports: Ints
) -> FeatureVersions:
    """The same from columns, one element a pane."""
    zone, end_ms, group = _groups(zone, pane_start_ms)
    count = len(zone)
    columns = {
        "riders": np.bincount(group, minlength=count),
        "orders": _total(orders, group, count),
        "on_trip_share": ratio(_total(on_trip_reports, group, count), _total(reports, group, count)),
    }
    return FeatureVersions.of(feature_set("zone_activity"), _names(zone), end_ms, end_ms, columns)


def neighborhood_pressure(panes: Panes, cells: PaneCells, after_ms: int = -1) -> FeatureVersions:
    """neighborhood_pressure: of each neighborhood with a rider, by `pressure_changes_pa`."""
    versions = pressure_of_neighborhoods(cells.neighborhood, panes.pane_start_ms, pressure_changes_pa(panes))
    return versions.take(versions.event_time_ms > after_ms)


def pressure_of_neighborhoods(neighborhood: Cells, pane_start_ms: Ints, change_pa: Floats) -> FeatureVersions:
    """The same from columns, one element a pane."""
    neighborhood, end_ms, group = _groups(neighborhood, pane_start_ms)
    measured = np.flatnonzero(~np.isnan(change_pa))
    measured = measured[np.argsort(group[measured], kind="stable")]
    riders = np.bincount(group[measured], minlength=len(neighborhood))
    median_pa = segment_medians(change_pa[measured], group[measured], len(neighborhood))
    columns = {
        "pressure_change_pa": np.where(riders >= MIN_OTHERS_PRESSURE, median_pa, np.nan),
        "pressure_riders": riders,
    }
    return FeatureVersions.of(feature_set("neighborhood_pressure"), _names(neighborhood), end_ms, end_ms, columns)


def neighborhood_arrivals(panes: Panes, cells: PaneCells, after_ms: int = -1) -> FeatureVersions:
    """neighborhood_arrivals: of each neighborhood with a rider, by `DwellIntervals`."""
    new = panes.pane_start_ms + PANE_MS > after_ms
    dwells = DwellIntervals.of(panes, cells, ZONE_RESOLUTION)
    return arrivals_of_neighborhoods(cells.neighborhood[new], panes.pane_start_ms[new], dwells)


def arrivals_of_neighborhoods(neighborhood: Cells, pane_start_ms: Ints, dwells: DwellIntervals) -> FeatureVersions:
    """The same of some panes, from the stays in their neighborhoods."""
    neighborhood, end_ms, _ = _groups(neighborhood, pane_start_ms)
    share = [dwells.curve(cell, at_ms)[0] for cell, at_ms in zip(neighborhood, end_ms.tolist(), strict=True)]
    return FeatureVersions.of(
        feature_set("neighborhood_arrivals"), _names(neighborhood), end_ms, end_ms, {"arrival_share": share}
    )


@dataclass(frozen=True, eq=False)
class _Moments:
    """When something became known of entities: one element per entity and moment. `newest` is the pane that ends last
    of those known by then."""

    keys: tuple[Ints, ...]
    event_time_ms: Ints
    received_time_ms: Ints
    newest: Ints

    @staticmethod
    def of(
        keys: Sequence[npt.NDArray[np.integer]], start_ms: Ints, known_ms: Ints, rows: Ints, after_ms: int
    ) -> _Moments:
        """Of panes, each with the codes that identify its entity, its start, from when it is known (ms), and the row
        that `newest` names it by; moments after one (ms)."""
        order = np.lexsort((start_ms, known_ms, *keys[::-1]))
        codes = [key[order].astype(np.int64) for key in keys]
        known_ms, start_ms, rows = known_ms[order], start_ms[order], rows[order]
        new = _changes(codes)
        newest = _newest_so_far(start_ms, new)
        last = np.append(_changes([*codes, known_ms])[1:], True) if len(rows) else new
        last &= known_ms > after_ms
        newest = newest[last]
        return _Moments(tuple(code[last] for code in codes), start_ms[newest] + PANE_MS, known_ms[last], rows[newest])

    def queries(self, worker: Ints, zone: Cells) -> Queries:
        """Each moment as the evidence of a claim whose anchor is at its event time, decided when it was received."""
        return Queries.of(
            NEIGHBORHOOD_RESOLUTION,
            worker,
            zone,
            self.event_time_ms,
            decided_at_ms=self.received_time_ms,
            window_start_ms=self.event_time_ms - WINDOW_MS,
            window_end_ms=self.event_time_ms,
        )


def _changes(columns: Sequence[npt.NDArray[np.integer]]) -> Bools:
    """Where a row differs from the one before in any column; the first does."""
    new = np.ones(len(columns[0]), dtype=np.bool_)
    new[1:] = np.any([np.diff(column) != 0 for column in columns], axis=0)
    return new


def _newest_so_far(start_ms: Ints, new: Bools) -> Ints:
    """For each row the one with the latest start of those since the entity's first, the later one of equals."""
    count = len(start_ms)
    entity = np.cumsum(new)
    # Starts as ranks, so that entity, start and place fit in one integer that rises as the maximum does.
    _, rank = np.unique(start_ms, return_inverse=True)
    span = int(rank.max(initial=0)) + 1
    latest = np.maximum.accumulate((entity * span + rank) * (count + 1) + np.arange(count))
    return latest % (count + 1)


def _groups(cells: Cells, pane_start_ms: Ints) -> tuple[Cells, Ints, Ints]:
    """The cell and the end (ms) of each group of panes of one cell and time, and each pane's group."""
    order = np.lexsort((pane_start_ms, cells))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (cells[order][1:] != cells[order][:-1]) | (np.diff(pane_start_ms[order]) != 0)
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(new) - 1
    first = order[new]
    return cells[first], pane_start_ms[first] + PANE_MS, group


def _total(values: Ints, group: Ints, groups: int) -> Ints:
    total = np.zeros(groups, dtype=np.int64)
    np.add.at(total, group, values)
    return total


def _names(cells: Cells) -> list[str]:
    names = {cell: h3.int_to_str(cell) for cell in np.unique(cells).tolist()}
    return [names[cell] for cell in cells.tolist()]
