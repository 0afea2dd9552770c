"""A syndicate that joined for a storm: the same alerts on both engines, and nobody else is frozen."""

import pytest
from kit.graph import Graph, same, settings_of

from monsoon.pipelines.flink.file_splits import in_any_order
from monsoon.pipelines.local.replay import claim_evidence, read_inputs, run_products
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.simulator import load_storm, simulate

OFFSHIFT = load_products(["offshift"])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cloudburst") / "in"
    simulate(load_storm("delhi-2024-07-31-cloudburst"), riders=150, seed=1, output=folder)
    return folder


@pytest.fixture(scope="module")
def outcome(source):
    inputs = read_inputs(source, load_products())
    return run_products(OFFSHIFT, inputs, claim_evidence(inputs, source, load_scorer()))


def test_the_group_is_frozen_and_nobody_else(outcome):
    frozen = {claim for alert in outcome.syndicate_alerts for claim in alert["claim_ids"]}
    last = {claim["claim_id"]: claim for claim in outcome.claims}
    assert len(frozen) >= 20
    assert {last[claim]["status"] for claim in frozen} == {"manual_review"}
    assert all("syndicate_alert" in last[claim]["reasons"] for claim in frozen)
    others = [claim for name, claim in last.items() if name not in frozen]
    assert not any("syndicate_alert" in claim["reasons"] for claim in others)
    assert sum(claim["status"] == "approved" for claim in others) >= 10


@pytest.mark.slow
def test_both_engines_say_so(source, outcome):
    graph = Graph(settings_of(source, 2, ["offshift"]), durable=False)
    for planned in in_any_order(source, 10_000_000)[0]:
        graph.read(planned.stream, planned.part)
    found = graph.finish().outcome
    streams = ("disruptions", "claims", "payouts", "notifications", "reserve_alerts", "syndicate_alerts")
    same(found, outcome, streams)
