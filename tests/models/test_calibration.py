"""A risk means the same whatever was measured."""

import numpy as np
import pytest
from kit.examples import mostly_slow

from monsoon.models.calibration import fit_calibration, risk_of
from monsoon.sources.product_files import load_products
from monsoon.transforms.product import CutOff
from monsoon.transforms.scoring.calibration import RiskTable, on_scale
from monsoon.transforms.scoring.features import measured_masks
from monsoon.transforms.scoring.forest import Forest

PRODUCTS = load_products()
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


@pytest.mark.parametrize("mask", mostly_slow([31, 5, *range(1, 5), *range(6, 31)], 2))
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


@pytest.mark.parametrize(
    ("cut_offs", "shares"),
    [
        ([(0.15, 0.01), (0.5, 0.001)], [(1.0, 0.0), (0.01, 0.15), (0.001, 0.5), (1e-4, 1.0), (1e-6, 1.0)]),
        ([(0.5, 0.001)], [(1.0, 0.0), (0.001, 0.5), (1e-4, 1.0)]),
        ([(0.4, 0.01), (0.72, 0.001)], [(1.0, 0.0), (0.01, 0.4), (0.001, 0.72), (1e-4, 1.0)]),
        ([(0.3, 0.005), (1.0, 1e-4)], [(0.005, 0.3), (1e-4, 1.0), (1e-5, 1.0)]),
    ],
)
def test_a_products_cut_offs_set_its_scale(cut_offs, shares):
    risks = risk_of(np.array([p for p, _ in shares]))
    scores = on_scale([CutOff(*each) for each in cut_offs], risks)
    assert scores.tolist() == pytest.approx([score for _, score in shares], abs=1e-6)
    rising = on_scale([CutOff(*each) for each in cut_offs], np.linspace(0, 1, 1001))
    assert (np.diff(rising) >= 0).all()


def test_a_score_at_a_cut_off_is_at_it_to_the_digit():
    """Jugaad pays at a confidence of 0.85 and not below: 1 in 100 honest claims lies beyond."""
    cut_offs = PRODUCTS["jugaad"].decision.scores["anomaly"].cut_offs
    assert on_scale(cut_offs, np.array([0.40, 0.72, np.nan])).tolist()[:2] == [0.15, 0.50]
    assert np.isnan(on_scale(cut_offs, np.array([np.nan]))).all()
    assert on_scale((), np.array([0.123456])).tolist() == [0.123456]


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
