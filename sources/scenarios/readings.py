"""Readings of the storm, those that attackers bring about, and the operator's register of providers."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from monsoon.sources.scenarios.riders import CROWD, INVENTED, QUORUM_PLATFORM, Riders, alert_of
from monsoon.sources.scenarios.streets import Streets
from monsoon.sources.simulator.storm import MINUTE_MS, Storm
from monsoon.sources.simulator.terms import Quality
from monsoon.sources.simulator.weather import READING_SCHEMA, readings

INVENTED_VALUES = {"rain_mm_h": 90.0, "rain_mm_24h": 160.0, "aqi": 480.0, "temperature_c": 48.0, "wind_kmh": 95.0}
IMPOSSIBLE_C = 9e9
FALSE_OUTAGE_MIN = (75, 100)
"""The false outage's reports begin and end so long after the alert: too short for who asks for a sustained outage, so
that it is the quorum that decides."""


def all_readings(storm: Storm, streets: Streets, riders: Riders, gridded_only: bool) -> pl.DataFrame:
    """The storm's own readings and the false ones, by id and revision."""
    own = readings(storm, gridded_only=gridded_only)
    rows = [*_false_outage(storm, streets, riders), *_invented(storm, streets, riders)]
    false = pl.DataFrame(rows, schema=READING_SCHEMA)
    table = pl.concat([own, false], how="diagonal").sort("reading_id", "revision")
    return table.drop(name for name in table.columns if table[name].null_count() == table.height)


def register(storm: Storm) -> pl.DataFrame:
    """The register of providers: the storm's, else every feed as it states itself; and the crowd's outage reports."""
    rows: dict[tuple[str, str], Quality] = {(CROWD, "outage_reports_30m"): "secondary"}
    if storm.modeled.register:
        rows |= {(row.provider, row.metric): row.quality for row in storm.modeled.register}
    else:
        rows |= {(feed.provider, feed.metric): feed.quality for feed in storm.modeled.feeds}
    return pl.DataFrame([(*key, quality) for key, quality in sorted(rows.items())],
                        schema=["provider", "metric", "quality"], orient="row")  # fmt: skip


def _false_outage(storm: Storm, streets: Streets, riders: Riders) -> list[dict[str, Any]]:
    """Way 7: the group's friends report an outage of their platform around their district, and it goes silent."""
    rows = []
    alert_ms = alert_of(storm)
    quorum = riders.of("way_7_quorum")
    for group in np.unique(riders.district[quorum]).tolist():
        lat, lon = streets.to_degrees(streets.district_u[[group]], streets.district_v[[group]])
        for minute in range(*FALSE_OUTAGE_MIN, 5):
            at_ms = alert_ms + minute * MINUTE_MS
            place = {"lat": float(lat[0]), "lon": float(lon[0]), "radius_km": 8.0, "platform": QUORUM_PLATFORM}
            rows.append(_row(CROWD, "outage_reports_30m", 1_400.0, at_ms, "secondary", f"quorum-{group}") | place)
    return rows


def _invented(storm: Storm, streets: Streets, riders: Riders) -> list[dict[str, Any]]:
    """Way 10: providers that nobody knows call themselves official, around the homes of a dry district."""
    rows = []
    members = np.flatnonzero(riders.of("way_10_invented_providers"))
    lat, lon = streets.to_degrees(riders.home_u[members], riders.home_v[members])
    start_ms = storm.time_ms(storm.modeled.riders.start)
    for number, i in enumerate(members.tolist()):
        place = {"lat": round(float(lat[number]), 4), "lon": round(float(lon[number]), 4), "radius_km": 6.0}
        for provider in INVENTED:
            for metric, value in INVENTED_VALUES.items():
                for minute in range(60, 330, 15):
                    at_ms = start_ms + minute * MINUTE_MS
                    rows.append(_row(provider, metric, value, at_ms, "official", str(i)) | place)
        at_ms = start_ms + 60 * MINUTE_MS
        rows.append(_row(INVENTED[0], "temperature_c", IMPOSSIBLE_C, at_ms, "official", f"{i}-impossible") | place)
    return rows


def _row(provider: str, metric: str, value: float, time_ms: int, quality: str, place: str) -> dict[str, Any]:
    return dict.fromkeys(READING_SCHEMA) | {
        "reading_id": f"{provider}-{metric}-{place}-{time_ms // MINUTE_MS}",
        "revision": 0,
        "provider": provider,
        "quality": quality,
        "metric": metric,
        "value": value,
        "event_time": time_ms,
        "issued_time": time_ms + MINUTE_MS,
    }
