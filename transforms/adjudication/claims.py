"""The state of a claim, and the inputs of adjudication: updates of disruptions, activity results, answers.

They are made by the hundred thousand and refer to each other in no cycle, so the garbage collector need not track them.
Fields that have their defaults are left out of state and messages: a default never changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field

from monsoon.transforms.triggers.alerts import Alert

Status = Literal["approved", "soft_hold", "step_up", "manual_review", "ineligible", "withdrawn"]


class PolicyTerms(Struct, frozen=True, gc=False, omit_defaults=True):
    """The policy's terms in force at the disruption's start; amounts in rupees as the policy states them."""

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
    """When the policy's last event by the disruption's start happened; its week figures are as of then."""
    week_orders_carried: float | None = None
    week_hours_carried: float | None = None
    squad_id: str | None = None


class GuardSignal(Struct, frozen=True, gc=False, array_like=True):
    """A signal of the guard on one claim, as far as something was measured (`monsoon.transforms.guard.signals`).

    `status` is None where the condition held over too few reports. `feature` is what the signal rests on, `value` its
    value over so many `reports`.
    """

    signal: str
    status: Literal["strong", "clear"] | None
    feature: str
    value: float
    threshold: float
    reports: int


def strong_signals(signals: Sequence[GuardSignal]) -> list[str]:
    """The names of those that are strong."""
    return [each.signal for each in signals if each.status == "strong"]


class Reread(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the reports since a rider was asked (`asked_at_ms`) say at a moment (`monsoon.transforms.guard.rereads`).

    `outcome`: the claim is `released`; nothing was measured, so it `waits`; it is `reviewed`, since a signal is strong
    or the reports do not tie to the claim; or the re-read is `missing`, which is a fault.
    """

    asked_at_ms: int
    at_ms: int
    outcome: Literal["released", "waits", "reviewed", "missing"]
    signals: tuple[GuardSignal, ...] = ()


class ClaimScore(Struct, frozen=True, gc=False, omit_defaults=True):
    """A claim's evidence and scores at one moment.

    `risk` is the product's `anomaly`, `trust` its `trust`: None where nothing was measured, or the product has none;
    `signals` counts the independent sensor groups that were measured. `facts` are inputs to rules that are no
    features (`monsoon.transforms.product.inputs.CLAIM`). `model` is the version of the model that scored (state of
    earlier releases does not say it). `guard` are the guard's signals of which something was measured, in their order.
    """

    risk: float | None
    signals: int
    features: Mapping[str, float | None] = field(default_factory=dict)
    reports: Mapping[str, int] = field(default_factory=dict)
    weightiest: tuple[str, ...] = ()
    trust: float | None = None
    facts: Mapping[str, float | None] = field(default_factory=dict)
    model: str = ""
    guard: tuple[GuardSignal, ...] = ()


class DisruptionUpdate(Struct, frozen=True, gc=False, omit_defaults=True):
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
    terms: PolicyTerms | None
    severity: float = 0.0
    absent_since_ms: int | None = None
    providers: int = 1
    """How many confirmed it."""
    platform: str | None = None
    alert: Alert | None = None


class ActivityResult(Struct, frozen=True, gc=False):
    """A measurement of the rider's own telemetry for a claim, processed in event-time order like updates.

    kind `activity`: an activity test passed (`passed`: at the first such t; `values` are rain, sigma, drop, threshold,
    share and peers) or none did (at the end of the disruption; `values` {"measured": 1.0} where one was ever measured).
    kind `work`: orders and hours of the ISO week to the confirmation (`values` orders_so_far and hours_so_far, None
    where the policy does not state what came before).
    """

    at_ms: int
    disruption_id: str
    confirmed_at_ms: int
    kind: Literal["activity", "work"]
    passed: bool
    values: Mapping[str, float | None]


class Answer(Struct, frozen=True, gc=False):
    """The rider's answer to a claim (contracts/confirmation.schema.json)."""

    at_ms: int
    answer_id: str
    policy_id: str
    claim_id: str
    confirms: bool


class LinkUpdate(Struct, frozen=True, gc=False, array_like=True):
    """What is known of a claim's links to others from a moment on.

    It is a member of a ring (`ring_id`), or attached to one (`held`), or has no ring any more (None); `ring_score` and
    the degrees are those of the standing. Or, where `riders_on_payout_account` is stated, so many riders of no squad in
    common have claims that are paid to its account, or, where `riders_on_device` is, so many riders with a claim have a
    phone in common with it; these say nothing of rings.
    """

    at_ms: int
    claim_id: str
    ring_id: str | None = None
    held: bool = False
    ring_score: float = 0.0
    riders_on_payout_account: int | None = None
    proximity_degree: int = 0
    shared_network_degree: int = 0
    riders_on_device: int | None = None


AdjudicationInput = DisruptionUpdate | ActivityResult | LinkUpdate | Answer
"""An input of a rider's state machine."""


def processing_order(item: AdjudicationInput) -> tuple[Any, ...]:
    """The order in which the inputs of one moment are processed, however they arrive: withdrawals, other revisions,
    activity results, links, answers."""
    if isinstance(item, DisruptionUpdate):
        end_ms = -1 if item.end_ms is None else item.end_ms
        return (not item.withdrawn, item.disruption_id, item.confirmed_at_ms, end_ms, item.level or "")
    if isinstance(item, ActivityResult):
        values = sorted((name, -1.0 if value is None else value) for name, value in item.values.items())
        return (2, item.disruption_id, item.confirmed_at_ms, item.kind, item.passed, values)
    if isinstance(item, LinkUpdate):
        riders = item.riders_on_payout_account or 0, item.riders_on_device or 0
        degrees = item.proximity_degree, item.shared_network_degree
        return (3, item.claim_id, *riders, item.ring_id or "", item.held, item.ring_score, *degrees)
    return (4, item.answer_id, item.claim_id, item.confirms)


class Claim(Struct, gc=False, omit_defaults=True):
    """One claim's state. `paid_paise` lists the instalments already instructed.

    `status` is None while nothing was decided yet, because the gross amount depends on the end of the disruption or on
    an activity test.
    """

    claim_id: str
    update: DisruptionUpdate
    terms: PolicyTerms
    gross_paise: int = 0
    status: Status | None = None
    reasons: tuple[str, ...] = ()
    score: ClaimScore | None = None
    paid_paise: list[int] = field(default_factory=list)
    applied: dict[str, Any] = field(default_factory=dict)
    """How the overlap rule and caps changed the gross amount, for the record."""
    due_ms: int | None = None
    revision: int = -1
    hold: str | None = None
    """The hold in which it waits until `due_ms`: the product's, or the guard's verification."""
    asked_until_ms: int | None = None
    """Until when the rider may answer, or could have answered the last step-up verification."""
    answer_id: str | None = None
    confirmed: bool | None = None
    """The rider's answer."""
    activity_results: dict[str, ActivityResult] = field(default_factory=dict)
    """By kind and confirmation (`payout.activity_result_of`)."""
    base_paise: int = 0
    """The gross amount without supplements, where the trigger has any."""
    supplements: dict[str, int | None] = field(default_factory=dict)
    """The further instalments in paise, by name; None: not known."""
    supplemented: tuple[str, ...] = ()
    """The supplements that are part of the gross amount."""
    paid_reasons: tuple[str, ...] = ()
    """The reasons of the last payment, which hold where no correction has others."""
    reread: Reread | None = None
    """The last re-read after the rider's confirming answer; None: none was needed yet."""
    ring_id: str | None = None
    """The ring of which it is a member, or to which it is attached (`ring_held`)."""
    ring_held: bool = False
    ring_score: float = 0.0
    proximity_degree: int = 0
    """To how many other riders the graph links it by a place, and by a network; of no meaning without a ring."""
    shared_network_degree: int = 0
    riders_on_payout_account: int = 0
    """The most riders of no squad in common that had claims paid to its account; 0: never more than two."""
    riders_on_device: int = 0
    """The most riders with a claim that had a phone in common with it; 0: never more than two."""

    @property
    def total_paid_paise(self) -> int:
        return sum(self.paid_paise)

    def overlaps(self, other: Claim) -> bool:
        """Whether the two disruptions overlap in [start, end); one still open has no end yet."""
        mine, theirs = self.update, other.update
        return (theirs.end_ms is None or mine.start_ms < theirs.end_ms) and (
            mine.end_ms is None or theirs.start_ms < mine.end_ms
        )

    @property
    def last_ms(self) -> int:
        """When the disruption ended or was last updated (ms)."""
        update = self.update
        return max(update.at_ms, update.start_ms if update.end_ms is None else update.end_ms)

    def is_over(self, before_ms: int) -> bool:
        """Whether no timer is pending, and the disruption was over and last updated before a moment."""
        over = self.update.end_ms is not None or self.status == "withdrawn"
        return over and self.due_ms is None and self.last_ms < before_ms
