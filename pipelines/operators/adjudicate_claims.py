"""Adjudication: completes the evidence of claims with what was compared elsewhere, scores it, decides the claims."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import h3.api.basic_int as h3
import numpy as np
import polars as pl

from monsoon.pipelines.operators.control_exposure import to_reserve_buckets
from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.operators.disruption_updates import unpack_updates
from monsoon.pipelines.operators.peer_features import CLAIM
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import (
    RESULTS,
    Message,
    results,
    stacked,
    unpack,
    unpack_frame,
)
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS, TimePartitionedBuffer
from monsoon.sources.accounting import StreamCounts
from monsoon.transforms.adjudication.claims import ActivityResult, Claim, ClaimScore
from monsoon.transforms.adjudication.claims import AdjudicationInput as RiderInput
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.adjudication.rider_answers import STREAM, Answers
from monsoon.transforms.claim_scores import scores_of
from monsoon.transforms.decisions import Decisions, payment_records
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence, with_neighbor_features
from monsoon.transforms.evidence.surroundings import PressureSteps
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.exposure import unlimited
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.syndicate_alerts import Scores, scores_by_claim

_PANES: dict[str, Any] = {"worker_id": pl.String, "pane_start_ms": pl.Int64, "reports": pl.Int64}
_PRESSURE_DEVIATIONS: dict[str, Any] = {"worker_id": pl.String, "pane_start_ms": pl.Int64, "deviation_pa": pl.Float64}
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


class AdjudicateClaims(KeyedOperator):
    """The claims of one bucket of riders: one `RiderMachine` a rider and product."""

    uid: ClassVar = "adjudicate-claims"
    label: ClassVar = "evidence by rider"
    to: ClassVar = ("account-dead-letters", "control-exposure", RESULTS)

    def __init__(self, key: int, state: StateWriter, config: JobConfig, scorer: Scorer) -> None:
        super().__init__(key, state)
        self._config, self._scorer = config, scorer
        self._products = {
            name: _ProductMachines(
                product,
                TimePartitionedBuffer(state, f"compared/{name}", "confirmed_at_ms", self._new_entry, schema=_COMPARED),
            )
            for name, product in sorted(config.running.items())
        }

    def process(self, message: Message) -> None:
        self._defer(f"arrived/{message.kind}", message, (message.kind, message.payload))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        arrived: dict[str, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        for kind_of_product, payload in self._drop_due(upto_ms):
            kind, _, product = kind_of_product.partition("/")
            arrived[product][kind].append(payload)
        # An answer names no product.
        records = [record for payload in arrived[""][STREAM] for record in unpack(payload)]
        answers = Answers(records, not_before_ms=self.done_ms + 1)
        for name, machines in self._products.items():
            yield from self._adjudicate(machines, arrived[name], answers, upto_ms)
        refused = answers.dead_letters()
        yield from account(STREAM, StreamCounts(used=-len(refused)))
        yield from to_dead_letters(STREAM, refused, self._config.buckets)

    def _adjudicate(
        self, machines: _ProductMachines, arrived: Mapping[str, list[bytes]], answers: Answers, upto_ms: int
    ) -> Iterator[Message]:
        for payload in arrived.get("compared", ()):
            machines.compared.put(unpack_frame(payload), payload)
        for payload in arrived.get("members", ()):
            for claim, confirmed_at_ms in unpack(payload, list[tuple[str, int]]):
                machines.members.add((claim, confirmed_at_ms))
                self.state.put_packed(machines.member_entry(claim, confirmed_at_ms), True)
        machines.scores = self._scores(machines, arrived)
        inputs: dict[str, list[RiderInput]] = defaultdict(list)
        for payload in arrived.get("happenings", ()):
            for worker, updates in unpack_updates(payload):
                inputs[worker].extend(updates)
        for payload in arrived.get("findings", ()):
            for worker, of_rider in unpack(payload, list[tuple[str, list[ActivityResult]]]):
                inputs[worker].extend(of_rider)
        for worker in answers.workers:
            inputs[worker].extend(answers.of(worker))
        decisions = Decisions()
        for worker in sorted(inputs.keys() | machines.due(upto_ms)):
            machine = machines.machine(worker, self._scorer.version)
            before = machine.published_statuses
            decisions.add(machine, before, run_rider(machine, inputs.get(worker, ()), upto_ms))
            answers.record_refusals(worker, machine.take_refused())
            machines.set_timer(worker)
            for claim in machine.take_changed():
                if self.state.durable:
                    self.state.put(machines.entry(worker, claim.claim_id), pack_small(claim))
            if machine.is_empty:
                del machines.by_worker[worker]
        yield from results(decisions.records)
        instructions, standings = decisions.instructions()
        if self._config.reserves:
            yield from to_reserve_buckets(instructions, standings, self._config.buckets, upto_ms)
        else:
            yield from results(payment_records(unlimited(instructions)))

    def _scores(self, machines: _ProductMachines, arrived: Mapping[str, list[bytes]]) -> Scores:
        if not arrived.get("evidence"):
            return {}
        rows = pl.concat(map(unpack_frame, arrived["evidence"])).sort(*CLAIM, "decided_at_ms")
        own = Evidence(
            {name: rows[name].to_numpy() for name in FEATURE_NAMES},
            {name: rows[f"{name}/reports"].to_numpy() for name in FEATURE_NAMES},
        )
        others = _compared(rows, stacked(machines.compared.frames, _COMPARED))
        others["barometric_delta_match"] = _barometric(
            machines.product,
            rows,
            _each_pane_once(arrived.get("panes", ()), _PANES),
            _each_pane_once(arrived.get("apart", ()), _PRESSURE_DEVIATIONS),
        )
        others["riders_on_device_28d"] = _riders(rows, arrived.get("riders", ()))
        scores = scores_of(with_neighbor_features(own, others), self._scorer, machines.product)
        claims = rows.select("policy_id", "disruption_id", "confirmed_at_ms", "decided_at_ms").iter_rows()
        return scores_by_claim(machines.product, claims, scores, machines.members)

    @property
    def next_work_ms(self) -> int | None:
        timers = [machines.timers[0][0] for machines in self._products.values() if machines.timers]
        return min([*timers, *([] if self._next_deferred_ms is None else [self._next_deferred_ms])], default=None)

    @property
    def holds_expiring_state(self) -> bool:
        return any(machines.compared or machines.by_worker for machines in self._products.values())

    def expire(self, upto_ms: int) -> None:
        if upto_ms // DAY_MS == self.done_ms // DAY_MS:
            return
        for machines in self._products.values():
            machines.compared.expire(upto_ms - self._config.remembered_ms)
            machines.compared.compact(upto_ms)
            for worker, machine in list(machines.by_worker.items()):
                for claim in machine.expire(upto_ms - self._config.remembered_ms):
                    self.state.drop(machines.entry(worker, claim))
                    for member in [member for member in machines.members if member[0] == claim]:
                        machines.members.remove(member)
                        self.state.drop(machines.member_entry(*member))
                if machine.is_empty:
                    del machines.by_worker[worker]

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._restore_deferred(name, (name.removeprefix("arrived/").rsplit("/", 2)[0], payload))
        for machines in self._products.values():
            machines.compared.restore(entries)
        for name, _ in entries_of(entries, "member"):
            _, product, claim, confirmed_at_ms = name.split("/")
            self._products[product].members.add((claim, int(confirmed_at_ms)))
        claims: dict[tuple[str, str], list[Claim]] = defaultdict(list)
        for name, payload in entries_of(entries, "claim"):
            product, worker = name.removeprefix("claim/").rpartition("/")[0].split("/", 1)
            claims[product, worker].append(unpack_small(payload, Claim))
        for (product, worker), claims_of_rider in claims.items():
            self._products[product].machine(worker, self._scorer.version).resume(claims_of_rider)
            self._products[product].set_timer(worker)


class _ProductMachines:
    """The machines of one product, one for every rider with a claim; their timers; evidence from comparisons."""

    def __init__(self, product: Product, compared: TimePartitionedBuffer) -> None:
        self.product, self.compared = product, compared
        self.scores: Scores = {}
        """The scores for the current call of `on_watermark`."""
        self.timers: list[tuple[int, str]] = []
        """A heap of (moment (ms), worker_id): when holds and step-ups run out."""
        self.by_worker: dict[str, RiderMachine] = {}
        self.members: set[tuple[str, int]] = set()
        """Claims in a syndicate alert: claim_id, confirmation (ms)."""

    def member_entry(self, claim: str, confirmed_at_ms: int) -> str:
        """The name of the state entry of a claim's membership in an alert."""
        return f"member/{self.product.name}/{claim}/{confirmed_at_ms}"

    def entry(self, worker: str, claim: str) -> str:
        """The name of a claim's state entry."""
        return f"claim/{self.product.name}/{worker}/{claim}"

    def machine(self, worker: str, model_version: str) -> RiderMachine:
        """The rider's machine, which is made if there is none."""
        if worker not in self.by_worker:
            self.by_worker[worker] = RiderMachine(self.product, model_version, self._score)
        return self.by_worker[worker]

    def set_timer(self, worker: str) -> None:
        """Sets a timer for when the rider's machine has to run next."""
        due_ms = self.by_worker[worker].next_due_ms
        if due_ms is not None:
            heapq.heappush(self.timers, (due_ms, worker))

    def due(self, upto_ms: int) -> set[str]:
        """Removes the timers up to a moment; gives their riders."""
        due = set()
        while self.timers and self.timers[0][0] <= upto_ms:
            worker = heapq.heappop(self.timers)[1]
            if worker in self.by_worker:
                due.add(worker)
        return due

    def _score(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """The score of a claim; None where no evidence came, since a single claim must not fail the job."""
        return self.scores.get((claim.claim_id, claim.update.confirmed_at_ms, at_ms))


def _each_pane_once(payloads: Sequence[bytes], schema: dict[str, Any]) -> pl.DataFrame:
    """Panes that arrived, deduplicated: a pane comes once for each moment at which a claim needs it."""
    frame = stacked([unpack_frame(payload) for payload in payloads], schema)
    return frame.unique(["worker_id", "pane_start_ms"], keep="first")


def _compared(rows: pl.DataFrame, compared: pl.DataFrame) -> dict[str, Measured]:
    """The features from comparisons of all claims on a disruption, claim by claim."""
    joined = rows.select(CLAIM).join(compared, on=CLAIM, how="left", maintain_order="left")
    return {name: (joined[name].to_numpy(), joined[f"{name}/reports"].to_numpy()) for name in _BATCH_FEATURES}


def _riders(rows: pl.DataFrame, payloads: Sequence[bytes]) -> Measured:
    """How many riders used the rider's phone, claim by claim."""
    key = [*CLAIM, "decided_at_ms"]
    counts = stacked([unpack_frame(payload) for payload in payloads], _RIDERS).unique(key, keep="first")
    joined = rows.select(key).join(counts, on=key, how="left", maintain_order="left")
    return joined["riders"].to_numpy(), joined["reports"].fill_null(0).to_numpy()


def _barometric(product: Product, rows: pl.DataFrame, panes: pl.DataFrame, deviations: pl.DataFrame) -> Measured:
    """How the rider's pressure changes agree with those of others nearby, claim by claim."""
    workers = rows["worker_id"].unique().sort()
    panes = panes.filter(panes["worker_id"].is_in(workers.implode()))  # a rider's own evidence may be lost
    panes = panes.join(deviations, on=["worker_id", "pane_start_ms"], how="left").sort("worker_id", "pane_start_ms")
    starts = [*panes["worker_id"].search_sorted(workers, "left").to_list(), panes.height]
    steps = PressureSteps(
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
    return steps.barometric_delta_match(queries)
