"""Versions of features: what was known of entities, from when, and of which moment.

A version has two times: `event_time_ms`, the moment that its values describe, and `received_time_ms`, from when they
were known. At a moment t those count that were known by then; of these the newest event time, and of one event time
what was received last. Neither store depends on the order in which versions are written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.feature_store.definitions import FeatureError, FeatureSet, feature_set

_TIMES = 2
"""Doubles before the values in a packed version: its event time and when it was received, ms."""
TIMES_BYTES = 8 * _TIMES


@dataclass(frozen=True, eq=False)
class FeatureVersions:
    """Versions of one feature set, in any order.

    `values` is float64 (versions, features of the set), NaN = not measured. Raises FeatureError for columns of
    different lengths, for a version received before its event time, and for a value that is infinite.
    """

    feature_set: FeatureSet
    entity_id: Sequence[str]
    event_time_ms: npt.NDArray[np.int64]
    received_time_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        count, features = len(self.entity_id), len(self.feature_set.features)
        if self.event_time_ms.shape != (count,) or self.received_time_ms.shape != (count,):
            raise FeatureError(f"{self.feature_set.name}: not one event and received time per version")
        if self.values.shape != (count, features):
            raise FeatureError(f"{self.feature_set.name}: {self.values.shape} values, not {(count, features)}")
        if np.any(self.received_time_ms < self.event_time_ms):
            raise FeatureError(f"{self.feature_set.name}: a version was known before its event time")
        if np.any(np.isinf(self.values)):
            raise FeatureError(f"{self.feature_set.name}: an infinite value")

    def __len__(self) -> int:
        return len(self.entity_id)

    @staticmethod
    def of(
        feature_set: FeatureSet,
        entity_id: Sequence[str],
        event_time_ms: npt.ArrayLike,
        received_time_ms: npt.ArrayLike,
        columns: Mapping[str, npt.ArrayLike],
    ) -> FeatureVersions:
        """From a column for each feature of the set. Raises FeatureError, KeyError where a feature has no column."""
        stacked = [np.asarray(columns[name], dtype=np.float64) for name in feature_set.names]
        values = np.stack(stacked, axis=1)
        # One form of null and of zero, so that equal versions have equal bytes.
        values = np.where(np.isnan(values), np.nan, values + 0.0)
        event_ms = np.asarray(event_time_ms, dtype=np.int64)
        received_ms = np.asarray(received_time_ms, dtype=np.int64)
        return FeatureVersions(feature_set, entity_id, event_ms, received_ms, values)

    def take(self, rows: npt.NDArray[Any]) -> FeatureVersions:
        """Some of the versions: a mask or places."""
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        ids = [self.entity_id[place] for place in places.tolist()]
        return FeatureVersions(
            self.feature_set, ids, self.event_time_ms[places], self.received_time_ms[places], self.values[places]
        )

    @staticmethod
    def joined(parts: Sequence[FeatureVersions]) -> FeatureVersions:
        """The versions of some parts, at least one, of one set."""
        ids = [entity_id for part in parts for entity_id in part.entity_id]
        event_ms = np.concatenate([part.event_time_ms for part in parts])
        received_ms = np.concatenate([part.received_time_ms for part in parts])
        values = np.concatenate([part.values for part in parts])
        return FeatureVersions(parts[0].feature_set, ids, event_ms, received_ms, values)

    def packed(self) -> list[bytes]:
        """Each version as the online store has it: its two times and its values, big-endian doubles."""
        count, width = len(self), _TIMES + self.values.shape[1]
        rows = np.empty((count, width), dtype=">f8")
        rows[:, 0], rows[:, 1], rows[:, _TIMES:] = self.event_time_ms, self.received_time_ms, self.values
        raw, size = rows.tobytes(), 8 * width
        return [raw[start : start + size] for start in range(0, count * size, size)]

    @staticmethod
    def unpacked(feature_set: FeatureSet, packed: Mapping[str, bytes]) -> FeatureVersions:
        """The inverse of `packed`, by entity. Raises FeatureError for bytes of another form."""
        width = _TIMES + len(feature_set.features)
        if odd := [entity_id for entity_id, raw in packed.items() if len(raw) != 8 * width]:
            raise FeatureError(f"{feature_set.name} of {odd[0]}: {len(packed[odd[0]])} bytes, not {8 * width}")
        rows = np.frombuffer(b"".join(packed.values()), dtype=">f8").reshape(-1, width).astype(np.float64)
        times = rows[:, :_TIMES].astype(np.int64)
        return FeatureVersions(feature_set, list(packed), times[:, 0], times[:, 1], rows[:, _TIMES:])

    def frame(self) -> pl.DataFrame:
        """A row per version: entity_id, event_time_ms, received_time_ms, and a column per feature; null for NaN."""
        columns = {
            "entity_id": pl.Series(self.entity_id, dtype=pl.String),
            "event_time_ms": pl.Series(self.event_time_ms),
            "received_time_ms": pl.Series(self.received_time_ms),
        }
        for place, name in enumerate(self.feature_set.names):
            columns[name] = pl.Series(self.values[:, place], nan_to_null=True)
        return pl.DataFrame(columns)

    @staticmethod
    def of_frame(feature_set: FeatureSet, frame: pl.DataFrame) -> FeatureVersions:
        """The inverse of `frame`."""
        columns = {name: frame[name].fill_null(float("nan")).to_numpy() for name in feature_set.names}
        event_ms, received_ms = frame["event_time_ms"].to_numpy(), frame["received_time_ms"].to_numpy()
        return FeatureVersions.of(feature_set, frame["entity_id"].to_list(), event_ms, received_ms, columns)

    def records(self) -> Iterator[dict[str, Any]]:
        """As records of the stream `features` (contracts/feature.schema.json), in their order."""
        about, names = self.feature_set, self.feature_set.names
        columns = (self.entity_id, self.event_time_ms.tolist(), self.received_time_ms.tolist(), self.values.tolist())
        for entity_id, event_ms, received_ms, row in zip(*columns, strict=True):
            yield {
                "entity": about.entity,
                "entity_id": entity_id,
                "feature_set": about.name,
                "version": about.version,
                "event_time": event_ms,
                "received_time": received_ms,
                "values": {name: None if value != value else value for name, value in zip(names, row, strict=True)},
            }

    @staticmethod
    def of_records(records: Sequence[Mapping[str, Any]]) -> list[FeatureVersions]:
        """Records of the stream `features`, set by set, in the order of first appearance. Raises FeatureError for a
        set or a version that this code does not have, or a record without one of its values."""
        by_set: dict[FeatureSet, list[Mapping[str, Any]]] = {}
        for record in records:
            by_set.setdefault(feature_set(record["feature_set"], record["version"]), []).append(record)
        return [_of_records(about, members) for about, members in by_set.items()]


def _of_records(about: FeatureSet, records: Sequence[Mapping[str, Any]]) -> FeatureVersions:
    for record in records:
        if missing := set(about.names) - record["values"].keys():
            raise FeatureError(f"{about.name} of {record['entity_id']}: no value of {sorted(missing)[0]}")
    columns = {
        name: [float("nan") if record["values"][name] is None else record["values"][name] for record in records]
        for name in about.names
    }
    ids, event_ms, received_ms = (
        [record[name] for record in records] for name in ("entity_id", "event_time", "received_time")
    )
    return FeatureVersions.of(about, ids, event_ms, received_ms, columns)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one entity; `values` by feature, None = not measured."""

    event_time_ms: int
    received_time_ms: int
    values: Mapping[str, float | None]

    @staticmethod
    def unpacked(about: FeatureSet, raw: bytes) -> Version:
        """The inverse of `FeatureVersions.packed`. Raises FeatureError for bytes of another form."""
        width = _TIMES + len(about.features)
        if len(raw) != 8 * width:
            raise FeatureError(f"{about.name}@{about.version}: {len(raw)} bytes where a version has {8 * width}")
        event_ms, received_ms, *row = struct.unpack(f">{width}d", raw)
        values = {name: None if value != value else value for name, value in zip(about.names, row, strict=True)}
        return Version(int(event_ms), int(received_ms), values)
