"""Notifications to riders, from revisions of claims and transitions of payouts.

Pure functions of published records. A revision makes a notification if the claim's status changed; payments and queued
payouts make their own.

Interpretations of the specification: docs/interpretations.md#notifications.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from monsoon.transforms.calendar import local_minute
from monsoon.transforms.exposure import PayoutTransition
from monsoon.transforms.identifiers import notification_id
from monsoon.transforms.plain_words import because, peril_in_words

KINDS = ("claim_opened", "held", "confirm_please", "paid", "queued", "withdrawn", "refused", "under_review")
"""Of the contract (contracts/notification.schema.json); those of one moment and claim are in this order."""

_KIND_OF_STATUS = {
    "soft_hold": "held",
    "step_up": "confirm_please",  # a product's step-up that takes no answer is a hold
    "manual_review": "under_review",
    "ineligible": "refused",
    "withdrawn": "withdrawn",
}


def claim_notifications(claims: Iterable[Mapping[str, Any]], last_status: dict[str, str]) -> list[dict[str, Any]]:
    """Notifications of revisions of claims (contracts/claim.schema.json), each claim's in their order.

    `last_status` has the status of each claim's revision before these, by claim_id, and is brought up to date.
    """
    found = []
    for claim in claims:
        before, status = last_status.get(claim["claim_id"]), claim["status"]
        last_status[claim["claim_id"]] = status
        if not claim["revision"]:
            text = f"We opened a claim for you: {peril_in_words(claim['peril'])} in your zone. You need to do nothing."
            found.append(_of_claim(claim, "claim_opened", text))
        kind = _KIND_OF_STATUS.get(status)
        if kind == "confirm_please" and claim["answer_by"] is None:
            kind = "held"
        if kind is None or status == before:
            continue
        answer_by_ms = claim["answer_by"] if kind == "confirm_please" else None
        found.append(_of_claim(claim, kind, _text(kind, claim, answer_by_ms), answer_by_ms))
    return found


def payment_notifications(transitions: Iterable[PayoutTransition]) -> list[dict[str, Any]]:
    """Notifications of what became of payouts; a move's order decides nothing."""
    found = []
    for transition in transitions:
        payout, reasons = transition.instruction.payout, transition.instruction.reasons
        amount_paise = payout["amount_paise"]
        found.append(
            {
                "notification_id": notification_id(
                    payout["claim_id"], transition.kind, transition.at_ms, payout["instalment"]
                ),
                "event_time": transition.at_ms,
                "worker_id": payout["worker_id"],
                "policy_id": payout["policy_id"],
                "claim_id": payout["claim_id"],
                "product": transition.instruction.pool.product,
                "kind": transition.kind,
                "reasons": list(reasons),
                "text": _payment_text(transition.kind, rupees_in_words(amount_paise), reasons),
                "amount_paise": amount_paise,
                "answer_by": None,
            }
        )
    return found


def order(notification: Mapping[str, Any]) -> tuple[Any, ...]:
    """The place of a notification among others in an output file."""
    kind = KINDS.index(notification["kind"])
    return notification["event_time"], notification["claim_id"], kind, notification["notification_id"]


def rupees_in_words(paise: int) -> str:
    """`Rs 250`, or `Rs 250.50`."""
    whole, rest = divmod(paise, 100)
    return f"Rs {whole}.{rest:02d}" if rest else f"Rs {whole}"


def _of_claim(claim: Mapping[str, Any], kind: str, text: str, answer_by_ms: int | None = None) -> dict[str, Any]:
    return {
        "notification_id": notification_id(claim["claim_id"], kind, claim["decided_at"], None),
        "event_time": claim["decided_at"],
        "worker_id": claim["worker_id"],
        "policy_id": claim["policy_id"],
        "claim_id": claim["claim_id"],
        "product": claim["product"],
        "kind": kind,
        "reasons": [] if kind == "claim_opened" else list(claim["reasons"]),
        "text": text,
        "amount_paise": None,
        "answer_by": answer_by_ms,
    }


def _text(kind: str, claim: Mapping[str, Any], answer_by_ms: int | None) -> str:
    reason = because(claim["reasons"])
    if kind == "held":
        return f"We are taking a little longer over your claim{reason}. You need to do nothing; we decide soon."
    if kind == "confirm_please":
        assert answer_by_ms is not None
        asking = f" We ask{reason}." if reason else ""
        if any(code.startswith("verify:") for code in claim["reasons"]):
            return (
                "Please open the app outdoors and confirm your claim: were you working in your zone during "
                f"{peril_in_words(claim['peril'])}? Answer by {local_minute(answer_by_ms)}, and leave the app open "
                f"until your claim is decided.{asking}"
            )
        return (
            "Please confirm your claim, with the app open outdoors: were you working in your zone during "
            f"{peril_in_words(claim['peril'])}? Answer by {local_minute(answer_by_ms)}.{asking}"
        )
    if kind == "under_review":
        return f"A person is looking at your claim{reason}. It has not been turned down."
    if kind == "refused":
        return (
            f"This claim is not paid{reason}. If you think that this is wrong, tell us, and a person will look at it."
        )
    return f"Your claim is closed{reason}. It does not count against you."


def _payment_text(kind: str, amount: str, reasons: tuple[str, ...]) -> str:
    if kind == "paid":
        return (
            f"{amount} is on its way to you. You were paid this amount{because(reasons)}."
            if reasons
            else (f"{amount} is on its way to you.")
        )
    if kind == "queued":
        return (
            f"Your claim is approved. {amount} waits until more money is set aside for your area; "
            "it is then paid without your doing anything."
        )
    return f"{amount} that was approved and waited to be paid is not paid{because(reasons)}."
