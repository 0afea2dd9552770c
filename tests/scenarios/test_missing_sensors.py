"""Honest riders' claims, scored as they were and again without each group of sensors.

A product that waits before it escalates (kawaach, jugaad) approves below the risk of one honest claim in a hundred and
escalates beyond that of one in a thousand: one sensor less must not lead from the one to the other. Nexora has one
cut-off. As each set of sensors has a calibration of its own, a claim just below it may be just beyond it with one
sensor less, which is why that is counted and not ruled out.
"""

import numpy as np
import pytest

from monsoon.sources.scenarios.conditions import HONEST_CONDITIONS
from monsoon.transforms.product.terms import MODEL_SCALE

HONEST = {each.name for each in HONEST_CONDITIONS}
ONE_IN_100, ONE_IN_1000 = (each.at for each in MODEL_SCALE)
MIN_GROUPS = 3
"""With fewer measured groups a score leads to nothing stricter than a soft hold."""


@pytest.fixture(scope="module")
def honest(replayed):
    """The model's input of every honest rider's claim at its first score, float32 (claims, features)."""
    first = {
        claim["claim_id"]: claim["features"]
        for claim in replayed.unanswered
        if claim["revision"] == 0 and claim["features"] and replayed.conditions[claim["worker_id"]] in HONEST
    }
    columns = {
        name: np.array([np.nan if each.get(name) is None else each[name] for each in first.values()])
        for name in replayed.scorer.features
    }
    return replayed.scorer.rows(columns)


@pytest.fixture(scope="module")
def removals(replayed, honest):
    """Risk of each claim as it was and without one group of sensors, (groups, claims) each; only of claims that had
    the group, and have MIN_GROUPS without it."""
    scorer = replayed.scorer
    one_each = np.where(np.eye(len(scorer.features), dtype=bool), np.float32(0), np.float32(np.nan))
    mask_of_feature = scorer.score_rows(one_each).mask
    whole, parts = scorer.score_rows(honest), []
    for bit in range(len(scorer.groups)):
        fewer = honest.copy()
        fewer[:, mask_of_feature == 1 << bit] = np.nan
        part = scorer.score_rows(fewer)
        parts.append(np.where((part.mask != whole.mask) & (part.measured_groups >= MIN_GROUPS), part.risk, np.nan))
    return np.broadcast_to(whole.risk, (len(parts), len(honest))), np.array(parts)


def test_each_group_is_removed_from_many_claims(removals):
    assert ((~np.isnan(removals[1])).sum(axis=1) > 40).all()


def test_a_sensor_less_never_turns_an_approval_into_more_than_a_soft_hold(removals):
    whole, part = removals
    assert not ((whole < ONE_IN_100) & (part > ONE_IN_1000)).any()


def test_a_sensor_less_hardly_ever_moves_a_claim_across_one_cut_off(removals):
    whole, part = removals
    assert ((whole <= ONE_IN_1000) & (part > ONE_IN_1000)).sum() <= 0.001 * (~np.isnan(part)).sum()
