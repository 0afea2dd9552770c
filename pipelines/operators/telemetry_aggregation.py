"""How the answers of all buckets of riders come together: trust by who shares a phone, then sums, then a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.operators.confirm_disruptions import Told
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import Message, pack, pack_frame, stacked, unpack_frame
from monsoon.pipelines.runtime.time_partitioned_buffer import TimePartitionedBuffer
from monsoon.sources.model_files import load_model
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.product import OrderDrop, SilentQuorum
from monsoon.transforms.telemetry_conditions.order_drop import order_drop
from monsoon.transforms.telemetry_conditions.outage import quorum_values
from monsoon.transforms.telemetry_conditions.queries import ZoneQueries
from monsoon.transforms.telemetry_conditions.silent_quorum import rider_trust, trust_score_terms, trust_tallies

DAYS: dict[str, Any] = {
    "device_id": pl.String,
    "worker_id": pl.String,
    "pane_start_ms": pl.Int64,
    "known_from_ms": pl.Int64,
}
"""Who was on a phone: the first pane of each local day, and from when on one of the day's panes is known."""

_QUESTION = ["platform", "zone", "at_ms"]
"""What names a question of one trigger."""

_IDENTITY = {*_QUESTION, "device_id", "worker_id", "insured"}


def answer_frame(zone_queries: ZoneQueries, tallies: npt.NDArray[np.int64]) -> pl.DataFrame:
    """Tallies on their way, with the questions that they answer; without those to which nothing is added."""
    some = np.flatnonzero(tallies.any(axis=1))
    return pl.DataFrame(
        {
            "platform": pl.Series([zone_queries.platform[place] for place in some.tolist()], dtype=pl.String),
            "zone": zone_queries.zone[some],
            "at_ms": zone_queries.at_ms[some],
            **{f"tally{column}": tallies[some, column] for column in range(tallies.shape[1])},
        }
    )


class TrustSilentRiders(KeyedOperator):
    """Some phones: who was seen on them, and so what the trust of silent riders comes to."""

    uid: ClassVar = "witness-devices"
    label: ClassVar = "silent riders by phone"
    to: ClassVar = ("weigh-witness",)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._days = TimePartitionedBuffer(state, "days", "pane_start_ms", self._name)
        self._asked: dict[str, tuple[int, pl.DataFrame]] = {}
        """By entry: the trigger's key, riders."""

    def process(self, message: Message) -> None:
        frame = unpack_frame(message.payload)
        kind, _, trigger = message.kind.partition("/")
        if kind == "days":
            self._days.put(frame, message.payload)
        else:
            name = self._defer(message.kind, message)
            self._asked[name] = (int(trigger), frame)
            self.state.put(name, message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        by_trigger: dict[int, list[pl.DataFrame]] = {}
        for name in sorted(self._take_due(upto_ms)):
            trigger, frame = self._asked.pop(name)
            self.state.drop(name)
            by_trigger.setdefault(trigger, []).append(frame)
        for trigger, frames in sorted(by_trigger.items()):
            riders = pl.concat(frames).sort(*_QUESTION, "worker_id")
            answers = self._trusted(trigger, riders)
            if answers.height:
                yield Message("weigh-witness", trigger, "answers", upto_ms, pack_frame(answers))

    def _trusted(self, trigger: int, riders: pl.DataFrame) -> pl.DataFrame:
        product, terms = self._config.telemetry_values[trigger]
        telemetry_condition = terms.telemetry_condition
        assert isinstance(telemetry_condition, SilentQuorum)
        days = stacked(self._days.frames, DAYS).filter(pl.col("device_id").is_in(riders["device_id"].implode()))
        # Codes of the phones asked about and of whoever was on them.
        phones = pl.concat([riders["device_id"], days["device_id"]]).rank("dense").cast(pl.Int64).to_numpy() - 1
        workers = days["worker_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
        panes = (days[name].to_numpy() for name in ("pane_start_ms", "known_from_ms"))
        seen = DeviceDays.of_panes(phones[riders.height :], workers, *panes)
        inputs = {name: riders[name].to_numpy() for name in riders.columns if name not in _IDENTITY}
        inputs["riders_on_device_28d"] = seen.riders(phones[: riders.height], riders["at_ms"].to_numpy())[0]
        trust = rider_trust(
            telemetry_condition, trust_score_terms(product, telemetry_condition), inputs, riders["insured"].to_numpy()
        )
        asked = riders.select(_QUESTION).unique(maintain_order=True).rows()
        place = {query: number for number, query in enumerate(asked)}
        query = np.array([place[row] for row in riders.select(_QUESTION).iter_rows()], dtype=np.int64)
        zone_queries = ZoneQueries.of(product.zone_resolution, asked)
        return answer_frame(zone_queries, trust_tallies(telemetry_condition, len(asked), query, trust))

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._days)

    def expire(self, upto_ms: int) -> None:
        self._days.expire(upto_ms - self._config.history_kept_ms - self._config.reports_kept_ms)
        self._days.join(upto_ms)

    @property
    def next_work_ms(self) -> int | None:
        return self._next_deferred_ms

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._days.restore(entries)
        for name, payload in entries_of(entries, "riders"):
            self._defer_again(name)
            self._asked[name] = (int(name.split("/")[1]), unpack_frame(payload))


class AggregateTelemetryAnswers(KeyedOperator):
    """One trigger that asks telemetry: the answers of all riders to each question, as one value."""

    uid: ClassVar = "weigh-witness"
    label: ClassVar = "answers of telemetry by trigger"
    to: ClassVar = ("judge-triggers",)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._witness = config.telemetry_values[key][1].telemetry_condition
        self._answers: dict[str, pl.DataFrame] = {}
        """By entry."""

    def process(self, message: Message) -> None:
        name = self._defer("answers", message)
        self._answers[name] = unpack_frame(message.payload)
        self.state.put(name, message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        ripe = sorted(self._take_due(upto_ms))
        if not ripe:
            return
        answers = pl.concat([self._answers.pop(name) for name in ripe])
        for name in ripe:
            self.state.drop(name)
        whole = answers.group_by(_QUESTION).sum().sort(*_QUESTION)
        values = self._values(whole.select(pl.exclude(_QUESTION)).to_numpy())
        told: list[Told] = [
            (platform, zone, at_ms, value)
            for (platform, zone, at_ms), value in zip(whole.select(_QUESTION).rows(), values.tolist(), strict=True)
            if not np.isnan(value)
        ]
        if told:
            yield Message("judge-triggers", self.key, "witness", upto_ms, pack(told))

    def _values(self, tallies: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        if isinstance(self._witness, OrderDrop):
            return order_drop(self._witness, tallies)
        assert self._witness is not None
        model = self._witness.model
        return quorum_values(tallies, None if model is None else load_model(model))

    @property
    def holds_expiring_state(self) -> bool:
        return False

    def expire(self, upto_ms: int) -> None:
        """Nothing is kept but what waits."""

    @property
    def next_work_ms(self) -> int | None:
        return self._next_deferred_ms

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "answers"):
            self._defer_again(name)
            self._answers[name] = unpack_frame(payload)
