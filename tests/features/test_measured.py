"""Versions as measured: nothing that came later is in one, and a baseline is the one that evidence uses."""

from itertools import pairwise
from statistics import fmean

import numpy as np
import polars as pl
import pytest
from evidence.conftest import NOW_MS, ZONE, reports, telemetry_table_of
from features.conftest import DAY_MS, HOUR_MS, MINUTE_MS, history, received_by

from monsoon.feature_store import OfflineStore, feature_set
from monsoon.feature_store.measured import device_baselines, device_riders, measured_versions
from monsoon.transforms.evidence.anchor import anchored
from monsoon.transforms.evidence.baselines import BatteryBaseline, SignalBaseline
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.panes import PANE_MS


def versions_at(telemetry, at_ms):
    """Every version known at a moment, as records."""
    return sorted(
        (record["feature_set"], record["entity_id"], record["received_time"], record["event_time"], str(record))
        for versions in measured_versions(telemetry, panes_of(telemetry))
        for record in versions.records()
        if record["received_time"] <= at_ms
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_was_known_is_known_without_what_came_later(seed):
    """Measured of all that there ever was, versions are those of the telemetry that had been received by then."""
    rows = history(seed, NOW_MS)
    whole = telemetry_table_of(rows)
    for minutes in (-9 * 60, -180, -55, -10, 0, 5, 35, 300, 430):
        at_ms = NOW_MS + minutes * MINUTE_MS
        expected = versions_at(received_by(rows, at_ms), at_ms)
        assert len(expected) > 100
        assert versions_at(whole, at_ms) == expected


def test_what_is_new_at_each_watermark_is_together_all_there_is():
    """As a job measures: of what it has received, the versions since its last watermark."""
    rows = history(3, NOW_MS)
    end_ms = NOW_MS + 8 * HOUR_MS
    marks = [0, NOW_MS - 5 * DAY_MS, NOW_MS - HOUR_MS, NOW_MS, NOW_MS + 5 * MINUTE_MS, NOW_MS + HOUR_MS, end_ms]
    found = []
    for after_ms, at_ms in pairwise(marks):
        telemetry = received_by(rows, at_ms)
        found += [
            record
            for versions in measured_versions(telemetry, panes_of(telemetry), after_ms)
            for record in versions.records()
            if record["received_time"] <= at_ms
        ]
    whole = telemetry_table_of(rows)
    every = [each for versions in measured_versions(whole, panes_of(whole)) for each in versions.records()]
    assert sorted(map(str, found)) == sorted(map(str, every))


def test_a_baseline_ends_half_an_hour_before_its_event_time():
    """As that of a claim whose anchor is there: the window's own reports are no part of it."""
    rows = reports("w", 120, step_ms=MINUTE_MS, device="d", cn0_dbhz=[20.0] * 60 + [40.0] * 60, agc_db=10.0)
    telemetry = telemetry_table_of(rows)
    found = {
        record["event_time"]: record["values"]
        for versions in measured_versions(telemetry, panes_of(telemetry))
        for record in versions.records()
        if record["feature_set"] == "device_baseline" and record["entity_id"] == "w/d"
    }
    event_ms = max(found)
    past = [row["cn0_dbhz"] for row in rows if row["event_time_ms"] < event_ms - 30 * MINUTE_MS]
    assert found[event_ms]["cn0_mean_dbhz"] == pytest.approx(fmean(past))
    assert found[event_ms]["signal_reports"] == len(past)
    assert found[min(found)]["cn0_mean_dbhz"] is None


def test_riders_of_a_phone_are_counted_when_each_is_known():
    rows = reports("w1", 1, end_ms=NOW_MS, device="d") + reports("w2", 1, end_ms=NOW_MS + DAY_MS, device="d")
    rows += reports("w3", 1, end_ms=NOW_MS + HOUR_MS, device="d", received_time_ms=NOW_MS + 2 * DAY_MS)
    telemetry = telemetry_table_of(rows)
    found = [
        (record["received_time"], record["event_time"], record["values"]["riders_on_device_28d"])
        for versions in measured_versions(telemetry, panes_of(telemetry))
        for record in versions.records()
        if record["feature_set"] == "device_riders"
    ]
    pane_ms = 5 * MINUTE_MS
    assert found == [
        (NOW_MS + pane_ms, NOW_MS + pane_ms, 1),
        (NOW_MS + DAY_MS + pane_ms, NOW_MS + DAY_MS + pane_ms, 2),
        (NOW_MS + 2 * DAY_MS, NOW_MS + DAY_MS + pane_ms, 3),
    ]


def test_no_telemetry_has_no_versions():
    telemetry = telemetry_table_of([])
    assert list(measured_versions(telemetry, panes_of(telemetry))) == []


def test_a_decision_finds_the_baseline_that_evidence_uses(tmp_path):
    """As of a claim's anchor the store has what the anchor's evidence is measured against, bit by bit."""
    rows = [row | {"received_time_ms": None} for row in history(7, NOW_MS)]
    telemetry = telemetry_table_of(rows)
    panes = panes_of(telemetry)
    anchor = np.flatnonzero(telemetry.event_time_ms > NOW_MS - 3 * HOUR_MS)
    at_ms, worker = telemetry.event_time_ms[anchor], telemetry.worker[anchor].astype(np.int64)
    device = telemetry.device[anchor].astype(np.int64)
    queries = anchored(telemetry, Queries.of(9, worker, [ZONE] * len(anchor), at_ms))
    assert (queries.window_end_ms == at_ms).all(), "each report is its claim's anchor"
    names = [f"{telemetry.workers[w]}/{telemetry.devices[d]}" for w, d in zip(worker, device, strict=True)]
    rows_of_store = pl.DataFrame({"entity_id": names, "as_of_ms": at_ms})
    store = OfflineStore(tmp_path)
    store.write(device_baselines(telemetry, panes))
    store.write(device_riders(telemetry, panes))
    found = store.get(rows_of_store, "rider_device", feature_set("device_baseline").names)
    phones = pl.DataFrame({"entity_id": [telemetry.devices[d] for d in device], "as_of_ms": at_ms})
    riders = store.get(phones, "device", ["riders_on_device_28d"])["riders_on_device_28d"]
    expected, _ = DeviceDays.of(panes).riders(device, at_ms)
    assert riders.to_list() == expected.tolist()
    # A rider who had the phone in the pane before: else the version is of an earlier window.
    steady = np.array(
        [_has_pane(panes, w, d, at // PANE_MS * PANE_MS) for w, d, at in zip(worker, device, at_ms, strict=True)]
    )
    assert steady.sum() > 100
    reports, agc_db, cn0_dbhz = SignalBaseline.of(telemetry, panes).before(queries, device)
    half_hours, drain, drain_sd = BatteryBaseline.of(telemetry, panes).before(queries, device)
    for name, column in zip(
        feature_set("device_baseline").names,
        (agc_db, cn0_dbhz, reports, drain, drain_sd, half_hours),
        strict=True,
    ):
        np.testing.assert_array_equal(found[name].fill_null(np.nan).to_numpy()[steady], column[steady], name)


def _has_pane(panes, worker, device, end_ms):
    mine = (panes.worker == worker) & (panes["device"] == device) & (panes["devices"] == 1)
    return bool(np.any(mine & (panes.pane_start_ms == end_ms - PANE_MS)))
