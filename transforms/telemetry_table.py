"""The telemetry table: validated, deduplicated telemetry as sorted numpy columns (docs/architecture.md, Shapes)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

APP_STATES = ("offline", "online", "on_trip")
"""Codes of `app_state` are positions in this tuple; -1 = not reported."""

OFFLINE, ONLINE, ON_TRIP = range(3)

_TIME_BITS = 42
"""Enough for times up to 2100-01-01, where validation ends them (4.1e12 ms)."""

DTYPES: dict[str, Any] = {
    "worker": np.int32,
    "device": np.int32,
    "event_time_ms": np.int64,
    "received_time_ms": np.int64,
    "lat": np.float64,
    "lon": np.float64,
    "accuracy_m": np.float64,
    "speed_mps": np.float64,
    "accel_var": np.float64,
    "pressure_hpa": np.float64,
    "cn0_dbhz": np.float64,
    "agc_db": np.float64,
    "battery_pct": np.float64,
    "mock": np.int8,
    "mock_setting": np.int8,
    "gnss_time_ms": np.float64,
    "network_time_ms": np.float64,
    "charging": np.int8,
    "cell": np.int32,
    "ip_prefix": np.int32,
    "platform": np.int32,
    "app_state": np.int8,
    "orders_completed": np.int64,
}
"""The columns with one element per report."""

_CODED = {
    "worker": "workers",
    "device": "devices",
    "cell": "cells",
    "ip_prefix": "ip_prefixes",
    "platform": "platforms",
}


@dataclass(frozen=True, eq=False)
class TelemetryTable:
    """Reports sorted by (worker_id, event_time, event_id), one array element per report.

    Text is coded by position in a sorted tuple. Nulls: NaN in float columns, -1 in code, flag and count
    columns and in received_time_ms, so that a report without received_time counts as received at once. Row i saw
    the access points `bssid_codes[bssid_offsets[i]:bssid_offsets[i + 1]]`; worker w has the rows
    `worker_starts[w]:worker_starts[w + 1]`.
    """

    workers: tuple[str, ...]
    devices: tuple[str, ...]
    cells: tuple[str, ...]
    bssids: tuple[str, ...]
    ip_prefixes: tuple[str, ...]
    platforms: tuple[str, ...]
    worker_starts: npt.NDArray[np.int64]
    worker: npt.NDArray[np.int32]
    device: npt.NDArray[np.int32]
    event_time_ms: npt.NDArray[np.int64]
    received_time_ms: npt.NDArray[np.int64]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    accuracy_m: npt.NDArray[np.float64]
    speed_mps: npt.NDArray[np.float64]
    accel_var: npt.NDArray[np.float64]
    pressure_hpa: npt.NDArray[np.float64]
    cn0_dbhz: npt.NDArray[np.float64]
    agc_db: npt.NDArray[np.float64]
    battery_pct: npt.NDArray[np.float64]
    mock: npt.NDArray[np.int8]
    mock_setting: npt.NDArray[np.int8]
    gnss_time_ms: npt.NDArray[np.float64]
    network_time_ms: npt.NDArray[np.float64]
    charging: npt.NDArray[np.int8]
    cell: npt.NDArray[np.int32]
    bssid_offsets: npt.NDArray[np.int64]
    bssid_codes: npt.NDArray[np.int32]
    ip_prefix: npt.NDArray[np.int32]
    platform: npt.NDArray[np.int32]
    app_state: npt.NDArray[np.int8]
    orders_completed: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.event_time_ms)

    def validate(self) -> None:
        """Raises ValueError, naming the column, where types, lengths, order or codes are wrong."""
        for name, dtype in DTYPES.items():
            column = getattr(self, name)
            if column.dtype != dtype or column.shape != (len(self),):
                raise ValueError(f"{name}: {column.dtype} {column.shape}, not {np.dtype(dtype)} ({len(self)},)")
        for name, words in (*_CODED.items(), ("bssid_codes", "bssids")):
            codes, known = getattr(self, name), getattr(self, words)
            least = 0 if name in ("worker", "device", "bssid_codes") else -1
            if len(codes) and (codes.min() < least or codes.max() >= len(known)):
                raise ValueError(f"{name}: a code outside {words}")
            if list(known) != sorted(set(known)):
                raise ValueError(f"{words}: not sorted and distinct")
        _check_offsets("worker_starts", self.worker_starts, len(self.workers), len(self))
        _check_offsets("bssid_offsets", self.bssid_offsets, len(self), len(self.bssid_codes))
        if not np.array_equal(self.worker_starts, _starts(self.worker, len(self.workers))):
            raise ValueError("worker_starts: does not agree with worker")
        same = self.worker[1:] == self.worker[:-1]
        if np.any(self.worker[1:] < self.worker[:-1]) or np.any(np.diff(self.event_time_ms)[same] < 0):
            raise ValueError("rows: not sorted by worker and event_time_ms")

    @cached_property
    def states_received(self) -> bool:
        """Whether any report states its received_time."""
        return bool(len(self) and self.received_time_ms.max() >= 0)

    @cached_property
    def latest_received_ms(self) -> npt.NDArray[np.int64]:
        """The latest received_time of the worker's reports up to each row, int64 (n,); rises within a worker."""
        received = (self.received_time_ms + 1).astype(np.uint64)
        key = (self.worker.astype(np.uint64) << np.uint64(_TIME_BITS)) | received
        return (np.maximum.accumulate(key) & np.uint64((1 << _TIME_BITS) - 1)).astype(np.int64) - 1

    def rows_between(
        self, worker_codes: npt.ArrayLike, start_ms: npt.ArrayLike, end_ms: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows `lo:hi` of each worker with start < event_time <= end. Code -1 has none; all broadcast."""
        codes, start, end = np.broadcast_arrays(worker_codes, start_ms, end_ms)
        first, stop = slices_of(self.worker_starts, codes)
        lo = bisect_right(self.event_time_ms, first, stop, start)
        return lo, np.maximum(lo, bisect_right(self.event_time_ms, lo, stop, end))

    def last_at_or_before(self, worker_codes: npt.ArrayLike, t_ms: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Row of each worker's last report up to and including t; -1 where there is none.

        Of several reports of one moment it is that with the greatest event_id, which is the last row.
        """
        codes, t = np.broadcast_arrays(worker_codes, t_ms)
        first, stop = slices_of(self.worker_starts, codes)
        row = bisect_right(self.event_time_ms, first, stop, t) - 1
        return np.where(row >= first, row, -1)

    def with_codes_for(self, workers: Iterable[str], devices: Iterable[str]) -> TelemetryTable:
        """The same reports, with codes for these workers and devices too."""
        all_workers = tuple(sorted({*self.workers, *workers}))
        all_devices = tuple(sorted({*self.devices, *devices}))
        worker = _recoded(self.worker, self.workers, all_workers)
        return replace(
            self,
            workers=all_workers,
            devices=all_devices,
            worker=worker,
            device=_recoded(self.device, self.devices, all_devices),
            worker_starts=_starts(worker, len(all_workers)),
        )

    @staticmethod
    def from_columns(**columns: Sequence[Any]) -> TelemetryTable:
        """A telemetry table from plain lists in any order, None = null; for small inputs.

        Columns are those of the class, text as text: worker, event_time_ms, lat and lon are required;
        event_id breaks ties of time; bssids is a list of lists; app_state one of APP_STATES; device is by
        default the worker's own. Raises ValueError for an unknown column, a missing one, or lists of different
        lengths.
        """
        names = {*DTYPES, "bssids", "event_id"}
        if unknown := columns.keys() - names:
            raise ValueError(f"unknown columns: {', '.join(sorted(unknown))}")
        if missing := {"worker", "event_time_ms", "lat", "lon"} - columns.keys():
            raise ValueError(f"missing columns: {', '.join(sorted(missing))}")
        n = len(columns["worker"])
        if wrong := sorted(name for name, values in columns.items() if len(values) != n):
            raise ValueError(f"columns not of length {n}: {', '.join(wrong)}")
        ids = columns.get("event_id", [str(row).zfill(9) for row in range(n)])
        keys = list(zip(columns["worker"], columns["event_time_ms"], ids, strict=True))
        order = sorted(range(n), key=keys.__getitem__)
        ordered = {name: [values[row] for row in order] for name, values in columns.items()}
        ordered.setdefault("device", [f"device of {worker}" for worker in ordered["worker"]])
        if "app_state" in ordered:
            ordered["app_state"] = [-1 if state is None else APP_STATES.index(state) for state in ordered["app_state"]]
        words: dict[str, tuple[str, ...]] = {}
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, dtype in DTYPES.items():
            values = ordered.get(name, [None] * n)
            if name in _CODED:
                words[_CODED[name]], values = _code(values)
            null = np.nan if dtype is np.float64 else -1
            arrays[name] = np.array([null if value is None else value for value in values], dtype=dtype)
        seen = [list(row or []) for row in ordered.get("bssids", [None] * n)]
        words["bssids"], codes = _code([bssid for row in seen for bssid in row])
        arrays["bssid_codes"] = np.array(codes, dtype=np.int32)
        arrays["bssid_offsets"] = np.cumsum([0, *map(len, seen)], dtype=np.int64)
        arrays["worker_starts"] = _starts(arrays["worker"], len(words["workers"]))
        telemetry = TelemetryTable(**words, **arrays)  # type: ignore[arg-type]
        telemetry.validate()
        return telemetry


def slices_of(
    starts: npt.NDArray[np.int64], codes: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and stop of each code's slice under `starts` (number of codes + 1); an empty one for code -1."""
    known = codes >= 0
    first = np.where(known, starts[np.where(known, codes, 0)], 0)
    if len(starts) == 1:
        return first, first
    return first, np.where(known, starts[np.where(known, codes, 0) + 1], 0)


def bisect_right(
    values: npt.NDArray[Any], lo: npt.NDArray[np.int64], hi: npt.NDArray[np.int64], target: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """In each slice `lo:hi` of `values`, sorted within it, the index after the last value <= target."""
    lo, hi = np.array(lo, dtype=np.int64), np.array(hi, dtype=np.int64)
    if not len(values):
        return lo
    while np.any(open_ := lo < hi):
        middle = (lo + hi) // 2
        right = open_ & (values[np.minimum(middle, len(values) - 1)] <= target)
        lo = np.where(right, middle + 1, lo)
        hi = np.where(open_ & ~right, middle, hi)
    return lo


def _code(values: Sequence[str | None]) -> tuple[tuple[str, ...], list[int]]:
    words = tuple(sorted({value for value in values if value is not None}))
    position = {word: code for code, word in enumerate(words)}
    return words, [-1 if value is None else position[value] for value in values]


def _recoded(codes: npt.NDArray[np.int32], words: Sequence[str], into: Sequence[str]) -> npt.NDArray[np.int32]:
    """Codes of `words`, all in use, as codes of `into`, which holds them all."""
    if len(words) == len(into):
        return codes
    place = {word: code for code, word in enumerate(into)}
    return np.array([place[word] for word in words], dtype=np.int32)[codes] if len(codes) else codes


def _starts(worker: npt.NDArray[np.int32], workers: int) -> npt.NDArray[np.int64]:
    return np.searchsorted(worker, np.arange(workers + 1)).astype(np.int64)


def _check_offsets(name: str, offsets: npt.NDArray[np.int64], pieces: int, total: int) -> None:
    good = offsets.dtype == np.int64 and offsets.shape == (pieces + 1,)
    if not good or offsets[0] != 0 or offsets[-1] != total or np.any(np.diff(offsets) < 0):
        raise ValueError(f"{name}: not {pieces + 1} rising int64 offsets from 0 to {total}")
