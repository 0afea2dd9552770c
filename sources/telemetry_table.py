"""Validated telemetry as the trail: dictionary codes to ranks, nulls to the values that numpy can hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.telemetry_columns import CODED
from monsoon.sources.telemetry_store import coded
from monsoon.transforms.consents import Withdrawals
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
        words[name], codes[name] = coded(take(name))
    floats = {name: _float(take(name)) for name in _FLOATS}
    states = [APP_STATES.index(state) if state in APP_STATES else -1 for state in words["app_state"]]
    lists = take("bssids")
    lengths = _integers(lists.list.len(), 0)
    bssids, bssid_codes = coded(lists.explode().drop_nulls())
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
        mock=_flag(take("mock_location")),
        mock_setting=_flag(take("mock_setting")),
        gnss_time_ms=_float(take("gnss_time")),
        network_time_ms=_float(take("network_time")),
        charging=_flag(take("charging")),
        cell=codes["cell"],
        bssid_offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)]),
        bssid_codes=bssid_codes,
        ip_prefix=codes["ip_prefix"],
        platform=codes["platform"],
        app_state=np.array([*states, -1], dtype=np.int8)[codes["app_state"]],
        orders_completed=_integers(take("orders_completed")),
    )


def with_consent(frame: pl.DataFrame, withdrawals: Withdrawals) -> pl.DataFrame:
    """The reports of such a frame that are evidence: not those of riders who had withdrawn the consent to the use of
    their location."""
    if not withdrawals:
        return frame
    concerned = frame["worker_id"].is_in(sorted(withdrawals.workers)).arg_true()
    workers, worker = coded(frame["worker_id"][concerned])
    withheld = withdrawals.withheld(workers, worker, frame["event_time"][concerned].to_numpy())
    kept = pl.repeat(True, frame.height, eager=True).scatter(concerned.filter(pl.Series(withheld)), False)
    return frame.filter(kept)


def _flag(column: pl.Series) -> npt.NDArray[np.int8]:
    """1 where true, 0 where false, -1 where null."""
    return _integers(column.cast(pl.Int8))


def _received(times: pl.Series) -> npt.NDArray[np.int64]:
    """Milliseconds, -1 where null; a table without received times has one -1 for all its rows."""
    if times.null_count() == len(times):
        return np.broadcast_to(np.int64(-1), len(times))
    return _integers(times)


def _integers(column: pl.Series, null: int = -1) -> npt.NDArray[Any]:
    """Integers as they are, with a value for null."""
    return (column.fill_null(null) if column.null_count() else column).to_numpy()


def _float(column: pl.Series) -> npt.NDArray[np.float64]:
    """Doubles, which hold every moment (ms) that validation lets pass; NaN where null."""
    return column.to_numpy().astype(np.float64, copy=False)
