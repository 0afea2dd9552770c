"""Batches of validated reports as numpy columns, in any order: what operators send, store and deduplicate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.telemetry_columns import CODED, NULLED, compact, parse_schema
from monsoon.transforms.evidence.ragged import Ragged
from monsoon.transforms.telemetry_table import APP_STATES, TelemetryTable
from monsoon.transforms.validation.fields import INT64_MAX, stream_fields

_FIELDS = stream_fields("telemetry")
FLOATS = tuple(field.name for field in _FIELDS if field.kind == "number")
FLAGS = tuple(field.name for field in _FIELDS if field.kind == "boolean")
TIMES = ("received_time", "gnss_time", "network_time")
TEXTS = (*CODED, NULLED)
LISTS = "bssids"
NO_TIME = INT64_MAX
"""An optional time that is not stated: validation lets no time beyond the year 2100 pass."""
NULLS: Mapping[str, Any] = {
    "orders_completed": -1,
    LISTS: -1,
    **dict.fromkeys(FLOATS, np.nan),
    **dict.fromkeys(TIMES, NO_TIME),
    **dict.fromkeys(FLAGS, -1),
    **dict.fromkeys(TEXTS, -1),
}
"""What stands for null in a column."""
_DTYPES: Mapping[str, Any] = {
    "event_time": np.int64,
    "event_id_bytes": np.int16,
    "orders_completed": np.int64,
    LISTS: np.int16,
    **dict.fromkeys(FLOATS, np.float64),
    **dict.fromkeys(TIMES, np.int64),
    **dict.fromkeys(FLAGS, np.int8),
    **dict.fromkeys(TEXTS, np.int32),
}
_TIME_BITS = 42
"""Enough for event_time (ms), which validation ends at 2100-01-01."""

Column = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ReportBatch:
    """`columns` has an element per report, by field: floats, integers of any width (flags: 1 and 0), codes of texts in
    `words`, for `bssids` the length of the list; nulls as in NULLS. event_id is UTF-8 bytes padded with NUL, its length
    in `event_id_bytes`. `access_points` are the codes of all lists' items, one list after the other."""

    columns: Mapping[str, Column]
    words: Mapping[str, Sequence[str]]
    access_points: Column

    def __len__(self) -> int:
        return len(self.columns["event_time"])

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    @property
    def first_ms(self) -> int:
        """The earliest event time (ms); the batch must have a report."""
        return int(self["event_time"].min())

    @property
    def last_ms(self) -> int:
        """The latest event time (ms); the batch must have a report."""
        return int(self["event_time"].max())

    def take(self, rows: Rows) -> ReportBatch:
        """The reports of some rows, in their order."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return ReportBatch(columns, self.words, self.access_points[self._items(rows)] if self._has_items else _NO_ITEMS)

    def where(self, mask: npt.NDArray[np.bool_]) -> ReportBatch:
        """The reports where the mask holds; the same batch where it holds everywhere."""
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def without(self, names: Sequence[str]) -> ReportBatch:
        """The reports with these optional fields null."""
        empty = empty_batch(len(self))
        columns = {**self.columns, **{name: empty[name] for name in names}}
        words = {name: () if name in names else self.words[name] for name in self.words}
        return ReportBatch(columns, words, _NO_ITEMS if LISTS in names else self.access_points)

    def with_words_in_use(self) -> ReportBatch:
        """The same reports, with the words that they use only."""
        columns, words, items = dict(self.columns), dict(self.words), self.access_points
        for name in (*TEXTS, LISTS):
            codes = items if name == LISTS else columns[name]
            used = np.zeros(len(words[name]) + 1, dtype=np.bool_)
            used[codes] = True  # -1 marks the last, which is no word
            if not used[:-1].all():
                in_use = np.flatnonzero(used[:-1])
                place = np.full(len(used), -1, dtype=np.int32)
                place[in_use] = np.arange(len(in_use), dtype=np.int32)
                words[name] = tuple(words[name][code] for code in in_use.tolist())
                if name == LISTS:
                    items = place[codes]
                else:
                    columns[name] = place[codes]
        return ReportBatch(columns, words, items)

    @property
    def _has_items(self) -> bool:
        return len(self.access_points) > 0

    def _items(self, rows: Rows) -> Rows:
        lengths = np.maximum(self[LISTS], 0).astype(np.int64)
        stops = np.cumsum(lengths)
        return Ragged((stops - lengths)[rows], stops[rows]).rows

    def records(self, rows: Rows) -> pl.DataFrame:
        """Some reports as compact telemetry columns (`telemetry_columns.compact`)."""
        return to_frame(self.take(rows))


_NO_ITEMS = np.empty(0, dtype=np.int32)


def empty_batch(rows: int = 0) -> ReportBatch:
    """Reports of which every optional field is null, and event_time 0."""
    columns: dict[str, Column] = {name: np.full(rows, null, dtype=_DTYPES[name]) for name, null in NULLS.items()}
    columns["event_id"] = np.zeros(rows, dtype="S1")
    columns["event_id_bytes"] = np.zeros(rows, dtype=np.int16)
    columns["event_time"] = np.zeros(rows, dtype=np.int64)
    return ReportBatch(columns, dict.fromkeys((*TEXTS, LISTS), ()), _NO_ITEMS)


def from_frame(frame: pl.DataFrame) -> ReportBatch:
    """The batch of compact telemetry columns; NULLED may be absent."""
    numbers = frame.select(_NUMBERS)
    columns: dict[str, Column] = {name: numbers[name].to_numpy() for name in numbers.columns}
    columns["event_id"], columns["event_id_bytes"] = _fixed_width(frame["event_id"])
    words: dict[str, Sequence[str]] = {}
    for name in TEXTS:
        if name in frame.columns:
            words[name], columns[name] = _coded(frame[name])
        else:
            words[name], columns[name] = (), np.full(frame.height, -1, dtype=np.int32)
    words[LISTS], access_points = _coded(frame[LISTS].explode(empty_as_null=False, keep_nulls=False))
    return ReportBatch(columns, words, access_points)


_NUMBERS = [
    pl.col("event_time"),
    pl.col("orders_completed").fill_null(-1),
    pl.col(FLOATS).cast(pl.Float64).fill_null(float("nan")),
    pl.col(TIMES).fill_null(NO_TIME),
    pl.col(FLAGS).cast(pl.Int8).fill_null(-1),
    pl.col(LISTS).list.len().cast(pl.Int16).fill_null(-1),
]
"""Columns of telemetry as they are in a batch."""


def to_frame(batch: ReportBatch) -> pl.DataFrame:
    """The inverse of `from_frame`: for the few reports that are compared field by field."""
    columns: dict[str, pl.Series] = {}
    ids = zip(batch["event_id"].tolist(), batch["event_id_bytes"].tolist(), strict=True)
    columns["event_id"] = pl.Series([text.ljust(length, b"\0").decode() for text, length in ids], dtype=pl.String)
    columns["event_time"] = pl.Series(batch["event_time"])
    columns["orders_completed"] = pl.Series(_listed(batch["orders_completed"], -1), dtype=pl.Int64)
    for name in FLOATS:
        columns[name] = pl.Series(batch[name], nan_to_null=True)
    for name in TIMES:
        columns[name] = pl.Series(_listed(batch[name], NO_TIME), dtype=pl.Int64)
    for name in FLAGS:
        columns[name] = pl.Series(_listed(batch[name].astype(object), -1), dtype=pl.Int8).cast(pl.Boolean)
    for name in TEXTS:
        columns[name] = pl.Series([_text(batch.words[name], code) for code in batch[name].tolist()], dtype=pl.String)
    texts = [batch.words[LISTS][code] for code in batch.access_points.tolist()]
    lists: list[list[str] | None] = []
    for length in batch[LISTS].tolist():
        lists.append(None if length < 0 else texts[:length])
        texts = texts[max(length, 0) :]
    columns[LISTS] = pl.Series(lists, dtype=pl.List(pl.String))
    return compact(pl.DataFrame(columns).select(*parse_schema(_FIELDS), NULLED), _FIELDS)


def concatenated(batches: Sequence[ReportBatch]) -> ReportBatch:
    """All reports of some batches, in columns of the least width."""
    batches = [batch for batch in batches if len(batch)]
    if not batches:
        return empty_batch()
    columns: dict[str, Column] = {}
    words: dict[str, Sequence[str]] = {}
    items: list[Column] = []
    for name in batches[0].columns:
        if name not in TEXTS:
            dtype = _DTYPES.get(name)  # none for event_id: as wide as the longest
            columns[name] = np.concatenate([batch[name] for batch in batches], dtype=dtype, casting="unsafe")
    for name in (*TEXTS, LISTS):
        code_of: dict[str, int] = {}
        recoded = []
        for batch in batches:
            mapped = [code_of.setdefault(word, len(code_of)) for word in batch.words[name]]
            codes = batch.access_points if name == LISTS else batch[name]
            recoded.append(np.array([*mapped, -1], dtype=np.int32)[codes])
        words[name] = tuple(code_of)
        if name == LISTS:
            items = recoded
        else:
            columns[name] = np.concatenate(recoded)
    return ReportBatch(columns, words, np.concatenate(items))


def to_table(batch: ReportBatch) -> TelemetryTable:
    """The telemetry table of a batch whose reports are all different."""
    return ordered_table(batch)[0]


def ordered_table(batch: ReportBatch) -> tuple[TelemetryTable, Rows]:
    """The same, and for each of its rows that of the batch."""
    workers, worker = _ranked(batch.words["worker_id"], batch["worker_id"])
    order = _order(worker, batch)
    batch, worker = batch.take(order), worker[order]
    coded = {name: _ranked(batch.words[name], batch[name]) for name in ("device_id", "cell", "ip_prefix", "platform")}
    bssids, bssid_codes = _ranked(batch.words[LISTS], batch.access_points)
    states = [APP_STATES.index(state) if state in APP_STATES else -1 for state in batch.words["app_state"]]
    received_ms = batch["received_time"]
    states_received = bool((received_ms != NO_TIME).any())
    lengths = np.maximum(batch[LISTS], 0)
    table = TelemetryTable(
        workers=workers,
        devices=coded["device_id"][0],
        cells=coded["cell"][0],
        bssids=bssids,
        ip_prefixes=coded["ip_prefix"][0],
        platforms=coded["platform"][0],
        worker_starts=np.searchsorted(worker, np.arange(len(workers) + 1)).astype(np.int64),
        worker=worker,
        device=coded["device_id"][1],
        event_time_ms=batch["event_time"],
        received_time_ms=(
            np.where(received_ms == NO_TIME, np.int64(-1), received_ms)
            if states_received
            else np.broadcast_to(np.int64(-1), len(batch))
        ),
        lat=batch["lat"],
        lon=batch["lon"],
        accuracy_m=batch["accuracy_m"],
        speed_mps=batch["speed_mps"],
        accel_var=batch["accel_var"],
        pressure_hpa=batch["pressure_hpa"],
        cn0_dbhz=batch["cn0_dbhz"],
        agc_db=batch["agc_db"],
        battery_pct=batch["battery_pct"],
        mock=batch["mock_location"].astype(np.int8, copy=False),
        mock_setting=batch["mock_setting"].astype(np.int8, copy=False),
        gnss_time_ms=_time_or_nan(batch["gnss_time"]),
        network_time_ms=_time_or_nan(batch["network_time"]),
        charging=batch["charging"].astype(np.int8, copy=False),
        cell=coded["cell"][1],
        bssid_offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)]),
        bssid_codes=bssid_codes,
        ip_prefix=coded["ip_prefix"][1],
        platform=coded["platform"][1],
        app_state=np.array([*states, -1], dtype=np.int8)[batch["app_state"]],
        orders_completed=batch["orders_completed"],
    )
    return table, order


def _order(worker: npt.NDArray[np.int32], batch: ReportBatch) -> Rows:
    """Rows sorted by (worker_id, event_time, event_id); `worker` are ranks."""
    key = (worker.astype(np.int64) << _TIME_BITS) | batch["event_time"]
    order = np.argsort(key, kind="stable")
    key = key[order]
    repeats = key[1:] == key[:-1]
    if repeats.any():
        tied = np.flatnonzero(np.append(repeats, False) | np.append(False, repeats))
        rows = order[tied]
        by_id = np.lexsort((batch["event_id_bytes"][rows], batch["event_id"][rows], key[tied]))
        order[tied] = rows[by_id]
    return order


def _ranked(words: Sequence[str], codes: npt.NDArray[np.int32]) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """The words in use, sorted, and the codes as positions among them."""
    used = np.zeros(len(words) + 1, dtype=np.bool_)
    used[codes] = True  # -1 marks the last, which is no word
    in_use = [(words[code], code) for code in np.flatnonzero(used[:-1]).tolist()]
    in_use.sort()
    rank = np.full(len(words) + 1, -1, dtype=np.int32)
    rank[[code for _, code in in_use]] = np.arange(len(in_use), dtype=np.int32)
    return tuple(word for word, _ in in_use), rank[codes]


def _coded(column: pl.Series) -> tuple[Sequence[str], npt.NDArray[np.int32]]:
    """The texts of a categorical column in the order of its codes, and the position of each row's, -1 where null."""
    if column.null_count() == len(column):
        return (), np.full(len(column), -1, dtype=np.int32)
    physical = column.to_physical()
    top: Any = physical.max()
    codes = (physical.fill_null(int(top) + 1) if physical.null_count() else physical).to_numpy().astype(np.int64)
    first_row = np.full(int(top) + 2, -1, dtype=np.int64)
    first_row[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    first_row[-1] = -1
    in_use = np.flatnonzero(first_row >= 0)
    place = np.full(len(first_row), -1, dtype=np.int32)
    place[in_use] = np.arange(len(in_use), dtype=np.int32)
    return tuple(column.gather(first_row[in_use]).cast(pl.String).to_list()), place[codes]


def _fixed_width(texts: pl.Series) -> tuple[Column, npt.NDArray[np.int16]]:
    """Texts as UTF-8 bytes of one width, and their lengths in bytes."""
    lengths = texts.str.len_bytes().to_numpy().astype(np.int16)
    width = max(1, int(lengths.max(initial=1)))
    padded = np.zeros((len(texts), width), dtype=np.uint8)
    if len(texts):
        padded[np.arange(width) < lengths[:, None]] = np.frombuffer(texts.str.join("").item().encode(), dtype=np.uint8)
    return padded.view(f"S{width}").ravel(), lengths


def _listed(column: Column, null: int) -> list[int | None]:
    return [None if value == null else value for value in column.tolist()]


def _text(words: Sequence[str], code: int) -> str | None:
    return None if code < 0 else words[code]


def _time_or_nan(times: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    values = times.astype(np.float64)
    values[times == NO_TIME] = np.nan
    return values
