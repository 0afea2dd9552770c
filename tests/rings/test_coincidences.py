"""Groups who bought in one hour and report from one network, and nothing else confirms their place."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rings.test_opened_claims import HOUR_MS, MANY, NOW_MS, opening
from scipy.stats import hypergeom

from monsoon.transforms.rings.coincidences import log10_chance
from monsoon.transforms.rings.graph import RingGraph
from monsoon.transforms.rings.limits import (
    ACCESS_POINT,
    EDGE_WEIGHT_E6,
    KINDS,
    NETWORK_PREFIX,
    PURCHASE_ON_NETWORK,
    SERVING_CELL,
)
from monsoon.transforms.rings.opened_claims import linked_cells
from monsoon.transforms.rings.resources import Stays

WEEKS_AGO_MS = NOW_MS - NOW_MS % HOUR_MS - 21 * 24 * HOUR_MS
MINUTE_MS = 60_000
OTHERS = 120


def strangers(seed=1, prefixes=40):
    """Openings of riders who bought some time in three weeks, each by rider number with a network of its own code."""
    rng = random.Random(seed)
    return [
        (opening(n, purchased_at_ms=WEEKS_AGO_MS + rng.randrange(21 * 24) * HOUR_MS), 100 + rng.randrange(prefixes))
        for n in range(1_000, 1_000 + OTHERS)
    ]


def group(size, **fields):
    """Riders who bought within an hour that two clock hours share, on the network with code 7."""
    return [
        (opening(n, **({"purchased_at_ms": WEEKS_AGO_MS + 35 * MINUTE_MS + n * 5 * MINUTE_MS} | fields)), 7)
        for n in range(size)
    ]


def stays_of(riders, sees=None):
    """A stay on each rider's network up to the confirmation; `sees` names a kind that is seen beside it, by rider."""
    rows = [(place, NETWORK_PREFIX, network) for place, (_, network) in enumerate(riders)]
    rows += [(place, sees[place], 5_000 + place) for place in sorted(sees or {})]
    rider, kind, resource = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    last_ms = np.full(len(rows), NOW_MS)
    return Stays(rider, kind.astype(np.int8), resource, last_ms - 40 * MINUTE_MS, last_ms, np.zeros(len(rows), int))


def ringed(riders, sees=None, order=None):
    """Claims in a raised ring."""
    names = [[str(n) for n in range(6_000)] for _ in KINDS]
    names[KINDS.index("device")] = names[KINDS.index("payout_account")] = []
    graph = RingGraph("gic", "rain")
    openings = [each for each, _ in riders]
    stays = stays_of(riders, sees)
    if order is not None:
        place = np.argsort(order)
        openings = [openings[at] for at in order]
        stays = Stays(place[stays.rider], *(getattr(stays, name) for name in list(Stays.__dataclass_fields__)[1:]))
    for each in linked_cells(openings, stays, names, -1, 2**60, lambda *_: True, lambda *_: MANY):
        if each.links is not None:
            graph.add(each.links)
    return {claim for alert in graph.advance(NOW_MS) for claim in alert.claims}, graph


def test_a_group_of_one_network_and_hour_is_a_ring():
    found, _ = ringed([*group(6), *strangers()])
    assert found == {f"c{n}" for n in range(6)}


def test_its_evidence_says_the_network_and_the_hour():
    names = [[str(n) for n in range(6_000)] for _ in KINDS]
    names[KINDS.index("device")] = []
    riders = [*group(6), *strangers()]
    (found,) = linked_cells(
        [each for each, _ in riders], stays_of(riders), names, -1, 2**60, lambda *_: True, lambda *_: MANY
    )
    named = {name for kind, name in found.links.resources if kind == KINDS[PURCHASE_ON_NETWORK]}
    assert named <= {f"7 {WEEKS_AGO_MS // HOUR_MS + before}" for before in (-1, 0, 1)}
    assert named


@pytest.mark.parametrize("size", [2, 3])
def test_few_may_be_chance(size):
    assert ringed([*group(size), *strangers()])[0] == set()


def test_who_bought_at_any_time_on_one_network_is_no_ring():
    """A carrier's address behind which strangers are."""
    assert ringed([(each, 7) for each, _ in strangers()])[0] == set()
    assert ringed(strangers(prefixes=6))[0] == set()


def test_who_bought_in_a_rush_hour_on_many_networks_is_no_ring():
    rush = [(each, 100 + n % 30) for n, (each, _) in enumerate(group(60))]
    assert ringed([*rush, *strangers()])[0] == set()


@pytest.mark.parametrize("kind", [ACCESS_POINT, SERVING_CELL])
def test_riders_whose_place_something_confirms_are_no_ring(kind):
    """A depot's riders who were hired in one hour."""
    riders = [*group(8), *strangers()]
    assert ringed(riders, sees=dict.fromkeys(range(8), kind))[0] == set()


def test_a_squad_is_no_ring():
    assert ringed([*group(8, squad="s1"), *strangers()])[0] == set()


@given(st.permutations(range(OTHERS + 6)))
def test_the_order_does_not_matter(order):
    assert ringed([*group(6), *strangers()], order=order)[0] == {f"c{n}" for n in range(6)}


@given(st.data())
def test_the_chance_is_fishers(data):
    everybody = data.draw(st.integers(3, 3_000))
    some, others = data.draw(st.integers(1, everybody)), data.draw(st.integers(1, everybody))
    both = data.draw(st.integers(max(0, some + others - everybody), min(some, others)))
    expected = hypergeom.logsf(both - 1, everybody, some, others) / np.log(10)
    found = log10_chance(everybody, some, others, both)
    if both * everybody <= some * others:
        assert found == 0.0
    elif expected > -200:
        assert found == pytest.approx(expected, abs=1e-5, rel=1e-6)
    else:
        assert found < -190


def test_a_group_weighs_more_the_larger_it_is():
    """Of 200 riders with 10 on the network, of whom so many bought in one hour."""
    weights = [-log10_chance(200, 10, both, both) for both in range(1, 8)]
    assert weights == sorted(weights)
    assert weights[2] < EDGE_WEIGHT_E6 / 1_000_000 < weights[6]
