"""The model of a product file: every field with its type, range, default and meaning.

contracts/product.schema.json is made of it, and a file is checked by it. What the fields come to is in `terms.py`,
which `parse.py` makes of these.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, field

from monsoon.transforms.documents import OrUnset, Section, about, non_empty, unique_items
from monsoon.transforms.oracle_metrics import MetricName
from monsoon.transforms.product.premium_document import PremiumSection
from monsoon.transforms.product.quantities import (
    Amount,
    ComparisonText,
    Distance,
    Duration,
    Formula,
    Moment,
    Name,
    ProductName,
    Rupees,
    Share,
)
from monsoon.transforms.product.terms import OnceBy, Per
from monsoon.transforms.product.trigger_document import ScoreName, TriggerSection


class PlanSection(Section, frozen=True, kw_only=True):
    """One plan."""

    terms: Annotated[
        dict[Name, Amount],
        about("The plan's own amounts, by the name under which formulas know them; every plan has the same."),
    ] = field(default_factory=dict)
    triggers: Annotated[
        Literal["all"] | Annotated[tuple[Name, ...], unique_items()], about("The triggers it covers.")
    ] = "all"
    choice: OrUnset[
        Annotated[
            int,
            Meta(ge=1, le=100),
            about("How many triggers a policy's plan string may choose, as in basic:heat,rain. Default: none."),
        ]
    ] = UNSET
    bridge: Annotated[
        bool, about("Whether an outage of any platform that the rider's telemetry named in the last 90 min counts.")
    ] = False
    price: OrUnset[Annotated[Rupees, about("What a period costs; for the wording only.")]] = UNSET
    duration: OrUnset[Annotated[Duration, about("How long a period is; for the wording only.")]] = UNSET


class CapSection(Section, frozen=True, kw_only=True):
    """At most so much for a rider's disruptions of one period, in Asia/Kolkata."""

    per: Per
    limit: Annotated[Formula, about("In rupees.")]


class LockoutSection(Section, frozen=True, kw_only=True):
    """Who bought too close to an alert is not eligible."""

    alert: MetricName
    breach: ComparisonText
    before: Annotated[Duration, about("Activated later than so long before the alert")]
    ended_within: Annotated[Duration, about("that holds, or ended less than so long before: not eligible.")]


class AlertWindowSection(Section, frozen=True, kw_only=True):
    """What bought_in_alert_window means to rules."""

    alert: MetricName
    breach: ComparisonText
    within: Annotated[Duration, about("Activated within so long after a public alert.")]


class SyndicateSection(Section, frozen=True, kw_only=True):
    """When a linked group of riders is an alert."""

    needed: Annotated[int, Meta(ge=1, le=5), about("How many of the five kinds of evidence make an alert.")]
    subscriptions: Annotated[int, Meta(ge=2, le=1_000_000), about("So many subscriptions or more")]
    subscriptions_within: Annotated[Duration, about("within so long of the alert.")]
    riders_on_a_device: Annotated[int, Meta(ge=2, le=1_000_000), about("So many riders or more on one device.")]
    towers: Annotated[int, Meta(ge=1, le=1_000_000), about("The whole group on so many towers at most.")]
    payout_accounts: Annotated[int, Meta(ge=1, le=1_000_000), about("Several riders paid to so many accounts at most.")]
    resting_accel_var: Annotated[
        float, Meta(gt=0, le=1), about("Accelerometer variance, (m/s2)2, at or below which a phone rests.")
    ]


class PartSection(Section, frozen=True, kw_only=True):
    """One part of a weighted mean."""

    part: Name
    weight: Annotated[float, Meta(gt=0, le=1_000_000), about("Its weight.")]
    value: Annotated[Formula, about("Over evidence; a bare number.")]


class UnmeasuredSection(Section, frozen=True, kw_only=True):
    """Of weighted parts: what those not measured count, where little was. Default: they leave the mean."""

    counts: Annotated[float, Meta(ge=0, le=1), about("Each counts so much,")]
    below: Annotated[
        float, Meta(gt=0, le=1), about("where the weights of the measured parts sum to less than this share of all.")
    ]


class CutOffSection(Section, frozen=True, kw_only=True):
    """One point of the scale of a model score."""

    at: Annotated[float, Meta(gt=0, le=1), about("The score.")]
    honest_beyond: Annotated[Share, about("How many honest claims score higher.")]


class ScoreSection(Section, frozen=True, kw_only=True):
    """A score of a claim."""

    exactly_one_of = (("model",), ("formula",), ("weighted",))
    model: OrUnset[Annotated[str, Meta(min_length=1, max_length=64), about("A model folder of models/onnx/.")]] = UNSET
    formula: OrUnset[Annotated[Formula, about("Over evidence; a bare number.")]] = UNSET
    weighted: Annotated[
        tuple[PartSection, ...], non_empty("A weighted mean; a part that was not measured leaves it.")
    ] = ()
    unmeasured: OrUnset[
        Annotated[
            UnmeasuredSection,
            about("Of weighted parts: what those not measured count, where little was. Default: they leave the mean."),
        ]
    ] = UNSET
    cut_offs: Annotated[
        tuple[CutOffSection, ...],
        non_empty(
            "Of a model: its scale, by the share of honest claims beyond each cut-off; rising. "
            "Default: 1 % beyond 0.40, 0.1 % beyond 0.72."
        ),
    ] = ()


class RuleSection(Section, frozen=True, kw_only=True):
    """One rule."""

    then: Annotated[Name, about("approve, manual_review, or the name of a hold.")]
    when: OrUnset[Annotated[Formula, about("The condition. Default: always.")]] = UNSET
    reason: OrUnset[
        Annotated[Name, about("The reason code of the claim's record and of the rider's notification.")]
    ] = UNSET
    certain: Annotated[
        bool, about("Whether it rests on records, so that too few measured signals do not soften it.")
    ] = False


class HoldSection(Section, frozen=True, kw_only=True):
    """A claim that waits."""

    status: Annotated[
        Literal["soft_hold", "step_up"], about("soft_hold: the claim waits; step_up: the rider is asked to confirm.")
    ]
    wait: Annotated[Duration, about("After so long the rules below decide.")]
    rules: Annotated[tuple[RuleSection, ...], non_empty("The first that holds decides; the last holds always.")]
    answered: OrUnset[Annotated[Literal["approve"], about("What the rider's confirming answer leads to.")]] = UNSET
    reread: OrUnset[
        Annotated[
            Literal["required", "optional"],
            about(
                "Of a step_up. required: the answer counts once the phone, as reported since the asking, supports the "
                "claim; optional: unless it contradicts the claim. Default: required."
            ),
        ]
    ] = UNSET


class DecisionSection(Section, frozen=True, kw_only=True):
    """From scores to approve, a hold or a review."""

    scores: Annotated[
        dict[ScoreName, ScoreSection],
        about("The scores of a claim, as anomaly_score (0 looks honest, 1 does not) and trust_score (1 is trusted)."),
    ]
    rules: Annotated[tuple[RuleSection, ...], non_empty("The first that holds decides; the last holds always.")]
    holds: Annotated[dict[Name, HoldSection], about("The holds by name.")] = field(default_factory=dict)
    signals_for_stricter: Annotated[
        int, Meta(ge=0, le=100), about("Independent measured signals before anything stricter than a soft hold.")
    ] = 3


class ProductSection(Section, frozen=True, kw_only=True):
    """One version of one product: what a policy's wording would say, as data. docs/products.md explains every field."""

    name: Annotated[ProductName, about("Policies name the product so.")]
    title: Annotated[str, Meta(min_length=1, max_length=200), about("For people.")]
    zone_resolution: Annotated[int, Meta(ge=0, le=15), about("The H3 resolution of the zones.")]
    plans: Annotated[dict[Name, PlanSection], non_empty("The plans by name.")]
    triggers: Annotated[tuple[TriggerSection, ...], non_empty("The triggers.")]
    decision: Annotated[DecisionSection, about("From scores to approve, a hold or a review.")]
    caps: Annotated[tuple[CapSection, ...], non_empty("At most so much for a rider's disruptions of one period.")] = ()
    presence_margin: Annotated[Distance, about("A rider counts as in a zone up to so far outside it.")] = "0 m"
    waiting_period: Annotated[
        Duration, about("How long after an event of a policy what it raises waits before it counts.")
    ] = "24 h"
    overlap: Annotated[
        Literal["any", "same_peril"],
        about(
            "any: what is paid for one disruption is deducted from others of that time; same_peril: of one peril only."
        ),
    ] = "any"
    once: Annotated[
        tuple[Annotated[tuple[OnceBy, ...], unique_items()], ...],
        non_empty("Each: one payout only per rider and all of these."),
    ] = ()
    lockout: OrUnset[Annotated[LockoutSection, about("Who bought too close to an alert is not eligible.")]] = UNSET
    alert_window: OrUnset[Annotated[AlertWindowSection, about("What bought_in_alert_window means to rules.")]] = UNSET
    syndicate: OrUnset[Annotated[SyndicateSection, about("When a linked group of riders is an alert.")]] = UNSET
    in_force_from: OrUnset[
        Annotated[
            Moment,
            about(
                "Disruptions that start from this moment on, until the next version's, are decided by this version. "
                "Default: since ever."
            ),
        ]
    ] = UNSET
    premium: OrUnset[Annotated[PremiumSection, about("What a period of cover costs a rider (docs/pricing.md).")]] = (
        UNSET
    )
