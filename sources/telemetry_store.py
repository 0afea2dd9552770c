"""All of a replay's telemetry, compact: duplicates out, conflicts judged, rows in their final order.

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
from monsoon.sources.line_blocks import Validated
from monsoon.sources.telemetry_columns import compact, parse_schema
from monsoon.transforms.validation.canonical import canonical_json, standing
from monsoon.transforms.validation.fields import NO_CONTENT, stream_fields
from monsoon.transforms.validation.judge import Dead, Used

_PART_ROWS = 500_000
"""Rows suspected of being duplicates are compared in parts of about this size."""
_COLUMNS_AT_ONCE = 2
_TIME_BITS = 42
"""Enough for event_time, which validation ends at 2100-01-01 (4.1e12 ms)."""


@dataclass(slots=True)
class TelemetryStore:
    """Takes in validated blocks in any order; `finish` gives the same frame for any order, split and
    duplication."""

    counts: StreamCounts
    dead: list[Dead] = field(default_factory=list)
    _frames: list[pl.DataFrame] = field(default_factory=list)
    _nulled: list[Used] = field(default_factory=list)

    def add(self, validated: Validated) -> None:
        """Take in what became of a block."""
        self.counts.read += validated.read
        self.dead.extend(validated.dead)
        self._frames.extend(validated.frames)
        self._nulled.extend(validated.nulled)

    def finish(self) -> pl.DataFrame:
        """All contract fields but event_id, one row per event_id, sorted by (worker_id, event_time,
        event_id).

        Leaves the store empty, with `dead` and `counts` complete for the conflicts.
        """
        return in_order(*self.settle())

    def settle(self) -> tuple[pl.DataFrame, npt.NDArray[np.bool_]]:
        """All rows as they came, and which of them stay (bool): one per event_id.

        Leaves the store empty, with `dead` and `counts` complete for the conflicts.
        """
        frame = joined(self._frames)
        self._frames.clear()
        keep, standing_contents = self._deduplicate(frame)
        self.counts.used += int(np.count_nonzero(keep))
        self._count_nulled(standing_contents)
        return frame, keep

    def _deduplicate(self, frame: pl.DataFrame) -> tuple[npt.NDArray[np.bool_], dict[str, str]]:
        """Which rows stay (bool), and the standing canonical content of each event_id that had several."""
        keep = np.ones(frame.height, dtype=np.bool_)
        hashes = frame["event_id"].hash(seed=0)
        ascending = hashes.sort()
        repeated = ascending.filter(ascending == ascending.shift(1)).unique()
        suspects = hashes.is_in(repeated.implode()).arg_true() if len(repeated) else repeated
        if not len(suspects):
            return keep, {}
        standing_contents: dict[str, str] = {}
        parts = -(-len(suspects) // _PART_ROWS)
        part_of = hashes.gather(suspects) % parts
        for part in range(parts):
            rows = suspects.filter(part_of == part)
            standing_contents.update(self._settle(frame, rows, keep))
        return keep, standing_contents

    def _settle(self, frame: pl.DataFrame, rows: pl.Series, keep: npt.NDArray[np.bool_]) -> Iterator[tuple[str, str]]:
        """Decide among rows whose event_ids repeat, or merely hash alike."""
        ids = frame["event_id"].gather(rows)
        by_id = ids.arg_sort()
        rows, group = rows.gather(by_id), frame[rows.gather(by_id)]
        same_id = _same_as_previous(group["event_id"])
        same_content = reduce(
            and_, (_same_as_previous(group[name]) for name in group.columns if name not in NO_CONTENT)
        )
        keep[rows.to_numpy()[same_id]] = False
        conflicting = set(group["event_id"].filter(pl.Series(same_id & ~same_content)).to_list())
        if not conflicting:
            self.counts.duplicate += int(np.count_nonzero(same_id))
            return
        members = group["event_id"].is_in(sorted(conflicting)).to_numpy()
        self.counts.duplicate += int(np.count_nonzero(same_id & ~members))
        contents: dict[str, dict[str, list[tuple[int, dict[str, Any]]]]] = {}
        disputed = group.filter(pl.Series(members))
        for row, record in zip(rows.to_numpy()[members].tolist(), disputed.iter_rows(named=True), strict=True):
            by_content = contents.setdefault(record["event_id"], {})
            by_content.setdefault(canonical_json(record), []).append((row, record))
        for event_id, by_content in contents.items():
            first, others = standing(by_content)
            keep[[row for members_of in by_content.values() for row, _ in members_of]] = False
            keep[by_content[first][0][0]] = True
            self.dead.extend(conflict(other, by_content[other][0][1]["event_time"]) for other in others)
            self.counts.duplicate += sum(len(members_of) - 1 for members_of in by_content.values())
            yield event_id, first

    def _count_nulled(self, standing_contents: dict[str, str]) -> None:
        """By field, over the records that stand: repeats that say the same count once."""
        fields_of: dict[str, set[str]] = {}
        for used in self._nulled:
            canonical = canonical_json(used.record)
            event_id = used.record["event_id"]
            if standing_contents.get(event_id, canonical) == canonical:
                fields_of.setdefault(event_id, set()).update(used.nulled)
        self.counts.count_nulled(fields_of.values())
        self._nulled.clear()


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Compact telemetry frames as one; with all columns where there is no frame."""
    fields = stream_fields("telemetry")
    empty = compact(pl.DataFrame(schema=parse_schema(fields)), fields)
    return pl.concat([empty, *frames], rechunk=False)


def in_order(frame: pl.DataFrame, keep: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """The rows to keep, sorted by (worker_id, event_time, event_id), without event_id.

    Takes the frame apart, column by column, and leaves it without columns.
    """
    order = _order(frame, keep)
    if frame.height <= _PART_ROWS:
        frame.drop_in_place("event_id")
        return frame.rechunk()[order]
    names = [name for name in frame.columns if name != "event_id"]
    frame.drop_in_place("event_id")
    ordered: list[pl.Series] = []
    with ThreadPoolExecutor(_COLUMNS_AT_ONCE) as pool:
        for at in range(0, len(names), _COLUMNS_AT_ONCE):
            columns = [frame.drop_in_place(name) for name in names[at : at + _COLUMNS_AT_ONCE]]
            ordered.extend(pool.map(lambda column: column.rechunk().gather(order), columns))
    return pl.DataFrame(ordered)


def _same_as_previous(column: pl.Series) -> npt.NDArray[np.bool_]:
    same = column.eq_missing(column.shift(1)).to_numpy().copy()
    same[:1] = False
    return same


def _order(frame: pl.DataFrame, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    """Indices of the kept rows in the order (worker_id, event_time, event_id)."""
    kept: npt.NDArray[np.uint32] = np.flatnonzero(keep).astype(np.uint32)
    workers = frame["worker_id"].rechunk()
    ranks = code_ranks(workers)[0][workers.to_physical().to_numpy()[kept]].astype(np.uint64)
    times = frame["event_time"].rechunk().to_numpy()[kept].astype(np.uint64)
    key = (ranks << np.uint64(_TIME_BITS)) | times
    by_key = pl.Series(key).arg_sort().to_numpy()
    key = key[by_key]
    kept = kept[by_key]
    repeats = key[1:] == key[:-1]
    tied = np.flatnonzero(np.append(repeats, False) | np.append(False, repeats))
    if len(tied):
        ids = frame["event_id"].gather(kept[tied])
        settled = pl.DataFrame({"key": key[tied], "id": ids, "row": kept[tied]}).sort("key", "id")
        kept[tied] = settled["row"].to_numpy()
    return kept


def code_ranks(column: pl.Series) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """For a categorical column: code -> rank of its text among the texts in use, and those texts, sorted.

    Codes depend on the order in which texts were met; ranks do not. Ranks of codes not in use are -1.
    """
    texts = column.unique().drop_nulls()
    codes = texts.to_physical().to_numpy()
    in_text_order = sorted(zip(texts.cast(pl.String).to_list(), codes.tolist(), strict=True))
    ranks = np.full(int(codes.max()) + 1 if len(codes) else 0, -1, dtype=np.int32)
    ranks[[code for _, code in in_text_order]] = np.arange(len(in_text_order), dtype=np.int32)
    return ranks, tuple(text for text, _ in in_text_order)
