"""A risk means the same whatever was measured."""

import numpy as np
import pytest

from monsoon.models.calibration import fit_calibration, risk_of
from monsoon.transforms.scoring.calibration import RiskTable
from monsoon.transforms.scoring.features import measured_masks
from monsoon.transforms.scoring.forest import Forest

STARTS = np.array([0, 3, 5, 7, 10])  # five groups of features: 31 masks


@pytest.fixture(scope="module")
def forest(fitted):
    return Forest(fitted.exported.model.SerializeToString())


@pytest.fixture(scope="module")
def table(forest, honest):
    return RiskTable(fit_calibration(forest.path_quanta, honest(20_000, 21).astype(np.float32), STARTS))


def masked(rows, mask):
    group_of = np.searchsorted(STARTS, np.arange(rows.shape[1]), side="right") - 1
    return np.where(mask >> group_of & 1, rows, np.nan).astype(np.float32)


@pytest.mark.parametrize("mask", range(1, 32))
def test_honest_claims_exceed_a_risk_as_often_as_it_says(mask, forest, table, honest):
    rows = masked(honest(20_000, 22), mask)
    assert (measured_masks(rows, STARTS) == mask).all()
    risk = table.risk(forest.path_quanta(rows), measured_masks(rows, STARTS))
    for p in (0.2, 0.05, 0.01, 0.001):
        # Both samples are random: four standard errors of their difference.
        allowed = p + 4 * np.sqrt(2 * p / len(rows))
        assert (risk >= risk_of(np.array([p]))[0] - 1e-9).mean() <= allowed
    if mask == 31:  # with few features honest claims tie, and ties are in the rider's favor
        for p in (0.2, 0.05, 0.01):
            assert (risk >= risk_of(np.array([p]))[0]).mean() >= p - 4 * np.sqrt(2 * p / len(rows))


def test_knots_of_the_risk():
    assert risk_of(np.array([1.0, 1e-2, 1e-3, 1e-4, 1e-6])).tolist() == pytest.approx([0, 0.40, 0.72, 1.0, 1.0])


def test_risk_falls_with_the_path_and_has_six_decimals(table):
    paths = np.linspace(-(2**24), 2**24, 5000).astype(np.int64)
    for mask in (1, 7, 31):
        risk = table.risk(paths, np.full(len(paths), mask, dtype=np.uint16))
        assert (np.diff(risk) <= 0).all()
        assert risk[0] == 1.0
        assert risk[-1] == 0.0
        assert (risk == np.round(risk, 6)).all()


def test_nothing_measured_has_no_risk(table):
    assert np.isnan(table.risk(np.array([0]), np.array([0], dtype=np.uint16))).all()


def test_too_few_honest_rows_are_refused(forest, honest):
    with pytest.raises(ValueError, match="10,000"):
        fit_calibration(forest.path_quanta, honest(500, 1).astype(np.float32), STARTS)
