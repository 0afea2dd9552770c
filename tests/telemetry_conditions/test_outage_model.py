"""The model `outage` that comes along: what it calls silences of storms, and at a seed, that it was not trained on."""

import re

import numpy as np
import pytest
from kit.examples import mostly_slow

from monsoon.pipelines.evaluation.scenarios import TRAINING_STORMS
from monsoon.pipelines.training.outage import (
    EVALUATION_SIMULATIONS,
    MIN_CALIBRATION,
    TRAINING_SIMULATIONS,
    _for_forest,
    balanced_error,
    by_crowd,
    called_real,
    simulated_crowds,
)
from monsoon.pipelines.training.silences import FAKES, MIN_CROWD, REAL, as_simulated, silences
from monsoon.sources.model_files import load_model
from monsoon.transforms.scoring.folder import MANIFEST
from monsoon.transforms.telemetry_conditions.outage import MAX_OUTAGE_RISK, OUTAGE_FEATURES, real_outages, verdicts
from monsoon.transforms.telemetry_conditions.silent_quorum import TALLIES

SEED, COUNT = 4242, 250
MUMBAI = "mumbai-2025-10-20-outage"
"""The storm with an outage of its own, of swiggy, and one of zomato that riders at home make up."""

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


@pytest.fixture(scope="module")
def crowds_of():
    """Of a generator, simulated once."""
    found = {}

    def crowds(generator):
        if generator not in found:
            found[generator] = simulated_crowds([(generator, MUMBAI)], SEED, lambda *_: None, 400, 6)
        return found[generator]

    return crowds


@pytest.mark.parametrize("generator", mostly_slow(["rides", "scenarios"]))
def test_real_outages_are_called_so_and_the_rest_mostly_not(model, crowds_of, generator):
    among = crowds_of(generator)
    assert min(map(len, among)) >= MIN_CROWD
    called = {kind: called_real(model, silences(among, kind, COUNT, SEED).columns).mean() for kind in (REAL, *FAKES)}
    assert called[REAL] >= 0.95
    assert max(called[kind] for kind in FAKES) <= 0.25
    assert np.mean([called[kind] for kind in FAKES]) <= 0.15


@pytest.mark.parametrize("generator", mostly_slow(["rides", "scenarios"]))
def test_a_storms_own_outage_is_real(model, crowds_of, generator):
    asked = list(as_simulated(crowds_of(generator)))
    assert any(each.real for each in asked)
    assert [bool(called_real(model, each.columns)[0]) for each in asked] == [each.real for each in asked]


def test_silences_repeat_and_are_of_their_crowd(crowds_of):
    among = crowds_of("rides")
    found, again, other = (silences(among, REAL, 31, seed) for seed in (1, 1, 2))
    undisturbed = [place for place, crowd in enumerate(among) if crowd.undisturbed]
    assert 0 < len(undisturbed) < len(among)  # some while the storm's own outage begins
    assert set(found.crowd.tolist()) == set(undisturbed)
    assert np.bincount(found.crowd).max() <= 31 // len(undisturbed) + 1
    assert all(np.array_equal(found.columns[name], again.columns[name], equal_nan=True) for name in OUTAGE_FEATURES)
    assert not np.array_equal(found.columns["quiet_spread_min"], other.columns["quiet_spread_min"], equal_nan=True)
    # The others' riders know nothing of the outage, and riders who stop by agreement do so between trips.
    stopped = silences(among, "log-off together", 31, 1)
    assert np.nanmedian(found.columns["others_silent_share"]) < np.nanmedian(found.columns["silent_share"]) / 2
    assert np.nanmedian(stopped.columns["on_trip_share"]) < np.nanmedian(found.columns["on_trip_share"]) / 2
    with pytest.raises(ValueError, match="no crowd"):
        silences([], REAL, 10, 1)


def test_the_balanced_error_weighs_both_sides_alike():
    crowd = np.repeat([0, 1, 2, 3], 25)
    all_called, none = np.ones(100, dtype=bool), np.zeros(100, dtype=bool)
    kinds = dict.fromkeys(FAKES, none)
    called = {kind: by_crowd(flags, crowd) for kind, flags in ({REAL: all_called} | kinds).items()}
    assert balanced_error(called, 1) == (0.0, 0.0, 0.0)
    half = np.tile([True, False], 50)
    called = {kind: by_crowd(flags, crowd) for kind, flags in ({REAL: half} | kinds | {FAKES[0]: half}).items()}
    error, low, high = balanced_error(called, 1)
    assert error == pytest.approx((0.5 + 0.5 / len(FAKES)) / 2)
    assert low <= error <= high
    in_one_crowd = by_crowd(crowd > 0, crowd)
    _, low, high = balanced_error(called | {REAL: in_one_crowd}, 1)
    assert high - low > 0.2  # four crowds say little, however many silences they have


@pytest.mark.parametrize("seed", range(20))
def test_forest_and_calibration_have_different_crowds_and_enough_of_them(seed):
    crowd = np.repeat(np.arange(40), 375)
    forest = _for_forest(crowd, np.random.default_rng(seed))
    assert not set(crowd[forest].tolist()) & set(crowd[~forest].tolist())
    assert MIN_CALIBRATION <= np.count_nonzero(~forest) < len(crowd)


def test_its_card_names_the_storms_of_both_generators(root):
    card = (root / "models" / "onnx" / "outage" / "model_card.md").read_text(encoding="utf-8")
    trained = re.findall(r"^- the storm (\S+), by the generator (\w+)$", card, re.M)
    assert {(generator, storm) for storm, generator in trained} == set(TRAINING_SIMULATIONS)
    for generator in ("rides", "scenarios"):
        assert len({storm for by, storm in TRAINING_SIMULATIONS if by == generator}) >= 4
    assert not {storm for _, storm in EVALUATION_SIMULATIONS} & set(TRAINING_STORMS)
    assert all(f"\n{generator}, " in card for generator in ("rides", "scenarios"))


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
