"""The model of a trigger of a product file, as `document.py` is that of the rest of the file.

What the fields come to is in `terms.py`, which `trigger_terms.py` makes of these.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, field

from monsoon.transforms.documents import OrUnset, Section, about, non_empty, unique_items
from monsoon.transforms.oracle_metrics import MetricName
from monsoon.transforms.product.quantities import ComparisonText, Duration, Formula, Hours, Name, PeerShare, Share
from monsoon.transforms.product.terms import Per, Quality

ScoreName = Literal["anomaly", "trust"]


class ConsensusSection(Section, frozen=True, kw_only=True):
    """One way to reach consensus."""

    providers: Annotated[int, Meta(ge=1, le=100), about("How many distinct providers must hold the condition.")]
    quality: Annotated[tuple[Quality, ...], unique_items("Only providers of these qualities count.")] = (
        "official",
        "secondary",
        "fallback",
    )
    named: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64), about("A provider's name.")], ...],
        unique_items("Only these providers count. Default: any."),
    ] = ()


class LevelSection(Section, frozen=True, kw_only=True):
    """One level of a graded trigger."""

    name: Name
    breach: ComparisonText
    pays: Annotated[Formula, about("The gross payout, in rupees.")]


class AlsoSection(Section, frozen=True, kw_only=True):
    """Another condition that must hold at the same moment, however long it has."""

    metric: MetricName
    breach: ComparisonText
    consensus: Annotated[tuple[ConsensusSection, ...], non_empty("The ways to reach consensus; one is enough.")] = (
        ConsensusSection(providers=1),
    )


class SilentQuorumSection(Section, frozen=True, kw_only=True):
    """The platform's riders in the zone who fell silent, weighed by a score."""

    trust: Annotated[ScoreName, about("The score of decision.scores that weighs a rider.")]
    min_trust: Annotated[float, Meta(ge=0, le=1), about("Riders with less do not count.")]
    reach: Annotated[float, Meta(gt=0, le=1_000_000), about("What the sum of the scores must reach.")]
    before: Annotated[Duration, about("Riders who worked between so long ago")]
    silent: Annotated[Duration, about("and so long ago, and have been silent or offline since.")]
    model: OrUnset[
        Annotated[
            Literal["outage"],
            about("The model that must call the zone's silence a real outage too. Default: none."),
        ]
    ] = UNSET
    min_measured: Annotated[
        float,
        Meta(ge=0, le=1),
        about("Riders count only where the weights of the measured parts of their score sum to this share of all."),
    ] = 0.0
    insured_for: OrUnset[
        Annotated[
            Duration,
            about("Riders count only where a policy of theirs has been in force for so long. Default: they need none."),
        ]
    ] = UNSET


class OrderDropSection(Section, frozen=True, kw_only=True):
    """The zone's orders must be down too."""

    min_drop: Annotated[Share, about("The smallest drop of the zone's orders.")]
    window: Annotated[Duration, about("Orders of so long count.")]
    weeks: Annotated[int, Meta(ge=1, le=52), about("Compared with the same hour of the week in so many weeks before,")]
    min_weeks: Annotated[int, Meta(ge=1, le=52), about("of which at least so many must be known,")]
    seen: Annotated[Duration, about("else with what the riders seen in the zone in so long usually do.")]


class PeerThresholdSection(Section, frozen=True, kw_only=True):
    """The drop required of a rider where so many peers have a severe one."""

    sigma: Annotated[float, Meta(ge=0, le=100), about("The drop required of the rider, in own standard deviations.")]
    share: OrUnset[
        Annotated[PeerShare, about("Applies where the share of peers with a severe drop is so. Default: always.")]
    ] = UNSET


class ActivitySection(Section, frozen=True, kw_only=True):
    """The rider's own orders must have dropped, more than chance and peers explain."""

    every: Annotated[Duration, about("How often it is tested while the disruption lasts.")]
    window: Annotated[Duration, about("Orders of so long count.")]
    severe_drop: Annotated[
        float, Meta(ge=0, le=1), about("From which drop, as a share of the mean, a peer's counts as severe.")
    ]
    thresholds: Annotated[
        tuple[PeerThresholdSection, ...], non_empty("The first that applies counts; the last applies always.")
    ]
    min_peers: Annotated[int, Meta(ge=0, le=1000), about("With fewer peers the threshold below holds,")]
    few_peers_sigma: Annotated[float, Meta(ge=0, le=100), about("in own standard deviations.")]
    min_deviation: Annotated[
        float, Meta(ge=0, le=10), about("A stated standard deviation counts as at least this share of the stated mean.")
    ] = 0.0


class SupplementSection(Section, frozen=True, kw_only=True):
    """A further instalment, decided when the disruption has ended."""

    name: Name
    amount: Annotated[Formula, about("In rupees.")]
    when: Annotated[Formula, about("The condition.")]
    once_per: OrUnset[Annotated[Per, about("Paid once per this period. Default: each time.")]] = UNSET
    plans: OrUnset[Annotated[tuple[Name, ...], unique_items("The plans that have it. Default: all.")]] = UNSET


class TriggerSection(Section, frozen=True, kw_only=True):
    """One trigger."""

    exactly_one_of = (("breach", "pays"), ("levels",))
    name: Name
    peril: Annotated[Name, about("What it insures against; a once rule and overlap may look at it.")]
    metric: MetricName
    consensus: Annotated[tuple[ConsensusSection, ...], non_empty("The ways to reach consensus; one is enough.")]
    breach: OrUnset[Annotated[ComparisonText, about("When a reading breaches.")]] = UNSET
    pays: OrUnset[Annotated[Formula, about("The gross payout, in rupees.")]] = UNSET
    levels: Annotated[
        tuple[LevelSection, ...], non_empty("Instead of breach and pays: a graded trigger, mildest level first.")
    ] = ()
    sustained: Annotated[Duration, about("How long a provider's run of breaches must be.")] = "0 s"
    clear_after: Annotated[Duration, about("How long the breach must be absent for the disruption to end.")] = "60 min"
    platform: OrUnset[
        Annotated[Literal["own"], about("own: it concerns policies of the disruption's platform only.")]
    ] = UNSET
    also: Annotated[tuple[AlsoSection, ...], non_empty("Other conditions that must hold too.")] = ()
    silent_quorum: OrUnset[SilentQuorumSection] = UNSET
    order_drop: OrUnset[OrderDropSection] = UNSET
    hours: Annotated[
        tuple[Hours, ...],
        non_empty("Readings outside these hours of the day (Asia/Kolkata) belong to no run. Default: all hours."),
    ] = ()
    zones: Annotated[dict[str, ComparisonText], non_empty("Zones (H3 cells) with a threshold of their own.")] = field(
        default_factory=dict
    )
    activity: OrUnset[ActivitySection] = UNSET
    supplements: Annotated[tuple[SupplementSection, ...], non_empty()] = ()
