"""Claims of a bucket of riders: evidence made whole, scored, adjudicated."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import h3.api.basic_int as h3
import numpy as np
import polars as pl

from monsoon.pipelines.answers import STREAM, Answers
from monsoon.pipelines.claim_scores import scores_of
from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.operators.decision_outputs import DecisionOutputs
from monsoon.pipelines.operators.peer_features import CLAIM
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import (
    RESULTS,
    Message,
    stacked,
    unpack,
    unpack_frame,
)
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS, TimePartitionedBuffer
from monsoon.pipelines.syndicate_alerts import watches
from monsoon.sources.accounting import StreamCounts
from monsoon.transforms.adjudication.claims import ActivityResult, Claim, ClaimScore, DisruptionUpdate
from monsoon.transforms.adjudication.claims import AdjudicationInput as Told
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence, with_neighbor_features
from monsoon.transforms.evidence.surroundings import PressureSteps
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer

_PANES: dict[str, Any] = {"worker_id": pl.String, "pane_start_ms": pl.Int64, "reports": pl.Int64}
_APART: dict[str, Any] = {"worker_id": pl.String, "pane_start_ms": pl.Int64, "deviation_pa": pl.Float64}
_RIDERS: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "worker_id": pl.String,
    "decided_at_ms": pl.Int64,
    "riders": pl.Float64,
    "reports": pl.Int64,
}
_BATCH_FEATURES = ("claim_burst_rank", "peer_divergence")
_COMPARED: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "worker_id": pl.String,
    **dict.fromkeys(_BATCH_FEATURES, pl.Float64),
    **dict.fromkeys((f"{name}/reports" for name in _BATCH_FEATURES), pl.Int64),
}

Scores = dict[tuple[str, int, int], ClaimScore]
"""By claim_id, confirmation and moment (ms)."""


class AdjudicateClaims(KeyedOperator):
    """All that concerns the claims of one bucket of riders: one machine a rider and product."""

    uid: ClassVar = "adjudicate-claims"
    label: ClassVar = "evidence by rider"
    to: ClassVar = ("account-dead-letters", "control-exposure", RESULTS)

    def __init__(self, key: int, state: StateWriter, config: JobConfig, scorer: Scorer) -> None:
        super().__init__(key, state)
        self._config, self._scorer = config, scorer
        self._arrived: dict[str, bytes] = {}
        """What waits for its time, by entry."""
        self._files = {
            name: _File(
                product,
                TimePartitionedBuffer(state, f"compared/{name}", "confirmed_at_ms", self._name, schema=_COMPARED),
            )
            for name, product in sorted(config.running.items())
        }

    def process(self, message: Message) -> None:
        name = self._defer(f"arrived/{message.kind}", message)
        self._arrived[name] = message.payload
        self.state.put(name, message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        arrived: dict[str, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        answered: list[bytes] = []
        for name in sorted(self._take_due(upto_ms), key=_number):
            self.state.drop(name)
            _, kind, product, *_ = name.split("/")
            if kind == STREAM:  # an answer names no product
                answered.append(self._arrived.pop(name))
            else:
                arrived[product][kind].append(self._arrived.pop(name))
        given = [record for payload in answered for record in unpack(payload)]
        answers = Answers(given, not_before_ms=self.done_ms + 1)
        for name, file in self._files.items():
            yield from self._adjudicate(file, arrived[name], answers, upto_ms)
        refused = answers.dead()
        yield from account(STREAM, StreamCounts(used=-len(refused)))
        yield from to_dead_letters(STREAM, refused, self._config.buckets)

    def _adjudicate(
        self, file: _File, arrived: Mapping[str, list[bytes]], answers: Answers, upto_ms: int
    ) -> Iterator[Message]:
        for payload in arrived.get("compared", ()):
            file.compared.put(unpack_frame(payload), payload)
        for payload in arrived.get("members", ()):
            for claim, confirmed_at_ms in unpack(payload, list[tuple[str, int]]):
                file.members.add((claim, confirmed_at_ms))
                self.state.put_packed(file.member_entry(claim, confirmed_at_ms), True)
        file.scores = self._scores(file, arrived)
        told: dict[str, list[Told]] = defaultdict(list)
        for kind, type_ in (("happenings", DisruptionUpdate), ("findings", ActivityResult)):
            for payload in arrived.get(kind, ()):
                for worker, mine in unpack(payload, list[tuple[str, list[type_]]]):  # type: ignore[valid-type]
                    told[worker].extend(mine)
        for worker in answers.workers:
            told[worker].extend(answers.of(worker))
        news = DecisionOutputs(file.product)
        for worker in sorted(told.keys() | file.due(upto_ms)):
            machine = file.machine(worker, self._scorer.version)
            before = machine.published
            news.add(machine, before, run_rider(machine, told.get(worker, ()), upto_ms))
            answers.heard(worker, machine.take_refused())
            file.note(worker)
            for claim in machine.take_changed():
                if self.state.durable:
                    self.state.put(file.entry(worker, claim.claim_id), pack_small(claim))
            if machine.is_empty:
                del file.machines[worker]
        yield from news.told(self._config, upto_ms)

    def _scores(self, file: _File, arrived: Mapping[str, list[bytes]]) -> Scores:
        if not arrived.get("evidence"):
            return {}
        rows = pl.concat(map(unpack_frame, arrived["evidence"])).sort(*CLAIM, "decided_at_ms")
        own = Evidence(
            {name: rows[name].to_numpy() for name in FEATURE_NAMES},
            {name: rows[f"{name}/reports"].to_numpy() for name in FEATURE_NAMES},
        )
        measured = _compared(rows, stacked(file.compared.frames, _COMPARED))
        measured["barometric_delta_match"] = _barometric(
            file.product,
            rows,
            _each_pane_once(arrived.get("panes", ()), _PANES),
            _each_pane_once(arrived.get("apart", ()), _APART),
        )
        measured["riders_on_device_28d"] = _riders(rows, arrived.get("riders", ()))
        scores = scores_of(with_neighbor_features(own, measured), self._scorer, file.product)
        watched = watches(file.product)
        names = rows.select("policy_id", "disruption_id", "confirmed_at_ms", "decided_at_ms").iter_rows()
        found = {}
        for (policy, disruption, confirmed_at_ms, at_ms), score in zip(names, scores, strict=True):
            name = claim_id(policy, disruption)
            if watched:
                score = replace(score, facts={"syndicate": float((name, confirmed_at_ms) in file.members)})
            found[name, confirmed_at_ms, at_ms] = score
        return found

    @property
    def next_work_ms(self) -> int | None:
        asks = [file.asks[0][0] for file in self._files.values() if file.asks]
        return min([*asks, *([] if self._next_deferred_ms is None else [self._next_deferred_ms])], default=None)

    @property
    def holds_expiring_state(self) -> bool:
        return any(file.compared or file.machines for file in self._files.values())

    def expire(self, upto_ms: int) -> None:
        if upto_ms // DAY_MS == self.done_ms // DAY_MS:
            return
        for file in self._files.values():
            file.compared.expire(upto_ms - self._config.remembered_ms)
            file.compared.join(upto_ms)
            for worker, machine in list(file.machines.items()):
                for claim in machine.expire(upto_ms - self._config.remembered_ms):
                    self.state.drop(file.entry(worker, claim))
                    for member in [member for member in file.members if member[0] == claim]:
                        file.members.remove(member)
                        self.state.drop(file.member_entry(*member))
                if machine.is_empty:
                    del file.machines[worker]

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._defer_again(name)
            self._arrived[name] = payload
        for file in self._files.values():
            file.compared.restore(entries)
        for name, _ in entries_of(entries, "member"):
            _, product, claim, confirmed_at_ms = name.split("/")
            self._files[product].members.add((claim, int(confirmed_at_ms)))
        claims: dict[tuple[str, str], list[Claim]] = defaultdict(list)
        for name, payload in entries_of(entries, "claim"):
            product, worker = name.removeprefix("claim/").rpartition("/")[0].split("/", 1)
            claims[product, worker].append(unpack_small(payload, Claim))
        for (product, worker), mine in claims.items():
            self._files[product].machine(worker, self._scorer.version).resume(mine)
            self._files[product].note(worker)


def _number(name: str) -> str:
    return name.rpartition("/")[2]


class _File:
    """The claims of one product: a machine for every rider who has one."""

    def __init__(self, product: Product, compared: TimePartitionedBuffer) -> None:
        self.product, self.compared = product, compared
        self.scores: Scores = {}
        """Of the moments that are being decided."""
        self.asks: list[tuple[int, str]] = []
        """When holds and step-ups run out, and whose: a heap."""
        self.machines: dict[str, RiderMachine] = {}
        self.members: set[tuple[str, int]] = set()
        """Claims, under a confirmation (ms), of groups that are a syndicate alert."""

    def member_entry(self, claim: str, confirmed_at_ms: int) -> str:
        """The name of what is kept of a claim's membership."""
        return f"member/{self.product.name}/{claim}/{confirmed_at_ms}"

    def entry(self, worker: str, claim: str) -> str:
        """The name of what is kept of a claim."""
        return f"claim/{self.product.name}/{worker}/{claim}"

    def machine(self, worker: str, model_version: str) -> RiderMachine:
        """The rider's machine, a new one if need be."""
        if worker not in self.machines:
            self.machines[worker] = RiderMachine(self.product, model_version, self._score)
        return self.machines[worker]

    def note(self, worker: str) -> None:
        """Notes when the rider's machine wants to be run next."""
        due_ms = self.machines[worker].next_due_ms
        if due_ms is not None:
            heapq.heappush(self.asks, (due_ms, worker))

    def due(self, upto_ms: int) -> set[str]:
        """Riders whose holds or step-ups run out up to a moment."""
        due = set()
        while self.asks and self.asks[0][0] <= upto_ms:
            worker = heapq.heappop(self.asks)[1]
            if worker in self.machines:
                due.add(worker)
        return due

    def _score(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """None where no evidence came: not for one claim's sake may a job end."""
        return self.scores.get((claim.claim_id, claim.update.confirmed_at_ms, at_ms))


def _each_pane_once(payloads: Sequence[bytes], schema: dict[str, Any]) -> pl.DataFrame:
    """Panes that arrived; one that was asked for at several moments comes once for each."""
    frame = stacked([unpack_frame(payload) for payload in payloads], schema)
    return frame.unique(["worker_id", "pane_start_ms"], keep="first")


def _compared(rows: pl.DataFrame, found: pl.DataFrame) -> dict[str, Measured]:
    """The features of closed batches, claim by claim."""
    joined = rows.select(CLAIM).join(found, on=CLAIM, how="left", maintain_order="left")
    return {name: (joined[name].to_numpy(), joined[f"{name}/reports"].to_numpy()) for name in _BATCH_FEATURES}


def _riders(rows: pl.DataFrame, payloads: Sequence[bytes]) -> Measured:
    """How many riders were seen on the phone, claim by claim."""
    asked = [*CLAIM, "decided_at_ms"]
    found = stacked([unpack_frame(payload) for payload in payloads], _RIDERS).unique(asked, keep="first")
    joined = rows.select(asked).join(found, on=asked, how="left", maintain_order="left")
    return joined["riders"].to_numpy(), joined["reports"].fill_null(0).to_numpy()


def _barometric(product: Product, rows: pl.DataFrame, panes: pl.DataFrame, apart: pl.DataFrame) -> Measured:
    """How a rider's changes of pressure agree with those of others nearby."""
    workers = rows["worker_id"].unique().sort()
    panes = panes.filter(panes["worker_id"].is_in(workers.implode()))  # of a rider whose evidence is lost: nobody's
    panes = panes.join(apart, on=["worker_id", "pane_start_ms"], how="left").sort("worker_id", "pane_start_ms")
    starts = [*panes["worker_id"].search_sorted(workers, "left").to_list(), panes.height]
    operators = PressureSteps(
        np.array(starts, dtype=np.int64),
        panes["pane_start_ms"].to_numpy(),
        panes["reports"].to_numpy(),
        panes["deviation_pa"].fill_null(float("nan")).to_numpy(),
    )
    queries = Queries.of(
        product.zone_resolution,
        worker=workers.search_sorted(rows["worker_id"]).to_numpy(),
        zone=[h3.str_to_int(zone) for zone in rows["zone"].to_list()],
        confirmed_at_ms=rows["confirmed_at_ms"].to_numpy(),
        decided_at_ms=rows["decided_at_ms"].to_numpy(),
    )
    return operators.barometric_delta_match(queries)
