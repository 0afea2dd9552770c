"""The worked examples beside the project: every disruption and claim, with every score taken as an approval."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monsoon.pipelines.local.replay import read_inputs, run_product
from monsoon.pipelines.results import Outcome
from monsoon.sources.product_files import load_products
from monsoon.transforms.adjudication.claims import Score

PRODUCTS = load_products()
PERIODS = ("901", "902")


class EveryScoreApproves:
    """Stands in for evidence and model, as the examples ask."""

    model_version = "none"
    syndicate_alerts = ()

    def begin(self, product, disruptions):
        pass

    def answer(self, questions):
        pass

    def __call__(self, claim, at_ms):
        return Score(0.0, 9, trust=1.0)


def lines(path: Path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module", params=[(name, period) for name in PRODUCTS for period in PERIODS], ids="-".join)
def example(request, shared):
    """(expected disruptions, expected claims, outcome) of one example."""
    name, period = request.param
    folder = shared / "examples" / f"{name}-{period}"
    outcome = Outcome()
    run_product(PRODUCTS[name], read_inputs(folder, PRODUCTS), EveryScoreApproves(), outcome)
    expected = folder / "expected"
    return lines(expected / "disruptions.jsonl"), lines(expected / "claims.jsonl"), outcome


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
    for key, claim in got.items():
        want = wanted[key]
        assert claim["worker_id"] == want["worker_id"], key
        assert claim["status"] == want["status"], key
        assert round(claim["payout_terms"]["gross_inr"] * 100) == want["gross_paise"], key
        assert round(claim["payout_inr"] * 100) == want["paid_paise"], key
        if want["reason"] is not None:
            assert want["reason"] in claim["reasons"], key
        mine = [p for p in outcome.payouts if p["claim_id"] == claim["claim_id"]]
        assert {p["created_at"] for p in mine} <= {moment for moment, _ in want["instalments"]}, key
