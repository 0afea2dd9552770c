"""A claim as the machine keeps it, what it is made from, and the records that it publishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from monsoon.transforms.adjudication.money import rupees
from monsoon.transforms.triggers.alerts import Alert

Status = Literal["approved", "soft_hold", "step_up", "manual_review", "ineligible", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policy said at the disruption's start; amounts in rupees as the policy states them."""

    policy_id: str
    worker_id: str
    plan: str
    daily_wage_inr: float
    fund_account_id: str | None
    trust_tier: int | None
    account_created_at_ms: int
    activated_at_ms: int | None
    orders_per_hour: float | None
    period_start_ms: int = 0
    """When the coverage period in force began."""
    covered: bool = True
    """Whether the plan covers the trigger."""
    platform: str | None = None
    device_id: str | None = None
    payout_account: str | None = None
    shift_baseline_inr: float | None = None
    orders_per_hour_sd: float | None = None
    slab_orders: float | None = None
    planned_hours_week: float | None = None
    stated_at_ms: int = 0
    """When the policy's last event by the disruption's start happened; what it says of the week is as of then."""
    week_orders_carried: float | None = None
    week_hours_carried: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A claim's evidence and scores at one moment.

    `risk` is the product's `anomaly`, `trust` its `trust`: None where nothing was measured, or the product has none;
    `signals` counts the independent sensor groups that were measured. `facts` are inputs to rules that are no
    features (`monsoon.transforms.product.inputs.CLAIM`).
    """

    risk: float | None
    signals: int
    features: Mapping[str, float | None] = field(default_factory=dict)
    reports: Mapping[str, int] = field(default_factory=dict)
    weightiest: tuple[str, ...] = ()
    trust: float | None = None
    facts: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happening:
    """A revision of a disruption, as it concerns one rider. Times in milliseconds.

    `terms` is None when the rider is no candidate (any more) under this revision.
    """

    at_ms: int
    disruption_id: str
    trigger: str
    peril: str
    zone: str
    withdrawn: bool
    start_ms: int
    confirmed_at_ms: int
    end_ms: int | None
    level: str | None
    first_alert_ms: int
    terms: Terms | None
    severity: float = 0.0
    absent_since_ms: int | None = None
    providers: int = 1
    """How many confirmed it."""
    platform: str | None = None
    alert: Alert | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rider's own telemetry says of a claim at its own time: judged in the order of time like happenings.

    kind `activity`: an activity test is met (`met` true: at the first such t; its `values` are rain, sigma, drop,
    threshold, share and peers) or was never met (`met` false, at the end of the disruption; `values` {"measured": 1.0}
    where it was ever measured). kind `work`: what the rider had worked of the ISO week at confirmation (`values`
    orders_so_far and hours_so_far, None where the policy does not state what came before).
    """

    at_ms: int
    disruption_id: str
    confirmed_at_ms: int
    kind: Literal["activity", "work"]
    met: bool
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """The rider's answer to a claim (contracts/confirmation.schema.json)."""

    at_ms: int
    answer_id: str
    policy_id: str
    claim_id: str
    confirms: bool


@dataclass(slots=True)
class Claim:
    """One claim's state. `paid_paise` lists the instalments already instructed."""

    claim_id: str
    happening: Happening
    terms: Terms
    gross_paise: int = 0
    status: Status | None = None
    reasons: tuple[str, ...] = ()
    score: Score | None = None
    paid_paise: list[int] = field(default_factory=list)
    applied: dict[str, Any] = field(default_factory=dict)
    """How overlap and caps changed the gross amount, for the record."""
    due_ms: int | None = None
    revision: int = -1

    @property
    def total_paid_paise(self) -> int:
        return sum(self.paid_paise)

    def overlaps(self, other: Claim) -> bool:
        """Whether the two disruptions overlap in [start, end); one still open has no end yet."""
        mine, theirs = self.happening, other.happening
        return (theirs.end_ms is None or mine.start_ms < theirs.end_ms) and (
            mine.end_ms is None or theirs.start_ms < mine.end_ms
        )


def claim_record(
    claim: Claim, *, decided_at_ms: int, product: str, product_version: str, model_version: str
) -> dict[str, Any]:
    """One revision of a claim in the contract's form (contracts/claim.schema.json)."""
    happening, terms, score = claim.happening, claim.terms, claim.score
    settled = claim.status in ("approved", "ineligible", "withdrawn")
    return {
        "claim_id": claim.claim_id,
        "revision": claim.revision,
        "status": claim.status,
        "decided_at": decided_at_ms,
        "worker_id": terms.worker_id,
        "policy_id": terms.policy_id,
        "product": product,
        "plan": terms.plan,
        "disruption_id": happening.disruption_id,
        "peril": happening.peril,
        "zone": happening.zone,
        "anomaly_score": None if score is None else score.risk,
        "trust_score": None,
        "ring_id": None,
        "ring_score": None,
        "features": {} if score is None else dict(score.features),
        "feature_reports": {} if score is None else dict(score.reports),
        "weightiest_features": [] if score is None else list(score.weightiest),
        "reasons": list(claim.reasons),
        "payout_inr": rupees(claim.total_paid_paise) if settled else None,
        "payout_terms": {
            "daily_wage_inr": terms.daily_wage_inr,
            "level": happening.level,
            "gross_inr": rupees(claim.gross_paise),
            "trust_tier": terms.trust_tier,
            **claim.applied,
        },
        "product_version": product_version,
        "model_version": model_version,
    }


def payout_record(claim: Claim, *, reference_id: str, instalment: int, created_at_ms: int) -> dict[str, Any]:
    """The instruction for one instalment in the contract's form (contracts/payout.schema.json)."""
    return {
        "reference_id": reference_id,
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
