"""The offline store: versions of features in Parquet, and point-in-time correct joins.

A folder `feature_set=NAME/version=N/date=YYYY-MM-DD/` for each UTC day of event times, with files that are named after
their content: the same versions written again are the same file. Reading drops what is there twice.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from monsoon.feature_store.definitions import FEATURE_SETS, FeatureError, FeatureSet, pair_id, sets_of
from monsoon.feature_store.versions import FeatureVersions

_DAY_MS = 24 * 3_600_000
_KEYS = ("entity_id", "event_time_ms", "received_time_ms")
_SETTINGS: dict[str, Any] = {"compression": "zstd", "compression_level": 3, "statistics": True}
"""Fixed, so that Polars' defaults do not decide the bytes."""
_PARTIALS = ".part-*.parquet.partial"
_STALE_S = 3_600.0


class OfflineStore:
    """The folder of a store; made by the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, versions: FeatureVersions) -> int:
        """Adds versions, on the disk when this returns; writing them again has no effect. Returns the number of files
        that are new. Raises OSError."""
        frame = versions.frame().sort(*_KEYS, *versions.feature_set.names)
        new = 0
        for (date,), part in frame.group_by(_date("event_time_ms"), maintain_order=True):
            new += _write_whole(self._folder(versions.feature_set) / f"date={date}", _parquet(part))
        return new

    def get(self, rows: pl.DataFrame, entity: str, features: Sequence[str]) -> pl.DataFrame:
        """The rows with a column added per feature: its value as known of the row's entity at the row's moment.

        `rows` has a column `entity_id` (String) and a column `as_of_ms` (Int64), and any others; their order is kept.
        A value counts if its version was received by then and is no older than its set's ttl_ms; else it is null.
        Features are `NAME` or `NAME@VERSION`. Raises FeatureError for an unknown entity or feature, and for one that is
        a column of the rows already.
        """
        sets = sets_of(entity, features)
        wanted = [name.partition("@")[0] for name in dict.fromkeys(features)]
        if taken := [name for name in wanted if name in rows.columns]:
            raise FeatureError(f"{taken[0]} is a column of the rows already; rename it")
        joined = rows.with_row_index("_row")
        for about, names in sets.items():
            known = self._timeline(about, rows, names)
            joined = joined.sort("as_of_ms", "_row").join_asof(
                known, left_on="as_of_ms", right_on="_since_ms", by="entity_id", check_sortedness=False
            )
            fresh = pl.col("as_of_ms") - pl.col("_event_time_ms") <= about.ttl_ms
            joined = joined.with_columns(pl.when(fresh).then(pl.col(name)).alias(name) for name in names)
            joined = joined.drop("_event_time_ms", "_since_ms", strict=False)
        return joined.sort("_row").select(*rows.columns, *wanted)

    def newest(self, about: FeatureSet, as_of_ms: int) -> FeatureVersions:
        """The version of each entity that counts at a moment, in the order of the entities."""
        days = self._days(about, as_of_ms - about.ttl_ms, as_of_ms)
        known = self._read(about, days, as_of_ms, about.names)
        known = known.filter(pl.col("event_time_ms") >= as_of_ms - about.ttl_ms)
        return FeatureVersions.of_frame(about, known.unique("entity_id", keep="last").sort("entity_id"))

    def between(self, about: FeatureSet, after_ms: int, until_ms: int) -> FeatureVersions:
        """The versions that became known after one moment and until another, in the order in which they did."""
        # Received later than its event time: whatever still counts may become known now.
        days = self._days(about, after_ms - about.ttl_ms, until_ms)
        known = self._read(about, days, until_ms, about.names).filter(pl.col("received_time_ms") > after_ms)
        return FeatureVersions.of_frame(about, known.sort("received_time_ms", "entity_id", "event_time_ms"))

    def files(self, about: FeatureSet) -> list[Path]:
        """The files of a set. A file never changes; its versions may come again in another."""
        return self._files(self._folder(about))

    @staticmethod
    def read(about: FeatureSet, files: Sequence[Path]) -> FeatureVersions:
        """The versions of some files, which may have some of them twice. Raises FileNotFoundError for one that an
        erasure has removed since."""
        return FeatureVersions.of_frame(about, pl.read_parquet(list(files), hive_partitioning=False))

    def span_ms(self, about: FeatureSet) -> tuple[int, int] | None:
        """The first event time and the last received time of a set, None where it has no versions."""
        files = self.files(about)
        if not files:
            return None
        found = pl.scan_parquet(files, hive_partitioning=False).select(
            pl.col("event_time_ms").min(), pl.col("received_time_ms").max()
        )
        ((first, last),) = found.collect().rows()
        return first, last

    def erase_worker(self, worker_id: str) -> dict[str, list[str]]:
        """Removes what is known of a rider, with each phone and on each product, also by definitions of earlier
        releases; counts of riders stay. Returns the ids that were there, by set. After a crash it is done again. Raises
        OSError."""
        is_rider = pl.col("entity_id") == worker_id
        is_pair = pl.col("entity_id").str.starts_with(pair_id(worker_id, ""))
        of_entity = {"rider": is_rider, "rider_device": is_pair, "rider_product": is_pair}
        entities = {about.name: about.entity for about in FEATURE_SETS}
        erased: dict[str, list[str]] = {}
        for folder in sorted(self.path.glob("feature_set=*")):
            name = folder.name.removeprefix("feature_set=")
            # Of a set that this release does not have nobody knows what its entities are.
            its = of_entity.get(entities[name]) if name in entities else is_rider | is_pair
            if its is not None and (ids := self._remove(folder, its)):
                erased[name] = sorted(ids)
        return erased

    def remove(self, about: FeatureSet, entity_ids: Collection[str]) -> None:
        """Removes all versions of some entities. After a crash it is done again. Raises OSError."""
        self._remove(self._folder(about), pl.col("entity_id").is_in(sorted(entity_ids)))

    def _remove(self, folder: Path, which: pl.Expr) -> set[str]:
        """Removes versions; gives the ids of their entities."""
        ids: set[str] = set()
        for file in self._files(folder):
            frame = pl.read_parquet(file, hive_partitioning=False)
            removed = frame.filter(which)
            if not len(removed):
                continue
            ids.update(removed["entity_id"].to_list())
            if len(removed) < len(frame):
                _write_whole(file.parent, _parquet(frame.filter(~which)))
            file.unlink()
        for partial in folder.rglob(_PARTIALS):
            # Of a writer that crashed, whoever is in it; one that goes on is done in moments.
            if time.time() - partial.stat().st_mtime > _STALE_S:
                partial.unlink()
        return ids

    def expire(self, before_ms: int) -> int:
        """Removes the days that end before a moment, also of earlier releases. Returns how many files there were.
        Raises OSError."""
        removed = 0
        for day in self.path.glob("feature_set=*/version=*/date=*"):
            if day.name.removeprefix("date=") >= _day_of(before_ms):
                continue
            for file in self._files(day):
                file.unlink()
                removed += 1
            for partial in day.rglob(_PARTIALS):
                partial.unlink()
            day.rmdir()
        return removed

    def _timeline(self, about: FeatureSet, rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        """Each version that ever counts, from when (`_since_ms`) it is the one to be read."""
        if not len(rows):
            first_ms = last_ms = 0
        else:
            first_ms, last_ms = rows["as_of_ms"].min(), rows["as_of_ms"].max()  # type: ignore[assignment]
        days = self._days(about, first_ms - about.ttl_ms, last_ms)
        known = self._read(about, days, last_ms, names)
        known = known.filter(pl.col("entity_id").is_in(rows["entity_id"].unique().implode()))
        # What was received after its event time may come when a newer version counts already.
        since = pl.max_horizontal("event_time_ms", "received_time_ms").alias("_since_ms")
        known = known.with_columns(since).sort("entity_id", "_since_ms", "event_time_ms", "received_time_ms")
        newest = pl.col("event_time_ms") >= pl.col("event_time_ms").cum_max().over("entity_id")
        known = known.filter(newest).unique(["entity_id", "_since_ms"], keep="last", maintain_order=True)
        return known.select("entity_id", "_since_ms", pl.col("event_time_ms").alias("_event_time_ms"), *names).sort(
            "_since_ms"
        )

    def _read(self, about: FeatureSet, days: Iterable[Path], by_ms: int, names: Sequence[str]) -> pl.DataFrame:
        """The versions of some days that were received by a moment, each once, sorted by entity and times."""
        files = [file for day in days for file in self._files(day)]
        schema = {"entity_id": pl.String, "event_time_ms": pl.Int64, "received_time_ms": pl.Int64}
        schema |= dict.fromkeys(about.names, pl.Float64)
        if not files:
            return pl.DataFrame(schema=schema).select(*_KEYS, *names)
        found = pl.scan_parquet(files, hive_partitioning=False)
        frame = found.filter(pl.col("received_time_ms") <= by_ms, pl.col("event_time_ms") <= by_ms).collect()
        if frame.select(_KEYS).is_duplicated().any():
            frame = _once(about, frame)
        return frame.sort(*_KEYS).select(*_KEYS, *names)

    def _days(self, about: FeatureSet, first_ms: int, last_ms: int) -> list[Path]:
        """The folders of the days of a span that are there."""
        first, last = (_day_of(at_ms) for at_ms in (first_ms, last_ms))
        found = sorted(self._folder(about).glob("date=*"))
        return [day for day in found if first <= day.name.removeprefix("date=") <= last]

    def _folder(self, about: FeatureSet) -> Path:
        return self.path / f"feature_set={about.name}" / f"version={about.version}"

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        return sorted(folder.rglob("part-*.parquet"))


def get(
    entity: str, features: Sequence[str], as_of: int | Sequence[int], *, ids: Sequence[str], store: OfflineStore | Path
) -> pl.DataFrame:
    """What was known of entities: a row for each of `ids`, as of one moment or of one each (ms since epoch); columns
    entity_id, as_of_ms and one per feature, null where nothing was known. See `OfflineStore.get`."""
    moments = [as_of] * len(ids) if isinstance(as_of, int) else list(as_of)
    rows = pl.DataFrame(
        {"entity_id": list(ids), "as_of_ms": moments}, schema={"entity_id": pl.String, "as_of_ms": pl.Int64}
    )
    return (OfflineStore(store) if isinstance(store, Path) else store).get(rows, entity, features)


def _once(about: FeatureSet, frame: pl.DataFrame) -> pl.DataFrame:
    """One version per entity and times; of several that differ the one with the greatest bytes, as online."""
    versions = FeatureVersions.of_frame(about, frame)
    bits = np.ascontiguousarray(versions.values).view(np.uint64)
    columns = [pl.Series(f"_bits_{place}", bits[:, place]) for place in range(bits.shape[1])]
    ordered = frame.with_columns(columns).sort(*_KEYS, *(column.name for column in columns))
    return ordered.unique(list(_KEYS), keep="last", maintain_order=True).drop(column.name for column in columns)


def _date(column: str) -> pl.Expr:
    return pl.from_epoch(pl.col(column), time_unit="ms").dt.strftime("%Y-%m-%d").alias("date")


def _day_of(at_ms: int) -> str:
    return str(np.datetime64(max(at_ms, 0) // _DAY_MS, "D"))


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, **_SETTINGS)
    return buffer.getvalue()


def _write_whole(folder: Path, content: bytes) -> bool:
    """A file that is whole or not there, named after its content; False where it was there already."""
    name = f"part-{hashlib.sha256(content).hexdigest()[:32]}.parquet"
    if (folder / name).exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.partial"
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, folder / name)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)  # a name is safe once its folder is
    finally:
        os.close(descriptor)
    return True
