"""Simulated claims for training, and the numbers that an evaluation prints."""

import numpy as np
import pytest

from monsoon.models.claim_features import NAMES
from monsoon.models.rates import Rate
from monsoon.models.risk_rates import evaluate, honest_slices, report
from monsoon.pipelines.training.claims import simulated_claims
from monsoon.sources.simulator import load_storm
from monsoon.transforms.scoring import Scores


@pytest.mark.slow
def test_simulated_claims_repeat_and_carry_every_feature():
    claims, again = (simulated_claims(load_storm("chennai-2015-12-01"), 256, 4, seed, attackers=0.2) for seed in (5, 5))
    assert set(claims.kinds) == {"honest", "mock_app", "replayed_trace", "radio_spoof"}
    rows = claims.rows(NAMES)
    assert np.array_equal(rows, again.rows(NAMES), equal_nan=True)
    assert (claims.workers == again.workers).all()
    assert not np.isnan(rows[claims.kinds == "honest"]).all(axis=0).any()
    other = simulated_claims(load_storm("chennai-2015-12-01"), 256, 4, 6, attackers=0.0)
    assert set(other.kinds) == {"honest"}
    assert not set(other.workers) & set(claims.workers)


def scores(risk, groups):
    risk = np.array(risk)
    return Scores(risk, risk, np.full(len(risk), 1, dtype=np.uint16), np.array(groups))


def test_tiers_are_counted_among_claims_with_evidence():
    given = scores([0.1, 0.39, 0.40, 0.72, 0.73, 0.9, np.nan, 0.5], [5, 5, 5, 5, 5, 2, 0, 4])
    kinds = np.array(["honest"] * 4 + ["mock_app"] * 4)
    honest, attacker = evaluate(given, kinds)
    assert (honest.silent.count, honest.approved.count, honest.held.count, honest.stepped_up.count) == (0, 2, 2, 0)
    assert (attacker.silent.count, attacker.silent.total) == (2, 4)
    assert (attacker.approved.count, attacker.held.count, attacker.stepped_up.count) == (0, 1, 1)
    assert (attacker.beyond.count, attacker.beyond.total) == (1, 2)
    rates = dict(honest_slices(given, kinds, np.array(["mid"] * 8), ("mock", "wifi")))
    assert str(rates["all"]) == str(Rate(2, 4)) == str(rates["no wifi"])
    assert rates["no mock"].total == 0
    assert "mock_app" in report([honest, attacker], rates.items())


def test_no_honest_claim_is_an_error():
    with pytest.raises(ValueError, match="no honest"):
        evaluate(scores([0.5], [5]), np.array(["mock_app"]))


def test_wilson_interval():
    assert Rate(0, 1000).interval() == pytest.approx((0.0, 0.00383), abs=1e-5)
    assert Rate(500, 1000).interval() == pytest.approx((0.46907, 0.53093), abs=1e-5)
    assert Rate(0, 0).interval() == (0.0, 1.0)
