"""Properties of each oracle metric: unit, how long a reading holds (ttl), how far it reaches (default radius)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_MINUTE_MS = 60_000
_HOURLY_MS = 90 * _MINUTE_MS
_FLAG_MS = 24 * 60 * _MINUTE_MS
_OTHER_MS = 30 * _MINUTE_MS


@dataclass(frozen=True)
class Metric:
    """`ttl_ms` is the age up to which a reading is fresh, and the largest gap within a run."""

    ttl_ms: int
    default_radius_km: float
    unit: str = "1"
    """Of the value, as formulas have it."""
    is_flag: bool = False
    needs_platform: bool = False


MetricName = Literal[
    "rain_mm_h",
    "rain_mm_24h",
    "temperature_c",
    "heat_index_c",
    "aqi",
    "wind_kmh",
    "visibility_m",
    "outage_reports_30m",
    "platform_down",
    "curfew",
    "flood_alert",
    "red_alert",
    "fog_advisory",
    "travel_time_ratio",
]
METRICS: Mapping[str, Metric] = {
    "rain_mm_h": Metric(_OTHER_MS, 10.0, "mm/h"),
    "rain_mm_24h": Metric(_HOURLY_MS, 10.0, "mm"),
    "temperature_c": Metric(_HOURLY_MS, 10.0, "degC"),
    "heat_index_c": Metric(_HOURLY_MS, 10.0, "degC"),
    "aqi": Metric(_HOURLY_MS, 10.0),
    "wind_kmh": Metric(_OTHER_MS, 10.0, "km/h"),
    "visibility_m": Metric(_HOURLY_MS, 10.0, "m"),
    "outage_reports_30m": Metric(_OTHER_MS, 5.0, needs_platform=True),
    "platform_down": Metric(_FLAG_MS, 5.0, is_flag=True, needs_platform=True),
    "curfew": Metric(_FLAG_MS, 5.0, is_flag=True),
    "flood_alert": Metric(_FLAG_MS, 5.0, is_flag=True),
    "red_alert": Metric(_FLAG_MS, 5.0, is_flag=True),
    "fog_advisory": Metric(_FLAG_MS, 5.0, is_flag=True),
    "travel_time_ratio": Metric(_OTHER_MS, 5.0),
}
