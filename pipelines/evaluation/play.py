"""One scenario, played: replayed on the local engine, every rider asked answers, and replayed with the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monsoon.pipelines.local.collector import collector_paused
from monsoon.pipelines.local.replay import Inputs, claim_evidence, read_inputs, run_products
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.results import Outcome
from monsoon.sources.scenarios import answer_step_ups
from monsoon.sources.streams import read_stream
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer

MAX_ROUNDS = 4
"""Answers may lead to questions about other claims of the rider; these are answered, too."""
_STREAM = "confirmations"


@dataclass(frozen=True)
class Played:
    """The inputs, the outcome with the answers in, and how many answers there were."""

    inputs: Inputs
    outcome: Outcome
    answers: int


def play(
    folder: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    scorer: Scorer,
    progress: Progress = no_progress,
) -> Played:
    """Replays an input folder, writes its `confirmations/` from the claims in step-up, and replays again, until nobody
    is asked anew. Attackers answer as everybody does.

    Only the answers change between replays, so the other streams are read once. Raises InputError.
    """
    inputs = read_inputs(folder, products, progress)
    running = {name: products[name] for name in sorted(selected)}
    outcome, answers = _run(running, inputs, folder, scorer, progress), 0
    for _ in range(MAX_ROUNDS):
        given = answer_step_ups(folder, outcome.claims)
        if not given:
            break
        answers += given
        read = read_stream(_STREAM, folder)
        inputs.confirmations = read.records
        inputs.counts[_STREAM] = read.counts | {"ignored": list(read.ignored)}
        outcome = _run(running, inputs, folder, scorer, progress)
    return Played(inputs, outcome, answers)


def _run(products: Mapping[str, Product], inputs: Inputs, folder: Path, scorer: Scorer, progress: Progress) -> Outcome:
    claim_scores = claim_evidence(inputs, folder, scorer)
    with collector_paused():
        return run_products(products, inputs, claim_scores, progress)
