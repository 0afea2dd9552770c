"""What a model folder holds of its training claims."""

import numpy as np
import pytest
from drift.drawn import population

from monsoon.models.drift_reference import COUNTS, UNKNOWN_SHARE, drift_reference, encoded_reference
from monsoon.sources.model_files import load_scorer, read_model
from monsoon.transforms.drift import read_drift_reference
from monsoon.transforms.drift.reference import DRIFT
from monsoon.transforms.drift.statistics import bin_counts, psi
from monsoon.transforms.scoring import ModelFolderError
from monsoon.transforms.scoring.folder import ModelFolder


def test_the_published_model_has_one():
    reference, scorer = read_drift_reference(read_model()), load_scorer()
    assert tuple(each.name for each in reference.features) == scorer.features
    assert tuple(each.name for each in reference.groups) == scorer.groups
    assert reference.claims > 20_000
    for each in reference.features:
        assert len(each.shares) == len(each.edges) + 1
        assert sum(each.shares) == pytest.approx(1.0)
        assert min(each.shares) > 0.0
        assert list(each.null_psi) == sorted(each.null_psi, reverse=True)
        assert len(each.null_psi) == len(reference.counts)


def test_the_same_claims_and_seed_give_the_same_bytes(honest):
    again = drift_reference(population(honest.scorer, 10_000, 1), honest.scorer, 1)
    written = encoded_reference(again)
    assert written == encoded_reference(honest.reference)
    folder = ModelFolder(None, "claim_anomaly", "v", {DRIFT: written})
    assert read_drift_reference(folder) == honest.reference


def test_a_hundredth_of_days_like_training_is_beyond_the_null(honest):
    (feature,) = [each for each in honest.reference.features if each.name == "gps_jitter_m"]
    rng = np.random.default_rng(5)
    for place, count in enumerate(COUNTS[:10:3]):
        drawn = rng.multinomial(count, np.array(feature.shares) / sum(feature.shares), size=5_000)
        beyond = (psi(drawn, feature.shares) > feature.null_psi[COUNTS.index(count)]).mean()
        assert 0.004 < beyond < 0.02, (place, count)


def test_bins_are_those_of_the_values_and_one_value_is_one_bin(honest):
    for each in honest.reference.features:
        column = honest.columns[each.name]
        values = column[~np.isnan(column)]
        found = bin_counts(values, each.edges) / len(values)
        floor = UNKNOWN_SHARE / len(each.shares)
        assert each.shares == pytest.approx((1 - UNKNOWN_SHARE) * found + floor, abs=1e-8)
    (mock,) = [each for each in honest.reference.features if each.name == "mock_location_share"]
    assert mock.edges == (0.0,)


def test_a_feature_that_no_claim_measures_is_refused(honest):
    columns = {**honest.columns, "gps_jitter_m": np.full(10_000, np.nan)}
    with pytest.raises(ValueError, match="gps_jitter_m"):
        drift_reference(columns, honest.scorer, 1)


def test_an_older_model_folder_and_a_broken_reference_are_refused(root, tmp_path):
    for contents in ({}, {DRIFT: b"{"}, {DRIFT: b"{}"}):
        with pytest.raises(ModelFolderError, match="monsoon train"):
            read_drift_reference(ModelFolder(tmp_path, "claim_anomaly", "v", contents))
