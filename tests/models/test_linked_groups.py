"""Linked groups of simulated riders: who is in one, and how groups are compared."""

import numpy as np
import pytest

from monsoon.pipelines.training.linked_groups import Groups, SimulatedCity
from monsoon.pipelines.training.syndicate import auroc
from monsoon.sources.simulator import load_storm
from monsoon.transforms.rings.group_features import GROUP_FEATURES


@pytest.fixture(scope="module")
def city():
    return SimulatedCity(load_storm("delhi-2024-06-28"), 1_200, 11, attackers=0.2, generator="rides")


def test_honest_groups_are_of_honest_riders_by_links_too_light_for_a_ring(city):
    groups = city.honest_groups(2)
    assert len(groups) > 0
    assert groups.riders.min() >= 3
    assert set().union(*groups.workers) <= city.honest
    assert (groups.columns["link_weight"] >= 3.0).all()
    assert (groups.columns["kinds_per_link"] >= 1.0).all()


def test_rings_are_of_attackers_by_two_kinds_at_least(city):
    rings = city.rings(1)
    assert len(rings) > 0
    assert all(2 * len(workers & city.attackers) > len(workers) for workers in rings.workers)
    assert (rings.columns["link_weight"] >= 7.0).all()
    assert (rings.columns["kinds_per_link"] >= 2.0).all()


def groups_of(*workers):
    return Groups({name: np.zeros(len(workers)) for name in GROUP_FEATURES}, [set(each) for each in workers])


def test_groups_that_share_a_rider_are_not_independent():
    assert groups_of("abc", "cde", "ef", "gh").disjoint().tolist() == [0, 2, 3]
    assert groups_of().disjoint().tolist() == []


def test_auroc():
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0.0
    assert auroc(np.array([1.0, 2.0]), np.array([2.0, 1.0])) == 0.5
    assert np.isnan(auroc(np.array([]), np.array([1.0])))
