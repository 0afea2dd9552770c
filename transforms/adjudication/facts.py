"""Inputs of scores and rules that come from the claim's records and not from telemetry features (`product/inputs.py`,
CLAIM)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from monsoon.transforms.adjudication.claims import ActivityResult, DisruptionUpdate, PolicyTerms
from monsoon.transforms.product import Product


def bought_in_alert_window(product: Product, update: DisruptionUpdate, terms: PolicyTerms) -> bool:
    """Whether the policy was activated within the product's alert window, which opens with a public alert for the zone
    or with the first reading of those that confirmed the disruption. Both ends of the window are included.

    False for a product without an alert window, and for a policy that was never activated.

    The alert is the last that began by the confirmation, whether or not it still holds: a policy that was bought
    because of a warning was bought because of it.
    """
    window = product.alert_window
    if window is None or terms.activated_at_ms is None:
        return False
    alerts = [update.first_alert_ms]
    if update.alert is not None:
        alerts.append(update.alert.first_issued_ms)
    return any(0 <= terms.activated_at_ms - alert_ms <= window.within_ms for alert_ms in alerts)


Fact = Callable[[Product, DisruptionUpdate, PolicyTerms, ActivityResult | None], float | None]


def _activity_value(name: str) -> Fact:
    def value(
        product: Product, update: DisruptionUpdate, terms: PolicyTerms, activity: ActivityResult | None
    ) -> float | None:
        return None if activity is None else activity.values.get(name)

    return value


def _severity_over_threshold(
    product: Product, update: DisruptionUpdate, terms: PolicyTerms, activity: ActivityResult | None
) -> float | None:
    """Of an activity test, what was measured at its moment; else the disruption's severity."""
    trigger = product.trigger(update.trigger)
    breach = trigger.zone_breaches.get(update.zone) or next(
        level.breach for level in trigger.levels if level.name == update.level
    )
    severity = update.severity if activity is None else activity.values.get("rain")
    return severity / breach.threshold if severity is not None and breach.threshold else None


CLAIM_FACTS: Mapping[str, Fact] = {
    "providers": lambda product, update, terms, activity: update.providers,
    "trust_tier": lambda product, update, terms, activity: terms.trust_tier,
    "bought_in_alert_window": lambda product, update, terms, activity: float(
        bought_in_alert_window(product, update, terms)
    ),
    "peers": _activity_value("peers"),
    "sigma": _activity_value("sigma"),
    "activity_drop": _activity_value("drop"),
    "severity_over_threshold": _severity_over_threshold,
}
"""By name, a function of the version of the product, the update, the policy's terms and the activity test's result, if
there is one. None: not measured."""
