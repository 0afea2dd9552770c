"""The ways in of the specification, replayed: everybody who is asked confirms, and nobody is to be paid for a lie.

A case that is paid today is a strict failure that names its cause: when the cause is mended, the mark has to go.
"""

import pytest
from kit.needs import known_to_fail

from monsoon.sources.scenarios import ATTACKS

PRODUCTS = ("gic", "jugaad", "kawaach", "nexora", "offshift")
OLD_TERMS = ("way_6_plan_upgraded", "way_6_wage_restated", "way_6_home_restated")
WAYS = [each.name for each in ATTACKS if each.kind == "way_in" and each.name not in OLD_TERMS]
WITHOUT_CLAIM = {"way_6_home_restated", "way_10_invented_providers", "way_12_foreign_event_ids"}

WITHHELD = "what is withheld is no evidence: no report contradicts the place, and nothing is shared with anybody"
AT_ONCE = "cover counts at once by the product's source (products.md); the threat model has to state what that costs"
ONE_PROVIDER = "the product's source asks for one provider of outage reports, and for no quorum of silent riders"
PAID_TODAY = {
    **{("way_4_hold_runs_out", product): WITHHELD for product in ("gic", "jugaad", "nexora", "offshift")},
    **{("way_5_renewed_after_alert", product): AT_ONCE for product in ("gic", "kawaach", "nexora")},
    ("way_7_quorum", "jugaad"): ONE_PROVIDER,
    **{("way_11_history_in_one_evening", product): WITHHELD for product in PRODUCTS},
}


def cases():
    for way in WAYS:
        for product in PRODUCTS:
            yield pytest.param(way, product, marks=known_to_fail(PAID_TODAY.get((way, product))))


@pytest.mark.parametrize(("way", "product"), list(cases()))
def test_no_way_in_is_paid(replayed, way, product):
    claims = replayed.claims_of(way, product)
    assert [claim["claim_id"] for claim in claims if claim["status"] == "approved"] == []


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("way", OLD_TERMS)
def test_what_is_restated_before_the_alert_pays_the_old_terms(replayed, way, product):
    """Whoever is paid with the event is paid no less without it; a home that was elsewhere has no claim here.

    Less: the event states no orders of the week, so that nothing is added for the weekly slab.
    """
    before = paid(replayed.claims_of(way, product, replayed.unanswered))
    after = paid(replayed.claims_of(way, product))
    compared = set(before) & set(after)
    assert all(after[claim] <= before[claim] for claim in compared)
    assert bool(compared) == bool(after) == (way != "way_6_home_restated")


def paid(claims):
    return {claim["claim_id"]: claim["payout_inr"] for claim in claims if claim["status"] == "approved"}


def test_the_ways_were_tried(replayed):
    """All raise claims but the home that does not count yet, who invents providers, and who only takes ids."""
    untried = {way for way in (*WAYS, *OLD_TERMS) if not any(replayed.claims_of(way, each) for each in PRODUCTS)}
    assert untried == WITHOUT_CLAIM
    assert replayed.answers > 20


def test_without_the_register_invented_providers_are_believed(replayed):
    """So it is the register that stops way 10."""
    register = replayed.folder / "in/reference/providers.csv"
    register.rename(replayed.folder / "register")
    try:
        _, claims = replayed.replay("unregistered", running=["nexora"])
    finally:
        (replayed.folder / "register").rename(register)
    assert len(replayed.claims_of("way_10_invented_providers", "nexora", claims)) >= 4


def test_nobody_loses_a_report_to_a_stranger_who_uses_its_id(replayed, telemetry):
    foreign = telemetry.filter(condition="way_12_foreign_event_ids")["event_id"]
    others = telemetry.filter(condition="ordinary")["event_id"]
    assert foreign.is_in(others.implode()).sum() > 100
    assert replayed.summary["streams"]["telemetry"]["dead"] == 0
