"""What formulas of product files may name, with units: amounts of the policy, the disruption, the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from monsoon.transforms.evidence.features import FEATURES
from monsoon.transforms.expressions import Unit
from monsoon.transforms.oracle_metrics import METRICS

_RATIO, _RUPEES, _HOURS = Unit.parse("1"), Unit.parse("INR"), Unit.parse("h")

POLICY: Mapping[str, Unit] = MappingProxyType(
    {
        "daily_wage": _RUPEES,
        "hourly_wage": Unit.parse("INR/h"),
        "shift_earnings": _RUPEES,
        "disrupted_hours": _HOURS,
    }
)
"""For payouts: daily_wage_inr; that / 8 h; shift_baseline_inr, or the daily wage where it is absent; from the start to
absent_since. A payout that uses disrupted_hours is decided when the disruption has ended."""

ACTIVITY: Mapping[str, Unit] = MappingProxyType({"sigma": _RATIO})
"""For payouts of triggers with an activity test: the drop in own standard deviations at the moment of the payout."""

WEEK: Mapping[str, Unit] = MappingProxyType(
    {
        "slab_orders": _RATIO,
        "planned_hours": _HOURS,
        "orders_so_far": _RATIO,
        "hours_so_far": _HOURS,
    }
)
"""For supplements: what the policy states of the week, and what the rider had worked of it at confirmation."""

CLAIM: Mapping[str, Unit] = MappingProxyType(
    {
        "signals": _RATIO,
        "providers": _RATIO,
        "peers": _RATIO,
        "bought_in_alert_window": _RATIO,
        "syndicate": _RATIO,
        "trust_tier": _RATIO,
        "severity_over_threshold": _RATIO,
        "sigma": _RATIO,
        "activity_drop": _RATIO,
    }
)
"""For scores and rules, beside the features: independent signals measured; providers that confirmed; peers that an
activity test found; 1 or 0 for a policy bought in the alert window, a member of a syndicate alert;
severity / threshold; the drop of an activity test in standard deviations and as a share of the mean."""


def feature_units() -> dict[str, Unit]:
    """The unit of every feature, as far as formulas know it: times and speeds, else a bare number."""
    known = {"s": "s", "d": "d", "m/s": "m/s", "(m/s)^2": "(m/s)2", "(m/s^2)^2": "(m/s2)2"}
    return {feature.name: Unit.parse(known.get(feature.unit, "1")) for feature in FEATURES}


def metric_unit(metric: str) -> Unit:
    """The unit of a metric's values."""
    return Unit.parse(METRICS[metric].unit)
