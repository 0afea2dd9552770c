"""The worked examples beside the project: every disruption and claim, with every score taken as an approval."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from kit.examples import mostly_slow
from kit.scores import EveryScoreApproves

from monsoon.pipelines.local.candidates import Candidates, SharedTelemetry
from monsoon.pipelines.local.replay import read_inputs, run_product
from monsoon.pipelines.results import Outcome
from monsoon.sources.product_files import load_products
from monsoon.transforms.activity.activity_test import activity_test_results
from monsoon.transforms.activity.orders import Orders
from monsoon.transforms.activity.peers import Peers
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.identifiers import disruption_id

PRODUCTS = load_products()
PERIODS = ("901", "902")
EXAMPLES = [*((name, period) for name in PRODUCTS for period in PERIODS), ("waiting", "903"), ("identity", "903")]
PRODUCT_OF = {"waiting": "jugaad", "identity": "kawaach"}


CORRECTED_AFTER_THE_TEST = {
    ("876035d4bffffff", 1717999200000): "901",  # the rain at the test, corrected hours later
    ("8761a5310ffffff", 1718565000000): "901",  # the rain at the test, corrected an hour later
    ("8761a1384ffffff", 1718034000000): "902",  # the rain that resumed, corrected hours later
    ("87600e1a4ffffff", 1718412900000): "902",  # overlaps one that was paid, and withdrawn a day later
}
"""Disruptions (zone, start) of gic's examples of which a correction was issued after claims had met their test. The
examples judge such claims by the final history, as if it had been known; the text has history judged with a
corrected value from when it was issued, and what was paid stays paid. The text stands:
`test_what_is_left_out_was_paid_by_what_was_known`. `test_every_activity_test` judges them by the final history too."""


def lines(path: Path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@cache
def outcome_of(folder, product):
    """What a product makes of an example; computed once."""
    outcome = Outcome()
    run_product(PRODUCTS[product], read_inputs(folder, PRODUCTS), EveryScoreApproves(), outcome)
    return outcome


@pytest.fixture(params=EXAMPLES, ids="-".join)
def example(request, shared):
    """(expected disruptions, expected claims, outcome) of one example."""
    name, period = request.param
    folder = shared / "examples" / f"{name}-{period}"
    expected = folder / "expected"
    outcome = outcome_of(folder, PRODUCT_OF.get(name, name))
    return lines(expected / "disruptions.jsonl"), lines(expected / "claims.jsonl"), outcome


def test_dead_letters_of_other_identities_and_ranges(shared):
    """As the examples' README counts them; every other line is used, or repeats one that is."""
    inputs = read_inputs(shared / "examples" / "identity-903", PRODUCTS)
    dead = {stream: counts["dead"] for stream, counts in inputs.counts.items()}
    assert dead == {"subscriptions": 2, "oracle_readings": 141, "telemetry": 80}
    assert inputs.providers == "registered"
    for counts in inputs.counts.values():
        assert counts["read"] == counts["used"] + counts["duplicate"] + counts["dead"]


def last(records, identity):
    return list({record[identity]: record for record in sorted(records, key=lambda r: r["revision"])}.values())


def test_disruptions(example):
    expected, _, outcome = example
    got = {(r["trigger"], r["zone"], r["platform"], r["start"]): r for r in last(outcome.disruptions, "disruption_id")}
    wanted = {(r["trigger"], r["zone"], r["platform"], r["start"]): r for r in expected}
    assert got.keys() <= wanted.keys()
    assert {key for key, record in wanted.items() if record["required"]} <= got.keys()
    for key, record in got.items():
        want = wanted[key]
        for name in ("peril", "confirmed_at", "severity", "level", "state"):
            assert record[name] == want[name], (key, name)
        assert list(record["providers"]) == want["providers"], key
        if want["state"] == "withdrawn":
            assert record["revised_at"] == want["withdrawn_at"], key
        else:
            assert (record["absent_since"], record["end"]) == (want["absent_since"], want["end"]), key


def test_claims(example):
    _, expected, outcome = example
    disruption = {record["disruption_id"]: record for record in outcome.disruptions}
    got = {}
    for claim in last(outcome.claims, "claim_id"):
        about = disruption[claim["disruption_id"]]
        if about["state"] != "withdrawn":
            key = (claim["policy_id"], about["trigger"], about["zone"], about["platform"], about["start"])
            got[key] = claim
    wanted = {(c["policy_id"], c["trigger"], c["zone"], c["platform"], c["start"]): c for c in expected}
    assert got.keys() == wanted.keys()
    paid_at = defaultdict(set)
    for payout in outcome.payouts:
        paid_at[payout["claim_id"]].add(payout["created_at"])
    wanted = {key: want for key, want in wanted.items() if (key[2], key[4]) not in CORRECTED_AFTER_THE_TEST}
    for key, want in wanted.items():
        assert said(got[key], want) == as_expected(want), key
        assert found_of(got[key], want) == want["terms"], key
        assert paid_at[got[key]["claim_id"]] <= {moment for moment, _ in want["instalments"]}, key


def paid_on(outcome, zone):
    """What was paid to whom on claims in a zone: {(worker, start): [(moment, paise)]}."""
    starts = {r["disruption_id"]: r["start"] for r in outcome.disruptions if r["zone"] == zone}
    claims = {c["claim_id"]: starts[c["disruption_id"]] for c in outcome.claims if c["disruption_id"] in starts}
    paid = defaultdict(list)
    for payout in outcome.payouts:
        if payout["claim_id"] in claims:
            key = (payout["worker_id"], claims[payout["claim_id"]])
            paid[key].append((payout["created_at"], payout["amount_paise"]))
    return paid


@pytest.mark.parametrize(("zone", "start"), mostly_slow(CORRECTED_AFTER_THE_TEST))
def test_what_is_left_out_was_paid_by_what_was_known(shared, zone, start):
    """At the moment of payment a replay that knows nothing later pays to the paisa what the whole one pays; what the
    example says instead rests on a correction that was issued after that."""
    product = PRODUCTS["gic"]
    folder = shared / "examples" / f"gic-{CORRECTED_AFTER_THE_TEST[zone, start]}"
    inputs = read_inputs(folder, PRODUCTS)
    paid = paid_on(outcome_of(folder, "gic"), zone)
    paid_ms = max(moment for (_, of), some in paid.items() if of <= start for moment, _ in some)
    unknown = [reading for reading in inputs.readings if reading.effective_ms > paid_ms and reading.revision > 0]
    assert unknown
    inputs.readings = [reading for reading in inputs.readings if reading.effective_ms <= paid_ms]
    then = Outcome()
    run_product(product, inputs, EveryScoreApproves(), then)
    known = {
        key: [each for each in some if each[0] <= paid_ms]
        for key, some in paid_on(then, zone).items()
        if key[1] <= start
    }
    assert known == {key: some for key, some in paid.items() if key[1] <= start}
    claims = [c for c in lines(folder / "expected" / "claims.jsonl") if (c["zone"], c["start"]) == (zone, start)]
    contradicted = 0
    for claim in claims:
        mine = [each for of in {of for _, of in paid} if of <= start for each in paid.get((claim["worker_id"], of), ())]
        if claim["reason"] == "overlap":
            # By the text the excess over what was paid would be left; the rule "once per clock hour" takes that.
            contradicted += 0 < sum(paise for _, paise in mine) < claim["gross_paise"]
        else:
            contradicted += bool(mine) and mine != [tuple(each) for each in claim["instalments"]]
    assert contradicted


def found_of(claim, want):
    """What the record says of the rider's own work, in the words of the examples."""
    terms = claim["payout_terms"]
    if "at" in want["terms"]:
        activity = terms["activity"]
        if not activity["met"]:
            return {"at": None, "measured": "measured" in activity}
        names = ("at", "peers", "rain", "share", "sigma", "threshold")
        return {"measured": True, **{name: activity[name] for name in names}}
    if "slab" in want["terms"]:
        return {"slab": terms["slab_shield"]}
    return {}


def said(claim, want):
    """What a claim came to; where the examples stop at a hold, that it was held."""
    status = claim["status"]
    if any(flag.startswith("hold_only") for flag in want["flags"]) and status == "manual_review":
        status = "soft_hold"
    reason = want["reason"] if want["reason"] in claim["reasons"] else claim["reasons"] and claim["reasons"][0]
    reason = None if status == "soft_hold" else reason
    paise = [round((inr or 0) * 100) for inr in (claim["payout_terms"]["gross_inr"], claim["payout_inr"])]
    return claim["worker_id"], status, reason or None, *paise


def as_expected(want):
    return want["worker_id"], want["status"], want["reason"], want["gross_paise"], want["paid_paise"]


def in_the_end(disruption):
    """The same as if its last revision had been known all along."""
    known = replace(disruption.revisions[-1], silent=False)
    first = replace(known, at_ms=known.event.confirmed_at_ms, state="confirmed")
    return replace(disruption, revisions=(first, known))


@pytest.mark.parametrize("period", PERIODS)
def test_every_activity_test(shared, period):
    product = PRODUCTS["gic"]
    trigger = product.trigger("rain")
    folder = shared / "examples" / f"gic-{period}"
    inputs = read_inputs(folder, PRODUCTS)
    shared_columns = SharedTelemetry(inputs.telemetry)
    claimants = Candidates(product, shared_columns, inputs.readings, inputs.subscriptions)
    disruptions = [in_the_end(disruption) for disruption in claimants.disruptions]
    coverage = Coverage(product, (event for event in inputs.subscriptions if event["product"] == "gic"))
    peers = Peers(coverage, shared_columns.places, product.zone_resolution, trigger.activity)
    found = activity_test_results(disruptions, trigger, peers, Orders(inputs.telemetry), shared_columns.codes)
    said = {
        (worker, activity_result.disruption_id): activity_result
        for worker, mine in found.items()
        for activity_result in mine
    }
    expected = lines(folder / "expected" / "claims.jsonl")
    for claim in expected:
        place = (claim["trigger"], claim["zone"], claim["platform"], claim["start"])
        activity_result = said[claim["worker_id"], disruption_id("gic", *place)]
        if activity_result.passed:
            values = {name: value for name, value in activity_result.values.items() if name != "drop"}
            assert values | {"measured": True} == claim["terms"]
        else:
            assert {"at": None, "measured": "measured" in activity_result.values} == claim["terms"]
    assert any(claim["terms"]["at"] for claim in expected)
