"""Phrases that all sections of a policy's wording share: amounts, durations, metrics, inputs of formulas.

Every function returns English text; the docstrings quote examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monsoon.transforms.expressions import Expression, describe
from monsoon.transforms.product.terms import HOUR_MS, MINUTE_MS, Comparison, Product

_DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Section:
    """A heading and its paragraphs, each of one sentence or more."""

    title: str
    points: tuple[str, ...]


def duration(ms: int) -> str:
    """`3 hours`, `90 minutes`, `7 days`."""
    if not ms:
        return "no time"
    for unit_ms, word, min_count in (
        (_DAY_MS, "day", 3),
        (HOUR_MS, "hour", 1),
        (MINUTE_MS, "minute", 1),
        (1_000, "second", 1),
    ):
        count, rest = divmod(ms, unit_ms)
        if not rest and count >= min_count:
            return f"{count} {word}" + ("" if count == 1 else "s")
    return f"{ms} milliseconds"


def period(ms: int) -> str:
    """A duration as it follows "the last": `hour` (not `1 hour`), `90 minutes`."""
    return duration(ms).removeprefix("1 ")


def rupees(amount_inr: float) -> str:
    """`Rs 1,500`, `Rs 49.50`."""
    return f"Rs {amount_inr:,.2f}".removesuffix(".00")


def listed(words: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    *before, end = list(words)
    return f"{', '.join(before)} {last} {end}" if before else end


def sentence(text: str) -> str:
    """The text with a capital letter and, unless it ends a sentence already, a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


_COMPARED = {">=": "is at least", ">": "is above", "<=": "is at most", "<": "is below", "=": "is"}

_MEASURED = {
    "rain_mm_h": ("the rain", "mm per hour"),
    "rain_mm_24h": ("the rain of the last 24 hours", "mm"),
    "temperature_c": ("the temperature", "°C"),
    "heat_index_c": ("the heat index (how hot it feels, from temperature and humidity)", "°C"),
    "aqi": ("the air quality index (AQI, on the Indian scale)", ""),
    "wind_kmh": ("the wind", "km/h"),
    "visibility_m": ("the visibility", "m"),
    "outage_reports_30m": ("the number of outage reports of the platform in the last 30 minutes", ""),
    "travel_time_ratio": ("the time that a trip takes, as a multiple of the usual,", ""),
}

_FLAGS = {
    "platform_down": "the platform is reported to be down",
    "curfew": "a curfew or bandh is reported",
    "flood_alert": "a flood alert is in force",
    "red_alert": "a red alert is in force",
    "fog_advisory": "a fog advisory is in force",
}


def metric_words(metric: str) -> str:
    """`the rain`: a metric's name without its unit; of an unknown metric the name with spaces for _."""
    return _MEASURED[metric][0] if metric in _MEASURED else metric.replace("_", " ")


def condition(metric: str, breach: Comparison) -> str:
    """`the rain is above 65 mm per hour`; of a flag `a red alert is in force`."""
    if metric in _FLAGS:
        return _FLAGS[metric]
    return f"{metric_words(metric)} {threshold(metric, breach)}"


def threshold(metric: str, breach: Comparison) -> str:
    """`is above 65 mm per hour`."""
    unit = _MEASURED[metric][1] if metric in _MEASURED else ""
    return f"{_COMPARED[breach.operator]} {breach.threshold:g} {unit}".rstrip()


def alert_words(metric: str, breach: Comparison) -> str:
    """`a red alert` for a flag; for a measured metric `an alert (the rain is above 65 mm per hour)`."""
    return (
        _FLAGS[metric].removesuffix(" is in force") if metric in _FLAGS else f"an alert ({condition(metric, breach)})"
    )


_INPUTS = {
    "daily_wage": "your daily wage",
    "hourly_wage": "your hourly wage",
    "shift_earnings": "your usual earnings of a shift",
    "disrupted_hours": "the number of hours that it lasted",
    "sigma": "the drop of your orders in your own standard deviations",
    "slab_orders": "the orders of your weekly slab",
    "planned_hours": "the hours that you planned for the week",
    "orders_so_far": "your orders of the week so far",
    "hours_so_far": "the hours that you have worked of it so far",
    "anomaly": "the anomaly score",
    "trust": "the trust score",
    "trust_tier": "your trust tier",
    "signals": "the number of independent signals measured",
    "providers": "the number of sources that confirmed",
    "peers": "the number of riders to compare with",
    "severity_over_threshold": "the severity as a multiple of the threshold",
    "activity_drop": "the drop of your orders as a share of your mean",
    "riders_on_device_28d": "the number of riders seen on your device in 28 days",
    "app_activity": "the share of your reports that are online or on a trip",
    "mock_location_share": "the share of your phone's reports that admit a mock location",
    "mock_setting_share": "the share of your phone's reports with an app for mock locations selected",
    "accelerometer_variance": "the movement of your phone",
    "cell_tower_zone_match": "the match of your phone's cell towers with the zone",
    "max_implied_speed_mps": "the fastest jump between two of your reports",
    "second_implied_speed_mps": "the second fastest",
    "shift_pattern": "how usual this zone, day and hour are for you",
    "peer_divergence": "the difference between your drop and that of the riders around you",
    "account_age_d": "the age of your account",
    "claims_7d": "the number of your claims in the 7 days before",
    "barometric_delta_match": "the match of the air pressure at your phone with that at phones nearby",
    "gnss_cn0_agc_anomaly": "the share of reports whose satellite signal is stronger than your phone's usual one",
    "gnss_network_time_delta_s": "the difference between your phone's satellite and network clocks",
    "bssid_zone_match": "the share of the Wi-Fi networks around your phone that stand in the zone",
    "bssid_fix_match": "the match of the Wi-Fi networks around your phone with its locations",
    "battery_drain_z": "the drain of your phone's battery against its usual, in standard deviations",
    "speed_variance_30min": "how much your speed varies",
    "speed_cv": "how much your speed varies as a share of its mean",
    "route_linearity": "how straight your route is",
    "still_while_moving": "the share of your route on which your phone lay still",
    "fast_excursions": "how often your phone's location went elsewhere at an impossible speed",
    "gps_jitter_m": "how much your phone's location wanders while you stand",
    "recent_activity_in_zone": "your orders and trips in the zone in the 90 minutes before",
    "subscription_alert_gap_s": "the time from the first public alert to the activation of your policy",
    "stated_wage_ratio": "your stated earnings as a multiple of the median around the zone",
    "proximity_degree": "the number of other claims' riders who were close by",
    "shared_network_degree": "the number of other claims' riders on the same network",
    "ring_score": "the strength of the ring of linked claims",
    "claim_burst_rank": "how suddenly riders arrived in the zone around your claim",
}

CLAIM_FLAGS: Mapping[str, tuple[str, str]] = {
    "bought_in_alert_window": (
        "you activated the policy shortly after a public alert",
        "you did not activate the policy shortly after a public alert",
    ),
    "syndicate": (
        "you belong to a group for which a syndicate alert is raised",
        "you belong to no group for which a syndicate alert is raised",
    ),
}

_FLAG_NUMBERS = {
    "bought_in_alert_window": "(1 if you activated the policy shortly after a public alert, else 0)",
    "syndicate": "(1 in a syndicate alert, else 0)",
}


def formula_words(expression: Expression, product: Product) -> str:
    """A formula of a product in words."""
    plans = {term for plan in product.plans.values() for term in plan.terms}
    words = {name: metric_words(name) for name in _MEASURED} | _INPUTS | _FLAG_NUMBERS
    words |= {term: f"your plan's {term.replace('_', ' ')}" for term in plans}
    return describe(expression, words, CLAIM_FLAGS)


def plan_amounts(expression: Expression, product: Product, plans: Sequence[str] | None = None) -> str:
    """`, your plan's share being 60% in basic and 70% in standard`, for the plans' terms in a formula (all plans, or
    those named); empty where the formula uses none. For a formula that is one term alone only the amounts are
    listed: `, 60% in basic and 70% in standard`."""
    notes = []
    named = [plan for plan in product.plans.values() if plans is None or plan.name in plans]
    for term in sorted(expression.names & {term for plan in named for term in plan.terms}):
        unit = str(dict(expression.inputs)[term])
        amounts = listed([f"{term_words(plan.terms[term], unit)} in {plan.name}" for plan in named])
        if expression.text.strip() == term:
            return f", {amounts}"
        notes.append(f", your plan's {term.replace('_', ' ')} being {amounts}")
    return "".join(notes)


def term_words(value: float, unit: str) -> str:
    """A plan's term with its unit: `Rs 500` of INR, `60%` of a dimensionless value up to 1, else `4.5 orders`."""
    if unit == "INR":
        return rupees(value)
    if unit == "1":
        return f"{round(value * 100, 6):g}%" if value <= 1 else f"{value:g}"
    return f"{value:g} {unit}"
