"""The claim and payout records that a rider's machine publishes."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import asdict

from monsoon.transforms.adjudication.claims import Claim, Reread, Status
from monsoon.transforms.adjudication.money import rupees
from monsoon.transforms.adjudication.payout import activity_of
from monsoon.transforms.adjudication.rules import VersionRules
from monsoon.transforms.identifiers import reference_id

_SETTLED = frozenset(("approved", "ineligible", "withdrawn"))


def reasons_of(claim: Claim, reason: str | None) -> tuple[str, ...]:
    """A rule's own reason first, then the features that weighed most in the score."""
    weightiest = () if claim.score is None else claim.score.weightiest
    return weightiest if reason is None else (reason, *weightiest)


class PublishedView(NamedTuple):
    """The values of a claim of which one must change for a new revision."""

    status: Status | None
    reasons: tuple[str, ...]
    gross_paise: int
    level: str | None
    supplements: tuple[tuple[str, int | None], ...]
    instalments: int

    @staticmethod
    def of(claim: Claim) -> PublishedView:
        """The view of a claim as it is now."""
        return PublishedView(
            claim.status,
            claim.reasons,
            claim.gross_paise,
            claim.update.level,
            tuple(claim.supplements.items()),
            len(claim.paid_paise),
        )


def claim_record(
    claim: Claim, version: VersionRules, product: str, model_version: str, decided_at_ms: int
) -> dict[str, Any]:
    """One revision of a claim in the contract's form (contracts/claim.schema.json); `model_version` is that of a claim
    without a score."""
    update, terms, score = claim.update, claim.terms, claim.score
    payout_terms = {
        "daily_wage_inr": terms.daily_wage_inr,
        "level": update.level,
        "gross_inr": rupees(claim.gross_paise),
        "trust_tier": terms.trust_tier,
        **version.payout_calculators[update.trigger].arithmetic(claim),
        **claim.applied,
    }
    activity = activity_of(claim)
    if activity is not None:
        found_at = activity.values.get("at") or activity.at_ms
        payout_terms["activity"] = {"met": activity.passed, **activity.values, "at": round(found_at)}
    for name, paise in claim.supplements.items():
        waits = bool(paise) and name not in claim.supplemented and claim.status not in _SETTLED
        payout_terms[name] = None if paise is None or waits else name in claim.supplemented
    return {
        "claim_id": claim.claim_id,
        "revision": claim.revision,
        "status": claim.status,
        "decided_at": decided_at_ms,
        "worker_id": terms.worker_id,
        "policy_id": terms.policy_id,
        "product": product,
        "plan": terms.plan,
        "disruption_id": update.disruption_id,
        "peril": update.peril,
        "zone": update.zone,
        "anomaly_score": None if score is None else score.risk,
        "trust_score": None if score is None else score.trust,
        "ring_id": claim.ring_id,
        "ring_score": None if claim.ring_id is None else round(claim.ring_score, 6),
        "features": {} if score is None else score.features,
        "feature_reports": {} if score is None else score.reports,
        "weightiest_features": [] if score is None else list(score.weightiest),
        "guard": [] if score is None else [asdict(signal) for signal in score.guard],
        "reread": None if claim.reread is None else _reread(claim.reread),
        "reasons": list(claim.reasons),
        "payout_inr": rupees(claim.total_paid_paise) if claim.status in _SETTLED else None,
        "payout_terms": payout_terms,
        "answer_by": claim.asked_until_ms if claim.due_ms is not None and _asks(claim) else None,
        "product_version": version.product.version,
        "model_version": model_version if score is None else score.model or model_version,
    }


def _asks(claim: Claim) -> bool:
    """Whether the rider's answer is asked for."""
    return claim.status == "step_up" and claim.answer_id is None


def _reread(reread: Reread) -> dict[str, Any]:
    return {
        "asked_at": reread.asked_at_ms,
        "at": reread.at_ms,
        "outcome": reread.outcome,
        "guard": [asdict(signal) for signal in reread.signals],
    }


def payout_records(claim: Claim, already: int, created_at_ms: int) -> list[dict[str, Any]]:
    """The instructions for the instalments of a claim after the first so many, in the contract's form
    (contracts/payout.schema.json)."""
    return [
        {
            "reference_id": reference_id(claim.claim_id, instalment),
            "claim_id": claim.claim_id,
            "policy_id": claim.terms.policy_id,
            "worker_id": claim.terms.worker_id,
            "fund_account_id": claim.terms.fund_account_id,
            "amount_paise": claim.paid_paise[instalment],
            "currency": "INR",
            "mode": "UPI",
            "purpose": "payout",
            "created_at": created_at_ms,
            "instalment": instalment,
        }
        for instalment in range(already, len(claim.paid_paise))
    ]
