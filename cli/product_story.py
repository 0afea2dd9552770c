"""The words of a product's demo: what was reported of each storm, what the product made of it, who was paid.

Told from what the replay wrote and what the storm file says, so a new product or storm needs no words of its own.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from monsoon.sources.simulator import Storm
from monsoon.sources.simulator.weather import readings
from monsoon.transforms.adjudication.money import rupees

_GROUPS = (
    ("honest", "honest riders"),
    ("mock_app", "mock-location app"),
    ("replayed_trace", "replayed trace, rooted phone"),
    ("radio_spoof", "radio spoofing"),
    ("syndicate", "a syndicate that joined for the storm"),
)
_LOWER_IS_WORSE = ("visibility_m",)
_REASONS = 5


def tell_storm(storm: Storm, product: str, folder: Path, summary: Mapping[str, Any]) -> str:
    """One storm under one product, as a few tables; `folder` holds the replay's input/ and output/."""
    streams, result = summary["streams"], summary["products"][product]
    events = _events(folder / "input" / "subscriptions", product)
    claims = {record["claim_id"]: record for record in _records(folder, "claims")}  # revisions stand in order
    paid: Counter[str] = Counter()
    for payout in _records(folder, "payouts"):
        paid[payout["claim_id"]] += payout["amount_paise"]
    lines = [
        storm.title,
        f"  {streams['telemetry']['used']:,} reports, {streams['oracle_readings']['used']:,} readings, "
        f"{events:,} subscription events of {product}",
        "",
        "  Reported, and each provider's most extreme figure",
        *_table(_reported(storm)),
        "",
        f"  What {product} made of it",
        *_table(_confirmed(storm, product, list(_records(folder, "disruptions")))),
        "",
        "  Claims, and what became of them",
        *_table(_claimed(claims.values(), paid, folder / "input" / "labels.csv")),
    ]
    if why := _why_not(claims.values()):
        lines.append(f"  Not paid, or not yet: {why}")
    if alerts := sum(1 for _ in _records(folder, "syndicate_alerts")):
        lines.append(f"  Syndicate alerts: {alerts:,}")
    lines.append(f"  {result['payouts']:,} payouts, Rs {rupees(result['payout_paise']):,.2f}")
    return "\n".join(lines)


def _records(folder: Path, stream: str) -> Iterator[dict[str, Any]]:
    with open(folder / "output" / stream / "part-00000.jsonl", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _events(folder: Path, product: str) -> int:
    """How many events of the product a simulation wrote to this folder."""
    tables = (pl.read_ndjson(path, schema={"product": pl.String}) for path in sorted(folder.iterdir()))
    return sum(table.filter(pl.col("product") == product).height for table in tables)


def _reported(storm: Storm) -> list[list[str]]:
    """A row for each metric and provider: how many readings, and the most extreme, as finally corrected."""
    table = readings(storm)
    if "platform" not in table.columns:
        table = table.with_columns(pl.lit(None, pl.String).alias("platform"))
    last = table.group_by("provider", "reading_id", maintain_order=True).last()
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


def _confirmed(storm: Storm, product: str, disruptions: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row for each trigger that was confirmed, or that the storm was written to show."""
    final = {record["disruption_id"]: record for record in disruptions}
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for record in final.values():
        found[record["trigger"], record.get("platform") or ""].append(record)
    for trigger in storm.shows.get(product, ()):
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


def _claimed(claims: Iterable[Mapping[str, Any]], paid: Mapping[str, int], labels: Path) -> list[list[str]]:
    told = pl.read_csv(labels, columns=["worker_id", "kind", "notes"], schema_overrides={"notes": pl.String})
    group_of = {
        worker: "syndicate" if "syndicate" in (notes or "").split() else kind for worker, kind, notes in told.rows()
    }
    mine: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for claim in claims:
        mine[group_of.get(claim["worker_id"], "honest")].append(claim)
    rows = [["", "claims", "approved", "held or in review", "not eligible", "Rs"]]
    for group, title in _GROUPS:
        if not mine[group]:
            continue
        status = Counter(claim["status"] for claim in mine[group])
        rows.append(
            [
                title,
                str(len(mine[group])),
                str(status["approved"]),
                str(status["soft_hold"] + status["step_up"] + status["manual_review"]),
                str(status["ineligible"] + status["withdrawn"]),
                f"{rupees(sum(paid[claim['claim_id']] for claim in mine[group])):,.0f}",
            ]
        )
    return rows


def _why_not(claims: Iterable[Mapping[str, Any]]) -> str:
    """The commonest first reasons of claims that did not end approved."""
    reasons = Counter(claim["reasons"][0] for claim in claims if claim["status"] != "approved" and claim["reasons"])
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.most_common(_REASONS)))


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
    return text.replace(",", "").replace(".", "").replace("-", "").isdecimal() or not text
