"""Riders' answers to step-up verifications (the stream `confirmations`): which are accepted, and why others are
refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from monsoon.transforms.adjudication.claims import Answer, Claim

DENIED = "answer_denied"
"""Reason of a claim that the rider did not confirm."""

RefusalReason = Literal["unknown_claim", "answered_already", "nothing_asked", "answer_late"]


class RefusedAnswer(NamedTuple):
    """An answer that was not accepted, and why."""

    answer: Answer
    reason: RefusalReason


def refusal_reason(answer: Answer, claim: Claim | None) -> RefusalReason | None:
    """Why an answer is refused; None for one that is accepted.

    The claim must exist at the time of the answer. At the very moment at which the hold runs out an answer is still in
    time.
    """
    if claim is None or claim.terms.policy_id != answer.policy_id:
        return "unknown_claim"
    if claim.answer_id is not None:
        return "answered_already"
    if awaits_answer(claim, answer.at_ms):
        return None
    if claim.asked_until_ms is not None and answer.at_ms > claim.asked_until_ms:
        return "answer_late"
    return "nothing_asked"


def awaits_answer(claim: Claim, at_ms: int) -> bool:
    """Whether the claim waits for the rider's answer."""
    waits = claim.due_ms is not None and at_ms <= claim.due_ms
    return waits and claim.asked_until_ms == claim.due_ms


def answer_from_record(record: Mapping[str, Any]) -> Answer:
    """An answer from its record (contracts/confirmation.schema.json)."""
    return Answer(
        at_ms=record["event_time"],
        answer_id=record["answer_id"],
        policy_id=record["policy_id"],
        claim_id=record["claim_id"],
        confirms=record["answer"] == "confirm",
    )
