"""Named scores of product files: the specification's vectors, and what happens where parts were not measured."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.sources.product_files import load_products
from monsoon.transforms.scoring.product_scores import measured_share, score_columns, score_value

PRODUCTS = load_products()
TRUST = PRODUCTS["offshift"].decision.scores["trust"]
GIC = PRODUCTS["gic"].decision.scores["anomaly"]
WORKED = {
    "cell_tower_zone_match": 0.95,
    "accelerometer_variance": 2e-4 * 50**0.88,
    "app_activity": 0.85,
    "shift_pattern": 0.92,
    "bought_in_alert_window": 0.1,  # the part is 1 less it
    "riders_on_device_28d": 1,
}


def test_the_worked_trust_score():
    assert score_value(TRUST, WORKED) == 0.9115


@pytest.mark.parametrize(("variance", "part"), [(0.0, 0.0), (2e-4, 0.0), (1e-5, 0.0), (2e-4 * 50, 1.0), (5.0, 1.0)])
def test_the_accelerometer_part(variance, part):
    others = WORKED | {"accelerometer_variance": variance}
    assert score_value(TRUST, others) == pytest.approx(0.9115 - 0.20 * 0.88 + 0.20 * part, abs=1e-6)


def test_a_part_that_was_not_measured_leaves_the_sum():
    without = WORKED | {"shift_pattern": None, "riders_on_device_28d": None}
    expected = (0.25 * 0.95 + 0.20 * 0.88 + 0.20 * 0.85 + 0.10 * 0.9) / 0.75
    assert score_value(TRUST, without) == pytest.approx(expected, abs=1e-6)


FULL = {
    "cell_tower_zone_match": 1.0,
    "accelerometer_variance": 1.0,
    "app_activity": 1.0,
    "shift_pattern": 1.0,
    "bought_in_alert_window": 0,
    "riders_on_device_28d": 1,
}
"""Every part at 1: its weight 0.25, 0.20, 0.20, 0.15, 0.10, 0.10."""


@pytest.mark.parametrize(
    ("measured", "trust"),
    [
        ((), 0.5),
        (("app_activity",), 0.20 + 0.80 / 2),
        (("bought_in_alert_window",), 0.10 + 0.90 / 2),
        (("cell_tower_zone_match", "accelerometer_variance", "bought_in_alert_window"), 0.55 + 0.45 / 2),
        (("cell_tower_zone_match", "accelerometer_variance", "shift_pattern"), 1.0),  # 0.60 in each order
        (("accelerometer_variance", "app_activity", "bought_in_alert_window", "riders_on_device_28d"), 1.0),
    ],
)
def test_where_parts_of_less_than_three_fifths_were_measured_the_others_count_half(measured, trust):
    """Nobody gets to 1 on an app state alone."""
    claim = {name: FULL[name] if name in measured else None for name in FULL}
    assert score_value(TRUST, claim) == pytest.approx(trust, abs=1e-6)
    columns = {name: np.array([math.nan if value is None else value]) for name, value in claim.items()}
    assert score_columns(TRUST, columns).tolist() == [score_value(TRUST, claim)]
    weights = dict(zip(FULL, (0.25, 0.20, 0.20, 0.15, 0.10, 0.10), strict=True))
    assert measured_share(TRUST, columns).tolist() == [pytest.approx(sum(weights[name] for name in measured))]
    assert (measured_share(TRUST, columns)[0] >= 0.60) == (trust == 1.0)


def test_a_score_without_such_a_rule_is_the_mean_of_what_was_measured():
    plain = replace(TRUST, mean_from=0.0)
    assert score_value(plain, dict.fromkeys(WORKED)) is None
    assert score_value(plain, dict.fromkeys(WORKED) | {"app_activity": 0.3}) == 0.3


def test_gic_holds_nothing_unmeasured_against_a_rider():
    nothing = dict.fromkeys(GIC.formula.names)
    assert score_value(GIC, nothing) == 0.0
    worst = {
        "peer_divergence": 1.0,
        "account_age_d": 6.9,
        "claims_7d": 3,
        "activity_drop": 0.55,
        "severity_over_threshold": 1.0,
        "claim_burst_rank": 1.0,
    }
    assert score_value(GIC, worst) == 1.0
    assert score_value(GIC, worst | {"account_age_d": 7}) == 0.8


shares = st.one_of(st.none(), st.floats(0, 1))


@given(
    st.lists(
        st.fixed_dictionaries(
            dict.fromkeys(WORKED, shares)
            | {
                "accelerometer_variance": st.one_of(st.none(), st.floats(1e-7, 50)),
                "riders_on_device_28d": st.one_of(st.none(), st.integers(1, 600)),
            }
        ),
        min_size=1,
        max_size=8,
    )
)
def test_columns_agree_with_single_claims(claims):
    columns = {
        name: np.array([math.nan if claim[name] is None else claim[name] for claim in claims], dtype=np.float64)
        for name in WORKED
    }
    for claim, got in zip(claims, score_columns(TRUST, columns).tolist(), strict=True):
        value = score_value(TRUST, claim)
        assert math.isnan(got) if value is None else got == pytest.approx(value, abs=2e-6)
