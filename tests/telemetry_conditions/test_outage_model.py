"""The model `outage` that comes along: what it calls silences of kinds and cities that it was not trained on."""

import numpy as np
import pytest

from monsoon.pipelines.training.silences import EVALUATION_CITIES, FAKES, REAL, silences
from monsoon.sources.model_files import load_model
from monsoon.transforms.scoring.folder import MANIFEST
from monsoon.transforms.telemetry_conditions.outage import MAX_OUTAGE_RISK, OUTAGE_FEATURES, real_outages, verdicts
from monsoon.transforms.telemetry_conditions.silent_quorum import TALLIES

SEED, COUNT = 4242, 250

QUIET = {
    "silent_share": 1.0,
    "others_silent_share": np.nan,
    "offline_share": 0.0,
    "on_trip_share": np.nan,
    "quiet_spread_min": 0.0,
    "mean_trust": 0.9,
    "battery_pct": np.nan,
}


@pytest.fixture(scope="module")
def model():
    return load_model("outage")


def risk(model, **changed):
    return float(model.score({name: np.array([value]) for name, value in (QUIET | changed).items()}).risk[0])


@pytest.mark.parametrize("city", EVALUATION_CITIES, ids=lambda city: city.name)
def test_real_outages_are_called_so_and_the_rest_mostly_not(model, city):
    called = {
        kind: float(np.mean(model.score(dict(silences(city, kind, COUNT, SEED))).risk < MAX_OUTAGE_RISK))
        for kind in (REAL, *FAKES)
    }
    assert called[REAL] >= 0.95
    assert max(called[kind] for kind in FAKES) <= 0.25
    assert np.mean([called[kind] for kind in FAKES]) <= 0.15


def test_all_at_once_is_an_outage_whatever_else_was_not_measured(model):
    assert risk(model) < 0.1
    assert risk(model, offline_share=1.0) < MAX_OUTAGE_RISK
    assert risk(model, battery_pct=3.0) < MAX_OUTAGE_RISK


def test_what_contradicts_an_outage(model):
    assert risk(model, others_silent_share=1.0) >= MAX_OUTAGE_RISK
    assert risk(model, mean_trust=0.1) >= MAX_OUTAGE_RISK
    assert risk(model, offline_share=1.0, on_trip_share=0.0) >= MAX_OUTAGE_RISK


def test_too_little_measured_is_in_the_riders_favor(model):
    tallies = np.zeros((2, len(TALLIES)), dtype=np.int64)
    tallies[1, [TALLIES.index(name) for name in ("worked", "silent", "silent_offline")]] = 9
    assert verdicts(model, tallies) == ["REAL_OUTAGE", "REAL_OUTAGE"]
    assert real_outages(model, tallies[:0]).tolist() == []


def test_the_folder_is_what_its_manifest_says(root, model):
    folder = root / "models" / "onnx" / "outage"
    assert f'"{model.version}"' in (folder / MANIFEST).read_text()
    assert model.features == OUTAGE_FEATURES
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
