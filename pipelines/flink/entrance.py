"""Into the graph: parts of files to validated rows, duplicates out; policies to their riders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from monsoon.pipelines.flink.envelopes import (
    RESULTS,
    Envelope,
    Item,
    bucket_of,
    buckets_of,
    frames,
    pack,
    pack_frame,
    result,
    split,
    unpack_all,
)
from monsoon.pipelines.flink.settings import Settings
from monsoon.sources.accounting import StreamCounts
from monsoon.sources.files import Block, FilePart, InputError, LongLine, read_blocks
from monsoon.sources.line_blocks import LineValidator, Validated
from monsoon.sources.parquet_rows import read_batches
from monsoon.sources.record_store import RecordStore, record_id
from monsoon.sources.streams import judged, validated
from monsoon.sources.telemetry_store import TelemetryStore
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.validation.judge import Dead, Judge, Used

STREAMS = ("telemetry", "oracle_readings", "subscriptions")


class Validate:
    """Parts of files of any stream to validated rows, dead letters and counts."""

    to = ("deduplicate-telemetry", "deduplicate-records", RESULTS)

    def __init__(self, settings: Settings) -> None:
        self._buckets = settings.buckets
        self._judges = {stream: Judge(stream, settings.catalogue) for stream in STREAMS}
        self._validator = LineValidator(self._judges["telemetry"])

    def __call__(self, stream: str, part: FilePart) -> Iterator[Envelope]:
        """All that the part holds. A file that cannot be read is a result, told where the job was started."""
        try:
            for piece in _pieces(part):
                if stream == "telemetry":
                    yield from self._telemetry(piece)
                else:
                    yield from self._records(stream, piece)
        except InputError as error:
            yield result("fault", (error.what, error.where, error.mend))

    def _telemetry(self, piece: Any) -> Iterator[Envelope]:
        found = validated(self._judges["telemetry"], self._validator, piece)
        for frame in found.frames:
            for key, rows in split(frame, buckets_of(frame["event_id"].to_list(), self._buckets)):
                yield Envelope("deduplicate-telemetry", key, "rows", pack_frame(rows))
        by_key: dict[int, list[Used]] = defaultdict(list)
        for used in found.nulled:
            by_key[bucket_of(used.record["event_id"], self._buckets)].append(used)
        for key, members in by_key.items():
            yield Envelope("deduplicate-telemetry", key, "nulled", pack(members))
        yield from account("telemetry", StreamCounts(read=found.read), found.dead)

    def _records(self, stream: str, piece: Any) -> Iterator[Envelope]:
        by_key: dict[int, list[Used]] = defaultdict(list)
        dead: list[Dead] = []
        for verdict in judged(self._judges[stream], piece):
            if isinstance(verdict, Dead):
                dead.append(verdict)
            else:
                by_key[bucket_of(repr(record_id(verdict.record)), self._buckets)].append(verdict)
        for key, members in by_key.items():
            yield Envelope("deduplicate-records", key, stream, pack(members))
        yield from account(stream, StreamCounts(read=len(dead)), dead)


def _pieces(part: FilePart) -> Iterator[Block | LongLine | Any]:
    path = Path(part.path)
    return read_batches(path) if path.name.endswith(".parquet") else read_blocks(path, part=part)


def account(stream: str, counts: StreamCounts, dead: Sequence[Dead]) -> Iterator[Envelope]:
    """What became of some lines of a stream, for the results."""
    yield result("counts", (stream, counts.as_dict()))
    if dead:
        yield result("dead", (stream, dead))


class DeduplicateTelemetry:
    """Rows by event_id: of each id one stays, and goes to its rider; the cells it was seen in go to the triggers."""

    to = ("riders-evidence", "judge-triggers", RESULTS)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, key: int, items: Sequence[Item]) -> Iterator[Envelope]:
        store = TelemetryStore(StreamCounts())
        nulled = unpack_all(items, "nulled", list[Used])
        store.add(Validated(frames=frames(items, "rows"), nulled=nulled))
        frame, keep = store.settle()
        rows = frame if keep.all() else frame.filter(keep)
        lat, lon = rows["lat"].to_numpy(), rows["lon"].to_numpy()
        for resolution in self._settings.resolutions:
            yield from to_triggers(self._settings, resolution, np.unique(cells_of(lat, lon, resolution)).tolist())
        workers = rows["worker_id"].cast(pl.String).to_list()
        for bucket, part in split(rows, buckets_of(workers, self._settings.buckets)):
            yield Envelope("riders-evidence", bucket, "rows", pack_frame(part))
        yield from account("telemetry", store.counts, store.dead)


def to_triggers(settings: Settings, resolution: int, cells: Iterable[int]) -> Iterator[Envelope]:
    """Cells in which a product's disruptions may matter to somebody, for its triggers."""
    payload = pack(list(cells))
    for place, (product, _) in enumerate(settings.triggers):
        if product.zone_resolution == resolution:
            yield Envelope("judge-triggers", place, "cells", payload)


class DeduplicateRecords:
    """Readings and subscription events by id: of each id one stays; readings go to every trigger, events to their
    policy."""

    to = ("judge-triggers", "route-policies", RESULTS)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, key: int, items: Sequence[Item]) -> Iterator[Envelope]:
        for stream in STREAMS[1:]:
            store = RecordStore(StreamCounts())
            for verdict in unpack_all(items, stream, list[Used]):
                store.add(verdict)
            records = store.finish()
            if stream == "oracle_readings" and records:
                payload = pack(records)
                for place in range(len(self._settings.triggers)):
                    yield Envelope("judge-triggers", place, "readings", payload)
            if stream == "subscriptions":
                yield from self._to_policies(records)
            yield from account(stream, store.counts, store.dead)

    def _to_policies(self, records: Sequence[dict[str, Any]]) -> Iterator[Envelope]:
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            if record["product"] in self._settings.running:
                by_key[bucket_of(record["policy_id"], self._settings.buckets)].append(record)
        for bucket, members in by_key.items():
            yield Envelope("route-policies", bucket, "events", pack(members))


class RoutePolicies:
    """Whole policies to every rider who ever held them; the cells of their homes to the triggers."""

    to = ("riders-evidence", "judge-triggers")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, key: int, items: Sequence[Item]) -> Iterator[Envelope]:
        buckets = self._settings.buckets
        # A policy is told from another of its id by its product.
        policies: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for event in unpack_all(items, "events", list[dict[str, Any]]):
            policies[event["product"], event["policy_id"]].append(event)
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for events in policies.values():
            for bucket in {bucket_of(event["worker_id"], buckets) for event in events}:
                by_key[bucket].extend(events)
        for bucket, events in by_key.items():
            yield Envelope("riders-evidence", bucket, "policies", pack(events))
        for resolution in self._settings.resolutions:
            homes = [
                (event["home_lat"], event["home_lon"])
                for (product, _), events in policies.items()
                if self._settings.running[product].zone_resolution == resolution
                for event in events
            ]
            places = np.array(homes, dtype=np.float64).reshape(-1, 2)
            cells = np.unique(cells_of(places[:, 0].copy(), places[:, 1].copy(), resolution))
            yield from to_triggers(self._settings, resolution, cells.tolist())
