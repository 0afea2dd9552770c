"""Riders' answers: which are taken, and why others are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from monsoon.transforms.adjudication.claims import Answer, Claim

DENIED = "answer_denied"
"""Reason of a claim that the rider did not confirm."""

Refusal = Literal["unknown_claim", "answered_already", "nothing_asked", "answer_late"]


class RefusedAnswer(NamedTuple):
    """An answer that changed nothing, and why."""

    answer: Answer
    reason: Refusal


def why_not(answer: Answer, claim: Claim | None) -> Refusal | None:
    """Why an answer changes nothing; None if it does.

    What counts is what is known at the time of the answer: a claim that is opened later is not known yet. At the very
    moment at which the wait runs out an answer is still in time.
    """
    if claim is None or claim.terms.policy_id != answer.policy_id:
        return "unknown_claim"
    if claim.answer_id is not None:
        return "answered_already"
    if is_asked(claim, answer.at_ms):
        return None
    if claim.asked_until_ms is not None and answer.at_ms > claim.asked_until_ms:
        return "answer_late"
    return "nothing_asked"


def is_asked(claim: Claim, at_ms: int) -> bool:
    """Whether the claim waits for the rider's answer."""
    waits = claim.due_ms is not None and at_ms <= claim.due_ms
    return waits and claim.asked_until_ms == claim.due_ms


def answer_of(record: Mapping[str, Any]) -> Answer:
    """An answer from its record (contracts/confirmation.schema.json)."""
    return Answer(
        at_ms=record["event_time"],
        answer_id=record["answer_id"],
        policy_id=record["policy_id"],
        claim_id=record["claim_id"],
        confirms=record["answer"] == "confirm",
    )
