"""Inputs of `monsoon bench flink`: a storm in the order of its time, as a live stream would come, and a crowd."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

_LINE = "line"
_TIME = r'"event_time"\s*:\s*([0-9]+)'
_QUARTER_HOUR_MS = 15 * 60_000
_NOON_MS = 1_719_556_200_000
"""28 June 2024, 12:00 in Delhi."""


def time_ordered(source: Path, target: Path, since_ms: int | None = None) -> tuple[Path, int]:
    """A copy with the telemetry (from a moment on) in one file, sorted by event_time; how many rows it has."""
    lines = pl.concat(
        pl.read_csv(file, has_header=False, new_columns=[_LINE], separator="\x01", quote_char=None)
        for file in sorted((source / "telemetry").glob("*.jsonl"))
    )
    time_ms = pl.col(_LINE).str.extract(_TIME).cast(pl.Int64)
    if since_ms is not None:
        lines = lines.filter(time_ms >= since_ms)
    ordered = lines.sort(time_ms, maintain_order=True)
    return _with_telemetry(source, target, ordered), ordered.height


def _with_telemetry(source: Path, target: Path, lines: pl.DataFrame) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=lambda folder, names: names if folder.endswith("telemetry") else [])
    file = target / "telemetry" / "part-0.jsonl"
    lines.write_csv(file, include_header=False, separator="\x01", quote_style="never")
    return target


def one_city_quarter(target: Path, riders: int, providers: Sequence[str] = ("imd", "second", "third")) -> Path:
    """A folder in which so many riders stand in one zone, each with a policy and one report, when rain is confirmed."""
    shutil.rmtree(target, ignore_errors=True)
    lat, lon, before_ms = 28.6139, 77.2090, _NOON_MS - _QUARTER_HOUR_MS
    subscriptions = [
        {
            "event_id": f"s{rider}", "type": "activated", "policy_id": f"p{rider}", "worker_id": f"w{rider}",
            "product": "kawaach", "plan": "standard", "event_time": before_ms - 86_400_000,
            "coverage_start": before_ms - 86_400_000, "coverage_end": before_ms + 86_400_000, "home_lat": lat,
            "home_lon": lon, "daily_wage_inr": 500, "payout_account": f"a{rider:015x}", "device_id": f"d{rider:015x}",
            "account_created_at": before_ms - 90 * 86_400_000,
        }
        for rider in range(riders)
    ]  # fmt: skip
    telemetry = [
        {
            "event_id": f"e{rider}", "worker_id": f"w{rider}", "device_id": f"d{rider:015x}", "event_time": before_ms,
            "lat": lat, "lon": lon, "app_state": "online",
        }
        for rider in range(riders)
    ]  # fmt: skip
    readings = [
        {
            "reading_id": f"r{provider}", "provider": provider, "metric": "rain_mm_24h", "value": 120.0, "lat": lat,
            "lon": lon, "event_time": _NOON_MS, "issued_time": _NOON_MS, "quality": "official", "revision": 0,
        }
        for provider in providers
    ]  # fmt: skip
    for stream, records in (
        ("subscriptions", subscriptions),
        ("telemetry", telemetry),
        ("oracle_readings", readings),
    ):
        (target / stream).mkdir(parents=True)
        (target / stream / "part-0.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return target
