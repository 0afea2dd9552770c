"""All features of many claims at once.

Interpretations of the specification: docs/interpretations.md#evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence import activity, batch, device, gnss, motion, policy, surroundings
from monsoon.transforms.evidence.anchor import anchored
from monsoon.transforms.evidence.baselines import BatteryBaseline, SignalBaseline
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.limits import ACTIVITY_MS
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.evidence.ragged import Ints
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries, Window
from monsoon.transforms.evidence.zones import ZoneShapes
from monsoon.transforms.panes import Panes
from monsoon.transforms.telemetry_table import TelemetryTable

_BLOCK_ROWS = 250_000
"""Rows processed together: some tens of MB, whatever the number of queries."""

NEIGHBOR_FEATURES = ("barometric_delta_match", "claim_burst_rank", "peer_divergence", "riders_on_device_28d")
"""What compares a rider with others: with those nearby, with the claims of the same disruption, with who else used the
phone."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """One element per query: `values` float64 by feature name, NaN = not measured, and `reports` int32, how many
    reports each value rests on (0 where there is none). Features of the policy rest on no report."""

    values: Mapping[str, npt.NDArray[np.float64]]
    reports: Mapping[str, npt.NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class OwnEvidence:
    """Features from the riders' own reports: all but those of NEIGHBOR_FEATURES, and what the comparisons with others
    need of each query."""

    evidence: Evidence
    queries: Queries
    """With the windows that the features are of."""
    arrivals: batch.Arrivals
    work: batch.HourlyOrders
    device: Ints
    """The phone of the window's last report, as the telemetry table codes it; -1 for none."""


def measure(
    telemetry: TelemetryTable,
    panes: Panes,
    references: References,
    queries: Queries,
    riders_on: Callable[[Ints, Ints], device.Measured] | None = None,
) -> Evidence:
    """Every feature of FEATURE_NAMES for every query, from the reports of all riders.

    Apart from claim_burst_rank and peer_divergence, which compare the claims of a batch, a query's values depend
    on the query alone, to the bit. Nothing later than its decided_at_ms, or received later, is used, but for the
    anchor (`anchor.py`). `riders_on` gives the riders of phones in the place of a count of the panes. Raises ValueError
    for a zone of another resolution than the queries'.
    """
    cells = PaneCells.of(panes, queries.resolution)
    own = measure_own(telemetry, panes, cells, references, queries)
    known = panes.in_time
    there = cells if known is panes else PaneCells.of(known, queries.resolution)
    pressure = surroundings.PressureSteps.of(known, there)
    dwells = batch.DwellIntervals.of(known, there, queries.resolution)
    with np.errstate(over="ignore", invalid="ignore"):
        match = pressure.barometric_delta_match(own.queries)
        burst = batch.claim_burst_rank(queries, own.arrivals, dwells)
        divergence = batch.peer_divergence(queries, own.work)
    riders = (riders_on or DeviceDays.of(panes).riders)(own.device, queries.decided_at_ms)
    found = (match, burst, divergence, riders)
    return with_neighbor_features(own.evidence, dict(zip(NEIGHBOR_FEATURES, found, strict=True)))


def with_neighbor_features(own: Evidence, measured: Mapping[str, device.Measured]) -> Evidence:
    """The evidence with features measured against other riders put in; what is not finite is not measured."""
    values, reports = dict(own.values), dict(own.reports)
    for name, (found, counts) in measured.items():
        good = np.isfinite(found)
        values[name] = np.where(good, found, np.nan)
        reports[name] = np.where(good, counts, 0).astype(np.int32)
    return Evidence(values, reports)


def measure_own(
    telemetry: TelemetryTable, panes: Panes, cells: PaneCells, references: References, queries: Queries
) -> OwnEvidence:
    """All features but those of NEIGHBOR_FEATURES; the telemetry table and panes of the queries' riders suffice.

    Raises ValueError for a zone of another resolution than the queries'.
    """
    queries = anchored(telemetry, queries)
    zones = ZoneShapes.of(queries.zone, queries.resolution)
    known = {name: np.full(len(queries), np.nan) for name in FEATURE_NAMES}
    reports = {name: np.zeros(len(queries), dtype=np.int64) for name in FEATURE_NAMES}
    signal, battery = SignalBaseline.of(telemetry, panes), BatteryBaseline.of(telemetry, panes)
    habits = activity.ShiftHistory.of(panes, cells, queries.resolution)

    work: list[batch.HourlyOrders] = []
    devices: list[Ints] = [np.empty(0, dtype=np.int64)]

    def put(name: str, measured: device.Measured, where: slice = slice(None)) -> None:
        values, counts = measured
        good = np.isfinite(values)
        known[name][where] = np.where(good, values, np.nan)
        reports[name][where] = np.where(good, counts, 0)

    # A hostile report may hold any double; what overflows is not measured.
    with np.errstate(over="ignore", invalid="ignore"):
        for block in _blocks(telemetry, queries):
            these, here = queries.take(block), zones.take(block)
            window = Window.of_queries(telemetry, these)
            speed = motion.speeds_mps(window)
            put("mock_location_share", device.mock_location_share(window), block)
            put("mock_setting_share", device.mock_setting_share(window), block)
            put("accelerometer_variance", device.accelerometer_variance(window), block)
            put("gnss_cn0_agc_anomaly", gnss.gnss_cn0_agc_anomaly(window, these, signal), block)
            put("gnss_network_time_delta_s", gnss.gnss_network_time_delta_s(window, these), block)
            put("bssid_zone_match", surroundings.bssid_zone_match(window, here, references), block)
            put("bssid_fix_match", surroundings.bssid_fix_match(window, references), block)
            put("cell_tower_zone_match", surroundings.cell_tower_zone_match(window, references), block)
            put("battery_drain_z", device.battery_drain_z(window, these, battery), block)
            put("speed_variance_30min", motion.speed_variance_30min(window, speed), block)
            put("speed_cv", motion.speed_cv(window), block)
            put("route_linearity", motion.route_linearity(window), block)
            put("still_while_moving", motion.still_while_moving(window), block)
            largest, second = motion.max_implied_speed_mps(window)
            put("max_implied_speed_mps", largest, block)
            put("second_implied_speed_mps", second, block)
            put("fast_excursions", motion.fast_excursions(window), block)
            put("gps_jitter_m", motion.gps_jitter_m(window, speed), block)
            put("recent_activity_in_zone", activity.recent_activity_in_zone(telemetry, these, here), block)
            put("app_activity", activity.app_activity(window), block)
            put("shift_pattern", habits.shift_pattern(these), block)
            devices.append(window.last_device)
            work.append(batch.HourlyOrders.of(telemetry, these))
        arrivals = batch.Arrivals.of(telemetry, queries, zones)
        put("subscription_alert_gap_s", policy.subscription_alert_gap_s(queries))
        put("stated_wage_ratio", policy.stated_wage_ratio(queries))
        put("claims_7d", policy.claims_7d(queries))
        put("account_age_d", policy.account_age_d(queries))
    evidence = Evidence(known, {name: counts.astype(np.int32) for name, counts in reports.items()})
    return OwnEvidence(evidence, queries, arrivals, batch.HourlyOrders.join(work), np.concatenate(devices))


def _blocks(telemetry: TelemetryTable, queries: Queries) -> Iterator[slice]:
    """Runs of queries whose windows hold some _BLOCK_ROWS rows together, at least one query each."""
    lo, hi = telemetry.rows_between(queries.worker, queries.window_end_ms - ACTIVITY_MS, queries.window_end_ms)
    # An empty window costs something too.
    total = np.cumsum(hi - lo + 1)
    first = 0
    while first < len(queries):
        before = total[first - 1] if first else 0
        stop = max(first + 1, int(np.searchsorted(total, before + _BLOCK_ROWS, side="right")))
        yield slice(first, stop)
        first = stop
