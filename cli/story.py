"""The words of the demo: what the sky did, what that confirmed, who was paid and who was not."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3
import numpy as np

from monsoon.pipelines.local.replay import Inputs
from monsoon.pipelines.results import Outcome
from monsoon.sources.simulator import Storm
from monsoon.transforms.adjudication.money import rupees
from monsoon.transforms.geo.sphere import distance_m

_METRIC = "rain_mm_24h"
_HOUR_MS = 3_600_000
_KINDS = {
    "honest": "honest riders",
    "mock_app": "mock-location app",
    "replayed_trace": "replayed trace, rooted phone",
    "radio_spoof": "radio spoofing",
}


def tell(storm: Storm, inputs: Inputs, outcome: Outcome, summary: Mapping[str, Any], labels: Path) -> str:
    """The whole story of a rain storm under kawaach, as a few tables."""
    claims = list({claim["claim_id"]: claim for claim in sorted(outcome.claims, key=_order)}.values())
    first = {claim["claim_id"]: claim["status"] for claim in outcome.claims if claim["revision"] == 0}
    telemetry = summary["streams"]["telemetry"]
    result = summary["products"]["kawaach"]
    lines = [
        storm.title,
        "",
        f"{telemetry['used']:,} reports of {len(inputs.trail.workers):,} riders "
        f"({telemetry['duplicate']:,} repeats, {telemetry['dead']:,} unusable), "
        f"{len(inputs.readings):,} readings, {summary['streams']['subscriptions']['used']:,} subscription events",
        "",
        "What the official stations reported: mm of rain in 24 h (* >= 75: half a day's wage, ** >= 100: a whole one)",
        "",
        *_rain_table(storm, inputs),
        "",
        "What was made of it, by the nearest station (a payout needs two providers, one of them not modeled)",
        "",
        *_station_table(storm, outcome, claims),
        "",
        "Who claimed, how the claim was first decided, and what became of it",
        "",
        *_kind_table(claims, first, labels),
        "",
        f"{result['payouts']:,} payouts, Rs {rupees(result['payout_paise']):,.2f}",
    ]
    return "\n".join(lines)


def tell_without_stations(storm: Storm, outcome: Outcome) -> str:
    """What the gridded product alone would have led to."""
    (total,) = {series.mm for name, series in storm.published.series.items() if name == "grid"}  # type: ignore[union-attr]
    return (
        f"With the gridded product alone ({total} mm for the day): {len(outcome.disruptions)} disruptions, "
        f"{len(outcome.payouts)} payouts."
    )


def _order(claim: Mapping[str, Any]) -> tuple[str, int]:
    return (claim["claim_id"], claim["revision"])


def _stations(storm: Storm) -> dict[str, tuple[str, float, float]]:
    """Key -> (title, latitude, longitude) of the places whose rain total is published."""
    return {
        name: (storm.places[name].title, storm.places[name].lat, storm.places[name].lon)
        for name in storm.published.series
        if name in storm.places
    }


def _rain_table(storm: Storm, inputs: Inputs) -> list[str]:
    """Hourly official figures, a column a station, as finally corrected."""
    stations = _stations(storm)
    said: dict[tuple[int, str], tuple[int, float]] = {}
    for reading in inputs.readings:
        if reading.metric != _METRIC or reading.quality != "official":
            continue
        station = _nearest(stations, reading.area.place_lat, reading.area.place_lon)
        before = said.get((reading.event_time_ms, station), (-1, 0.0))
        said[reading.event_time_ms, station] = max(before, (reading.revision, reading.value))
    last_ms = storm.time_ms(next(iter(storm.published.series.values())).until)  # type: ignore[union-attr]
    wet = {at_ms for (at_ms, _), (_, value) in said.items() if value > 0}
    shown = sorted(at_ms for at_ms in wet if at_ms <= last_ms and (at_ms - last_ms) % _HOUR_MS == 0)
    rows = [["", *(title for title, _, _ in stations.values())]]
    rows.extend(
        [_clock(storm, at_ms), *(_starred(said.get((at_ms, name), (0, None))[1]) for name in stations)]
        for at_ms in shown
    )
    return _table(rows)


def _starred(value: float | None) -> str:
    if value is None:
        return "-  "
    return f"{value:.1f} " + ("**" if value >= 100 else "* " if value >= 75 else "  ")


def _station_table(storm: Storm, outcome: Outcome, claims: Sequence[Mapping[str, Any]]) -> list[str]:
    stations = _stations(storm)
    zones: Counter[str] = Counter()
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    for record in {record["disruption_id"]: record for record in outcome.disruptions}.values():
        zones[_nearest_to_zone(stations, record["zone"])] += 1
    for claim in claims:
        station = _nearest_to_zone(stations, claim["zone"])
        tally[station][claim["status"]] += 1
        tally[station]["paise"] += round((claim["payout_inr"] or 0) * 100)
    rows = [["", "24 h total", "zones disrupted", "claims", "paid", "in review", "not eligible", "Rs"]]
    for name, (title, _, _) in stations.items():
        counts = tally[name]
        rows.append(
            [
                title,
                f"{storm.published.series[name].mm} mm",  # type: ignore[union-attr]
                str(zones[name]),
                str(sum(counts.values()) - counts["paise"]),
                str(counts["approved"]),
                str(counts["manual_review"]),
                str(counts["ineligible"] + counts["withdrawn"]),
                f"{rupees(counts['paise']):,.0f}",
            ]
        )
    return _table(rows)


def _kind_table(claims: Sequence[Mapping[str, Any]], first: Mapping[str, str], labels: Path) -> list[str]:
    with open(labels, newline="") as file:
        kind_of = {row["worker_id"]: row["kind"] for row in csv.DictReader(file)}
    rows = [["", "claims", "approved at once", "held 2 h", "asked to confirm", "paid in the end", "in review"]]
    groups = [
        (title, [c for c in claims if kind_of.get(c["worker_id"]) == kind and c["anomaly_score"] is not None])
        for kind, title in _KINDS.items()
    ]
    groups.append(("phone silent, so taken to be at home", [c for c in claims if c["anomaly_score"] is None]))
    for title, mine in groups:
        opened = Counter(first[claim["claim_id"]] for claim in mine)
        final = Counter(claim["status"] for claim in mine)
        rows.append(
            [
                title,
                str(len(mine)),
                _share(opened["approved"], len(mine)),
                str(opened["soft_hold"]),
                str(opened["step_up"]),
                str(final["approved"]),
                str(final["manual_review"]),
            ]
        )
    return _table(rows)


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else "0"


def _nearest(stations: Mapping[str, tuple[str, float, float]], lat: float, lon: float) -> str:
    places = np.array([(at_lat, at_lon) for _, at_lat, at_lon in stations.values()])
    return list(stations)[int(np.argmin(distance_m(lat, lon, places[:, 0], places[:, 1])))]


def _nearest_to_zone(stations: Mapping[str, tuple[str, float, float]], zone: str) -> str:
    return _nearest(stations, *h3.cell_to_latlng(h3.str_to_int(zone)))


def _clock(storm: Storm, at_ms: int) -> str:
    local = datetime.fromtimestamp(at_ms / 1000, tz=UTC) + timedelta(minutes=storm.utc_offset_min)
    return f"{local:%d %b %H:%M}"


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    """The first column to the left, the rest to the right, two spaces in between."""
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  "
        + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in table
    ]
