"""A claim that no score comes for: people decide it, on both engines alike, and nothing else stops."""

import json

import pytest
from kit.examples import mostly_slow
from kit.graph import Graph, settings_of
from kit.streams import small_storm, write_streams

from monsoon.pipelines import results
from monsoon.pipelines.flink.file_splits import plan
from monsoon.pipelines.local.evidence import ClaimEvidence
from monsoon.pipelines.local.replay import read_inputs, run_products
from monsoon.pipelines.runtime.messages import pack_frame, unpack_frame
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.reference import read_references
from monsoon.transforms.identifiers import claim_id

LOST = "w2"
PRODUCTS = load_products()


class Forgetful(ClaimEvidence):
    """Measures nothing of one rider, however often it is asked."""

    rounds = 0

    def measure_scores(self, questions):
        self.rounds += 1
        assert self.rounds < 50, "asked again and again"
        super().measure_scores(questions)
        mine = {
            update.terms.policy_id
            for disruption in self._disruptions.values()
            for update in disruption.updates.get(LOST, ())
            if update.terms is not None
        }
        lost = {claim_id(policy, disruption) for policy in mine for disruption in self._disruptions}
        for key in [key for key in self._scores if key[0] in lost]:
            del self._scores[key]


class Losing(Graph):
    """Loses the evidence of one rider on its way."""

    def _send(self, messages):
        def passing():
            for message in messages:
                if message.kind.startswith("evidence/"):
                    rows = unpack_frame(message.payload)
                    message = message._replace(payload=pack_frame(rows.filter(rows["worker_id"] != LOST)))
                yield message

        super()._send(passing())


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_streams(tmp_path_factory.mktemp("storm"), small_storm())


@pytest.fixture(scope="module")
def locally(source):
    inputs = read_inputs(source, PRODUCTS)
    references = read_references(source / "reference").locate(inputs.telemetry)
    scores = Forgetful(inputs.telemetry, references, load_scorer(), inputs.shared.panes)
    return inputs, run_products(dict(PRODUCTS), inputs, scores)


def claims_of(outcome, worker):
    return [claim for claim in outcome.claims if claim["worker_id"] == worker]


def test_people_decide_it_and_the_rider_hears_why(locally):
    _, outcome = locally
    mine = claims_of(outcome, LOST)
    assert mine
    assert {claim["status"] for claim in mine} == {"manual_review"}
    assert {tuple(claim["reasons"]) for claim in mine} == {("score_missing",)}
    told = [each["text"] for each in outcome.notifications if each["worker_id"] == LOST]
    assert any("our automatic check of it could not be made" in text for text in told)
    assert {claim["status"] for claim in outcome.claims if claim["worker_id"] != LOST} >= {"approved"}


@pytest.mark.slow
@pytest.mark.parametrize("restore", mostly_slow([True, False]))
def test_both_engines_say_the_same(source, locally, restore):
    _, expected = locally
    graph = Losing(settings_of(source, 3))
    for number, planned in enumerate(plan(source, 50_000)[0]):
        graph.advance(planned.low_ms - 1)
        graph.read(planned.stream, planned.part)
        if restore and number % 3 == 1:
            graph = Losing.resumed(graph.settings, graph.state, graph.results)
    outcome = graph.finish().outcome
    for stream in ("disruptions", "claims", "payouts", "notifications"):
        found, wanted = getattr(outcome, stream), getattr(expected, stream)
        assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, wanted)), stream


def test_they_are_counted(locally):
    inputs, outcome = locally
    summary = results.summarized(inputs, outcome, PRODUCTS, {})
    many = len(claims_of(outcome, LOST))
    assert sum(each["unscored_claims"] for each in summary["products"].values()) == many > 0
    assert summary["metrics"]['claims_unscored{product="kawaach"}'] == many
