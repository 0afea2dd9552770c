"""The ways in of the specification, replayed: all confirm who are asked (but way 4), and nobody is paid for a lie."""

import json
from dataclasses import replace

import pytest

from monsoon.sources.scenarios import ATTACKS

PRODUCTS = ("gic", "jugaad", "kawaach", "nexora", "offshift")
OLD_TERMS = ("way_6_plan_upgraded", "way_6_wage_restated", "way_6_home_restated")
AT_ONCE = {("way_5_renewed_after_alert", product) for product in ("gic", "kawaach", "nexora")}
"""Cover counts at once by the product's source (`products.md`); the threat model states what that costs."""
WAYS = [each.name for each in ATTACKS if each.kind == "way_in" and each.name not in OLD_TERMS]
WITHOUT_CLAIM = {"way_6_home_restated", "way_7_quorum", "way_10_invented_providers", "way_12_foreign_event_ids"}


@pytest.mark.parametrize(
    ("way", "product"), [(way, product) for way in WAYS for product in PRODUCTS if (way, product) not in AT_ONCE]
)
def test_no_way_in_is_paid(replayed, way, product):
    claims = replayed.claims_of(way, product)
    assert [claim["claim_id"] for claim in claims if claim["status"] == "approved"] == []


@pytest.mark.parametrize(("way", "product"), sorted(AT_ONCE))
def test_cover_that_counts_at_once_pays_and_its_gap_to_the_alert_is_measured(replayed, way, product):
    paid = [claim for claim in replayed.claims_of(way, product) if claim["status"] == "approved"]
    assert paid
    assert all(claim["features"]["subscription_alert_gap_s"] is not None for claim in paid)


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
    """All raise claims but the home that does not count yet, the quorum that is none, invented providers, and who only
    takes ids."""
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


def test_without_the_terms_of_the_quorum_silent_accounts_make_an_outage(replayed):
    """So it is these that stop way 7."""
    product = replayed.products["offshift"]
    triggers = tuple(replace(each, telemetry_condition=None) for each in product.triggers)
    assert triggers != product.triggers
    products = replayed.products | {"offshift": replace(product, triggers=triggers)}
    _, claims = replayed.replay("unjudged", running=["offshift"], products=products)
    assert len(replayed.claims_of("way_7_quorum", "offshift", claims)) == 3


def test_nobody_loses_a_report_to_a_stranger_who_uses_its_id(replayed, telemetry):
    foreign = telemetry.filter(condition="way_12_foreign_event_ids")["event_id"]
    others = telemetry.filter(condition="ordinary")["event_id"]
    assert foreign.is_in(others.implode()).sum() > 100
    assert replayed.summary["streams"]["telemetry"]["dead"] == 0


def _without_backlog(lines, workers):
    """But the reports of the days before that these riders made up."""
    return [line for line in lines if not (line["worker_id"] in workers and "-0-" not in line["event_id"])]


def _in_time(lines, workers):
    """As if these riders' reports had come at once."""
    return [
        line | {"received_time": line["event_time"] + 500} if line["worker_id"] in workers else line for line in lines
    ]


@pytest.fixture(scope="module")
def offshift_with(replayed):
    """Way 11's decisions of offshift, whose trust score has the shift pattern, after a change of the telemetry."""

    def decided(name, change):
        condition = "way_11_history_in_one_evening"
        workers = {worker for worker, each in replayed.conditions.items() if each == condition}
        path = replayed.folder / "in/telemetry/part-00000.jsonl"
        stated = path.read_text()
        lines = [json.loads(line) for line in stated.splitlines()]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in change(lines, workers)))
        try:
            _, claims = replayed.replay(name, running=["offshift"])
        finally:
            path.write_text(stated)
        mine = replayed.claims_of(condition, "offshift", claims)
        return {c["claim_id"]: (c["status"], c["reasons"], c["trust_score"], c["features"]) for c in mine}

    return decided


def test_a_history_that_was_sent_in_one_evening_changes_no_decision(offshift_with):
    as_sent, without, in_time = (
        offshift_with(name, change)
        for name, change in (("sent", lambda lines, _: lines), ("bare", _without_backlog), ("early", _in_time))
    )
    assert as_sent == without
    pattern = "shift_pattern"
    assert {features[pattern] for *_, features in as_sent.values()} == {None}
    assert all(features[pattern] is not None for *_, features in in_time.values())
    assert len(as_sent) == len(in_time) > 0
