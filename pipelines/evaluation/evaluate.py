"""The whole evaluation: every scenario simulated, played and measured, one after another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from monsoon.models.evaluation.claims import ClaimFacts
from monsoon.models.evaluation.floors import Curve, Floor, ablation_of, curves_of, floors_of
from monsoon.models.evaluation.measures import (
    Amounts,
    Measure,
    Slice,
    amounts_of,
    measures_of,
    sensor_loss_measures,
    slices_of,
)
from monsoon.models.evaluation.rings import RingMember, part_evidence_measures, ring_measures, ring_members
from monsoon.pipelines.evaluation.gather import facts_of, read_labels
from monsoon.pipelines.evaluation.play import play
from monsoon.pipelines.evaluation.scenarios import Scenario, refuse_trained
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer


@dataclass
class Evaluation:
    """What was found, by product in alphabetical order, and of what."""

    model: str
    scenarios: list[dict[str, Any]] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    amounts: list[Amounts] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)


def evaluate(
    played: Iterable[Scenario], products: Mapping[str, Product], scorer: Scorer, progress: Progress = no_progress
) -> Evaluation:
    """Plays each scenario in a temporary folder of its own and measures all together.

    Raises TrainedOnError before anything is simulated where one is of a storm that a model was trained on.
    """
    listed = list(played)
    refuse_trained(sorted({scenario.storm for scenario in listed}))
    found, facts, members = Evaluation(scorer.version), list[ClaimFacts](), set[RingMember]()
    for number, scenario in enumerate(listed):
        progress(f"playing {scenario.name}", number / len(listed))
        claims, rings, account = play_scenario(scenario, products, scorer)
        facts += claims
        members |= rings
        found.scenarios.append(account)
    measure_all(found, facts, members, sorted({name for scenario in listed for name in scenario.products}))
    return found


def play_scenario(
    scenario: Scenario, products: Mapping[str, Product], scorer: Scorer
) -> tuple[list[ClaimFacts], set[RingMember], dict[str, Any]]:
    """The facts of its claims, the members of its rings and a line for the account."""
    with TemporaryDirectory(prefix="monsoon-evaluate-") as name:
        folder = Path(name)
        scenario.write(folder)
        played = play(folder, products, scenario.products, scorer)
        labels = read_labels(folder)
    facts = facts_of(scenario.name, labels, played.outcome, played.inputs.telemetry, products, scorer)
    account = {
        "generator": scenario.generator,
        "storm": scenario.storm,
        "part": scenario.part,
        "seed": scenario.seed,
        "riders": scenario.riders,
        "attackers": sum(row["kind"] != "honest" for row in labels.values()),
        "products": list(scenario.products),
        "claims": len(facts),
        "answers": played.answers,
    }
    return facts, ring_members(scenario.name, played.outcome.ring_alerts), account


def measure_all(
    found: Evaluation, facts: Sequence[ClaimFacts], members: set[RingMember], products: Sequence[str]
) -> None:
    """Adds every measure of each product's claims to `found`."""
    by_product: dict[str, list[ClaimFacts]] = defaultdict(list)
    for claim in facts:
        by_product[claim.product].append(claim)
    for product in products:
        claims = by_product[product]
        found.measures += measures_of(product, claims) + ring_measures(product, claims, members)
        found.amounts.append(amounts_of(product, claims))
        found.slices += slices_of(product, claims)
        found.floors += floors_of(product, claims)
        found.curves += curves_of(product, claims)
    found.floors += ablation_of(facts)
    found.measures += part_evidence_measures(facts, members) + sensor_loss_measures(found.slices)
