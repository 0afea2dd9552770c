"""The ways in of the specification on Flink: nobody is paid for a lie there, either, and the bytes are the local
engine's, of which tests/scenarios/test_ways_in.py says the same."""

import json
from pathlib import Path

import pytest
from kit.flink_runs import PRODUCTS, in_batch, locally
from kit.scenarios import COUNTS, SEED

from monsoon.sources.scenarios import answer_step_ups, build_labeled_scenario
from monsoon.sources.scenarios.conditions import ATTACKS
from monsoon.sources.simulator import load_storm
from monsoon.sources.simulator.write import write_simulation

pytestmark = [pytest.mark.flink, pytest.mark.slow]

WAYS = {each.name for each in ATTACKS if each.kind == "way_in"}
PAID_BY_SOURCE = {
    *(("way_5_renewed_after_alert", product) for product in ("gic", "kawaach", "nexora")),
    *((f"way_6_{what}", product) for what in ("plan_upgraded", "wage_restated") for product in PRODUCTS),
}
"""Cover that counts at once, and the old terms: what test_ways_in.py of tests/scenarios says of them."""


def test_no_way_in_pays(tmp_path):
    counts = {name: COUNTS[name] for name in WAYS} | {"ordinary": 5}
    storm = load_storm(str(Path(__file__).parents[1] / "scenarios/storm.yaml"))
    scenario = build_labeled_scenario(storm, 1, SEED, counts=counts)
    source = tmp_path / "in"
    write_simulation(lambda: scenario, source)
    asked = locally(source, tmp_path / "asked")["claims"]
    assert answer_step_ups(source, map(json.loads, asked)) > 10
    found = in_batch(source, tmp_path / "out", 2)
    assert found == locally(source, tmp_path / "local")

    conditions = dict(scenario.labels.select("worker_id", "condition").iter_rows())
    last = {}
    for claim in sorted(map(json.loads, found["claims"]), key=lambda claim: claim["revision"]):
        last[claim["claim_id"]] = claim
    paid = {(conditions[c["worker_id"]], c["product"]) for c in last.values() if c["status"] == "approved"}
    assert {each for each in paid if each[0] in WAYS} <= PAID_BY_SOURCE
