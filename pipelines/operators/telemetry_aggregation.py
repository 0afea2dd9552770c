"""Aggregation of telemetry queries: trust of silent riders by shared phones, then sums over all buckets of riders, then
the value of the telemetry condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.operators.confirm_disruptions import TelemetryValue
from monsoon.pipelines.runtime.job_config import JobConfig, RegionTrigger
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import Message, messages_by_bucket, pack, stacked, unpack_frame
from monsoon.pipelines.runtime.time_partitioned_buffer import TimePartitionedBuffer
from monsoon.sources.model_files import load_model
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.product import SilentQuorum
from monsoon.transforms.telemetry_conditions.evaluator import values_of
from monsoon.transforms.telemetry_conditions.queries import ZoneQueries
from monsoon.transforms.telemetry_conditions.silent_quorum import rider_trust, trust_score_terms, trust_tallies

DAYS: dict[str, Any] = {
    "device_id": pl.String,
    "worker_id": pl.String,
    "pane_start_ms": pl.Int64,
    "known_from_ms": pl.Int64,
}
"""Riders by phone and local day: the first pane of the day, and from when on (ms) one of the day's panes is known."""

_QUERY_KEY = ["platform", "zone", "at_ms"]
"""The key of a query of one trigger."""

_NOT_INPUTS = {*_QUERY_KEY, "device_id", "worker_id", "insured"}


def answer_messages(
    config: JobConfig, trigger: int, zone_queries: ZoneQueries, tallies: npt.NDArray[np.int64], due_ms: int
) -> Iterator[Message]:
    """Tallies (rows in the order of the queries of a trigger) to where those of their region are summed; without those
    that are zero."""
    nonzero = np.flatnonzero(tallies.any(axis=1))
    zones = zone_queries.zone[nonzero]
    answers = pl.DataFrame(
        {
            "platform": pl.Series([zone_queries.platform[index] for index in nonzero.tolist()], dtype=pl.String),
            "zone": zones,
            "at_ms": zone_queries.at_ms[nonzero],
            **{f"tally{column}": tallies[nonzero, column] for column in range(tallies.shape[1])},
        }
    )
    keys = [config.key_of(RegionTrigger(trigger, config.region_of(zone))) for zone in zones.tolist()]
    return messages_by_bucket("weigh-witness", f"answers/{trigger}", due_ms, answers, pl.Series(keys, dtype=pl.Int64))


class TrustSilentRiders(KeyedOperator):
    """Some phones: which riders used them, and with that the trust of silent riders."""

    uid: ClassVar = "witness-devices"
    label: ClassVar = "silent riders by phone"
    to: ClassVar = ("weigh-witness",)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._days = TimePartitionedBuffer(state, "days", "pane_start_ms", self._new_entry)

    def process(self, message: Message) -> None:
        frame = unpack_frame(message.payload)
        kind, _, trigger = message.kind.partition("/")
        if kind == "days":
            self._days.put(frame, message.payload)
        else:
            self._defer(message.kind, message, (int(trigger), frame))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        by_trigger: dict[int, list[pl.DataFrame]] = {}
        for trigger, frame in self._drop_due(upto_ms):
            by_trigger.setdefault(trigger, []).append(frame)
        for trigger, frames in sorted(by_trigger.items()):
            riders = pl.concat(frames).sort(*_QUERY_KEY, "worker_id")
            yield from answer_messages(self._config, trigger, *self._tallies(trigger, riders), upto_ms)

    def _tallies(self, trigger: int, riders: pl.DataFrame) -> tuple[ZoneQueries, npt.NDArray[np.int64]]:
        """The queries of silent riders, and the part of the tallies that is trust."""
        product, terms = self._config.telemetry_triggers[trigger]
        telemetry_condition = terms.telemetry_condition
        assert isinstance(telemetry_condition, SilentQuorum)
        days = stacked(self._days.frames, DAYS).filter(pl.col("device_id").is_in(riders["device_id"].implode()))
        # Codes of the phones of silent riders, and of all riders who used them.
        phones = pl.concat([riders["device_id"], days["device_id"]]).rank("dense").cast(pl.Int64).to_numpy() - 1
        workers = days["worker_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
        panes = (days[name].to_numpy() for name in ("pane_start_ms", "known_from_ms"))
        seen = DeviceDays.of_panes(phones[riders.height :], workers, *panes)
        inputs = {name: riders[name].to_numpy() for name in riders.columns if name not in _NOT_INPUTS}
        inputs["riders_on_device_28d"] = seen.riders(phones[: riders.height], riders["at_ms"].to_numpy())[0]
        trust = rider_trust(
            telemetry_condition, trust_score_terms(product, telemetry_condition), inputs, riders["insured"].to_numpy()
        )
        queries = riders.select(_QUERY_KEY).unique(maintain_order=True).rows()
        index = {query: number for number, query in enumerate(queries)}
        query = np.array([index[row] for row in riders.select(_QUERY_KEY).iter_rows()], dtype=np.int64)
        zone_queries = ZoneQueries.of(product.zone_resolution, queries)
        return zone_queries, trust_tallies(telemetry_condition, len(queries), query, trust)

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._days)

    def expire(self, upto_ms: int) -> None:
        self._days.expire(upto_ms - self._config.history_kept_ms - self._config.reports_kept_ms)
        self._days.compact(upto_ms)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._days.restore(entries)
        for name, payload in entries_of(entries, "riders"):
            self._restore_deferred(name, (int(name.split("/")[1]), unpack_frame(payload)))


class AggregateTelemetryAnswers(KeyedOperator):
    """Triggers with a telemetry condition, in some regions: sums the tallies of all buckets of riders, query by query,
    into one value."""

    uid: ClassVar = "weigh-witness"
    label: ClassVar = "answers of telemetry by trigger and region"
    to: ClassVar = ("judge-triggers",)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config

    def process(self, message: Message) -> None:
        _, _, trigger = message.kind.partition("/")
        self._defer(message.kind, message, (int(trigger), unpack_frame(message.payload)))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        by_trigger: dict[int, list[pl.DataFrame]] = {}
        for trigger, frame in self._drop_due(upto_ms):
            by_trigger.setdefault(trigger, []).append(frame)
        for trigger, frames in sorted(by_trigger.items()):
            sums = pl.concat(frames).group_by(_QUERY_KEY).sum().sort(*_QUERY_KEY)
            condition = self._config.telemetry_triggers[trigger][1].telemetry_condition
            assert condition is not None
            measured = values_of(condition, sums.select(pl.exclude(_QUERY_KEY)).to_numpy(), load_model)
            values: list[TelemetryValue] = [
                (platform, zone, at_ms, value)
                for (platform, zone, at_ms), value in zip(
                    sums.select(_QUERY_KEY).rows(), measured.tolist(), strict=True
                )
                if not np.isnan(value)
            ]
            if values:
                yield Message("judge-triggers", self.key, f"witness/{trigger}", upto_ms, pack(values))

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "answers"):
            # Entries from before there were regions name no trigger (0): it is the key.
            trigger = int(name.split("/")[1]) or self.key
            self._restore_deferred(name, (trigger, unpack_frame(payload)))
