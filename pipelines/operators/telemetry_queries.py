"""Telemetry conditions of triggers: which queries are evaluated, and the partial answer of each bucket of riders.
`telemetry_aggregation.py` aggregates the answers.

Readings and cells of a trigger with a telemetry condition come here first. The queries that follow from them are
broadcast to all buckets of riders; the readings are forwarded to `ConfirmDisruptions`, which holds them until the
watermark by which all answers have arrived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from monsoon.pipelines.operators.confirm_disruptions import ConfirmDisruptions, Forwarded
from monsoon.pipelines.operators.pane_buffer import PaneBuffer, PaneReducer, decoded, to_panes
from monsoon.pipelines.operators.report_intake import INTAKE_KINDS, ReportIntake
from monsoon.pipelines.operators.report_store import ReportStore
from monsoon.pipelines.operators.route_policies import PolicyBook
from monsoon.pipelines.operators.telemetry_aggregation import DAYS, answer_messages
from monsoon.pipelines.operators.zone_announcements import AnnouncedCells
from monsoon.pipelines.runtime.job_config import JobConfig, RegionTrigger
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import Message, buckets_of, messages_by_bucket, pack, unpack
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS
from monsoon.sources.reference import ReferenceTables
from monsoon.sources.report_batch import NO_TIME, NULLS, ReportBatch, concatenated, to_table
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.activity import ShiftHistory
from monsoon.transforms.evidence.arrival import builds_history
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
from monsoon.transforms.triggers.incremental import TelemetryQueryTrigger

QueryRows = list[tuple[str | None, int, int]]
"""Queries as a message: platform, zone (cell), moment (ms)."""

_WEEK_MS = 7 * 24 * 3_600_000

_UNUSED_COLUMNS = (
    "bssids", "pressure_hpa", "cn0_dbhz", "agc_db", "gnss_time", "network_time", "ip_prefix", "speed_mps", "charging",
)  # fmt: skip
"""Columns that no telemetry condition uses; they are not stored here."""

_NOT_FOR_ORDERS = tuple(
    name for name in NULLS if name not in ("worker_id", "device_id", "received_time", "lat", "lon", "orders_completed")
)
"""Columns that are not stored of reports that only serve as reference weeks of an order drop."""


class QueryTelemetry(ConfirmDisruptions):
    """Triggers with a telemetry condition, in some regions: takes their readings and cells, sends queries for all
    moments at which a condition may decide."""

    uid: ClassVar = "ask-witness"
    label: ClassVar = "readings and zones by trigger that asks telemetry, and region"
    to: ClassVar = ("witness-telemetry", "judge-triggers")

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state, config)
        self._query_triggers: dict[RegionTrigger, TelemetryQueryTrigger] = {}

    def _new_trigger(self, of: RegionTrigger) -> TelemetryQueryTrigger:
        version, trigger = self._terms_of(of.trigger)
        self._query_triggers[of] = TelemetryQueryTrigger(trigger, version.zone_resolution)
        return self._query_triggers[of]

    def process(self, message: Message) -> None:
        if message.kind == "cells":
            super().process(message)
            for trigger, cells in _by_trigger(unpack(message.payload, AnnouncedCells)).items():
                self._defer_forwarding(trigger, (cells, []))
        else:
            timed_readings = self._with_effective_times(message.payload)
            self._take_readings("readings", timed_readings)
            for trigger in sorted({of.trigger for of in self._triggers}):
                mine = [each for each in timed_readings if self._concerns(trigger, each[1])]
                if mine:
                    self._defer_forwarding(trigger, ([], mine))

    def _concerns(self, trigger: int, record: Mapping[str, Any]) -> bool:
        """Whether `ConfirmDisruptions` may need a reading: of a correction it decides itself."""
        return bool(record["revision"]) or any(
            each.trigger == trigger and self._config.key_of(each) == self.key
            for each in self._config.region_triggers(record)
        )

    def _defer_forwarding(self, trigger: int, forwarded: Forwarded) -> None:
        """Forwards input to `ConfirmDisruptions` at the next watermark."""
        self._defer_untimed(f"pending/{trigger}", pack(forwarded), (trigger, forwarded))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        queries: dict[int, QueryRows] = defaultdict(list)
        for of in self._take_active(upto_ms):
            queries[of.trigger] += [
                (each.platform, zone, at_ms)
                for each in self._query_triggers[of].pending_queries(upto_ms)
                for zone in each.zones.tolist()
                for at_ms in each.moments_ms.tolist()
            ]
        pending: dict[int, list[Forwarded]] = defaultdict(list)
        for trigger, forwarded in self._drop_due(upto_ms):
            pending[trigger].append(forwarded)
        for trigger in sorted({*pending, *(trigger for trigger, rows in queries.items() if rows)}):
            if queries[trigger]:
                payload = pack(queries[trigger])
                for bucket in range(self._config.buckets):
                    yield Message("witness-telemetry", bucket, f"asked/{trigger}", upto_ms, payload)
            cells = [cell for part, _ in pending[trigger] for cell in part]
            timed_readings = [each for _, part in pending[trigger] for each in part]
            yield Message("judge-triggers", self.key, f"heard/{trigger}", upto_ms, pack((cells, timed_readings)))
        self._finish()

    def restore(self, entries: Mapping[str, bytes]) -> None:
        super().restore(entries)
        for name, payload in entries_of(entries, "pending"):
            self._restore_untimed(name, (self._trigger_in(name), unpack(payload, Forwarded)))


def _by_trigger(announced: AnnouncedCells) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for triggers, cells in announced:
        for trigger in triggers:
            found[trigger] += cells
    return found


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
        self._reports = ReportStore(state, "rows", self._new_entry, _UNUSED_COLUMNS)
        self._orders = ReportStore(state, "orders", self._new_entry, span_ms=DAY_MS)
        self._intake = ReportIntake(state, self._reports, self._new_entry)
        self._panes = PaneBuffer(state, "panes", "pane_start_ms", self._new_entry)
        self._book = PolicyBook(state)
        self._pane_reducer = PaneReducer(state, self._reports, self._panes)
        self._device_days_sent_ms: int | None = None
        """Device days of panes that start before it were sent to `TrustSilentRiders`; None: none was."""
        conditions = [(product, trigger.telemetry_condition) for product, trigger in config.telemetry_triggers.values()]
        self._quorums = any(isinstance(telemetry_condition, SilentQuorum) for _, telemetry_condition in conditions)
        self._order_drops = [
            (product, telemetry_condition)
            for product, telemetry_condition in conditions
            if isinstance(telemetry_condition, OrderDrop)
        ]

    def process(self, message: Message) -> None:
        kind, _, trigger = message.kind.partition("/")
        if kind in INTAKE_KINDS:
            self._intake.take(message, self.done_ms)
        elif kind == "policies":
            self._book.add(unpack(message.payload, list[dict[str, Any]]))
            self._save_progress(self.done_ms)  # entries of policies have no serial number, but need the version too
        else:
            self._defer(message.kind, message, (int(trigger), unpack(message.payload, QueryRows)))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        # `RiderEvidence` accounts for the same reports.
        self._intake.release(upto_ms, self.done_ms, self.watermark_ms, self.erased)
        by_trigger: dict[int, QueryRows] = {}
        for trigger, queries in self._drop_due(upto_ms):
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
        telemetry = to_table(concatenated([*self._orders.between(spans), *self._reports.between(spans)]))
        tallies = order_tallies(terms, telemetry, zone_queries, holders, product.presence_margin_m)
        yield from answer_messages(self._config, trigger, zone_queries, tallies, due_ms)

    def _answer_silent_quorum(
        self, trigger: int, terms: SilentQuorum, zone_queries: ZoneQueries, holders: PolicyHolders, due_ms: int
    ) -> Iterator[Message]:
        span = (int(zone_queries.at_ms.min()) - terms.before_ms, int(zone_queries.at_ms.max()))
        telemetry = to_table(concatenated(self._reports.between([span])))
        riders = active_riders(terms, telemetry, zone_queries, holders)
        silent = riders.take(riders.on_platform & riders.silent)
        unknown = RiderTrust.unknown(len(silent.worker))  # TrustSilentRiders adds the part of trust
        tallies = quorum_tallies(terms, telemetry, zone_queries, riders, unknown)
        yield from answer_messages(self._config, trigger, zone_queries, tallies, due_ms)
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
        yield from messages_by_bucket("witness-devices", f"riders/{trigger}", due_ms, rows, buckets)

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
        buckets = buckets_of(days["device_id"].to_list(), self._config.buckets)
        yield from messages_by_bucket("witness-devices", "days", due_ms, days, buckets)

    # State.

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._intake or self._reports or self._orders or self._panes or self._book)

    def expire(self, upto_ms: int) -> None:
        before_ms = upto_ms - self._config.reports_kept_ms
        resolutions = sorted({product.zone_resolution for product, _ in self._order_drops})
        for batch in self._reports.take_before(before_ms):
            if resolutions and len(downsampled := _downsampled(batch, resolutions)):
                self._orders.put(downsampled)
        self._intake.expire(upto_ms - self._config.ids_remembered_ms, upto_ms)
        weeks = max((terms.weeks for _, terms in self._order_drops), default=0)
        self._orders.expire(before_ms - weeks * _WEEK_MS)
        self._orders.compact(upto_ms)
        self._panes.expire(before_ms - self._config.history_kept_ms)
        self._panes.compact(upto_ms)
        self._book.expire(upto_ms - self._config.policies_kept_ms)

    @property
    def next_work_ms(self) -> int | None:
        dues = (self._intake.next_ms(self.done_ms), self._panes_due_ms, self._next_deferred_ms)
        return min((ms for ms in dues if ms is not None), default=None)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._reports.restore(entries)
        self._intake.restore(entries, self.done_ms)
        self._orders.restore(entries)
        self._panes.restore(entries)
        self._book.restore(entries)
        self._pane_reducer.restore(entries)
        if "told" in entries:
            self._device_days_sent_ms = unpack(entries["told"], int)
        for name, payload in entries_of(entries, "asked"):
            self._restore_deferred(name, (int(name.split("/")[1]), unpack(payload, QueryRows)))


def _downsampled(batch: ReportBatch, resolutions: Sequence[int]) -> ReportBatch:
    """Old reports, downsampled to those that determine the orders in any window of more than a minute: all with orders,
    and of those without orders the first and the last of each minute and zone, by the minute of their receipt."""
    batch = batch.without(_NOT_FOR_ORDERS)
    orders, minutes = batch["orders_completed"], batch["event_time"] // 60_000
    received_ms = np.where(batch["received_time"] == NO_TIME, -1, batch["received_time"])
    in_time = builds_history(batch["event_time"], received_ms)
    zones = [cells_of(batch["lat"], batch["lon"], resolution) for resolution in resolutions]
    groups = np.column_stack([minutes, received_ms // 60_000, in_time, *(zone.view(np.int64) for zone in zones)])
    worker = np.unique(np.array(batch.words["worker_id"], dtype=np.str_), return_inverse=True)[1].ravel()
    order = np.lexsort(
        (worker[batch["worker_id"]], batch["event_id_bytes"], batch["event_id"], batch["event_time"], *groups.T)
    )
    order = order[orders[order] == 0]
    changes = np.any(groups[order][1:] != groups[order][:-1], axis=1)
    ends = order[np.append(True, changes) | np.append(changes, True)] if len(order) else order
    return batch.take(np.union1d(np.flatnonzero(orders > 0), ends))
