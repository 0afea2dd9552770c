"""What a claim's links to others do: members of rings are reviewed, those attached to one are asked, and so is who is
paid to an account of many riders."""

import pytest
from adjudication.test_guard import CELL, MOCK, lost, rider_of
from hypothesis import given
from hypothesis import strategies as st
from kit import at
from kit.rider import PRODUCTS
from msgspec.structs import replace

from monsoon.pipelines.runtime.messages import pack, unpack
from monsoon.transforms.adjudication.claims import Claim, LinkUpdate
from monsoon.transforms.identifiers import claim_id

CLAIM = claim_id("p1", "d")
WITHOUT_ACTIVITY_TEST = sorted(set(PRODUCTS) - {"gic"})


def member(minutes=0):
    return LinkUpdate(at(minutes), CLAIM, "r1", ring_score=0.75, proximity_degree=4, shared_network_degree=2)


def attached(minutes=0):
    return LinkUpdate(at(minutes), CLAIM, "r1", held=True, ring_score=0.5)


def lifted(minutes):
    return LinkUpdate(at(minutes), CLAIM)


def on_account(riders, minutes=0):
    return LinkUpdate(at(minutes), CLAIM, riders_on_payout_account=riders)


def on_phone(riders, minutes=0):
    return LinkUpdate(at(minutes), CLAIM, riders_on_device=riders)


@pytest.mark.parametrize("product", WITHOUT_ACTIVITY_TEST)
def test_a_member_of_a_ring_is_reviewed(product):
    rider = rider_of(product=product).at(lost(product), member()).finish()
    assert rider.story() == ["manual_review"]
    last = rider.last()
    assert (last["reasons"], last["ring_id"], last["ring_score"]) == (["ring"], "r1", 0.75)
    assert last["features"]["ring_score"] == 0.75
    assert (last["features"]["proximity_degree"], last["features"]["shared_network_degree"]) == (4.0, 2.0)
    assert last["guard"] == [
        {"signal": "ring", "status": "strong", "feature": "ring", "value": 1.0, "threshold": 1.0, "reports": 0}
    ]


@pytest.mark.parametrize("product", WITHOUT_ACTIVITY_TEST)
def test_who_is_attached_to_a_ring_is_asked(product):
    rider = rider_of(product=product).at(lost(product), attached())
    assert rider.end() == ("step_up", ["verify:ring"])
    assert rider.answer(10).finish().end() == ("approved", [])


def test_what_contradicts_counts_before_an_attachment():
    assert rider_of((MOCK, CELL)).at(lost(), attached()).end() == ("manual_review", ["mock", "cell"])
    assert rider_of((MOCK,)).at(lost(), attached()).end() == ("step_up", ["verify:mock"])


@pytest.mark.parametrize(("riders", "end"), [(2, "approved"), (3, "step_up")])
def test_more_than_two_riders_on_an_account_are_one_signal(riders, end):
    rider = rider_of().at(lost(), on_account(riders))
    assert rider.story() == [end]
    assert rider_of((MOCK,)).at(lost(), on_account(3)).end() == ("manual_review", ["mock", "device"])


@pytest.mark.parametrize(("riders", "end"), [(2, "approved"), (3, "step_up")])
def test_more_than_two_riders_on_a_phone_are_one_signal(riders, end):
    rider = rider_of().at(lost(), on_phone(riders))
    assert rider.story() == [end]
    (signal,) = (each for each in rider.last()["guard"] if each["signal"] == "device")
    assert (signal["feature"], signal["value"]) == ("riders_on_device_28d", riders)


def test_a_reread_releases_an_account_of_many_and_no_phone_of_many():
    """A family's account says nothing of where a rider is; a phone that three use is what was to be read again."""
    assert rider_of().at(lost(), on_account(3)).answer(10).end() == ("approved", [])
    assert rider_of().at(lost(), on_phone(3)).answer(10).end() == ("manual_review", ["device"])
    assert rider_of().at(lost(), on_phone(3)).finish().end() == ("manual_review", ["step_up_unanswered", "device"])


def test_a_claim_that_waits_is_frozen_when_it_becomes_a_member():
    held = rider_of(risk=0.5).at(lost()).at(member(30)).finish()
    assert held.story() == ["soft_hold", "manual_review"]
    assert held.last()["decided_at"] == at(30)
    asked = rider_of((MOCK,)).at(lost()).at(member(30)).finish()
    assert asked.end() == ("manual_review", ["mock", "ring"])


def test_what_was_paid_stays_paid_and_what_is_in_review_stays_there():
    assert rider_of().at(lost()).at(member(30)).finish().story() == ["approved"]
    assert rider_of().at(lost(), member()).at(lifted(60)).finish().story() == ["manual_review"]


def test_a_claim_that_is_opened_after_the_alert_was_lifted_is_no_members():
    rider = rider_of(risk=0.5).at(lost(), attached()).at(lifted(10))
    assert rider.story() == ["step_up"]
    assert rider.answer(20).end() == ("approved", [])


def test_links_of_claims_that_are_not_known_are_nothing():
    rider = rider_of().at(replace(member(-5), claim_id="c-other")).at(lost())
    assert rider.story() == ["approved"]


@given(st.permutations([lost(), member(), on_account(3), on_account(5), on_account(4)]))
def test_the_order_within_a_moment_does_not_matter(items):
    rider = rider_of().at(*items)
    assert rider.end() == ("manual_review", ["ring", "device"])
    assert rider.last()["guard"][1]["value"] == 5.0


def test_links_are_part_of_a_claims_state():
    rider = rider_of(risk=0.5).at(lost(), attached(), on_account(3))
    (claim,) = rider.machine.claims
    kept = unpack(pack(claim), Claim)
    assert (kept.ring_id, kept.ring_held, kept.ring_score, kept.riders_on_payout_account) == ("r1", True, 0.5, 3)
