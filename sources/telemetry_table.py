"""Validated telemetry as the trail: dictionary codes to ranks, nulls to the values that numpy can hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.telemetry_columns import CODED, coded_type
from monsoon.sources.telemetry_store import code_ranks
from monsoon.transforms.telemetry_table import APP_STATES, TelemetryTable

_FLOATS = (
    "lat",
    "lon",
    "accuracy_m",
    "speed_mps",
    "accel_var",
    "pressure_hpa",
    "cn0_dbhz",
    "agc_db",
    "battery_pct",
)


def to_telemetry_table(frame: pl.DataFrame) -> TelemetryTable:
    """The trail of a frame that `read_stream("telemetry", ...)` gave.

    Takes the frame apart, column by column, and leaves it without columns: both would not fit where one does.
    """

    def take(name: str) -> pl.Series:
        return frame.drop_in_place(name)

    words, codes = {}, {}
    for name in CODED:
        if name != "app_state":
            words[name], codes[name] = _coded(take(name))
    floats = {name: take(name).fill_null(float("nan")).to_numpy() for name in _FLOATS}
    states = pl.Series(APP_STATES, dtype=coded_type("app_state")).to_physical().to_list()
    app_state = take("app_state").to_physical().replace_strict(states, range(len(states)), default=-1)
    lists = take("bssids")
    lengths = lists.list.len().fill_null(0).to_numpy()
    bssids, bssid_codes = _coded(lists.explode().drop_nulls())
    worker = codes["worker_id"]
    return TelemetryTable(
        workers=words["worker_id"],
        devices=words["device_id"],
        cells=words["cell"],
        bssids=bssids,
        ip_prefixes=words["ip_prefix"],
        platforms=words["platform"],
        worker_starts=np.searchsorted(worker, np.arange(len(words["worker_id"]) + 1)).astype(np.int64),
        worker=worker,
        device=codes["device_id"],
        event_time_ms=take("event_time").to_numpy(),
        received_time_ms=_received(take("received_time")),
        **floats,
        mock=_either(take("mock_location"), take("mock_setting")),
        gnss_time_ms=_float(take("gnss_time")),
        network_time_ms=_float(take("network_time")),
        charging=take("charging").cast(pl.Int8).fill_null(-1).to_numpy(),
        cell=codes["cell"],
        bssid_offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)]),
        bssid_codes=bssid_codes,
        ip_prefix=codes["ip_prefix"],
        platform=codes["platform"],
        app_state=app_state.cast(pl.Int8).to_numpy(),
        orders_completed=take("orders_completed").fill_null(-1).to_numpy(),
    )


def _coded(column: pl.Series) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """The sorted texts of a categorical column and each row's rank among them, -1 where null."""
    ranks, texts = code_ranks(column)
    rank_of_code = np.append(ranks, np.int32(-1))
    codes = column.to_physical().fill_null(len(ranks)).to_numpy()
    return texts, rank_of_code[codes]


def _either(first: pl.Series, second: pl.Series) -> npt.NDArray[np.int8]:
    """1 where at least one is true, 0 where one is false and none true, -1 where neither is known."""
    one, other = (flag.cast(pl.Int8).fill_null(-1).to_numpy() for flag in (first, second))
    return np.maximum(one, other)


def _received(times: pl.Series) -> npt.NDArray[np.int64]:
    """Milliseconds, -1 where null; a table without received times has one -1 for all its rows."""
    if times.null_count() == len(times):
        return np.broadcast_to(np.int64(-1), len(times))
    return times.fill_null(-1).to_numpy()


def _float(times: pl.Series) -> npt.NDArray[np.float64]:
    """Moments (ms) as doubles, which hold every one that validation lets pass; NaN where null."""
    return times.cast(pl.Float64).fill_null(float("nan")).to_numpy()
