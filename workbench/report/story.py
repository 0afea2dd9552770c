"""What a report tells of an output, as plain data: numbers, the funnel, delays, money, what was held, dead letters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import polars as pl

from monsoon.transforms.calendar import local_day
from monsoon.workbench.output import Output

HELD = ("soft_hold", "step_up", "manual_review")
"""Statuses of a claim that is not decided for good."""
CAPPED = {"cap_partial", "cap_reached"}
"""Reasons of claims that a cap cut."""
MAX_HELD = 500
"""Held claims with their records on the page: with more it would be too large."""
DELAYS_MIN = (0, 1, 5, 15, 30, 60, 120, 240, 480, 1440)
"""Edges of the classes of delays, in minutes; the last class is open."""

Numbers = dict[str, Any]


def story_of(output: Output, reserves: Mapping[tuple[str, str], int]) -> Numbers:
    """All that the page says beside its map. `reserves`: what the input states may be paid, in paise, by product and
    local day; a day without is not limited.

    Raises InputError where the output cannot be read.
    """
    decided = ["claim_id", "revision", "worker_id", "product", "disruption_id"]
    outcome = ["status", "reasons", "anomaly_score", "payout_terms"]
    claims = output.polars("claims", [*decided, *outcome]).sort("claim_id", "revision")
    last = claims.unique("claim_id", keep="last", maintain_order=True)
    disruptions = output.polars(
        "disruptions", ["disruption_id", "product", "start", "confirmed_at", "state", "revision", "oracle_modes"]
    ).sort("disruption_id", "revision")
    payouts = output.polars("payouts", ["claim_id", "worker_id", "amount_paise", "created_at", "instalment"])
    paid = payouts.join(last.select("claim_id", "product", "disruption_id"), on="claim_id", how="left")
    summary = output.summary
    return {
        "numbers": _numbers(summary, last, disruptions, payouts),
        "funnel": _funnel(claims, last, payouts),
        "delays": _delays(paid, disruptions),
        "oracle_modes": _oracle_modes(disruptions),
        "money": _money(claims, paid, disruptions, reserves),
        "held": _held(output, last),
        "dead_letters": _dead_letters(output),
        "rings": _rings(output),
        "warnings": list(summary.get("warnings", ())),
    }


def _numbers(
    summary: Mapping[str, Any], last: pl.DataFrame, disruptions: pl.DataFrame, payouts: pl.DataFrame
) -> Numbers:
    states = disruptions.unique("disruption_id", keep="last")["state"]
    return {
        "lines_read": sum(counts["read"] for counts in summary.get("streams", {}).values()),
        "disruptions": int((states != "withdrawn").sum()),
        "claims": len(last),
        "riders_with_claims": last["worker_id"].n_unique(),
        "riders_paid": payouts["worker_id"].n_unique(),
        "payouts": len(payouts),
        "paid_paise": int(payouts["amount_paise"].sum()),
        "held_claims": int(last["status"].is_in(HELD).sum()),
        "queued_paise": sum(each["queued_paise"] for each in summary.get("products", {}).values()),
        "dead_letters": sum(counts["dead"] for counts in summary.get("streams", {}).values()),
    }


def _funnel(claims: pl.DataFrame, last: pl.DataFrame, payouts: pl.DataFrame) -> list[tuple[str, int]]:
    """Each a part of the one before, but for held: claims that were held in any revision."""
    eligible = last.filter(~pl.col("status").is_in(["ineligible", "withdrawn"]))["claim_id"]
    scored = claims.filter(pl.col("anomaly_score").is_not_null())["claim_id"].unique()
    held = claims.filter(pl.col("status").is_in(HELD))["claim_id"].n_unique()
    paid = payouts["claim_id"].unique()
    return [
        ("candidates", len(last)),
        ("eligible", len(eligible)),
        ("scored", int(eligible.is_in(scored.implode()).sum())),
        ("held at some time", held),
        ("paid", int(last["claim_id"].is_in(paid.implode()).sum())),
    ]


def _delays(paid: pl.DataFrame, disruptions: pl.DataFrame) -> list[Numbers]:
    """Of each product, how long after the confirmation of its disruption a claim's first payout was instructed."""
    confirmed = disruptions.unique("disruption_id", keep="first").select("disruption_id", "confirmed_at")
    first = paid.sort("claim_id", "instalment").unique("claim_id", keep="first", maintain_order=True)
    delays = first.join(confirmed, on="disruption_id").select(
        "product", delay_min=(pl.col("created_at") - pl.col("confirmed_at")).dt.total_milliseconds() / 60_000
    )
    found = []
    for (product,), mine in delays.sort("product").group_by("product", maintain_order=True):
        minutes = mine["delay_min"].sort()
        classes = minutes.search_sorted(pl.Series(DELAYS_MIN[1:]), side="left").to_list()
        ends = [*classes, len(minutes)]
        found.append(
            {
                "product": product,
                "counts": [end - begin for begin, end in zip([0, *ends], ends, strict=False)],
                "median_min": minutes.median(),
                "p95_min": minutes.quantile(0.95, "nearest"),
                "claims": len(minutes),
            }
        )
    return found


def _oracle_modes(disruptions: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Of each metric, in how many revisions of disruptions it was in which mode."""
    modes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in disruptions["oracle_modes"].drop_nulls():
        for metric, mode in row.items():
            modes[metric][mode] += 1
    return {metric: dict(sorted(counts.items())) for metric, counts in sorted(modes.items())}


def _money(
    claims: pl.DataFrame, paid: pl.DataFrame, disruptions: pl.DataFrame, reserves: Mapping[tuple[str, str], int]
) -> list[Numbers]:
    """Of each product and local day of a disruption's start: what was paid, to how many riders, the most that caps
    allowed to pay these, how many claims caps cut, and the reserve."""
    starts = dict(disruptions.unique("disruption_id", keep="first").select("disruption_id", "start").iter_rows())
    day_of = {name: local_day(round(start.timestamp() * 1000)) for name, start in starts.items()}
    totals: dict[tuple[str, str], Numbers] = defaultdict(lambda: {"paid_paise": 0, "payouts": 0})
    workers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in paid.iter_rows(named=True):
        key = row["product"] or "", day_of.get(row["disruption_id"], "")
        totals[key]["paid_paise"] += row["amount_paise"]
        totals[key]["payouts"] += 1
        workers[key].add(row["worker_id"])
    room: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    capped: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in claims.iter_rows(named=True):
        key = row["product"], day_of.get(row["disruption_id"], "")
        if CAPPED.intersection(row["reasons"]):
            capped[key].add(row["claim_id"])
        if (left_paise := _room_paise(row["payout_terms"])) is not None and row["worker_id"] in workers[key]:
            room[key][row["worker_id"]] = max(left_paise, room[key].get(row["worker_id"], 0))
    return [
        {
            "product": product,
            "day": day,
            **totals[product, day],
            "riders": len(workers[product, day]),
            "caps_paise": sum(room[product, day].values()) if room[product, day] else None,
            "capped_claims": len(capped[product, day]),
            "reserve_paise": reserves.get((product, day)),
        }
        for product, day in sorted(totals.keys() | reserves.keys() | capped.keys())
    ]


def _room_paise(payout_terms: str | None) -> int | None:
    """What the caps of a decision left to pay; None where the decision applied none. What a rider had been paid grows,
    so the most of a day's decisions is what caps left at its beginning."""
    terms = {} if payout_terms is None else msgspec.json.decode(payout_terms)
    left = [
        round(100 * (cap["limit_inr"] - cap["used_inr"]))
        for cap in terms.values()
        if isinstance(cap, dict) and {"limit_inr", "used_inr"} <= cap.keys()
    ]
    return min(left, default=None)


def _held(output: Output, last: pl.DataFrame) -> Numbers:
    """Claims that wait at the end, with their decision records, and how many for which reasons."""
    waiting = last.filter(pl.col("status").is_in(HELD))
    shown = waiting.head(MAX_HELD).select("claim_id", "revision")
    records = output.polars("claims").join(shown, on=["claim_id", "revision"], how="semi")
    reasons: Counter[str] = Counter()
    wanted = output.polars("claims", ["claim_id", "revision", "reasons"])
    for named in wanted.join(waiting.select("claim_id", "revision"), on=["claim_id", "revision"], how="semi")[
        "reasons"
    ]:
        reasons.update(named)
    return {
        "claims": [_plain(row) for row in records.unique("claim_id", maintain_order=True).iter_rows(named=True)],
        "more": max(0, len(waiting) - MAX_HELD),
        "reasons": sorted(reasons.items(), key=lambda item: (-item[1], item[0])),
    }


def _plain(row: Mapping[str, Any]) -> Numbers:
    """A decision record as JSON has it, without what is null."""
    record = {}
    for name, value in row.items():
        if name == "payout_terms" and value is not None:
            value = msgspec.json.decode(value)
        elif isinstance(value, dict):
            value = {key: each for key, each in value.items() if each is not None}
        if value not in (None, [], {}):
            record[name] = value
    return record


def _dead_letters(output: Output) -> list[tuple[str, str, int]]:
    counts = output.polars("dead_letters", ["stream", "reason"]).group_by("stream", "reason").len()
    return counts.sort(["len", "stream", "reason"], descending=[True, False, False]).rows()


def _rings(output: Output) -> list[Numbers]:
    """The last raised alert of each ring, the highest risk first."""
    columns = ["ring_id", "event_time", "state", "product", "trigger", "members", "claim_ids", "risk"]
    raised = output.polars("ring_alerts", columns).filter(pl.col("state") == "raised").sort("event_time")
    last = raised.unique("ring_id", keep="last", maintain_order=True)
    return sorted(last.drop("state").iter_rows(named=True), key=lambda ring: (-(ring["risk"] or 0), ring["ring_id"]))


def reserves_by_day(records: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """What the reserves stated last allow a product to pay on a local day, in paise, over all cells."""
    last: dict[tuple[str, str, str], int] = {}
    for record in sorted(records, key=lambda each: (each["event_time"], each["reserve_id"])):
        last[record["product"], record["day"], record["cell"].lower()] = record["amount_paise"]
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for (product, day, _), amount_paise in last.items():
        totals[product, day] += amount_paise
    return dict(totals)
