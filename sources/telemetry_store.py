"""All of a replay's telemetry, compact: deduplicated, conflicting duplicates to the dead letters, in its final order.

Every step works on one column, or on a bounded part of the rows, at a time: memory peaks at the columns
themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.sources.line_blocks import ValidatedBlock
from monsoon.sources.telemetry_columns import NULLED, compact, nulled_names, parse_schema
from monsoon.transforms.validation.canonical import canonical_json, resolve_conflict
from monsoon.transforms.validation.fields import NON_CONTENT_FIELDS, stream_fields
from monsoon.transforms.validation.record_validator import DeadLetter

_ARRIVAL = tuple(field.name for field in stream_fields("telemetry") if field.name in NON_CONTENT_FIELDS)
"""Columns about the transport of a report, not its content."""
_PART_ROWS = 500_000
"""Rows suspected of being duplicates are compared in parts of about this size."""
_FEW_ROWS = 4_000
"""Up to here one call of Polars costs more than Python takes for the texts of a column."""
_COLUMNS_AT_ONCE = 2
_TIME_BITS = 42
"""Enough for event_time, which validation ends at 2100-01-01 (4.1e12 ms)."""


@dataclass(slots=True)
class TelemetryStore:
    """Takes in validated blocks in any order; `finish` gives the same frame for any order, split and
    duplication."""

    counts: StreamCounts
    dead: list[DeadLetter] = field(default_factory=list)
    _frames: list[pl.DataFrame] = field(default_factory=list)

    def add(self, validated: ValidatedBlock) -> None:
        """Take in what became of a block."""
        self.counts.read += validated.read
        self.dead.extend(validated.dead)
        self._frames.extend(validated.frames)

    def finish(self) -> pl.DataFrame:
        """All contract fields but event_id, one row per report (worker_id, event_id), sorted by (worker_id, event_time,
        event_id).

        Leaves the store empty, with `dead` and `counts` complete for the conflicts.
        """
        return in_order(*self.settle())

    def settle(self) -> tuple[pl.DataFrame, npt.NDArray[np.bool_]]:
        """All rows as they came, and which of them stay (bool): one per report, with all that its repeats lost in
        NULLED.

        Leaves the store empty, with `dead` and `counts` complete for the conflicts.
        """
        frame = joined(self._frames)
        self._frames.clear()
        keep, lost = self._deduplicate(frame)
        if lost:
            column = frame[NULLED].cast(pl.String).scatter(list(lost), list(lost.values()))
            frame = frame.with_columns(column.cast(frame.schema[NULLED]))
        self.counts.used += int(np.count_nonzero(keep))
        if frame[NULLED].null_count() < frame.height:
            nulled = frame[NULLED].filter(pl.Series(keep)).drop_nulls().cast(pl.String)
            for text, count in nulled.value_counts().iter_rows():
                self.counts.count_nulled(nulled_names(text), count)
        return frame, keep

    def _deduplicate(self, frame: pl.DataFrame) -> tuple[npt.NDArray[np.bool_], dict[int, str]]:
        """Which rows stay (bool), and NULLED of those whose repeats lost more than they did."""
        keep = np.ones(frame.height, dtype=np.bool_)
        # Codes of riders differ from process to process: they find suspects, and decide nothing.
        of_rider = pl.col("worker_id").to_physical().hash(seed=0)
        hashes = frame.select(identity=pl.col("event_id").hash(seed=0) ^ of_rider)["identity"]
        ascending = hashes.sort()
        repeated = ascending.filter(ascending == ascending.shift(1)).unique()
        suspects = hashes.is_in(repeated.implode()).arg_true() if len(repeated) else repeated
        lost: dict[int, str] = {}
        parts = -(-len(suspects) // _PART_ROWS)
        part_of = hashes.gather(suspects) % max(parts, 1)
        for part in range(parts):
            lost.update(self._settle(frame, suspects.filter(part_of == part), keep))
        return keep, lost

    def _settle(self, frame: pl.DataFrame, rows: pl.Series, keep: npt.NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
        """Decide among rows whose identities repeat, or merely hash alike; yields NULLED of those that stay."""
        if not len(rows):
            return
        group = frame[rows]
        # Of repeats the one that arrived first is kept: they differ in nothing else.
        by = ["event_id", pl.col("worker_id").to_physical(), *_ARRIVAL]
        order = group.select(pl.arg_sort_by(by, nulls_last=True)).to_series()
        rows, group = rows.gather(order), group[order]
        again = _same_as_previous(group["event_id"]) & _same_as_previous(group["worker_id"])
        content = [name for name in group.columns if name not in (*_ARRIVAL, NULLED)]
        other = again & ~reduce(and_, (_same_as_previous(group[name]) for name in content))
        report = np.cumsum(~again) - 1
        conflicting = (np.bincount(report[other], minlength=int(report[-1]) + 1) > 0)[report]
        repeats = again & ~conflicting
        keep[rows.to_numpy()[repeats]] = False
        self.counts.duplicate += int(np.count_nonzero(repeats))
        yield from _lost_in_repeats(group.filter(pl.Series(~conflicting)), rows.to_numpy()[~conflicting])
        contents: dict[int, dict[str, list[tuple[int, dict[str, Any]]]]] = {}
        disputed = group.filter(pl.Series(conflicting)).iter_rows(named=True)
        for number, row, record in zip(
            report[conflicting].tolist(), rows.to_numpy()[conflicting].tolist(), disputed, strict=True
        ):
            nulled = record.pop(NULLED)
            members = contents.setdefault(number, {}).setdefault(canonical_json(record), [])
            members.append((row, record | {NULLED: nulled}))
        for by_content in contents.values():
            times = {each: (members[0][1]["event_time"],) for each, members in by_content.items()}
            first, others = resolve_conflict(times)
            keep[[row for members in by_content.values() for row, _ in members]] = False
            stays = by_content[first][0][0]
            keep[stays] = True
            self.dead.extend(conflict(each, *times[each]) for each in others)
            self.counts.duplicate += sum(len(members) - 1 for members in by_content.values())
            lost = set().union(*(nulled_names(record[NULLED]) for _, record in by_content[first]))
            if lost:
                yield stays, ",".join(sorted(lost))


def _lost_in_repeats(group: pl.DataFrame, rows: npt.NDArray[np.uint32]) -> Iterator[tuple[int, str]]:
    """By row that stays, the first of its report, what its repeats lost and it did not say; `group` is sorted by
    report."""
    if group[NULLED].null_count() == group.height:
        return
    keys = group.select("event_id", "worker_id", NULLED).with_columns(pl.Series("row", rows))
    some = keys.group_by("event_id", "worker_id", maintain_order=True).agg(pl.col("row").first(), pl.col(NULLED))
    for row, texts in some.filter(pl.col(NULLED).list.n_unique() > 1).select("row", NULLED).iter_rows():
        yield row, ",".join(sorted(set().union(*map(nulled_names, texts))))


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Compact telemetry frames as one; with all columns where there is no frame."""
    if frames:
        return pl.concat([frames[0].clear(), *frames], rechunk=False)  # a frame of its own, that may be taken apart
    fields = stream_fields("telemetry")
    return compact(pl.DataFrame(schema=parse_schema(fields)), fields)


def in_order(frame: pl.DataFrame, keep: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """The rows to keep, sorted by (worker_id, event_time, event_id), without event_id and NULLED.

    Takes the frame apart, column by column, and leaves it without columns.
    """
    order = _order(frame, keep)
    if frame.height <= _PART_ROWS:
        _drop(frame, "event_id", NULLED)
        return frame.rechunk()[order]
    _drop(frame, "event_id", NULLED)
    names = frame.columns
    ordered: list[pl.Series] = []
    with ThreadPoolExecutor(_COLUMNS_AT_ONCE) as pool:
        for at in range(0, len(names), _COLUMNS_AT_ONCE):
            columns = [frame.drop_in_place(name) for name in names[at : at + _COLUMNS_AT_ONCE]]
            ordered.extend(pool.map(lambda column: column.rechunk().gather(order), columns))
    return pl.DataFrame(ordered)


def _drop(frame: pl.DataFrame, *names: str) -> None:
    for name in names:
        if name in frame.columns:
            frame.drop_in_place(name)


def _same_as_previous(column: pl.Series) -> npt.NDArray[np.bool_]:
    same = column.eq_missing(column.shift(1)).to_numpy().copy()
    same[:1] = False
    return same


def _order(frame: pl.DataFrame, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    """Indices of the kept rows in the order (worker_id, event_time, event_id)."""
    kept: npt.NDArray[np.uint32] = np.flatnonzero(keep).astype(np.uint32)
    ranks = coded(frame["worker_id"].rechunk())[1][kept].astype(np.uint64)
    times = frame["event_time"].rechunk().to_numpy()[kept].astype(np.uint64)
    key = (ranks << np.uint64(_TIME_BITS)) | times
    few = len(key) <= _FEW_ROWS
    by_key = np.argsort(key) if few else pl.Series(key).arg_sort().to_numpy()
    key = key[by_key]
    kept = kept[by_key]
    repeats = key[1:] == key[:-1]
    tied = np.flatnonzero(np.append(repeats, False) | np.append(False, repeats))
    if len(tied):
        ids = frame["event_id"][kept[tied]]
        if few:
            by_id = sorted(zip(key[tied].tolist(), ids.to_list(), kept[tied].tolist(), strict=True))
            kept[tied] = [row for *_, row in by_id]
            return kept
        settled = pl.DataFrame({"key": key[tied], "id": ids, "row": kept[tied]}).sort("key", "id")
        kept[tied] = settled["row"].to_numpy()
    return kept


def coded(column: pl.Series) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """The sorted texts of a categorical column and each row's rank among them, -1 where null."""
    if len(column) <= _FEW_ROWS:
        values = column.to_list()
        texts = sorted({text for text in values if text is not None})
        rank_of: dict[str | None, int] = {text: rank for rank, text in enumerate(texts)}
        rank_of[None] = -1
        return tuple(texts), np.array([rank_of[text] for text in values], dtype=np.int32)
    ranks, words = _code_ranks(column)
    rank_of_code = np.append(ranks, np.int32(-1))
    return words, rank_of_code[column.to_physical().fill_null(len(ranks)).to_numpy()]


def _code_ranks(column: pl.Series) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """For a categorical column: code -> rank of its text among the texts in use, and those texts, sorted.

    Codes depend on the order in which texts were met; ranks do not. Ranks of codes not in use are -1.
    """
    texts = column.unique().drop_nulls()
    codes = texts.to_physical().to_numpy()
    in_text_order = sorted(zip(texts.cast(pl.String).to_list(), codes.tolist(), strict=True))
    ranks = np.full(int(codes.max()) + 1 if len(codes) else 0, -1, dtype=np.int32)
    ranks[[code for _, code in in_text_order]] = np.arange(len(in_text_order), dtype=np.int32)
    return ranks, tuple(text for text, _ in in_text_order)
