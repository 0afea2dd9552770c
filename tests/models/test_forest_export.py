"""The exported forest is scikit-learn's, missing values included, and its sums are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monsoon.models.calibration import fit_calibration
from monsoon.models.claim_features import DESIGNS
from monsoon.transforms.scoring.calibration import RiskTable
from monsoon.transforms.scoring.forest import Forest

# Whoever needs monsoon.models.forest_export imports it: scikit-learn comes with it, which takes seconds.
finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def forest(fitted):
    return Forest(fitted.exported.model.SerializeToString())


@pytest.fixture(scope="module")
def rows(honest):
    from monsoon.models.train import sample_for_parity

    return sample_for_parity(honest(20_000, 11), 120_000, np.random.default_rng(3))


@pytest.mark.slow
def test_parity_with_scikit_learn_with_missing_values(fitted, forest, rows):
    assert 0.08 < np.isnan(rows).mean() < 0.12
    quanta, scores = forest.run(rows)
    expected = fitted.anomaly_scores(rows)
    assert np.abs(scores - expected).max() <= 1e-6
    # No two rows change places: the order by exact path is scikit-learn's wherever its scores differ at all.
    order = np.argsort(quanta, kind="stable")
    assert np.diff(expected[order]).max() <= 2e-6


@pytest.mark.slow
def test_no_claim_changes_tier(fitted, forest, rows, honest):
    table = RiskTable(fit_calibration(forest.path_quanta, honest(10_000, 12).astype(np.float32), np.array([0])))
    measured = np.ones(len(rows), dtype=np.uint16)
    exported = fitted.exported
    path = -np.log2(fitted.anomaly_scores(rows)) * exported.denominator - exported.offset
    tiers = [
        np.digitize(table.risk(quanta, measured), (0.40, 0.72))
        for quanta in (forest.path_quanta(rows), np.rint(path / exported.quantum).astype(np.int64))
    ]
    assert np.bincount(tiers[0]).min() > 1000
    assert (tiers[0] == tiers[1]).all()


def test_leaf_sums_need_no_more_than_float32(fitted, forest, rows):
    (ensemble,) = (node for node in fitted.exported.model.graph.node if node.op_type == "TreeEnsembleRegressor")
    weights = {a.name: a for a in ensemble.attribute}["target_weights"].floats
    quanta = np.array(weights) / fitted.exported.quantum
    assert (quanta == np.round(quanta)).all()
    trees = np.array({a.name: a for a in ensemble.attribute}["target_treeids"].ints)
    widest = sum(np.abs(quanta[trees == tree]).max() for tree in range(fitted.exported.trees))
    assert widest <= 2**24


def test_a_row_alone_scores_as_in_any_batch(forest, rows):
    quanta, scores = forest.run(rows[:3000])
    for index in range(0, 3000, 7):
        alone = forest.run(rows[index : index + 1])
        assert alone[0][0] == quanta[index]
        assert alone[1][0] == scores[index]
    for size in (2, 3, 31, 129, 1000):
        part = forest.run(rows[5 : 5 + size])
        assert (part[0] == quanta[5 : 5 + size]).all()
        assert (part[1] == scores[5 : 5 + size]).all()


@given(hnp.arrays(np.float64, 5, elements=st.floats(-1e30, 1e30)), finite32)
def test_rounding_down_keeps_every_comparison(thresholds, x):
    from monsoon.models.forest_export import round_down

    assert ((x <= thresholds) == (np.float32(x) <= round_down(thresholds).astype(np.float32))).all()


@given(hnp.arrays(np.float32, 5, elements=st.floats(-1.5, 1.5, width=32)), finite32)
def test_unwarping_keeps_every_comparison(thresholds, x):
    from monsoon.models.forest_export import unwarp

    def warp(values):
        return np.log10(np.clip(values, 1e-2, 5.0))

    warped = warp(np.array([np.float64(x)])).astype(np.float32)
    cuts = unwarp(thresholds.astype(np.float64), warp).astype(np.float32)
    assert ((np.float32(x) <= cuts) == (warped <= thresholds)).all()


def test_average_path_length_is_that_of_the_paper():
    from monsoon.models.forest_export import average_path_length

    assert average_path_length(np.array([0, 1, 2])).tolist() == [0, 0, 1]
    assert average_path_length(np.array([256]))[0] == pytest.approx(10.2448, abs=1e-4)


def test_missing_goes_where_honest_riders_go(fitted, honest):
    """A claim with all but one feature missing is never more anomalous than one that contradicts itself there."""
    for index, design in enumerate(DESIGNS):
        alone = np.full((2, len(DESIGNS)), np.nan)
        alone[1, index] = design.fraud_end
        missing, contradicting = fitted.anomaly_scores(alone)
        assert missing <= contradicting
