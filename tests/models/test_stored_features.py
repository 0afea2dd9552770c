"""What training reads from the feature store is what it would measure directly."""

import numpy as np
import pytest
from evidence.conftest import NOW_MS, telemetry_table_of
from features.conftest import HOUR_MS, history

from monsoon.feature_store import OfflineStore
from monsoon.pipelines.training import claims, silences
from monsoon.pipelines.training.stored_features import stored_riders
from monsoon.sources.simulator import load_storm
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.pane_aggregation import panes_of


def directly(store, telemetry, panes):
    return DeviceDays.of(panes).riders


@pytest.mark.parametrize("seed", range(3))
def test_riders_of_shared_phones_and_late_reports(tmp_path, seed):
    telemetry = telemetry_table_of(history(seed, NOW_MS))
    panes, rng = panes_of(telemetry), np.random.default_rng(seed)
    device = rng.integers(-1, len(telemetry.devices), 2_000)
    at_ms = NOW_MS + rng.integers(-9 * 24 * HOUR_MS, 8 * HOUR_MS, 2_000)
    found, _ = stored_riders(OfflineStore(tmp_path), telemetry, panes)(device, at_ms)
    expected, _ = directly(None, telemetry, panes)(device, at_ms)
    assert len(np.unique(expected[device >= 0])) > 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("generator", ["rides", "scenarios"])
def test_a_training_table_read_through_the_store_is_the_one_measured_directly(monkeypatch, generator):
    storm = load_storm("chennai-2015-12-01")

    def table():
        return claims.simulated_claims(storm, 64, 3, 5, attackers=0.2, generator=generator)

    read = table()
    monkeypatch.setattr(claims, "stored_riders", directly)
    measured = table()
    assert np.isfinite(read.columns["riders_on_device_28d"]).any()
    for one, other in ((read.columns, measured.columns), (read.signals, measured.signals)):
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], name)


def test_trust_in_silent_riders_is_the_one_measured_directly(monkeypatch):
    def trust():
        return [crowd.trust for crowd in silences.crowds("rides", "mumbai-2025-10-20-outage", 300, 2, 3)]

    read = trust()
    assert read
    monkeypatch.setattr(silences, "stored_riders", directly)
    for one, other in zip(read, trust(), strict=True):
        np.testing.assert_array_equal(one, other)
