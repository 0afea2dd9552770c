"""Riders' answers to step-ups. An answer names its claim, so a first replay has to say who was asked, and when."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from monsoon.sources.scenarios.conditions import CONDITIONS
from monsoon.sources.simulator.storm import MINUTE_MS
from monsoon.sources.simulator.write import LABELS

ANSWERS_FILE = "confirmations/part-00000.jsonl"
DELAY_MIN = (6, 45)
"""Between the question and the answer; by then a phone on shift has reported several times."""
NEVER_ANSWER = frozenset(condition.name for condition in CONDITIONS if not condition.answers)


def answers_to(claims: Iterable[Mapping[str, Any]], silent: Collection[str] = ()) -> list[dict[str, Any]]:
    """Records of the stream `confirmations`, by claim: whoever was asked confirms, honest or not, some minutes later,
    but the riders who are `silent`.

    `claims` are records of a replay's claims, all revisions; a question is a revision with the status `step_up`, and
    of several of one claim the first counts. Deterministic: the delay is a checksum of the claim's id.
    """
    first: dict[str, Mapping[str, Any]] = {}
    for claim in claims:
        if claim["status"] == "step_up" and claim["worker_id"] not in silent:
            known = first.get(claim["claim_id"])
            if known is None or claim["revision"] < known["revision"]:
                first[claim["claim_id"]] = claim
    shortest, longest = DELAY_MIN
    return [
        {
            "answer_id": f"a{claim_id[1:]}",
            "event_time": claim["decided_at"]
            + (shortest + zlib.crc32(claim_id.encode()) % (longest - shortest)) * MINUTE_MS,
            "worker_id": claim["worker_id"],
            "policy_id": claim["policy_id"],
            "claim_id": claim_id,
            "answer": "confirm",
        }
        for claim_id, claim in sorted(first.items())
    ]


def answer_step_ups(folder: Path, claims: Iterable[Mapping[str, Any]]) -> int:
    """Appends the answers to `claims` to the input folder's `confirmations/`, but those that it has; returns how many.

    Riders of a condition that never answers, by the folder's labels.csv, if it has one, do not.
    A replay of the folder without them gives the claims: replay, answer, replay again.
    """
    path = folder / ANSWERS_FILE
    path.parent.mkdir(exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    answered = {json.loads(line)["claim_id"] for line in lines}
    given = answers_to(claims, _silent(folder))
    fresh = [json.dumps(each) for each in given if each["claim_id"] not in answered]
    path.write_text("".join(f"{line}\n" for line in (*lines, *fresh)), encoding="utf-8")
    return len(fresh)


def _silent(folder: Path) -> set[str]:
    """Who never answers."""
    path = folder / LABELS
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as file:
        return {row["worker_id"] for row in csv.DictReader(file) if row.get("condition") in NEVER_ANSWER}
