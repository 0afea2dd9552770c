"""What telemetry is asked, and what each bucket of riders answers; how the answers come together is in `weighing.py`.

A trigger with a witness hears its readings and cells here first. What matters under them is asked of every bucket of
riders; the readings go on to be judged, and wait there until the watermark that brings every answer.
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
    to_panes,
    words_of,
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
from monsoon.sources.telemetry_store import in_order, joined
from monsoon.sources.telemetry_table import to_telemetry_table
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

Asked = list[tuple[str | None, int, int]]
"""Questions on their way: platform, zone (cell), moment (ms)."""

_WEEK_MS = 7 * 24 * 3_600_000

_UNUSED = (
    "bssids", "pressure_hpa", "cn0_dbhz", "agc_db", "gnss_time", "network_time", "ip_prefix", "speed_mps", "charging",
)  # fmt: skip
"""What no witness looks at, and is not kept here."""

_OF_ORDERS = ("event_id", "worker_id", "device_id", "event_time", "received_time", "lat", "lon", "orders_completed")
"""What is kept of reports that only the weeks before are asked about."""


class QueryTelemetry(ConfirmDisruptions):
    """All readings and all cells of one trigger that asks telemetry: finds the moments that matter."""

    uid: ClassVar = "ask-witness"
    label: ClassVar = "readings and zones by trigger that asks telemetry"
    to: ClassVar = ("witness-telemetry", "judge-triggers")

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state, config)
        product, trigger = config.triggers[self._trigger]
        self._asking = self._running = TelemetryQueryTrigger(trigger, product.zone_resolution)
        self._pending: dict[str, Forwarded] = {}
        """By entry, what is to go on."""

    def process(self, message: Message) -> None:
        if message.kind == "cells":
            super().process(message)
            self._hold((unpack(message.payload, list[int]), []))
        else:
            heard = self._timed(message.payload)
            self._note(heard)
            self._hold(([], heard))

    def _hold(self, forwarded: Forwarded) -> None:
        name = self._name("pending")
        self._pending[name] = forwarded
        self.state.put_packed(name, forwarded)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        asked: Asked = [
            (each.platform, zone, at_ms)
            for each in self._asking.pending_queries(upto_ms)
            for zone in each.zones.tolist()
            for at_ms in each.moments_ms.tolist()
        ]
        if asked:
            payload = pack(asked)
            for bucket in range(self._config.buckets):
                yield Message("witness-telemetry", bucket, f"asked/{self.key}", upto_ms, payload)
        if asked or self._pending:
            cells = [cell for some, _ in self._pending.values() for cell in some]
            heard = [each for _, some in self._pending.values() for each in some]
            yield Message("judge-triggers", self.key, "heard", upto_ms, pack((cells, heard)))
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
    """One bucket of riders: what their telemetry adds to each question.

    Reports are kept as rows as long as evidence is, and for order drops four weeks longer, thinned to what no window
    of an hour can tell from all of them; panes for habits. A correction of a past beyond that is judged by what is
    left.
    """

    uid: ClassVar = "witness-telemetry"
    label: ClassVar = "telemetry by rider, for triggers that ask it"
    to: ClassVar = ("witness-devices", "weigh-witness")

    def __init__(self, key: int, state: StateWriter, config: JobConfig, references: ReferenceTables) -> None:
        super().__init__(key, state)
        self._config, self._references = config, references
        self._reports = TelemetryBuffer(state, "rows", "event_time", self._name)
        self._orders = TelemetryBuffer(state, "orders", "event_time", self._name)
        self._panes = PaneBuffer(state, "panes", "pane_start_ms", self._name)
        self._book = PolicyBook(state)
        self._pane_reducer = PaneReducer(state, self._reports, self._panes)
        self._told_ms: int | None = None
        """Panes that start before it were told to the devices."""
        self._asked: dict[str, tuple[int, Asked]] = {}
        """By entry: the trigger's key, its questions."""
        witnesses = [(product, trigger.telemetry_condition) for product, trigger in config.telemetry_values.values()]
        self._quorums = any(isinstance(telemetry_condition, SilentQuorum) for _, telemetry_condition in witnesses)
        self._drops = [
            (product, telemetry_condition)
            for product, telemetry_condition in witnesses
            if isinstance(telemetry_condition, OrderDrop)
        ]

    def process(self, message: Message) -> None:
        kind, _, trigger = message.kind.partition("/")
        if kind == "rows":
            rows = self._reports.unheard(unpack_frame(message.payload))
            if rows.height:
                self._reports.put(_without(rows, _UNUSED))
        elif kind == "policies":
            self._book.add(unpack(message.payload, list[dict[str, Any]]))
            self._done(self.done_ms)  # policies have entries of their own names: a version beside them
        else:
            name = self._defer(message.kind, message)
            self._asked[name] = (int(trigger), unpack(message.payload, Asked))
            self.state.put(name, message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        by_trigger: dict[int, Asked] = {}
        for name in sorted(self._take_due(upto_ms)):
            trigger, asked = self._asked.pop(name)
            self.state.drop(name)
            by_trigger.setdefault(trigger, []).extend(asked)
        wait_ms = self._panes_due_ms
        if self._quorums and (by_trigger or (wait_ms is not None and wait_ms <= upto_ms)):
            self._pane_reducer.close(upto_ms)
        for trigger, asked in sorted(by_trigger.items()):
            product, terms = self._config.telemetry_values[trigger]
            zone_queries = ZoneQueries.of(product.zone_resolution, asked)
            line = self._config.running[product.name]
            holders = PolicyHolders(Coverage(line, self._book.of_product(product.name)).policies.values())
            if isinstance(terms.telemetry_condition, OrderDrop):
                yield from self._count_orders(
                    trigger, product, terms.telemetry_condition, zone_queries, holders, upto_ms
                )
            elif isinstance(terms.telemetry_condition, SilentQuorum):
                yield from self._tell_days(upto_ms)
                yield from self._find_silent(trigger, terms.telemetry_condition, zone_queries, holders, upto_ms)

    def _count_orders(
        self,
        trigger: int,
        product: Product,
        terms: OrderDrop,
        zone_queries: ZoneQueries,
        holders: PolicyHolders,
        due_ms: int,
    ) -> Iterator[Message]:
        longest_ms = max(terms.window_ms, terms.seen_ms)
        spans = [
            (
                int(zone_queries.at_ms.min()) - week * _WEEK_MS - longest_ms,
                int(zone_queries.at_ms.max()) - week * _WEEK_MS,
            )
            for week in range(terms.weeks + 1)
        ]
        telemetry = _telemetry([*self._orders.frames, *self._reports.frames], spans)
        tallies = order_tallies(terms, telemetry, zone_queries, holders, product.presence_margin_m)
        yield from self._answer(trigger, zone_queries, tallies, due_ms)

    def _find_silent(
        self, trigger: int, terms: SilentQuorum, zone_queries: ZoneQueries, holders: PolicyHolders, due_ms: int
    ) -> Iterator[Message]:
        span = (int(zone_queries.at_ms.min()) - terms.before_ms, int(zone_queries.at_ms.max()))
        telemetry = _telemetry(self._reports.frames, [span])
        riders = active_riders(terms, telemetry, zone_queries, holders)
        gone = riders.take(riders.on_platform & riders.silent)
        unknown = RiderTrust.unknown(len(gone.worker))  # what trust adds, the devices say
        yield from self._answer(
            trigger, zone_queries, quorum_tallies(terms, telemetry, zone_queries, riders, unknown), due_ms
        )
        if not len(gone.worker):
            return
        silent = sorted({telemetry.workers[code] for code in gone.worker.tolist()})
        frame = self._panes.frame(None, silent)
        known = telemetry.with_codes_for((), sorted({*frame["device_id"].drop_nulls()}))
        panes = to_panes(frame, known)
        habits = ShiftHistory.of(panes, PaneCells.of(panes, zone_queries.resolution), zone_queries.resolution)
        located = self._references.locate(telemetry)
        inputs, phone = trust_inputs(terms, telemetry, zone_queries, gone, located, habits, holders)
        rows = pl.DataFrame(
            {
                "platform": pl.Series([zone_queries.platform[q] for q in gone.query.tolist()], dtype=pl.String),
                "zone": zone_queries.zone[gone.query],
                "at_ms": zone_queries.at_ms[gone.query],
                "device_id": words_of(telemetry.devices, phone),
                "worker_id": words_of(telemetry.workers, gone.worker),
                "insured": insured_long_enough(terms, telemetry, zone_queries, gone, holders),
                **inputs,
            }
        )
        buckets = buckets_of(rows["device_id"].to_list(), self._config.buckets)
        for key, part in split(rows, buckets):
            yield Message("witness-devices", key, f"riders/{trigger}", due_ms, pack_frame(part))

    def _answer(
        self, trigger: int, zone_queries: ZoneQueries, tallies: npt.NDArray[np.int64], due_ms: int
    ) -> Iterator[Message]:
        """What the bucket adds to the questions to which it adds anything."""
        answers = answer_frame(zone_queries, tallies)
        if answers.height:
            yield Message("weigh-witness", trigger, "answers", due_ms, pack_frame(answers))

    # Panes.

    @property
    def _panes_due_ms(self) -> int | None:
        """Until when panes may wait; None: there are none, or nobody needs them."""
        return self._pane_reducer.due_ms if self._quorums else None

    def _tell_days(self, due_ms: int) -> Iterator[Message]:
        """To the devices: who was on them, of panes that are over and were not told yet."""
        frame = self._panes.frame(None if self._told_ms is None else self._told_ms - 1)
        if not frame.height:
            return
        self._told_ms = self._pane_reducer.closed_ms
        self.state.put_packed("told", self._told_ms)
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
            thinned = _thinned(part.frame, [product.zone_resolution for product, _ in self._drops])
            if thinned.height:
                self._orders.put(thinned)
        self._reports.join(upto_ms)
        weeks = max((terms.weeks for _, terms in self._drops), default=0)
        self._orders.expire(before_ms - weeks * _WEEK_MS)
        self._orders.join(upto_ms)
        self._panes.expire(before_ms - self._config.history_kept_ms)
        self._panes.join(upto_ms)
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
            self._told_ms = unpack(entries["told"], int)
        for name, payload in entries_of(entries, "asked"):
            self._defer_again(name)
            self._asked[name] = (int(name.split("/")[1]), unpack(payload, Asked))


def _telemetry(frames: Sequence[pl.DataFrame], spans: Sequence[tuple[int, int]]) -> TelemetryTable:
    """The reports of some stretches of time, each with its end and without its start (ms)."""
    time = pl.col("event_time")
    wanted = pl.any_horizontal([(time > start_ms) & (time <= end_ms) for start_ms, end_ms in spans])
    rows = joined([frame.filter(wanted) for frame in frames])
    return to_telemetry_table(in_order(rows, np.ones(rows.height, dtype=np.bool_)))


def _without(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The rows with these columns null."""
    return rows.with_columns(pl.lit(None, dtype=rows.schema[name]).alias(name) for name in columns)


def _thinned(rows: pl.DataFrame, resolutions: Sequence[int]) -> pl.DataFrame:
    """Of old reports, what orders in any window of more than a minute rest on: all that state some, and of those that
    state none the first and the last of each minute and zone, by the minute in which they were received."""
    if not resolutions:
        return rows.clear()
    rows = _without(rows, [name for name in rows.columns if name not in _OF_ORDERS])
    lat, lon = rows["lat"].to_numpy(), rows["lon"].to_numpy()
    zones = {f"zone{each}": cells_of(lat, lon, each) for each in sorted(set(resolutions))}
    minutes = {"minute": pl.col("event_time") // 60_000, "received": pl.col("received_time") // 60_000}
    none = rows.with_columns(**minutes, **zones).filter(pl.col("orders_completed") == 0)
    order = ("event_time", "event_id", pl.col("worker_id").cast(pl.String))
    alike = none.sort(*order).group_by(*minutes, *zones, maintain_order=True)
    ends = [alike.first(), alike.last()]
    kept = pl.concat([each.select(rows.columns) for each in ends]).unique(("worker_id", "event_id")).sort(*order)
    return pl.concat([rows.filter(pl.col("orders_completed") > 0), kept])
