"""The report of the demo: readings of a storm, disruptions of a product, claims by kind of rider, payouts.

It is made from the replay's output and the storm and product files, so a new product or storm needs no text of its own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import polars as pl

from monsoon.pipelines.local.replay import Inputs
from monsoon.pipelines.results import Outcome
from monsoon.sources.simulator import Storm
from monsoon.sources.simulator.weather import readings
from monsoon.transforms.adjudication.money import rupees
from monsoon.transforms.geo.sphere import distance_m
from monsoon.transforms.product import Product

_RAIN = "rain_mm_24h"
_HOUR_MS = 3_600_000
_GROUPS = (
    ("honest", "honest riders"),
    ("mock_app", "mock-location app"),
    ("replayed_trace", "replayed trace, rooted phone"),
    ("radio_spoof", "radio spoofing"),
    ("syndicate", "a syndicate that joined for the storm"),
)
_SILENT = "phone silent, so taken to be at home"
_LOWER_IS_WORSE = ("visibility_m",)
_REASONS = 5

Record = Mapping[str, Any]


@dataclass(frozen=True)
class DemoRun:
    """One storm under one product: inputs, outputs, and the labels of the riders."""

    storm: Storm
    product: Product
    inputs: Inputs
    outcome: Outcome
    summary: Mapping[str, Any]
    labels: Path

    @property
    def claims(self) -> list[Record]:
        """The last revision of each."""
        revisions = sorted(self.outcome.claims, key=lambda claim: (claim["claim_id"], claim["revision"]))
        return list({claim["claim_id"]: claim for claim in revisions}.values())

    @property
    def disruptions(self) -> list[Record]:
        """The last revision of each."""
        revisions = sorted(self.outcome.disruptions, key=lambda record: (record["disruption_id"], record["revision"]))
        return list({record["disruption_id"]: record for record in revisions}.values())

    def paid_paise(self, claims: Iterable[Record]) -> int:
        """The sum of the payouts of these claims, in paise."""
        paid: Counter[str] = Counter()
        for payout in self.outcome.payouts:
            paid[payout["claim_id"]] += payout["amount_paise"]
        return sum(paid[claim["claim_id"]] for claim in claims)


def report(run: DemoRun) -> str:
    """The whole report, as a few tables."""
    storm, product, streams = run.storm, run.product.name, run.summary["streams"]
    telemetry, result = streams["telemetry"], run.summary["products"][product]
    events = sum(event["product"] == product for event in run.inputs.subscriptions)
    lines = [
        storm.title,
        f"  {telemetry['used']:,} reports of {len(run.inputs.telemetry.workers):,} riders "
        f"({telemetry['duplicate']:,} repeats, {telemetry['dead']:,} unusable), "
        f"{streams['oracle_readings']['used']:,} readings, {events:,} subscription events of {product}",
        "",
        "  Reported, and each provider's most extreme figure",
        *_table(_reported(storm)),
        "",
        *_station_tables(run),
        f"  What {product} made of it",
        *_table(_confirmed(run)),
        "",
        "  Claims, how each was first decided, and what became of it",
        *_table(_claimed(run)),
    ]
    if why := _why_not(run.claims):
        lines.append(f"  Not paid, or not yet, by first reason (docs/output.md#reasons): {why}")
    if run.outcome.syndicate_alerts:
        lines.append(f"  Syndicate alerts: {len(run.outcome.syndicate_alerts):,}")
    lines.append(f"  {result['payouts']:,} payouts, Rs {rupees(result['payout_paise']):,.2f}")
    return "\n".join(lines)


def gridded_only_report(storm: Storm, outcome: Outcome) -> str:
    """The disruptions and payouts by the readings of the gridded product alone."""
    (total,) = {series.mm for name, series in storm.published.series.items() if name == "grid"}  # type: ignore[union-attr]
    return (
        f"  With the gridded product alone ({total} mm for the day): {len(outcome.disruptions)} disruptions, "
        f"{len(outcome.payouts)} payouts."
    )


# --- what was reported


def _reported(storm: Storm) -> list[list[str]]:
    """A row for each metric and provider: how many readings, and the most extreme, as finally corrected."""
    table = readings(storm)
    if "platform" not in table.columns:
        table = table.with_columns(pl.lit(None, pl.String).alias("platform"))
    last = table.group_by("reading_id", maintain_order=True).last()
    rows = [["metric", "provider", "quality", "readings", "most extreme", "at", "corrected"]]
    for (metric, platform, provider, quality), mine in sorted(
        last.group_by("metric", "platform", "provider", "quality"), key=lambda group: [str(word) for word in group[0]]
    ):
        by_value = mine.sort("value", "event_time", descending=[metric not in _LOWER_IS_WORSE, False])
        rows.append(
            [
                f"{metric} ({platform})" if platform else str(metric),
                str(provider),
                str(quality),
                str(mine.height),
                f"{by_value['value'][0]:g}",
                _clock(storm, by_value["event_time"][0]),
                str(mine.filter(pl.col("revision") > 0).height or ""),
            ]
        )
    return rows


# --- stations, where a storm has totals of several and the product a trigger on them


def _station_tables(run: DemoRun) -> list[str]:
    """Readings of the stations hour by hour, and zones and claims near each; empty for storms without several
    stations."""
    stations = _Stations(run.storm)
    triggers = [trigger for trigger in run.product.triggers if trigger.metric == _RAIN]
    if len(stations.places) < 2 or not triggers:
        return []
    levels = sorted(level.breach.threshold for level in triggers[0].levels)
    marks = ", ".join(f"{'*' * number} {level:g}" for number, level in enumerate(levels, 1))
    return [
        f"  What the official stations reported: mm of rain in 24 h (from {marks} a level of {triggers[0].name})",
        *_table(_rain(run, stations, levels)),
        "",
        "  What was made of it, by the nearest station",
        *_table(_around(run, stations)),
        "",
    ]


class _Stations:
    """The places whose rain total is published, and which of them is nearest."""

    def __init__(self, storm: Storm) -> None:
        self.storm = storm
        self.places = {
            name: storm.places[name]
            for name, series in storm.published.series.items()
            if name in storm.places and hasattr(series, "mm")
        }
        self._at = np.array([(place.lat, place.lon) for place in self.places.values()])

    def nearest(self, lat: float, lon: float) -> str:
        return list(self.places)[int(np.argmin(distance_m(lat, lon, self._at[:, 0], self._at[:, 1])))]

    def nearest_to_zone(self, zone: str) -> str:
        return self.nearest(*h3.cell_to_latlng(h3.str_to_int(zone)))


def _rain(run: DemoRun, stations: _Stations, levels: Sequence[float]) -> list[list[str]]:
    """Hourly official figures, a column a station, as finally corrected."""
    storm = run.storm
    figures: dict[tuple[int, str], tuple[int, float]] = {}
    for reading in run.inputs.readings:
        if reading.metric == _RAIN and reading.quality == "official":
            key = (reading.event_time_ms, stations.nearest(reading.area.center_lat, reading.area.center_lon))
            figures[key] = max(figures.get(key, (-1, 0.0)), (reading.revision, reading.value))
    last_ms = max(storm.time_ms(storm.published.series[name].until) for name in stations.places)  # type: ignore[union-attr]
    wet = {at_ms for (at_ms, _), (_, value) in figures.items() if value > 0}
    shown = sorted(at_ms for at_ms in wet if at_ms <= last_ms and (at_ms - last_ms) % _HOUR_MS == 0)

    def figure(at_ms: int, name: str) -> str:
        if (at_ms, name) not in figures:
            return "-" + " " * (len(levels) + 1)
        _, value = figures[at_ms, name]
        return f"{value:.1f} {'*' * sum(value >= level for level in levels):<{len(levels)}}"

    head = ["", *(place.title for place in stations.places.values())]
    return [head, *([_clock(storm, at_ms), *(figure(at_ms, name) for name in stations.places)] for at_ms in shown)]


def _around(run: DemoRun, stations: _Stations) -> list[list[str]]:
    """Zones and claims by the nearest station."""
    zones = Counter(
        stations.nearest_to_zone(record["zone"]) for record in run.disruptions if record["state"] != "withdrawn"
    )
    near = _grouped(run.claims, lambda claim: stations.nearest_to_zone(claim["zone"]))
    rows = [["", "24 h total", "zones disrupted", "claims", "paid", "in review", "not eligible", "Rs"]]
    for name, place in stations.places.items():
        status = Counter(claim["status"] for claim in near[name])
        rows.append(
            [
                place.title,
                f"{run.storm.published.series[name].mm} mm",  # type: ignore[union-attr]
                str(zones[name]),
                str(len(near[name])),
                str(status["approved"]),
                str(status["manual_review"]),
                str(status["ineligible"] + status["withdrawn"]),
                f"{rupees(run.paid_paise(near[name])):,.0f}",
            ]
        )
    return rows


# --- what the product made of it


def _confirmed(run: DemoRun) -> list[list[str]]:
    """A row for each trigger that was confirmed, or that the storm was written to show."""
    storm = run.storm
    found = _grouped(run.disruptions, lambda record: (record["trigger"], record.get("platform") or ""))
    for trigger in storm.shows.get(run.product.name, ()):
        if not any(name == trigger for name, _ in found):
            found[trigger, ""] = []
    rows = [["trigger", "zones", "earliest start", "first confirmed", "providers", "withdrawn"]]
    for (trigger, platform), mine in sorted(found.items()):
        providers = Counter(name for record in mine for name in record["providers"])
        rows.append(
            [
                f"{trigger} ({platform})" if platform else trigger,
                str(len({record["zone"] for record in mine if record["state"] != "withdrawn"})),
                _clock(storm, min(record["start"] for record in mine)) if mine else "-",
                _clock(storm, min(record["confirmed_at"] for record in mine)) if mine else "-",
                ", ".join(sorted(providers)) or "-",
                str(sum(record["state"] == "withdrawn" for record in mine) or ""),
            ]
        )
    return rows


def _claimed(run: DemoRun) -> list[list[str]]:
    """A row for honest riders, each kind of attacker, and those whose phone was silent around the confirmation."""
    labels = pl.read_csv(run.labels, columns=["worker_id", "kind", "notes"], schema_overrides={"notes": pl.String})
    group_of = {
        worker: "syndicate" if "syndicate" in (notes or "").split() else kind for worker, kind, notes in labels.rows()
    }
    first = {claim["claim_id"]: claim["status"] for claim in run.outcome.claims if claim["revision"] == 0}
    silent = {claim["claim_id"] for claim in run.claims if not claim["feature_reports"]}
    mine = _grouped(
        run.claims,
        lambda claim: _SILENT if claim["claim_id"] in silent else group_of.get(claim["worker_id"], "honest"),
    )
    opening = ["approved at once", "held", "stepped up", "reviewed"]
    rows = [["", "claims", *opening, "paid", "in review", "not eligible", "Rs"]]
    for group, title in (*_GROUPS, (_SILENT, _SILENT)):
        if not mine[group]:
            continue
        opened = Counter(first[claim["claim_id"]] for claim in mine[group])
        final = Counter(claim["status"] for claim in mine[group])
        rows.append(
            [
                title,
                str(len(mine[group])),
                _share(opened["approved"], len(mine[group])),
                str(opened["soft_hold"]),
                str(opened["step_up"]),
                str(opened["manual_review"]),
                str(final["approved"]),
                str(final["soft_hold"] + final["step_up"] + final["manual_review"]),
                str(final["ineligible"] + final["withdrawn"]),
                f"{rupees(run.paid_paise(mine[group])):,.0f}",
            ]
        )
    return rows


def _why_not(claims: Iterable[Record]) -> str:
    """The commonest first reasons of claims that did not end approved."""
    reasons = Counter(claim["reasons"][0] for claim in claims if claim["status"] != "approved" and claim["reasons"])
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.most_common(_REASONS)))


# --- how it is written


def _grouped(records: Iterable[Record], group: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = defaultdict(list)
    for record in records:
        groups[group(record)].append(record)
    return groups


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})"


def _clock(storm: Storm, at_ms: int) -> str:
    local = datetime.fromtimestamp(at_ms / 1000, tz=UTC) + timedelta(minutes=storm.utc_offset_min)
    return f"{local:%d %b %H:%M}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Numbers to the right, words to the left, two spaces in between, under an indent; a head alone is "nothing"."""
    if len(rows) == 1:
        return ["    nothing"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = [all(_is_number(row[column]) for row in rows[1:]) for column in range(len(rows[0]))]
    return [
        "    "
        + "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def _is_number(text: str) -> bool:
    """A figure, with its unit, share or marks; a cell with nothing in it is one too."""
    return re.fullmatch(r"(-|-?[\d.,]+)?( mm| \([\d.]+%\)| +\**)? *", text) is not None
