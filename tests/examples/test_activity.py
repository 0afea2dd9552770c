"""The activity tests of the examples, each judged on the history as it ended, corrections known from the start."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_worked_examples import PERIODS, PRODUCTS, lines

from monsoon.pipelines.local.claimants import Claimants, Shared
from monsoon.pipelines.local.replay import read_inputs
from monsoon.transforms.activity.findings import activity_findings
from monsoon.transforms.activity.orders import Orders
from monsoon.transforms.activity.peers import Peers
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.identifiers import disruption_id


def in_the_end(disruption):
    """The same as if its last revision had been known all along."""
    known = replace(disruption.revisions[-1], silent=False)
    first = replace(known, at_ms=known.episode.confirmed_at_ms, state="confirmed")
    return replace(disruption, revisions=(first, known))


@pytest.mark.parametrize("period", PERIODS)
def test_every_claim_is_tested_as_expected(shared, period):
    product = PRODUCTS["gic"]
    trigger = product.trigger("rain")
    folder = shared / "examples" / f"gic-{period}"
    inputs = read_inputs(folder, PRODUCTS)
    shared_columns = Shared(inputs.trail)
    claimants = Claimants(product, shared_columns, inputs.readings, inputs.subscriptions)
    disruptions = [in_the_end(disruption) for disruption in claimants.disruptions]
    coverage = Coverage(event for event in inputs.subscriptions if event["product"] == "gic")
    peers = Peers(coverage, shared_columns.places, product.zone_resolution, trigger.activity)
    found = activity_findings(disruptions, trigger, peers, Orders(inputs.trail), shared_columns.codes)
    said = {(worker, finding.disruption_id): finding for worker, mine in found.items() for finding in mine}
    expected = lines(folder / "expected" / "claims.jsonl")
    for claim in expected:
        place = (claim["trigger"], claim["zone"], claim["platform"], claim["start"])
        finding = said[claim["worker_id"], disruption_id("gic", *place)]
        if finding.met:
            values = {name: value for name, value in finding.values.items() if name != "drop"}
            assert values | {"measured": True} == claim["terms"]
        else:
            assert {"at": None, "measured": "measured" in finding.values} == claim["terms"]
    assert any(claim["terms"]["at"] for claim in expected)
