"""The test set, and one small scenario from simulation to page."""

import json
import re

import pytest

from monsoon.cli.evaluate import document_of
from monsoon.cli.evaluation_page import page
from monsoon.cli.evaluation_table import table_text
from monsoon.cli.main import main
from monsoon.models.evaluation.document import Met
from monsoon.pipelines.evaluation.evaluate import Evaluation, evaluate, measure_all, play_scenario
from monsoon.pipelines.evaluation.gather import facts_of, opening_revision, read_labels
from monsoon.pipelines.evaluation.play import play
from monsoon.pipelines.evaluation.scenarios import (
    GENERATORS,
    TRAINING_STORMS,
    Scenario,
    TrainedOnError,
    refuse_trained,
    scenarios,
    untrained_storms,
)
from monsoon.pipelines.local.replay import replay
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

SMALL = Scenario("rides", "delhi-2024-06-28", 0, 60, 3, ("kawaach",))


def test_the_storms_of_the_models_cards_are_those_that_are_not_evaluated(root):
    cards = [path.read_text(encoding="utf-8") for path in sorted((root / "models" / "onnx").glob("*/model_card.md"))]
    trained = re.findall(r"^- (?:Storm|the storm) ([^ ,]+),", "\n".join(cards), re.M)
    assert set(trained) == set(TRAINING_STORMS)
    assert not set(untrained_storms()) & set(TRAINING_STORMS)
    for storm in TRAINING_STORMS:
        with pytest.raises(TrainedOnError, match=storm):
            refuse_trained([storm])
    with pytest.raises(TrainedOnError, match="chennai"):
        evaluate([Scenario("rides", TRAINING_STORMS[0], 0, 10, 1, ("kawaach",))], {}, load_scorer(None))


def test_every_product_has_a_storm_and_parts_have_all_riders():
    found = list(scenarios(2_500, 7, tuple(GENERATORS), load_products()))
    assert {product for scenario in found for product in scenario.products} == set(load_products())
    assert len({scenario.name for scenario in found}) == len({(s.generator, s.seed) for s in found}) == len(found)
    of_one = [scenario.riders for scenario in found if scenario.name.startswith("rides/delhi-2024-06-28/")]
    assert sum(of_one) == 2_500
    assert max(of_one) <= 1_000
    assert {s.storm for s in scenarios(10, 7, ["rides"], ["gic"])} == {"delhi-2024-07-31-cloudburst"}


def test_a_claim_is_opened_on_the_confirmation_of_its_moment():
    revisions = [{"revised_at": 10, "revision": 0}, {"revised_at": 50, "revision": 1}]
    found = [opening_revision(revisions, at_ms)["revision"] for at_ms in (0, 10, 49, 50)]
    assert found == [0, 0, 0, 1]


def test_a_scenario_from_simulation_to_page(tmp_path):
    products, scorer = load_products(), load_scorer(None)
    folder = tmp_path / "in"
    SMALL.write(folder)
    played = play(folder, products, SMALL.products, scorer)
    assert played.answers > 0

    # What was played in memory is what a replay of the folder with the answers writes.
    replay(folder, tmp_path / "out", products, SMALL.products, scorer)
    written = [json.loads(line) for part in sorted((tmp_path / "out" / "claims").iterdir()) for line in part.open("rb")]
    order = ("decided_at", "claim_id", "revision")
    assert sorted(played.outcome.claims, key=lambda claim: [claim[name] for name in order]) == written

    labels = read_labels(folder)
    facts = facts_of(SMALL.name, labels, played.outcome, played.inputs.telemetry, products, scorer)
    assert {claim.claim_id for claim in facts} == {claim["claim_id"] for claim in written}
    honest = [claim for claim in facts if claim.honest]
    assert all((claim.risk is None) == (claim.one_scale_risk is None) for claim in facts)
    assert any(claim.risk != claim.one_scale_risk for claim in facts)
    assert {"device tier", "carrier", "zone"} <= {dimension for claim in honest for dimension, _ in claim.slices}

    found = Evaluation(scorer.version, scenarios=[play_scenario(SMALL, products, scorer)[2]])
    measure_all(found, facts, set(), SMALL.products)
    document = document_of(found)
    again = Evaluation(scorer.version, scenarios=found.scenarios)
    measure_all(again, list(reversed(facts)), set(), SMALL.products)
    assert json.dumps(document_of(again)) == json.dumps(document)
    text, html = table_text(document), page(document)
    assert "not paid: mock_app" in text
    assert "<svg" in html
    assert not re.search(r'(src|href)="|https?://', html)


def test_a_check_ends_with_1_where_a_target_is_lost(monkeypatch, capsys):
    from monsoon.cli import evaluate as command
    from monsoon.models.evaluation import targets
    from monsoon.models.evaluation.measures import Measure
    from monsoon.models.rates import Rate
    from monsoon.pipelines.evaluation import evaluate as pipeline

    measures = [Measure("gic", targets.HELD, 0.5, Rate(1, 2))]
    monkeypatch.setattr(pipeline, "evaluate", lambda *_: Evaluation("m", measures=measures))
    before: Met = {"gic": [targets.HELD]}
    monkeypatch.setattr(command, "_read_met", lambda: before)
    assert main(["evaluate", "--quick", "--check"]) == 1
    assert f"gic: {targets.HELD}: was met, is missed" in capsys.readouterr().out
    before = {"gic": []}
    assert main(["evaluate", "--quick", "--check"]) == 0


def test_an_unknown_generator_is_answered_with_the_one_that_was_meant(capsys):
    assert main(["evaluate", "--generator", "ridse"]) == 1
    assert "did you mean rides" in capsys.readouterr().err
