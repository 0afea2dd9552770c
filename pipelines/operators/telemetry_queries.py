"""Telemetry conditions of triggers: which queries are evaluated, and the partial answer of each bucket of riders.
`telemetry_aggregation.py` aggregates the answers.

Readings and cells of a trigger with a telemetry condition come here first. The queries that follow from them are
broadcast to all buckets of riders; the readings are forwarded to `ConfirmDisruptions`, which holds them until the
watermark by which all answers have arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.operators.confirm_disruptions import ConfirmDisruptions, Forwarded
from monsoon.pipelines.operators.route_policies import PolicyBook
from monsoon.pipelines.operators.telemetry_aggregation import DAYS, answer_frame
from monsoon.pipelines.operators.telemetry_buffer import (
    PaneBuffer,
    PaneReducer,
    TelemetryBuffer,
    decoded,
    table_of,
    to_panes,
)
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import (
    Message,
    buckets_of,
    pack,
    pack_frame,
    split,
    unpack,
    unpack_frame,
)
from monsoon.sources.reference import ReferenceTables
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.activity import ShiftHistory
from monsoon.transforms.evidence.devices import local_day_number
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.product import OrderDrop, Product, SilentQuorum
from monsoon.transforms.telemetry_conditions.order_drop import order_tallies
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries
from monsoon.transforms.telemetry_conditions.silent_quorum import (
    RiderTrust,
    active_riders,
    insured_long_enough,
    quorum_tallies,
    trust_inputs,
)
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.incremental import TelemetryQueryTrigger

QueryRows = list[tuple[str | None, int, int]]
"""Queries as a message: platform, zone (cell), moment (ms)."""

_WEEK_MS = 7 * 24 * 3_600_000

_UNUSED_COLUMNS = (
    "bssids", "pressure_hpa", "cn0_dbhz", "agc_db", "gnss_time", "network_time", "ip_prefix", "speed_mps", "charging",
)  # fmt: skip
"""Columns that no telemetry condition uses; they are not stored here."""

_ORDER_COLUMNS = ("event_id", "worker_id", "device_id", "event_time", "received_time", "lat", "lon", "orders_completed")
"""Columns that are stored of reports that only serve as reference weeks of an order drop."""


class QueryTelemetry(ConfirmDisruptions):
    """One trigger with a telemetry condition: takes its readings and cells, sends queries for all moments at which the
    condition may decide."""

    uid: ClassVar = "ask-witness"
    label: ClassVar = "readings and zones by trigger that asks telemetry"
    to: ClassVar = ("witness-telemetry", "judge-triggers")

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state, config)
        product, trigger = config.triggers[self._trigger_name]
        self._query_trigger = self._trigger_state = TelemetryQueryTrigger(trigger, product.zone_resolution)
        self._pending: dict[str, Forwarded] = {}
        """By state entry: input to forward to `ConfirmDisruptions`."""

    def process(self, message: Message) -> None:
        if message.kind == "cells":
            super().process(message)
            self._defer_forwarding((unpack(message.payload, list[int]), []))
        else:
            timed_readings = self._with_effective_times(message.payload)
            self._take_readings(timed_readings)
            self._defer_forwarding(([], timed_readings))

    def _defer_forwarding(self, forwarded: Forwarded) -> None:
        name = self._new_entry("pending")
        self._pending[name] = forwarded
        self.state.put_packed(name, forwarded)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        queries: QueryRows = [
            (each.platform, zone, at_ms)
            for each in self._query_trigger.pending_queries(upto_ms)
            for zone in each.zones.tolist()
            for at_ms in each.moments_ms.tolist()
        ]
        if queries:
            payload = pack(queries)
            for bucket in range(self._config.buckets):
                yield Message("witness-telemetry", bucket, f"asked/{self.key}", upto_ms, payload)
        if queries or self._pending:
            cells = [cell for part, _ in self._pending.values() for cell in part]
            timed_readings = [each for _, part in self._pending.values() for each in part]
            yield Message("judge-triggers", self.key, "heard", upto_ms, pack((cells, timed_readings)))
        for name in self._pending:
            self.state.drop(name)
        self._pending.clear()
        self._join_cells()

    @property
    def next_work_ms(self) -> int | None:
        return self.done_ms if self._pending else super().next_work_ms

    def restore(self, entries: Mapping[str, bytes]) -> None:
        super().restore(entries)
        for name, payload in entries_of(entries, "pending"):
            self._pending[name] = unpack(payload, Forwarded)


class AnswerTelemetryQueries(KeyedOperator):
    """One bucket of riders: their partial answer (tallies) to each query.

    Reports are kept as rows as long as those for evidence, and for order drops four weeks longer, downsampled such that
    the result of no window of an hour changes; panes serve for riders' habits. A correction of an older moment is
    evaluated with the reports that are left.
    """

    uid: ClassVar = "witness-telemetry"
    label: ClassVar = "telemetry by rider, for triggers that ask it"
    to: ClassVar = ("witness-devices", "weigh-witness")

    def __init__(self, key: int, state: StateWriter, config: JobConfig, references: ReferenceTables) -> None:
        super().__init__(key, state)
        self._config, self._references = config, references
        self._reports = TelemetryBuffer(state, "rows", "event_time", self._new_entry)
        self._orders = TelemetryBuffer(state, "orders", "event_time", self._new_entry)
        self._panes = PaneBuffer(state, "panes", "pane_start_ms", self._new_entry)
        self._book = PolicyBook(state)
        self._pane_reducer = PaneReducer(state, self._reports, self._panes)
        self._device_days_sent_ms: int | None = None
        """Device days of panes that start before it were sent to `TrustSilentRiders`; None: none was."""
        self._queries: dict[str, tuple[int, QueryRows]] = {}
        """By state entry: the trigger's key, its queries."""
        conditions = [(product, trigger.telemetry_condition) for product, trigger in config.telemetry_triggers.values()]
        self._quorums = any(isinstance(telemetry_condition, SilentQuorum) for _, telemetry_condition in conditions)
        self._order_drops = [
            (product, telemetry_condition)
            for product, telemetry_condition in conditions
            if isinstance(telemetry_condition, OrderDrop)
        ]

    def process(self, message: Message) -> None:
        kind, _, trigger = message.kind.partition("/")
        if kind == "rows":
            rows = self._reports.not_buffered(unpack_frame(message.payload))
            if rows.height:
                self._reports.put(_without(rows, _UNUSED_COLUMNS))
        elif kind == "policies":
            self._book.add(unpack(message.payload, list[dict[str, Any]]))
            self._save_progress(self.done_ms)  # entries of policies have no serial number, but need the version too
        else:
            name = self._defer(message.kind, message)
            self._queries[name] = (int(trigger), unpack(message.payload, QueryRows))
            self.state.put(name, message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        by_trigger: dict[int, QueryRows] = {}
        for name in sorted(self._take_due(upto_ms)):
            trigger, queries = self._queries.pop(name)
            self.state.drop(name)
            by_trigger.setdefault(trigger, []).extend(queries)
        wait_ms = self._panes_due_ms
        if self._quorums and (by_trigger or (wait_ms is not None and wait_ms <= upto_ms)):
            self._pane_reducer.close(upto_ms)
        for trigger, queries in sorted(by_trigger.items()):
            product, terms = self._config.telemetry_triggers[trigger]
            zone_queries = ZoneQueries.of(product.zone_resolution, queries)
            all_versions = self._config.running[product.name]
            holders = PolicyHolders(Coverage(all_versions, self._book.of_product(product.name)).policies.values())
            if isinstance(terms.telemetry_condition, OrderDrop):
                yield from self._answer_order_drop(
                    trigger, product, terms.telemetry_condition, zone_queries, holders, upto_ms
                )
            elif isinstance(terms.telemetry_condition, SilentQuorum):
                yield from self._send_device_days(upto_ms)
                yield from self._answer_silent_quorum(
                    trigger, terms.telemetry_condition, zone_queries, holders, upto_ms
                )

    def _answer_order_drop(
        self,
        trigger: int,
        product: Product,
        terms: OrderDrop,
        zone_queries: ZoneQueries,
        holders: PolicyHolders,
        due_ms: int,
    ) -> Iterator[Message]:
        max_span_ms = max(terms.window_ms, terms.seen_ms)
        spans = [
            (
                int(zone_queries.at_ms.min()) - week * _WEEK_MS - max_span_ms,
                int(zone_queries.at_ms.max()) - week * _WEEK_MS,
            )
            for week in range(terms.weeks + 1)
        ]
        telemetry = _telemetry([*self._orders.frames, *self._reports.frames], spans)
        tallies = order_tallies(terms, telemetry, zone_queries, holders, product.presence_margin_m)
        yield from self._send_answers(trigger, zone_queries, tallies, due_ms)

    def _answer_silent_quorum(
        self, trigger: int, terms: SilentQuorum, zone_queries: ZoneQueries, holders: PolicyHolders, due_ms: int
    ) -> Iterator[Message]:
        span = (int(zone_queries.at_ms.min()) - terms.before_ms, int(zone_queries.at_ms.max()))
        telemetry = _telemetry(self._reports.frames, [span])
        riders = active_riders(terms, telemetry, zone_queries, holders)
        silent = riders.take(riders.on_platform & riders.silent)
        unknown = RiderTrust.unknown(len(silent.worker))  # TrustSilentRiders adds the part of trust
        yield from self._send_answers(
            trigger, zone_queries, quorum_tallies(terms, telemetry, zone_queries, riders, unknown), due_ms
        )
        if not len(silent.worker):
            return
        silent_workers = sorted({telemetry.workers[code] for code in silent.worker.tolist()})
        frame = self._panes.of_workers(silent_workers)
        known = telemetry.with_codes_for((), sorted({*frame["device_id"].drop_nulls()}))
        panes = to_panes(frame, known.workers, known.devices)
        habits = ShiftHistory.of(panes, PaneCells.of(panes, zone_queries.resolution), zone_queries.resolution)
        located = self._references.locate(telemetry)
        inputs, phone = trust_inputs(terms, telemetry, zone_queries, silent, located, habits, holders)
        rows = pl.DataFrame(
            {
                "platform": pl.Series([zone_queries.platform[q] for q in silent.query.tolist()], dtype=pl.String),
                "zone": zone_queries.zone[silent.query],
                "at_ms": zone_queries.at_ms[silent.query],
                "device_id": decoded(telemetry.devices, phone),
                "worker_id": decoded(telemetry.workers, silent.worker),
                "insured": insured_long_enough(terms, telemetry, zone_queries, silent, holders),
                **inputs,
            }
        )
        buckets = buckets_of(rows["device_id"].to_list(), self._config.buckets)
        for key, part in split(rows, buckets):
            yield Message("witness-devices", key, f"riders/{trigger}", due_ms, pack_frame(part))

    def _send_answers(
        self, trigger: int, zone_queries: ZoneQueries, tallies: npt.NDArray[np.int64], due_ms: int
    ) -> Iterator[Message]:
        """The bucket's tallies of the queries for which they are not zero."""
        answers = answer_frame(zone_queries, tallies)
        if answers.height:
            yield Message("weigh-witness", trigger, "answers", due_ms, pack_frame(answers))

    # Panes.

    @property
    def _panes_due_ms(self) -> int | None:
        """When open panes have to be closed (ms); None: there are none, or no trigger needs them."""
        return self._pane_reducer.due_ms if self._quorums else None

    def _send_device_days(self, due_ms: int) -> Iterator[Message]:
        """Which rider used which device on which day, of closed panes that were not sent yet, by device."""
        frame = self._panes.frame(None if self._device_days_sent_ms is None else self._device_days_sent_ms - 1)
        if not frame.height:
            return
        self._device_days_sent_ms = self._pane_reducer.closed_ms
        self.state.put_packed("told", self._device_days_sent_ms)
        day = local_day_number(frame["pane_start_ms"].to_numpy())
        days = (
            frame.with_columns(day=day)
            .drop_nulls("device_id")
            .group_by("device_id", "worker_id", "day")
            .agg(pl.col("pane_start_ms", "known_from_ms").min())
            .sort("device_id", "worker_id", "day")
            .select(*DAYS)
        )
        for key, part in split(days, buckets_of(days["device_id"].to_list(), self._config.buckets)):
            yield Message("witness-devices", key, "days", due_ms, pack_frame(part))

    # State.

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._reports or self._orders or self._panes or self._book)

    def expire(self, upto_ms: int) -> None:
        before_ms = upto_ms - self._config.reports_kept_ms
        for part in [part for part in self._reports.parts if part.last_ms < before_ms]:
            self._reports.drop(part)
            thinned = _downsampled(part.frame, [product.zone_resolution for product, _ in self._order_drops])
            if thinned.height:
                self._orders.put(thinned)
        self._reports.compact(upto_ms)
        weeks = max((terms.weeks for _, terms in self._order_drops), default=0)
        self._orders.expire(before_ms - weeks * _WEEK_MS)
        self._orders.compact(upto_ms)
        self._panes.expire(before_ms - self._config.history_kept_ms)
        self._panes.compact(upto_ms)
        self._book.expire(upto_ms - self._config.policies_kept_ms)

    @property
    def next_work_ms(self) -> int | None:
        return min((ms for ms in (self._panes_due_ms, self._next_deferred_ms) if ms is not None), default=None)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._reports.restore(entries)
        self._orders.restore(entries)
        self._panes.restore(entries)
        self._book.restore(entries)
        self._pane_reducer.restore(entries)
        if "told" in entries:
            self._device_days_sent_ms = unpack(entries["told"], int)
        for name, payload in entries_of(entries, "asked"):
            self._restore_deferred(name)
            self._queries[name] = (int(name.split("/")[1]), unpack(payload, QueryRows))


def _telemetry(frames: Sequence[pl.DataFrame], spans: Sequence[tuple[int, int]]) -> TelemetryTable:
    """The reports of some time spans (start, end] (ms)."""
    time = pl.col("event_time")
    wanted = pl.any_horizontal([(time > start_ms) & (time <= end_ms) for start_ms, end_ms in spans])
    return table_of([part for frame in frames if (part := frame.filter(wanted)).height])


def _without(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The rows with these columns null."""
    return rows.with_columns(pl.lit(None, dtype=rows.schema[name]).alias(name) for name in columns)


def _downsampled(rows: pl.DataFrame, resolutions: Sequence[int]) -> pl.DataFrame:
    """Old reports, downsampled to those that determine the orders in any window of more than a minute: all with orders,
    and of those without orders the first and the last of each minute and zone, by the minute of their receipt."""
    if not resolutions:
        return rows.clear()
    rows = _without(rows, [name for name in rows.columns if name not in _ORDER_COLUMNS])
    lat, lon = rows["lat"].to_numpy(), rows["lon"].to_numpy()
    zones = {f"zone{each}": cells_of(lat, lon, each) for each in sorted(set(resolutions))}
    minutes = {"minute": pl.col("event_time") // 60_000, "received": pl.col("received_time") // 60_000}
    without_orders = rows.with_columns(**minutes, **zones).filter(pl.col("orders_completed") == 0)
    order = ("event_time", "event_id", pl.col("worker_id").cast(pl.String))
    by_minute = without_orders.sort(*order).group_by(*minutes, *zones, maintain_order=True)
    ends = [by_minute.first(), by_minute.last()]
    kept = pl.concat([each.select(rows.columns) for each in ends]).unique(("worker_id", "event_id")).sort(*order)
    return pl.concat([rows.filter(pl.col("orders_completed") > 0), kept])
