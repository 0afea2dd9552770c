"""The scorer: the same claim has the same score and the same reasons wherever it stands."""

import numpy as np
import pytest

from monsoon.models.claim_features import DESIGNS, GROUPS, NAMES
from monsoon.transforms.scoring import Scorer


@pytest.fixture(scope="module")
def scorer(model_folder):
    return Scorer.load(model_folder)


@pytest.fixture(scope="module")
def columns(honest):
    rows = honest(4_000, 31)
    rng = np.random.default_rng(5)
    ends = np.array([design.fraud_end for design in DESIGNS])
    rows = np.where(rng.random(rows.shape) < 0.2, ends, rows)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return dict(zip(NAMES, rows.T, strict=True))


def part(columns, rows):
    return {name: column[rows] for name, column in columns.items()}


def test_scores_do_not_depend_on_batch_or_order(scorer, columns):
    whole = scorer.score(columns)
    shuffled = np.random.default_rng(1).permutation(4_000)
    parts = [shuffled[:1], shuffled[1:2], shuffled[2:40], shuffled[40:1999], shuffled[1999:]]
    scores = [scorer.score(part(columns, rows)) for rows in parts]
    for field in ("risk", "raw", "mask", "measured_groups"):
        joined = np.concatenate([getattr(score, field) for score in scores])
        assert np.array_equal(joined, getattr(whole, field)[shuffled], equal_nan=field in ("risk", "raw"))


def test_masks_name_the_measured_groups(scorer):
    nothing = {name: np.array([np.nan]) for name in NAMES}
    scores = scorer.score(nothing)
    assert np.isnan(scores.risk[0])
    assert (scores.mask[0], scores.measured_groups[0]) == (0, 0)
    for design in DESIGNS:
        scores = scorer.score(nothing | {design.name: np.array([0.5])})
        assert scores.mask[0] == 1 << GROUPS.index(design.group)
        assert scores.measured_groups[0] == 1
        assert 0 <= scores.risk[0] <= 1


def test_an_empty_batch_is_no_error(scorer):
    scores = scorer.score({name: np.empty(0) for name in NAMES})
    assert len(scores.risk) == len(scores.mask) == 0
    assert scorer.explain({name: np.empty(0) for name in NAMES}, []) == []


def test_an_absent_column_is_named(scorer, columns):
    with pytest.raises(ValueError, match="gps_jitter_m"):
        scorer.score({name: column for name, column in columns.items() if name != "gps_jitter_m"})


def test_reasons_are_the_weightiest_and_do_not_depend_on_the_batch(scorer, columns):
    rows = list(range(300))
    together = scorer.explain(columns, rows)
    assert together == [scorer.explain(columns, [row])[0] for row in rows]
    assert together[::-1] == scorer.explain(columns, rows[::-1])
    some = {name: column[:300] for name, column in columns.items()}
    assert scorer.weightiest(some) == [tuple(reason.feature for reason in reasons) for reasons in together]
    many = {name: np.resize(column[:300], 12_000) for name, column in columns.items()}
    assert scorer.weightiest(many) == scorer.weightiest(some) * 40  # on two threads
    for row, reasons in zip(rows, together, strict=True):
        weights = [reason.weight for reason in reasons]
        assert len(reasons) <= 3
        assert weights == sorted(weights, reverse=True)
        assert all(weight > 0 for weight in weights)
        assert all(reason.value == np.float32(columns[reason.feature][row]) for reason in reasons)


def test_a_contradiction_is_the_first_reason(scorer):
    medians = {name: np.array([float(median)]) for name, median in zip(NAMES, scorer.honest_medians, strict=True)}
    assert scorer.explain(medians, [0]) == [()]
    for name, value in (("mock_location_share", 1.0), ("cell_tower_zone_match", 0.0), ("gnss_cn0_agc_anomaly", 1.0)):
        (reasons,) = scorer.explain(medians | {name: np.array([value])}, [0])
        assert [reason.feature for reason in reasons] == [name]


def test_several_contradicting_sensors_weigh_more_than_one(scorer):
    claim = {name: np.array([float(median)]) for name, median in zip(NAMES, scorer.honest_medians, strict=True)}
    risks = [scorer.score(claim).risk[0]]
    for name, value in (
        ("mock_location_share", 1.0),
        ("cell_tower_zone_match", 0.0),
        ("bssid_zone_match", 0.0),
        ("accelerometer_variance", 1e-4),
    ):
        claim[name] = np.array([value])
        risks.append(scorer.score(claim).risk[0])
    assert risks == sorted(risks)
    assert risks[0] < 0.1
    assert risks[1] < 0.72
    assert risks[-1] > 0.9


@pytest.mark.filterwarnings("error")
def test_values_beyond_single_precision_score_as_the_largest_there_is(scorer, columns):
    few = part(columns, slice(0, 4))
    largest = float(np.finfo(np.float32).max)
    huge, most = ({**few, NAMES[0]: np.array([1, -1, 1, -1]) * value} for value in (1e308, largest))
    assert np.array_equal(scorer.score(huge).risk, scorer.score(most).risk, equal_nan=True)
    assert scorer.explain(huge, range(4)) == scorer.explain(most, range(4))
    assert np.isfinite(scorer.rows(huge)[:, 0]).all()
