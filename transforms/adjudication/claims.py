"""A claim as the machine keeps it, what it is made from, and the records that it publishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
class DisruptionUpdate:
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
class ActivityResult:
    """What the rider's own telemetry says of a claim at its own time: judged in the order of time like updates.

    kind `activity`: an activity test is met (`met` true: at the first such t; its `values` are rain, sigma, drop,
    threshold, share and peers) or was never met (`met` false, at the end of the disruption; `values` {"measured": 1.0}
    where it was ever measured). kind `work`: what the rider had worked of the ISO week at confirmation (`values`
    orders_so_far and hours_so_far, None where the policy does not state what came before).
    """

    at_ms: int
    disruption_id: str
    confirmed_at_ms: int
    kind: Literal["activity", "work"]
    passed: bool
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """The rider's answer to a claim (contracts/confirmation.schema.json)."""

    at_ms: int
    answer_id: str
    policy_id: str
    claim_id: str
    confirms: bool


Item = DisruptionUpdate | ActivityResult | Answer
"""What a rider's machine is told."""


def order_at_one_moment(item: Item) -> tuple[Any, ...]:
    """The order in which what is told of one moment is taken in, however it arrives: withdrawals, the other revisions,
    findings, answers."""
    if isinstance(item, DisruptionUpdate):
        end_ms = -1 if item.end_ms is None else item.end_ms
        return (not item.withdrawn, item.disruption_id, item.confirmed_at_ms, end_ms, item.level or "")
    if isinstance(item, ActivityResult):
        values = sorted((name, -1.0 if value is None else value) for name, value in item.values.items())
        return (2, item.disruption_id, item.confirmed_at_ms, item.kind, item.passed, values)
    return (3, item.answer_id, item.claim_id, item.confirms)


@dataclass(slots=True)
class Claim:
    """One claim's state. `paid_paise` lists the instalments already instructed.

    `status` is None while nothing was decided yet: what the claim is worth takes the end of its disruption, or an
    activity test.
    """

    claim_id: str
    update: DisruptionUpdate
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
    hold: str | None = None
    """The product's hold in which it waits until `due_ms`."""
    asked_until_ms: int | None = None
    """How long the rider may answer, or might have answered last."""
    answer_id: str | None = None
    confirmed: bool | None = None
    """What the rider answered."""
    activity_results: dict[str, ActivityResult] = field(default_factory=dict)
    """By kind and confirmation (`worth.activity_result_of`)."""
    base_paise: int = 0
    """The gross amount without supplements, where the trigger has any."""
    supplements: dict[str, int | None] = field(default_factory=dict)
    """What further instalments come to in paise, by name; None: not known."""
    supplemented: tuple[str, ...] = ()
    """Those that the gross amount holds."""
    paid_reasons: tuple[str, ...] = ()
    """Of what was paid: its reasons where no correction has others."""

    @property
    def total_paid_paise(self) -> int:
        return sum(self.paid_paise)

    def overlaps(self, other: Claim) -> bool:
        """Whether the two disruptions overlap in [start, end); one still open has no end yet."""
        mine, theirs = self.update, other.update
        return (theirs.end_ms is None or mine.start_ms < theirs.end_ms) and (
            mine.end_ms is None or theirs.start_ms < mine.end_ms
        )

    def is_over(self, before_ms: int) -> bool:
        """Whether nothing more is awaited, and the disruption was over and nothing said of it since a moment."""
        update = self.update
        last_ms = max(update.at_ms, update.start_ms if update.end_ms is None else update.end_ms)
        over = update.end_ms is not None or self.status == "withdrawn"
        return over and self.due_ms is None and last_ms < before_ms
