"""The records of every output stream, with the fields of their contracts.

Times are milliseconds since 1970-01-01T00:00:00Z. A field that a record lacks is None; fields that a later contract
adds are passed over. What fields mean is said in `contracts/` and in the glossary.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

OracleMode = Literal["fresh", "stale", "conflict", "outage"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record of an output stream."""

    STREAM: ClassVar[str]


class Disruption(Record, frozen=True, kw_only=True):
    """A revision of a peril confirmed for one product in one zone."""

    STREAM: ClassVar[str] = "disruptions"

    disruption_id: str
    product: str
    trigger: str
    peril: str
    platform: str | None = None
    zone: str
    start: int
    end: int | None = None
    confirmed_at: int
    severity: float
    level: str | None = None
    providers: list[str]
    reading_ids: list[str]
    revision: int
    state: Literal["confirmed", "ended", "withdrawn"]
    absent_since: int | None = None
    revised_at: int | None = None
    oracle_modes: dict[str, OracleMode] | None = None


class GuardSignal(msgspec.Struct, frozen=True, kw_only=True):
    """A signal of the guard: whether `value` of the feature, over so many reports, contradicts the rider's location."""

    signal: Literal["mock", "radio", "cell", "wifi", "motion", "ring", "device"]
    status: Literal["strong", "clear"] | None
    feature: str
    value: float
    threshold: float
    reports: int


class Reread(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone reported from when its rider was asked."""

    asked_at: int
    at: int
    outcome: Literal["released", "waits", "reviewed", "missing"]
    guard: list[GuardSignal]


class Claim(Record, frozen=True, kw_only=True):
    """A revision of a claim, with everything that explains its decision."""

    STREAM: ClassVar[str] = "claims"

    claim_id: str
    revision: int
    status: Literal["approved", "soft_hold", "step_up", "manual_review", "ineligible", "withdrawn"]
    decided_at: int
    worker_id: str
    policy_id: str
    product: str
    plan: str | None = None
    disruption_id: str
    peril: str | None = None
    zone: str
    anomaly_score: float | None = None
    trust_score: float | None = None
    ring_id: str | None = None
    ring_score: float | None = None
    features: dict[str, float | None]
    feature_reports: dict[str, int] | None = None
    weightiest_features: list[str] | None = None
    guard: list[GuardSignal] | None = None
    reread: Reread | None = None
    reasons: list[str]
    payout_inr: float | None = None
    payout_terms: dict[str, Any] | None = None
    answer_by: int | None = None
    product_version: str
    model_version: str


class Payout(Record, frozen=True, kw_only=True):
    """An instruction to pay; `reference_id` is the payment provider's idempotency key."""

    STREAM: ClassVar[str] = "payouts"

    reference_id: str
    claim_id: str
    policy_id: str
    worker_id: str
    fund_account_id: str | None = None
    amount_paise: int
    currency: Literal["INR"]
    mode: Literal["UPI"]
    purpose: Literal["payout"]
    created_at: int
    instalment: int | None = None


class Notification(Record, frozen=True, kw_only=True):
    """What a rider should hear about a claim."""

    STREAM: ClassVar[str] = "notifications"

    notification_id: str
    event_time: int
    worker_id: str
    policy_id: str
    claim_id: str
    product: str
    kind: Literal[
        "claim_opened",
        "held",
        "confirm_please",
        "paid",
        "queued",
        "withdrawn",
        "refused",
        "under_review",
        "payment_completed",
        "payment_failed",
        "payment_returned",
    ]
    reasons: list[str]
    text: str
    amount_paise: int | None
    answer_by: int | None


class PayoutResult(Record, frozen=True, kw_only=True):
    """What became of a payout instruction; written by the dispatcher of payments."""

    STREAM: ClassVar[str] = "payout_results"

    reference_id: str
    revision: int
    event_time: int
    claim_id: str
    instalment: int
    policy_id: str
    worker_id: str
    amount_paise: int
    status: Literal["pending", "paid", "failed", "reversed", "rejected", "cancelled", "held"]
    reason: str | None
    attempts: int
    provider_payout_id: str | None


class ReserveAlert(Record, frozen=True, kw_only=True):
    """A moment at which the queue for a reserve grew or shrank."""

    STREAM: ClassVar[str] = "reserve_alerts"

    alert_id: str
    event_time: int
    product: str
    day: str
    cell: str
    state: Literal["exhausted", "released"]
    reserve_paise: int
    paid_paise: int
    queued_paise: int
    queued_claims: int
    claim_ids: list[str]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One of the signals on which a syndicate alert rests: what was measured, and where the signal begins to hold."""

    signal: Literal[
        "subscriptions_near_alert", "shared_device", "shared_towers", "shared_payout_account", "still_accelerometers"
    ]
    value: float
    threshold: float


class SyndicateAlert(Record, frozen=True, kw_only=True):
    """A linked group of riders on one disruption, whose unpaid claims wait for review."""

    STREAM: ClassVar[str] = "syndicate_alerts"

    alert_id: str
    event_time: int
    product: str
    disruption_id: str
    zone: str
    members: list[str]
    claim_ids: list[str]
    evidence: list[Signal]


class Feature(Record, frozen=True, kw_only=True):
    """A version of what is known of a rider, phone, zone or neighborhood. Of one entity and set the newest
    `event_time` counts, of one event time what was received last."""

    STREAM: ClassVar[str] = "features"

    entity: Literal["rider", "device", "rider_device", "rider_product", "zone", "neighborhood"]
    entity_id: str
    feature_set: str
    version: int
    event_time: int
    received_time: int
    values: dict[str, float | None]


class RingEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """A resource that members of a ring share, so many of them, and what it weighs."""

    kind: Literal[
        "device",
        "payout_account",
        "access_point",
        "subscription_minute",
        "network_prefix",
        "serving_cell",
        "purchase_on_network",
    ]
    resource: str
    riders: int
    weight: float


class RingAlert(Record, frozen=True, kw_only=True):
    """A ring as of a moment: raised when it is found or its claims change, lifted when it is none any more. `risk` says
    which to review first, from 0 to 1; it decides about no claim."""

    STREAM: ClassVar[str] = "ring_alerts"

    alert_id: str
    ring_id: str
    event_time: int
    state: Literal["raised", "lifted"]
    product: str
    trigger: str
    members: list[str]
    claim_ids: list[str]
    held_claim_ids: list[str]
    evidence: list[RingEvidence]
    risk: float | None = None
    model_version: str | None = None


class DeadLetter(Record, frozen=True, kw_only=True):
    """A line that could not be used, with the reason."""

    STREAM: ClassVar[str] = "dead_letters"

    stream: str
    reason: str
    detail: str | None = None
    raw: str
    seen_at: int


RECORD_TYPES: dict[str, type[Record]] = {
    kind.STREAM: kind
    for kind in (
        Disruption,
        Claim,
        Payout,
        PayoutResult,
        Notification,
        ReserveAlert,
        SyndicateAlert,
        RingAlert,
        Feature,
        DeadLetter,
    )
}
"""By output stream."""
