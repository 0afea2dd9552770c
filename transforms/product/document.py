"""A product file's document, section by section, as it is written: types and field names, nothing else.

An unknown field is an error, not a comment. What fields mean is in `terms.py`, which `parse.py` makes of these.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from monsoon.transforms.product.terms import OnceBy, Per, Quality


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Base of all sections."""


class ConsensusSection(Section, frozen=True):
    providers: int
    quality: tuple[Quality, ...] = ("official", "secondary", "fallback")
    named: tuple[str, ...] = ()


class LevelSection(Section, frozen=True):
    name: str
    breach: str
    pays: str


class AlsoSection(Section, frozen=True):
    metric: str
    breach: str
    consensus: tuple[ConsensusSection, ...] = (ConsensusSection(providers=1),)


class SilentQuorumSection(Section, frozen=True):
    trust: str
    least_trust: float
    reach: float
    before: str
    silent: str
    model: str | None = None
    min_measured: float = 0.0
    insured_for: str | None = None


class OrderDropSection(Section, frozen=True):
    at_least: float | str
    window: str
    weeks: int
    least_weeks: int
    seen: str


class PeerThresholdSection(Section, frozen=True):
    sigma: float
    share: str | None = None


class ActivitySection(Section, frozen=True):
    every: str
    window: str
    severe_drop: float
    thresholds: tuple[PeerThresholdSection, ...]
    fewest_peers: int
    few_peers_sigma: float
    min_deviation: float = 0.0


class SupplementSection(Section, frozen=True):
    name: str
    amount: str
    when: str
    once_per: Per | None = None
    plans: tuple[str, ...] | None = None


class TriggerSection(Section, frozen=True):
    name: str
    peril: str
    metric: str
    consensus: tuple[ConsensusSection, ...]
    breach: str | None = None
    pays: str | None = None
    levels: tuple[LevelSection, ...] = ()
    sustained: str = "0 s"
    clear_after: str = "60 min"
    platform: Literal["own"] | None = None
    also: tuple[AlsoSection, ...] = ()
    silent_quorum: SilentQuorumSection | None = None
    order_drop: OrderDropSection | None = None
    hours: tuple[str, ...] = ()
    zones: dict[str, str] = {}
    activity: ActivitySection | None = None
    supplements: tuple[SupplementSection, ...] = ()


class PlanSection(Section, frozen=True):
    terms: dict[str, float | str] = {}
    triggers: Literal["all"] | tuple[str, ...] = "all"
    choice: int | None = None
    bridge: bool = False
    price: str | None = None
    duration: str | None = None


class CapSection(Section, frozen=True):
    per: Per
    limit: str


class LockoutSection(Section, frozen=True):
    alert: str
    breach: str
    before: str
    ended_within: str


class AlertWindowSection(Section, frozen=True):
    alert: str
    breach: str
    within: str


class SyndicateSection(Section, frozen=True):
    needed: int
    subscriptions: int
    subscriptions_within: str
    riders_on_a_device: int
    towers: int
    payout_accounts: int
    resting_accel_var: float


class PartSection(Section, frozen=True):
    part: str
    weight: float
    value: str


class UnmeasuredSection(Section, frozen=True):
    counts: float
    below: float


class CutOffSection(Section, frozen=True):
    at: float
    honest_beyond: float | str


class ScoreSection(Section, frozen=True):
    model: str | None = None
    formula: str | None = None
    weighted: tuple[PartSection, ...] = ()
    unmeasured: UnmeasuredSection | None = None
    cut_offs: tuple[CutOffSection, ...] = ()


class RuleSection(Section, frozen=True):
    then: str
    when: str | None = None
    reason: str | None = None
    certain: bool = False


class HoldSection(Section, frozen=True):
    status: Literal["soft_hold", "step_up"]
    wait: str
    rules: tuple[RuleSection, ...]
    answered: Literal["approve"] | None = None


class DecisionSection(Section, frozen=True):
    scores: dict[str, ScoreSection]
    rules: tuple[RuleSection, ...]
    holds: dict[str, HoldSection] = {}
    signals_for_stricter: int = 3


class ProductSection(Section, frozen=True):
    name: str
    title: str
    zone_resolution: int
    plans: dict[str, PlanSection]
    triggers: tuple[TriggerSection, ...]
    decision: DecisionSection
    caps: tuple[CapSection, ...] = ()
    presence_margin: str = "0 m"
    waiting_period: str = "24 h"
    overlap: Literal["any", "same_peril"] = "any"
    once: tuple[tuple[OnceBy, ...], ...] = ()
    lockout: LockoutSection | None = None
    alert_window: AlertWindowSection | None = None
    syndicate: SyndicateSection | None = None
    in_force_from: str | None = None


def convert(document: Any) -> ProductSection:
    """The document as sections; raises msgspec.ValidationError."""
    return msgspec.convert(document, ProductSection)
