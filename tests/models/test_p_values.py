"""The calibration of p-values, and the model `syndicate` that comes along."""

import re

import numpy as np
import pytest

from monsoon.models.p_values import MIN_ROWS, fit_p_values
from monsoon.sources.model_files import load_model
from monsoon.transforms.rings.group_features import GROUP_FEATURES
from monsoon.transforms.scoring.calibration import RiskTable
from monsoon.transforms.scoring.folder import MANIFEST


def path_of(rows):
    """A path length that falls with the only feature."""
    return (-1_000 * rows[:, 0]).astype(np.int64)


def risks_of(honest, values):
    table = RiskTable(fit_p_values(path_of, honest, np.array([100.0])))
    rows = np.array(values, dtype=np.float32)[:, None]
    return table.risk(path_of(rows), np.ones(len(rows), dtype=np.uint16))


@pytest.fixture(scope="module")
def honest():
    return np.random.default_rng(3).normal(0, 1, (999, 1)).astype(np.float32)


def test_the_risk_is_one_less_the_conformal_p_value(honest):
    values = honest[:50, 0]
    at_least_as_odd = (path_of(honest)[None, :] <= path_of(values[:, None])[:, None]).sum(axis=1)
    assert risks_of(honest, values) == pytest.approx(1 - (1 + at_least_as_odd) / 1_000, abs=1e-6)


def test_p_values_of_other_honest_rows_are_uniform(honest):
    others = np.random.default_rng(4).normal(0, 1, 20_000).astype(np.float32)
    p = 1 - risks_of(honest, others)
    for level in (0.01, 0.05, 0.1, 0.5):
        # Four standard deviations of the calibration's own sampling.
        assert np.mean(p <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 999))


def test_beyond_all_honest_rows_the_risk_still_ranks(honest):
    risks = risks_of(honest, [honest.max() + 0.01, 10, 50, 100, 200])
    assert (np.diff(risks[:4]) > 0).all()
    assert (risks[0] >= 0.999, risks[3], risks[4]) == (True, 1.0, 1.0)


def test_too_few_rows_are_refused(honest):
    with pytest.raises(ValueError, match="p-values need"):
        fit_p_values(path_of, honest[: MIN_ROWS - 1], np.array([100.0]))


@pytest.fixture(scope="module")
def syndicate():
    return load_model("syndicate")


def group(**changed):
    ordinary = dict(zip(GROUP_FEATURES, (3.2, 1.0, 0.0, 0.0, 0.0), strict=True))
    return {name: np.array([value]) for name, value in (ordinary | changed).items()}


def test_it_asks_for_what_is_measured(syndicate):
    assert set(syndicate.features) == set(GROUP_FEATURES)


def test_the_more_a_group_shares_the_higher_its_risk(syndicate):
    account = {"link_weight": 7.5, "kinds_per_link": 2.0, "payout_account_share": 1.0}
    groups = (
        group(),
        group(**account),
        group(**account, purchase_share=1.0),
        group(link_weight=11.0, kinds_per_link=3.5, payout_account_share=1.0, purchase_share=1.0, device_share=1.0),
    )
    risks = [float(syndicate.score(each).risk[0]) for each in groups]
    assert risks == sorted(set(risks))
    assert risks[0] < 0.9
    assert risks[1] > 0.99


def test_nothing_lies_beside_what_its_version_covers(root):
    folder = root / "models" / "onnx" / "syndicate"
    manifest = (folder / MANIFEST).read_text()
    assert {path.name for path in folder.iterdir()} - {MANIFEST} == set(
        re.findall(r'"([\w.]+)": "[0-9a-f]{64}"', manifest)
    )
    assert "AUROC" in (folder / "model_card.md").read_text()
