"""The records that tell of payments: of `payout_results`, and of `notifications` to riders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monsoon.transforms.identifiers import notification_id
from monsoon.transforms.payments import State

_TOLD = {
    State.PAID: ("payment_completed", "{amount} has been sent to your UPI account."),
    State.FAILED: ("payment_failed", "{amount} could not be sent to your UPI account. We are looking into it."),
    State.REJECTED: ("payment_failed", "{amount} could not be sent to your UPI account. We are looking into it."),
    State.CANCELLED: ("payment_failed", "{amount} could not be sent to your UPI account. We are looking into it."),
    State.REVERSED: ("payment_returned", "Your bank has returned {amount}. We are looking into it."),
}
"""What a rider hears when a payment comes to a state; of the others nothing."""

NOTIFICATION_KINDS = frozenset(kind for kind, _ in _TOLD.values())
"""Of the notifications that the dispatcher writes; all others are the job's."""


def result_record(
    job: Mapping[str, Any], state: State, revision: int, attempts: int, provider_id: str | None, at_ms: int
) -> dict[str, Any]:
    """One revision of what became of a payout, in the contract's form (contracts/payout_result.schema.json)."""
    return {
        "reference_id": job["reference_id"],
        "revision": revision,
        "event_time": at_ms,
        "claim_id": job["claim_id"],
        "instalment": job["instalment"],
        "policy_id": job["policy_id"],
        "worker_id": job["worker_id"],
        "amount_paise": job["amount_paise"],
        "status": state.value,
        "reason": job["held_for"],
        "attempts": attempts,
        "provider_payout_id": provider_id,
    }


def notification_record(job: Mapping[str, Any], state: State, product: str, at_ms: int) -> dict[str, Any] | None:
    """What the rider hears of it (contracts/notification.schema.json); None: nothing."""
    told = _TOLD.get(state)
    if told is None:
        return None
    kind, words = told
    rupees, paise = divmod(job["amount_paise"], 100)
    return {
        "notification_id": notification_id(job["claim_id"], kind, at_ms, job["instalment"]),
        "event_time": at_ms,
        "worker_id": job["worker_id"],
        "policy_id": job["policy_id"],
        "claim_id": job["claim_id"],
        "product": product,
        "kind": kind,
        "reasons": [],
        "text": words.format(amount=f"INR {rupees}.{paise:02d}"),
        "amount_paise": job["amount_paise"],
        "answer_by": None,
    }
