"""A small made-up storm in the contract's form, with something for every part of the pipeline to do."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from kit import LAT, LON, at, reading_record, subscription_record
from monsoon.testing.records import telemetry_report

STREAMS = ("telemetry", "oracle_readings", "subscriptions")


def report(worker: str, minutes: float, **fields: Any) -> dict[str, Any]:
    """A telemetry report of the contract, at Safdarjung unless `fields` say otherwise."""
    n = round(minutes * 60)
    made = telemetry_report(f"{worker}-{n:06d}", worker, at(minutes), LAT, LON)
    own = {
        "device_id": f"d{worker}x",
        "lat": round(LAT + 0.0001 * (n % 7), 6),
        "bssids": [f"b{n % 11:04d}x", f"b{n % 13:04d}x"],
        "cell": "LTE-404-45-5000-20001",
        "ip_prefix": "ipx0001",
        "app_state": ("offline", "online", "on_trip")[n % 3],
        "orders_completed": n % 2,
    }
    return made | own | fields


def policy_record(worker: str, policy: str, minutes: float = -1000, **fields: Any) -> dict[str, Any]:
    """An activation that covers all that comes, with all fields that the contract requires."""
    base = {
        "event_id": f"s-{policy}",
        "policy_id": policy,
        "worker_id": worker,
        "device_id": f"d{worker}x",
        "payout_account": f"u{worker}xx",
    }
    return subscription_record("activated", minutes, minutes, 1_000_000, **(base | fields))


def small_storm(every_min: float = 0.25) -> dict[str, list[dict[str, Any]]]:
    """Four riders who report every so many minutes, a curfew, a rising rain, a correction; times around minute 0."""
    steps = round(120 / every_min)
    telemetry = [report(f"w{rider}", -60 + every_min * step) for rider in range(4) for step in range(steps)]
    readings = [
        reading_record("curfew", value, minutes, reading_id=f"imd-curfew-{minutes}")
        for value, minutes in ((1, 0), (1, 30), (0, 40))
    ]
    for minutes, value in ((0, 80.0), (30, 110.0), (60, 40.0)):
        for provider in ("imd", "skymet"):
            name = f"{provider}-rain-{minutes}"
            readings.append(reading_record("rain_mm_24h", value, minutes, provider=provider, reading_id=name))
    readings.append(
        reading_record(
            "rain_mm_24h", 90.0, 30, reading_id="imd-rain-30", revision=1, issued_time=at(50), provider="imd"
        )
    )
    subscriptions = [
        subscription_record(
            "activated",
            -1000,
            -900,
            9000,
            event_id=f"s{rider}",
            policy_id=f"p{rider}",
            worker_id=f"w{rider}",
            device_id=f"dw{rider}x",
            payout_account=f"u{rider}xx",
            daily_wage_inr=400 + 50 * rider,
        )
        for rider in range(5)
    ]
    records = {"telemetry": telemetry, "oracle_readings": readings, "subscriptions": subscriptions}
    return {stream: [_present(record) for record in records[stream]] for stream in STREAMS}


def _present(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def write_lines(folder: Path, stream: str, lines: Sequence[str], *, parts: int = 1, gz: bool = False) -> None:
    """Lines dealt out to `parts` files."""
    target = folder / stream
    target.mkdir(parents=True, exist_ok=True)
    for part in range(parts):
        content = "".join(line + "\n" for line in lines[part::parts]).encode()
        if gz:
            (target / f"part-{part}.jsonl.gz").write_bytes(gzip.compress(content))
        else:
            (target / f"part-{part}.jsonl").write_bytes(content)


def write_streams(
    folder: Path, records: Mapping[str, Iterable[Mapping[str, Any]]], *, parts: int = 1, gz: bool = False
) -> Path:
    """Records as JSON Lines; returns the folder."""
    for stream, some in records.items():
        write_lines(folder, stream, [json.dumps(record) for record in some], parts=parts, gz=gz)
    return folder


def with_tower(folder: Path, range_m: int = 1000, others: Iterable[tuple[str, float]] = ()) -> Path:
    """The folder with reference files: the tower of `report`'s cell, at Safdarjung, heard so far around; others by
    cell and latitude."""
    reference = folder / "reference"
    reference.mkdir(parents=True, exist_ok=True)
    rows = [("LTE-404-45-5000-20001", LAT), *others]
    lines = [f"{cell.replace('-', ',')},{lat},{LON},{range_m},50" for cell, lat in rows]
    text = "\n".join(["radio,mcc,net,area,cell,lat,lon,range,samples", *lines, ""])
    (reference / "cell_towers.csv").write_text(text)
    return folder


def write_parquet(folder: Path, records: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """Records as Parquet, two files a stream; returns the folder."""
    for stream in records:
        (folder / stream).mkdir(parents=True)
        half = len(records[stream]) // 2
        for part, some in enumerate((records[stream][:half], records[stream][half:])):
            pl.DataFrame(list(some), infer_schema_length=None).write_parquet(folder / stream / f"part-{part}.parquet")
    return folder


def in_order(records: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The records of each stream by event time, without the fields that are None."""
    return {
        stream: sorted((_present(record) for record in some), key=lambda record: record["event_time"])
        for stream, some in records.items()
    }
