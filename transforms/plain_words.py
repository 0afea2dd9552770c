"""The English texts of reason codes, features and perils in messages to riders.

Reasons and features are clauses that follow "because". They state what was observed or measured and accuse nobody: most
of those who read them did nothing wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

PERILS: Mapping[str, str] = {
    "rain": "heavy rain",
    "flood": "flooding",
    "wind": "strong wind",
    "heat": "extreme heat",
    "aqi": "bad air",
    "fog": "dense fog",
    "curfew": "a curfew",
    "bandh": "a bandh or curfew",
    "congestion": "blocked roads",
    "platform": "an outage of your platform",
    "outage": "an outage of your platform",
}

FEATURES: Mapping[str, str] = {
    "mock_location_share": "your phone said that its locations were made by an app",
    "mock_setting_share": "a setting that can change locations was on in your phone",
    "accelerometer_variance": "your phone's motion sensor showed little movement",
    "barometric_delta_match": "the air pressure at your phone changed differently from that at phones nearby",
    "gnss_cn0_agc_anomaly": "the satellite signal at your phone was stronger than it usually is",
    "gnss_network_time_delta_s": "the satellite clock and the network clock of your phone differed",
    "bssid_zone_match": "the Wi-Fi networks around your phone are not known in this zone",
    "bssid_fix_match": "the Wi-Fi networks around your phone are known to be somewhere else",
    "cell_tower_zone_match": "your phone was connected to a cell tower far from this zone",
    "battery_drain_z": "your phone's battery drained differently than it usually does",
    "speed_variance_30min": "your speed hardly changed",
    "speed_cv": "your speed was unusually even",
    "route_linearity": "your route was an unusually straight line",
    "still_while_moving": "your phone lay still while its location moved",
    "max_implied_speed_mps": "two locations of your phone are far apart for the time between them",
    "second_implied_speed_mps": "several locations of your phone are far apart for the time between them",
    "fast_excursions": "the location of your phone went far away and came back too fast",
    "gps_jitter_m": "the location of your phone was unusually still",
    "recent_activity_in_zone": "we saw few orders or trips of yours in this zone beforehand",
    "shift_pattern": "you do not usually work in this zone at this hour",
    "peer_divergence": "your orders changed differently from those of other riders",
    "subscription_alert_gap_s": "your policy began close to a public alert for this zone",
    "stated_wage_ratio": "the earnings that you state are high for your area",
    "claims_7d": "you had several claims in the last seven days",
    "account_age_d": "your account is new",
    "claim_burst_rank": "many riders claimed in this zone at about the same time",
    "proximity_degree": "riders of several other claims were very close by",
    "shared_network_degree": "several other claims came over the same network",
    "app_activity": "your delivery app was offline for much of the time",
    "riders_on_device_28d": "several riders use the phone that you use",
    "ring_score": "your claim is linked with other claims that we look at together",
}
"""By the names of `transforms/evidence/features.py`."""

SIGNALS: Mapping[str, str] = {
    "mock": "your phone said that its locations were made by an app",
    "radio": "the satellite signals at your phone did not look as they do under an open sky",
    "cell": "your phone was connected to cell towers far from its locations",
    "wifi": "the Wi-Fi networks around your phone are known to be far from its locations",
    "motion": "your phone's movements and its locations did not fit together",
    "ring": "your claim is linked with other claims that we look at together",
    "device": "several riders use your phone or your payout account",
}
"""By the names of the guard's signals (`transforms/guard/signals.py`)."""

REASONS: Mapping[str, str] = {
    **SIGNALS,
    **{f"verify:{name}": words for name, words in SIGNALS.items() if name != "ring"},
    "overlap": "another claim of yours already pays for the same time",
    "below_minimum": "what is left to pay is under Rs 1",
    "cap_reached": "you have been paid the most that your plan pays in this period",
    "cap_partial": "that is all that is left of the most that your plan pays in this period",
    "duplicate": "your plan pays once for this, and it has been paid",
    "disruption_withdrawn": "the readings that it rested on were corrected, and there was no disruption",
    "not_present": "you were not in the zone at the corrected time of the disruption",
    "paid_before_withdrawal": "the readings that it rested on were corrected after you had been paid",
    "paid_above_corrected_level": "the readings that it rested on were corrected after you had been paid",
    "plan_lacks_trigger": "your plan does not cover this kind of disruption",
    "lockout": "your policy began too close to a public alert for this zone",
    "bought_in_alert_window": "your policy began shortly after a public alert, and a person looks at all such claims",
    "no_activity_drop": "your orders did not fall as far as your plan asks for",
    "activity_not_measured": "we were not told how many orders you had",
    "nothing_measured": "your phone had reported nothing that we could go by",
    "too_few_peers": "there were too few other riders of your platform in the zone to compare with",
    "syndicate_alert": "your claim is linked with other claims that we look at together",
    "answer_denied": "you told us that this claim is not yours",
    "step_up_unanswered": "we had no answer from you in time",
    "reread_not_measured": "your phone sent us nothing since we asked you that we could check your location by",
    "reread_elsewhere": "your phone was elsewhere when you answered, and we could not see how it came there",
    "score_missing": "our automatic check of it could not be made",
}
"""By the reason codes of claims."""

_MAX_REASONS = 3
"""Reasons in one message: those of the largest weight."""


def peril_in_words(peril: str) -> str:
    """A noun phrase such as `heavy rain`; for a peril without one here its name in quotes."""
    return PERILS.get(peril, f'"{_spelled(peril)}"')


def reason_in_words(code: str) -> str:
    """A clause that follows "because"; of a code without words here one that names it."""
    return REASONS.get(code) or FEATURES.get(code) or f'of a check that we call "{_spelled(code)}"'


def because(codes: Iterable[str]) -> str:
    """The weightiest reasons as the end of a sentence, or nothing: ` because ...`."""
    return _because(tuple(codes))


@lru_cache(maxsize=4096)
def _because(codes: tuple[str, ...]) -> str:
    clauses = list(dict.fromkeys(map(reason_in_words, codes)))[:_MAX_REASONS]
    *first, last = clauses or [""]
    if not last:
        return ""
    return f" because {', because '.join(first)} and because {last}" if first else f" because {last}"


def _spelled(code: str) -> str:
    return " ".join(code.replace("_", " ").replace(":", " ").split()) or "unnamed"
