"""Reports of riders who all work, each with every sensor, in files of consecutive reports: inputs of `monsoon bench
riders`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.files import FilePart
from monsoon.testing.records import DAY_MS, policy_event

START_MS = 1_719_532_800_000
"""28 June 2024, 05:30 in Delhi."""
EVERY_MS = 15_000
"""Between two reports of a rider; the riders' own are spread over it evenly."""
SEED = 7
_LAT, _LON = 28.6139, 77.2090
_RIDE_DEG, _RIDE_REPORTS = 0.02, 240
"""A rider goes 2 km to and fro around his home, in an hour."""
_PLATFORMS = ("blinkit", "swiggy", "zepto", "zomato")
_STATES = ("offline", "online", "on_trip")
_PLACES = 4_000
"""Of access points and cells."""


def time_of_row(row: int, riders: int) -> int:
    """The event time (ms) of a row, counted over all files."""
    return START_MS + row * EVERY_MS // riders


def write_reports(
    folder: Path, riders: int, rows: int, rows_per_file: int, city_deg: float
) -> Iterator[tuple[FilePart, int]]:
    """Writes `rows` reports of so many riders, whose homes lie within `city_deg` (degrees) of the middle, in the order
    of time; gives each file and the last moment (ms) before the next one."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (frame, before_ms) in enumerate(report_frames(riders, rows, rows_per_file, city_deg)):
        file = folder / f"{number * rows_per_file:09d}.jsonl"
        frame.write_ndjson(file)
        yield FilePart(file), before_ms


def report_frames(riders: int, rows: int, rows_per_frame: int, city_deg: float) -> Iterator[tuple[pl.DataFrame, int]]:
    """The same reports as frames, each with the last moment (ms) before the next one."""
    rng = np.random.default_rng(SEED)
    lat, lon = (centre + rng.uniform(-city_deg, city_deg, riders) for centre in (_LAT, _LON))
    for first in range(0, rows, rows_per_frame):
        row = np.arange(first, min(rows, first + rows_per_frame))
        yield _reports(row, riders, lat, lon, rng), time_of_row(int(row[-1]) + 1, riders) - 1


def _reports(
    row: npt.NDArray[np.int64],
    riders: int,
    home_lat: npt.NDArray[np.float64],
    home_lon: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> pl.DataFrame:
    rider, serial = row % riders, row // riders
    angle = 2 * np.pi * serial / _RIDE_REPORTS + rider
    time_ms = START_MS + row * EVERY_MS // riders
    gnss_ms = time_ms - rng.integers(50, 900, len(row))
    place = (rider * 31 + serial // 8) % _PLACES
    return pl.DataFrame(
        {
            "rider": [_name(each) for each in rider.tolist()],
            "serial": serial,
            "event_time": time_ms,
            "lat": (home_lat[rider] + _RIDE_DEG * np.sin(angle) + rng.normal(0, 2e-5, len(row))).round(6),
            "lon": (home_lon[rider] + _RIDE_DEG * np.cos(angle) + rng.normal(0, 2e-5, len(row))).round(6),
            "accuracy_m": rng.gamma(4, 1.5, len(row)).round(1),
            "speed_mps": rng.gamma(3, 1.2, len(row)).round(2),
            "mock_location": False,
            "mock_setting": False,
            "accel_var": rng.gamma(2, 0.8, len(row)).round(6),
            "pressure_hpa": (977 + rng.normal(0, 0.3, len(row))).round(2),
            "cn0_dbhz": rng.normal(34, 2, len(row)).round(1),
            "agc_db": rng.normal(46, 1, len(row)).round(1),
            "gnss_time": gnss_ms,
            "network_time": gnss_ms + rng.integers(-200, 200, len(row)),
            "near": [_name(each) for each in place.tolist()],
            "nearer": [_name(each + _PLACES) for each in place.tolist()],
            "place": place,
            "battery_pct": np.maximum(5.0, 95.0 - serial // 30),
            "charging": False,
            "ip_prefix": [f"n{_name(each % 500)}" for each in rider.tolist()],
            "platform": np.array(_PLATFORMS)[rider % len(_PLATFORMS)],
            "app_state": np.array(_STATES)[(serial // 20 + rider) % len(_STATES)],
            "orders_completed": (serial % 80 == 79).astype(np.int64),
        }
    ).select(
        pl.format("e{}-{}", "rider", "serial").alias("event_id"),
        pl.format("w{}", "rider").alias("worker_id"),
        pl.format("d{}", "rider").alias("device_id"),
        pl.exclude("rider", "serial", "near", "nearer", "place"),
        pl.concat_list("near", "nearer").alias("bssids"),
        pl.format("LTE-405-872-{}-{}", pl.col("place") // 20, "place").alias("cell"),
    )


def write_policies(file: Path, riders: int) -> FilePart:
    """A policy of each rider that covers all of it."""
    before_ms = START_MS - DAY_MS
    with file.open("w") as lines:
        for rider in range(riders):
            name = _name(rider)
            own = {"device_id": f"d{name}", "payout_account": f"a{name}"}
            event = policy_event(f"s{name}", f"w{name}", "kawaach", "standard", before_ms, _LAT, _LON, **own)
            lines.write(json.dumps(event) + "\n")
    return FilePart(file)


def _name(number: int) -> str:
    """Names as hashes are: they do not compress."""
    return f"{(number + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}"
