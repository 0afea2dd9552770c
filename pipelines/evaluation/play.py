"""One scenario, played: replayed on the local engine, every rider asked answers, and replayed with the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from monsoon.pipelines.local.collector import collector_paused
from monsoon.pipelines.local.replay import Inputs, claim_evidence, read_inputs, run_products
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.results import Outcome
from monsoon.sources.streams import read_stream
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer

ANSWER_AFTER_MS = 20 * 60_000
"""From the question to the answer: time to read it, and for the phone to report meanwhile."""
MAX_ROUNDS = 4
"""Answers may lead to questions about other claims of the rider; these are answered, too."""
_STREAM = "confirmations"

Record = dict[str, Any]


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
    answers: dict[str, Record] = {}
    for _ in range(MAX_ROUNDS):
        outcome = _run(running, inputs, folder, scorer, progress)
        given = {answer["answer_id"]: answer for answer in answers_to(outcome.claims)}
        if given.keys() <= answers.keys():
            break
        answers |= given
        _write(folder, answers.values())
        read = read_stream(_STREAM, folder)
        inputs.confirmations = read.records
        inputs.counts[_STREAM] = read.counts | {"ignored": list(read.ignored)}
    return Played(inputs, outcome, len(answers))


def answers_to(claims: Iterable[Mapping[str, Any]]) -> list[Record]:
    """A confirmation of every claim revision that asks its rider, ANSWER_AFTER_MS later or when the time is over."""
    return [
        {
            "answer_id": "a" + hashlib.sha256(f"{claim['claim_id']} {claim['decided_at']}".encode()).hexdigest()[:32],
            "event_time": min(claim["decided_at"] + ANSWER_AFTER_MS, claim["answer_by"]),
            "worker_id": claim["worker_id"],
            "policy_id": claim["policy_id"],
            "claim_id": claim["claim_id"],
            "answer": "confirm",
        }
        for claim in claims
        if claim["status"] == "step_up" and claim.get("answer_by") is not None
    ]


def _run(products: Mapping[str, Product], inputs: Inputs, folder: Path, scorer: Scorer, progress: Progress) -> Outcome:
    claim_scores = claim_evidence(inputs, folder, scorer)
    with collector_paused():
        return run_products(products, inputs, claim_scores, progress)


def _write(folder: Path, answers: Iterable[Record]) -> None:
    ordered = sorted(answers, key=lambda answer: (answer["event_time"], answer["answer_id"]))
    (folder / _STREAM).mkdir(exist_ok=True)
    lines = b"".join(msgspec.json.encode(answer) + b"\n" for answer in ordered)
    (folder / _STREAM / "part-00000.jsonl").write_bytes(lines)
