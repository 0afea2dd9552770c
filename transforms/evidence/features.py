"""The features of which evidence consists: the only list of their names, units and meaning.

`docs/glossary.md` has the same list for readers; a test keeps both equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

SensorGroup = Literal[
    "mock", "accelerometer", "barometer", "gnss", "wifi", "cell", "battery", "motion", "activity", "policy", "graph"
]
"""The sensors that a feature needs; features of a group are mostly measured or missing together."""

Direction = Literal["high", "low", "either"]


@dataclass(frozen=True)
class Feature:
    """One feature. `low` and `high` bound its values; `fraud` is the end of the range that points to fraud."""

    name: str
    unit: str
    low: float
    high: float
    group: SensorGroup
    fraud: Direction
    meaning: str
    null: str


_INF = math.inf

FEATURES: tuple[Feature, ...] = (
    Feature(
        "mock_location_share", "share", 0, 1, "mock", "high",
        "reports with mock_location true, of those that state it",
        "no report states it",
    ),
    Feature(
        "mock_setting_share", "share", 0, 1, "mock", "high",
        "reports with mock_setting true, of those that state it; weak: developers leave it on",
        "no report states it",
    ),
    Feature(
        "accelerometer_variance", "(m/s^2)^2", 0, _INF, "accelerometer", "low",
        "median accel_var; near 0 for a phone at rest",
        "no accelerometer",
    ),
    Feature(
        "barometric_delta_match", "share", 0, 1, "barometer", "low",
        "agreement of the pressure change with that of other riders nearby at the same time",
        "no barometer, fewer than 3 others, or fewer than 3 five-minute changes",
    ),
    Feature(
        "gnss_cn0_agc_anomaly", "share", 0, 1, "gnss", "high",
        "reports whose C/N0 and AGC indicate more received power than the phone's own baseline before the window",
        "no C/N0 or no AGC, or fewer than 20 reports of the phone before the window",
    ),
    Feature(
        "gnss_network_time_delta_s", "s", 0, _INF, "gnss", "high",
        "median abs(gnss_time - network_time) on fresh fixes",
        "no fresh fix with both times",
    ),
    Feature(
        "bssid_zone_match", "share", 0, 1, "wifi", "low",
        "located access points with a position in the zone, weighted by sightings from reports located there",
        "no located access point seen from the zone",
    ),
    Feature(
        "bssid_fix_match", "share", 0, 1, "wifi", "low",
        "median over reports with 2 located access points or more: 1 within 250 m + accuracy of the fix, falling to 0 "
        "at 3 x that",
        "no report sees 2 located access points",
    ),
    Feature(
        "cell_tower_zone_match", "share", 0, 1, "cell", "low",
        "median over reports: 1 within tower range + accuracy, falling to 0 at 3 x that",
        "no report with a located tower",
    ),
    Feature(
        "battery_drain_z", "standard deviations", -_INF, _INF, "battery", "low",
        "drain rate against the phone's own half hours before the window",
        "charging, charging not stated, under 20 min of readings, or fewer than 6 half hours before",
    ),
    Feature(
        "speed_variance_30min", "(m/s)^2", 0, _INF, "motion", "low",
        "variance of speed over the window",
        "fewer than 4 speeds",
    ),
    Feature(
        "speed_cv", "ratio", 0, _INF, "motion", "low",
        "standard deviation of speed / its mean, of the speeds stated or between fixes, whichever is less",
        "fewer than 4 speeds, or none above 0",
    ),
    Feature(
        "route_linearity", "ratio", 0, 1, "motion", "high",
        "net displacement / path length",
        "a path under 2 km",
    ),
    Feature(
        "still_while_moving", "share", 0, 1, "accelerometer", "high",
        "path's length ridden with accel_var below 2e-4: fixes that ride and a phone that lies still",
        "less than 500 m ridden, or no accelerometer",
    ),
    Feature(
        "max_implied_speed_mps", "m/s", 0, _INF, "motion", "high",
        "largest (distance - accuracies) / time between neighboring reports",
        "fewer than 2 reports",
    ),
    Feature(
        "second_implied_speed_mps", "m/s", 0, _INF, "motion", "high",
        "second largest of the same; above 33: a speed of 33 m/s was exceeded twice",
        "fewer than 3 reports",
    ),
    Feature(
        "fast_excursions", "count", 0, _INF, "motion", "high",
        "times that fixes of 50 m accuracy or better went elsewhere at more than 70 m/s; out and back is one",
        "fewer than 2 such fixes",
    ),
    Feature(
        "gps_jitter_m", "m", 0, _INF, "motion", "low",
        "root mean square distance of a fix from its position while stopped; never 0 with a real receiver",
        "fewer than 8 displacements between stopped fixes",
    ),
    Feature(
        "recent_activity_in_zone", "count", 0, _INF, "activity", "low",
        "orders plus on_trip reports in the zone in the last 90 min",
        "no report that states an app state or orders",
    ),
    Feature(
        "app_activity", "share", 0, 1, "activity", "low",
        "reports that are online or on_trip, of those that state an app state",
        "no report states an app state",
    ),
    Feature(
        "shift_pattern", "share", 0, 1, "activity", "low",
        "how usual this zone, hour and weekday are for the rider over four weeks",
        "less than 7 days of history",
    ),
    Feature(
        "peer_divergence", "difference of shares", -1, 1, "activity", "high",
        "activity drop less the median drop of same-platform peers in the disruption",
        "orders, platform or mean not stated, or fewer than 5 peers",
    ),
    Feature(
        "subscription_alert_gap_s", "s", -_INF, _INF, "policy", "high",
        "activation of the policy - first public alert for the zone; positive: bought after the alert",
        "no alert, or no activation known",
    ),
    Feature(
        "stated_wage_ratio", "ratio", 0, _INF, "policy", "high",
        "stated amount that decides the payout / its median over policies in force around the zone",
        "no amount stated, or no policies compared with",
    ),
    Feature(
        "claims_7d", "count", 0, _INF, "policy", "high",
        "claims of the rider in the 7 days before",
        "not known",
    ),
    Feature(
        "account_age_d", "d", 0, _INF, "policy", "low",
        "age of the account at confirmation",
        "not known",
    ),
    Feature(
        "claim_burst_rank", "difference of shares", -1, 1, "motion", "high",
        "how much steeper the disruption's arrival curve is at this claim than the zone's usual arrival curve",
        "fewer than 5 riders in the zone, or too little history of the neighborhood",
    ),
    Feature(
        "riders_on_device_28d", "count", 1, _INF, "graph", "high",
        "riders seen on the phone in the 28 local days up to the decision",
        "no report in the window",
    ),
    Feature(
        "proximity_degree", "count", 0, _INF, "graph", "high",
        "other riders to whose claims the graph has an edge by an access point or serving cell",
        "not measured: the claim is in no ring and attached to none",
    ),
    Feature(
        "shared_network_degree", "count", 0, _INF, "graph", "high",
        "other riders to whose claims the graph has an edge by a network prefix",
        "not measured: the claim is in no ring and attached to none",
    ),
    Feature(
        "ring_score", "share", 0, 1, "graph", "high",
        "strength of the ring that the claim belongs to",
        "not measured: the claim is in no ring and attached to none",
    ),
)  # fmt: skip

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
