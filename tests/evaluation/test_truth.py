"""Which claims of attackers are lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.models.evaluation.truth import is_true

ZONE = "873da1142ffffff"
IN_ZONE = {"true_lat": 28.6023, "true_lon": 77.2187}
FAR = {"true_lat": 28.75, "true_lon": 77.2187}
BESIDE = {"true_lat": 28.6163, "true_lon": 77.2187}
"""Some 300 m outside it."""


def true(labels, margin_m=0.0, providers=("imd",), confirmed_at_ms=100):
    row = {"kind": "mock_app", "attack_ms": 50} | labels
    return is_true(row, zone=ZONE, margin_m=margin_m, providers=providers, confirmed_at_ms=confirmed_at_ms)


def test_a_claim_for_the_zone_of_the_true_place_is_no_lie():
    assert true(IN_ZONE)
    assert not true(FAR)
    assert true(FAR, confirmed_at_ms=10)  # before the attack
    assert (true(BESIDE), true(BESIDE, margin_m=500)) == (False, True)


@given(st.integers(0, 200))
def test_labels_of_other_generators_tell_by_the_beginning_of_the_attack(at_ms):
    assert true({}, confirmed_at_ms=at_ms) == (at_ms < 50)
    assert not is_true({"kind": "ring"}, zone=ZONE, margin_m=0, providers=(), confirmed_at_ms=at_ms)


def test_who_lies_about_a_policy_has_no_true_place():
    assert not true({"true_lat": None, "true_lon": None})


@pytest.mark.parametrize(("providers", "found"), [(("imd",), True), (("imd", "nobody"), False)])
def test_what_a_made_up_provider_confirmed_is_a_lie_wherever_the_rider_is(providers, found):
    assert true(IN_ZONE | {"false_sources": "nobody nowhere"}, providers=providers) is found


def test_honest_riders_do_not_lie():
    assert true({"kind": "honest"} | FAR)
