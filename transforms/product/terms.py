"""The terms of a product, typed and checked: triggers, plans, payout terms, eligibility and decision rules.

`parse.py` makes these from a product file; the state machines in `monsoon.transforms.triggers` and
`monsoon.transforms.adjudication` read nothing else. Durations are in milliseconds, formulas are expressions over
named inputs (`inputs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from monsoon.transforms.expressions import Expression
from monsoon.transforms.product.premium_terms import PremiumTerms
from monsoon.transforms.product.score_terms import MIN_P as MIN_P
from monsoon.transforms.product.score_terms import MODEL_SCALE as MODEL_SCALE
from monsoon.transforms.product.score_terms import CutOff as CutOff
from monsoon.transforms.product.score_terms import FormulaScore as FormulaScore
from monsoon.transforms.product.score_terms import ModelScore as ModelScore
from monsoon.transforms.product.score_terms import ScoreTerms as ScoreTerms
from monsoon.transforms.product.score_terms import WeightedPart as WeightedPart
from monsoon.transforms.product.score_terms import WeightedScore as WeightedScore
from monsoon.transforms.provider_register import Quality as Quality

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

Per = Literal["local_day", "iso_week", "coverage_period"]
OnceBy = Literal["peril", "local_day_of_start", "clock_hour_of_confirmation"]

MIN_HOME_MOVE_M = 2_000.0
"""A home that moves by this or less counts as the same home (`products.md`, Waiting)."""

ALWAYS_MS = -(2**62)
"""In force since ever."""

NEVER_MS = 2**62
"""In force until further notice."""


class ProductError(ValueError):
    """A product file that cannot be used; the message names the file, the line, the field and what to do.

    The message has the first fault and counts the others; `faults` has all.
    """

    faults: tuple[str, ...] = ()

    @staticmethod
    def of(faults: Sequence[str]) -> ProductError:
        """The error of one file's faults; at least one."""
        more = "" if len(faults) == 1 else f" (and {len(faults) - 1} more; `monsoon products check FILE` lists them)"
        error = ProductError(faults[0] + more)
        error.faults = tuple(faults)
        return error


@dataclass(frozen=True)
class Consensus:
    """One way to reach consensus: at least `providers` distinct providers, of these qualities, and if any are `named`
    only of these."""

    providers: int
    quality: tuple[Quality, ...] = ("official", "secondary", "fallback")
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """`value operator threshold`, literally: `>` is not `>=`."""

    operator: str
    threshold: float

    def holds(self, value: float) -> bool:
        return _OPERATORS[self.operator](value, self.threshold)

    @property
    def larger_is_worse(self) -> bool:
        """Whether the larger of two breaching values is the more extreme one."""
        return not self.operator.startswith("<")

    def __str__(self) -> str:
        return f"{self.operator} {self.threshold:g}"


_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": lambda value, threshold: value >= threshold,
    ">": lambda value, threshold: value > threshold,
    "<=": lambda value, threshold: value <= threshold,
    "<": lambda value, threshold: value < threshold,
    "=": lambda value, threshold: value == threshold,
}


@dataclass(frozen=True)
class Level:
    """One level of a trigger, mildest first; an ungraded trigger has one without a name."""

    name: str | None
    breach: Comparison
    pays: Expression
    """The gross payout in rupees."""


@dataclass(frozen=True)
class SecondaryCondition:
    """Another metric's condition: it must hold at the same t, however long it has."""

    metric: str
    breach: Comparison
    consensus: tuple[Consensus, ...]
    ttl_ms: int


@dataclass(frozen=True)
class SilentQuorum:
    """Riders of the platform who worked in the zone in (t - before, t - silent] and have been silent or offline since:
    the sum of the trust scores of those with at least `min_trust` must reach `reach`, and the `model` must call the
    zone's silence a real outage."""

    min_trust: float
    reach: float
    before_ms: int
    silent_ms: int
    trust: str
    """The product's score that is a rider's trust."""
    model: str | None
    min_measured: float = 0.0
    """Riders count only where the weights of the measured parts of their trust sum to this share of all."""
    insured_for_ms: int | None = None
    """Riders count only where a policy has been in force for so long without a gap; None: they need none."""


@dataclass(frozen=True)
class OrderDrop:
    """The zone's orders in (t - window, t] are down by at least this share on its own mean at the same hour of the week
    in the last `weeks` (at least `min_weeks` of them, else on what the riders seen there usually do)."""

    min_drop: float
    window_ms: int
    weeks: int
    min_weeks: int
    seen_ms: int


TelemetryCondition = SilentQuorum | OrderDrop
"""A condition on the telemetry of the zone's riders, which must hold at t."""


@dataclass(frozen=True)
class PeerThreshold:
    """The number of standard deviations required where a share of the peers above `above` has a severe drop too."""

    above: float
    sigma: float
    inclusive: bool = False
    """Whether a share of exactly `above` counts."""


@dataclass(frozen=True)
class ActivityTest:
    """The rider's own drop of orders, tested every `every_ms` while the disruption lasts (`products.md`, gic)."""

    every_ms: int
    window_ms: int
    severe_drop: float
    thresholds: tuple[PeerThreshold, ...]
    """The first that applies counts; the last applies always."""
    min_peers: int
    few_peers_sigma: float
    min_deviation: float = 0.0
    """A stated deviation counts as at least this share of the stated mean."""


@dataclass(frozen=True)
class Supplement:
    """A further instalment, decided when the disruption has ended, where `when` holds."""

    name: str
    amount: Expression
    when: Expression
    once_per: Per | None
    plans: tuple[str, ...]


@dataclass(frozen=True)
class Trigger:
    name: str
    peril: str
    metric: str
    levels: tuple[Level, ...]
    sustained_ms: int
    clear_after_ms: int
    ttl_ms: int
    max_gap_ms: int
    consensus: tuple[Consensus, ...]
    platform_only: bool
    """Whether it concerns policies of the disruption's platform only."""
    also: tuple[SecondaryCondition, ...] = ()
    telemetry_condition: TelemetryCondition | None = None
    hours: tuple[tuple[int, int], ...] = ()
    """Limited to local hours of the day [from, to), in minutes since midnight; empty: any."""
    zone_breaches: Mapping[str, Comparison] = field(default_factory=dict)
    """Where a zone (H3 cell name) has a threshold of its own; ungraded triggers only."""
    activity: ActivityTest | None = None
    supplements: tuple[Supplement, ...] = ()

    def level_rank(self, name: str | None) -> int:
        """0 for the mildest level."""
        return next(rank for rank, level in enumerate(self.levels) if level.name == name)

    @property
    def wages(self) -> tuple[str, ...]:
        """The amounts that a policy states of its rider's earnings and that may decide the payout, by their names in
        its events: where it states several, the first counts. Empty: the payout uses none."""
        used = {name for level in self.levels for name in level.pays.names}
        shift = ("shift_baseline_inr",) if "shift_earnings" in used else ()
        return (*shift, "daily_wage_inr") if used & {"shift_earnings", "daily_wage", "hourly_wage"} else ()

    @property
    def pays_by_duration(self) -> bool:
        """Whether the payout is known only when the disruption has ended."""
        return any("disrupted_hours" in level.pays.names for level in self.levels)


@dataclass(frozen=True)
class Plan:
    """`terms` are the plan's own amounts, by name, as formulas use them."""

    name: str
    terms: Mapping[str, float]
    triggers: tuple[str, ...]
    """Those that it covers; for a plan with a choice, those it covers where the plan string names none."""
    choice: int | None = None
    """How many triggers its plan string may choose (`basic:heat,rain,fog`); None: none."""
    bridge: bool = False
    """Whether an outage of any platform that the rider's telemetry named in the last 90 min counts."""
    price_inr: float | None = None
    duration_ms: int | None = None


@dataclass(frozen=True)
class Cap:
    """At most `limit` (rupees) for the rider's disruptions of one period."""

    per: Per
    limit: Expression


@dataclass(frozen=True)
class Lockout:
    """Not eligible (reason `lockout`): activated later than `before_ms` before the first reading of an unbroken alert
    for the zone that holds at confirmation, or ended less than `ended_within_ms` before."""

    alert: str
    breach: Comparison
    before_ms: int
    ended_within_ms: int


@dataclass(frozen=True)
class AlertWindow:
    """Activated within `within_ms` after a public alert for the zone: the first reading of an unbroken `alert`, or
    the first of the run that confirmed. Rules know it as `bought_in_alert_window`."""

    alert: str
    breach: Comparison
    within_ms: int


@dataclass(frozen=True)
class SyndicateRule:
    """When a linked group of riders is an alert: at least `needed` of the five kinds of evidence."""

    needed: int
    subscriptions: int
    subscriptions_within_ms: int
    riders_on_a_device: int
    towers: int
    payout_accounts: int
    resting_accel_var: float


@dataclass(frozen=True)
class Rule:
    """Where `when` holds (None: always), `then`: approve, manual_review, or the name of a hold."""

    then: str
    when: Expression | None = None
    reason: str | None = None
    certain: bool = False
    """Whether it rests on records rather than signals, so that too few measured signals do not soften it."""


@dataclass(frozen=True)
class Hold:
    """A claim that waits: `status` soft_hold or step_up; after `wait_ms` it is scored again and `then` decides."""

    name: str
    status: Literal["soft_hold", "step_up"]
    wait_ms: int
    then: tuple[Rule, ...]
    answered: str | None = None
    """What a rider's confirming answer leads to: approve, or None where the hold asks for none."""
    reread_required: bool = True
    """Whether the answer needs a re-read that is measured, not contradicted and tied to the claim (`fraud.md`, "The
    guard"); else it releases the claim unless the re-read contradicts it."""


@dataclass(frozen=True)
class Decision:
    """Rules in order; the first that holds decides. `scores` are named: `anomaly` and `trust` are published."""

    scores: Mapping[str, ScoreTerms]
    first: tuple[Rule, ...]
    holds: Mapping[str, Hold]
    signals_for_stricter: int
    """Independent measured signals before anything stricter than a soft hold."""


@dataclass(frozen=True)
class Product:
    """One version of a product, in force for disruptions that start in [`from_ms`, `until_ms`)."""

    name: str
    title: str
    version: str
    zone_resolution: int
    plans: Mapping[str, Plan]
    triggers: tuple[Trigger, ...]
    caps: tuple[Cap, ...]
    decision: Decision
    presence_margin_m: float = 0.0
    waiting_ms: int = 24 * HOUR_MS
    """How long after a policy's event what it raises waits before it counts (`products.md`, Waiting)."""
    overlap_same_peril_only: bool = False
    once: tuple[tuple[OnceBy, ...], ...] = ()
    lockout: Lockout | None = None
    alert_window: AlertWindow | None = None
    syndicate: SyndicateRule | None = None
    premium: PremiumTerms | None = None
    from_ms: int = ALWAYS_MS
    until_ms: int = NEVER_MS
    earlier: tuple[Product, ...] = ()
    """Versions that were in force before, oldest first."""

    def __hash__(self) -> int:
        # Some fields are mappings, which cannot be hashed.
        return hash((self.name, self.version))

    def accepts_plan(self, plan: str) -> bool:
        """Whether a policy may name this plan, its options included, under any version."""
        return any(version.plan_of(plan) is not None for version in self.versions)

    def plan_of(self, text: str) -> tuple[Plan, tuple[str, ...]] | None:
        """The plan that a policy's plan string names and the triggers it covers; None for one that there is not.

        Options after a colon choose triggers, where the plan has a choice: at least one, none twice.
        """
        name, colon, options = text.partition(":")
        plan = self.plans.get(name)
        if plan is None:
            return None
        if not colon:
            return plan, plan.triggers
        chosen = tuple(options.split(","))
        known = {trigger.name for trigger in self.triggers}
        if plan.choice is None or len(chosen) > plan.choice or len(set(chosen)) < len(chosen):
            return None
        return (plan, chosen) if known.issuperset(chosen) else None

    def trigger(self, name: str) -> Trigger:
        return next(trigger for trigger in self.triggers if trigger.name == name)

    @property
    def versions(self) -> Iterator[Product]:
        """Every version, oldest first."""
        yield from self.earlier
        yield self

    def at(self, start_ms: int) -> Product:
        """The version in force for a disruption that starts at a moment; the oldest for one before all."""
        found = next(self.versions)
        for version in self.versions:
            if version.from_ms <= start_ms:
                found = version
        return found
