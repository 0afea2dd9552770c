"""Adjudication: completes the evidence of claims with what was compared elsewhere, scores it, decides the claims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import h3.api.basic_int as h3
import numpy as np
import polars as pl
from msgspec.structs import replace

from monsoon.pipelines.operators.control_exposure import to_reserve_buckets
from monsoon.pipelines.operators.dead_letter_accounts import account, to_dead_letters
from monsoon.pipelines.operators.disruption_updates import unpack_updates
from monsoon.pipelines.operators.evidence_requests import OWN_GUARD_FEATURES
from monsoon.pipelines.operators.peer_features import CLAIM, with_rescored
from monsoon.pipelines.operators.rider_machines import RiderMachines, restore_machines
from monsoon.pipelines.operators.usual_wages import RATIOS
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
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS, TimePartitionedBuffer
from monsoon.sources.accounting import StreamCounts
from monsoon.transforms.adjudication.claims import ActivityResult, Claim, ClaimScore, LinkUpdate, Reread
from monsoon.transforms.adjudication.claims import AdjudicationInput as RiderInput
from monsoon.transforms.adjudication.decision import WAGE
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.rider_answers import STREAM, Answers
from monsoon.transforms.claim_scores import claim_rereads, scheduled_scores_of
from monsoon.transforms.decisions import Decisions, payment_records
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.limits import WINDOW_MS
from monsoon.transforms.evidence.measure import Evidence, with_neighbor_features
from monsoon.transforms.evidence.surroundings import PressureSteps
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.exposure import unlimited
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import ModelSchedule
from monsoon.transforms.syndicate_alerts import Scores, scores_by_claim

Rereads = dict[tuple[str, int, int, str | int], Reread]
"""By claim_id, confirmation and asking (ms), and the answer's id, or at the end of the wait its moment (ms)."""

_PANES: dict[str, Any] = {"worker_id": pl.String, "pane_start_ms": pl.Int64, "reports": pl.Int64}
_PRESSURE_DEVIATIONS: dict[str, Any] = {"worker_id": pl.String, "pane_start_ms": pl.Int64, "deviation_pa": pl.Float64}
_BATCH_FEATURES = ("claim_burst_rank", "peer_divergence")
COMPARED: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "worker_id": pl.String,
    **dict.fromkeys(_BATCH_FEATURES, pl.Float64),
    **dict.fromkeys((f"{name}/reports" for name in _BATCH_FEATURES), pl.Int64),
}
_EVIDENCE = (
    *CLAIM, "zone", "policy_id", "decided_at_ms", "rescored", "window_start_ms", "window_end_ms",
    *FEATURE_NAMES, *(f"{name}/reports" for name in FEATURE_NAMES),
)  # fmt: skip
"""The columns of a message with evidence."""


class AdjudicateClaims(KeyedOperator):
    """The claims of one bucket of riders: one `RiderMachine` a rider and product."""

    uid: ClassVar = "adjudicate-claims"
    label: ClassVar = "evidence by rider"
    to: ClassVar = ("account-dead-letters", "control-exposure", RESULTS)

    def __init__(self, key: int, state: StateWriter, config: JobConfig, models: ModelSchedule) -> None:
        super().__init__(key, state)
        self._config, self._models = config, models
        self._products = {
            name: _ProductClaims(
                product,
                TimePartitionedBuffer(state, f"compared/{name}", "confirmed_at_ms", self._new_entry, schema=COMPARED),
                TimePartitionedBuffer(state, f"wages/{name}", "confirmed_at_ms", self._new_entry, schema=RATIOS),
                models.first.version,
                state,
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
        for name, claims in self._products.items():
            yield from self._adjudicate(claims, arrived[name], answers, upto_ms)
        refused = answers.dead_letters()
        yield from account(STREAM, StreamCounts(used=-len(refused)))
        yield from to_dead_letters(STREAM, refused, self._config.buckets)

    def _adjudicate(
        self, of_product: _ProductClaims, arrived: Mapping[str, list[bytes]], answers: Answers, upto_ms: int
    ) -> Iterator[Message]:
        for payload in arrived.get("compared", ()):
            of_product.compared.put(unpack_frame(payload), payload)
        for payload in arrived.get("wages", ()):
            of_product.wages.put(unpack_frame(payload), payload)
        for payload in arrived.get("members", ()):
            for claim, confirmed_at_ms in unpack(payload, list[tuple[str, int]]):
                of_product.members.add((claim, confirmed_at_ms))
                self.state.put_packed(of_product.member_entry(claim, confirmed_at_ms), True)
        of_product.scores = self._scores(of_product, arrived)
        of_product.rereads = _rereads(arrived)
        inputs: dict[str, list[RiderInput]] = defaultdict(list)
        for payload in arrived.get("happenings", ()):
            for worker, updates in unpack_updates(payload):
                inputs[worker].extend(updates)
        for payload in arrived.get("findings", ()):
            for worker, of_rider in unpack(payload, list[tuple[str, list[ActivityResult]]]):
                inputs[worker].extend(of_rider)
        for payload in arrived.get("links", ()):
            for worker, of_links in unpack(payload, list[tuple[str, list[LinkUpdate]]]):
                inputs[worker].extend(of_links)
        for worker in answers.workers:
            inputs[worker].extend(answers.of(worker))
        decisions, machines = Decisions(), of_product.machines
        for worker in sorted(inputs.keys() | machines.take_due(upto_ms)):
            machine = machines.machine(worker)
            before = machine.published_statuses
            decisions.add(machine, before, run_rider(machine, inputs.get(worker, ()), upto_ms))
            answers.record_refusals(worker, machine.take_refused())
            machines.save(worker)
        yield from results(decisions.records)
        instructions, standings = decisions.instructions()
        if self._config.reserves:
            yield from to_reserve_buckets(instructions, standings, self._config.buckets, upto_ms)
        else:
            yield from results(payment_records(unlimited(instructions)))

    def _scores(self, of_product: _ProductClaims, arrived: Mapping[str, list[bytes]]) -> Scores:
        if not arrived.get("evidence"):
            return {}
        rows = pl.concat([_of_present(unpack_frame(payload)) for payload in arrived["evidence"]])
        rows = rows.sort(*CLAIM, "decided_at_ms", "rescored")
        own = Evidence(
            {name: rows[name].to_numpy() for name in FEATURE_NAMES},
            {name: rows[f"{name}/reports"].to_numpy() for name in FEATURE_NAMES},
        )
        confirmed_ms = rows["confirmed_at_ms"].unique().sort().to_numpy()
        others = {
            **_compared(rows, stacked(of_product.compared.around(confirmed_ms), COMPARED), _BATCH_FEATURES),
            **_compared(rows, stacked(of_product.wages.around(confirmed_ms), RATIOS), (WAGE,)),
        }
        others["barometric_delta_match"] = _barometric(
            of_product.product,
            rows,
            _each_pane_once(arrived.get("panes", ()), _PANES),
            _each_pane_once(arrived.get("apart", ()), _PRESSURE_DEVIATIONS),
        )
        others["riders_on_device_28d"] = _riders(rows, arrived.get("riders", ()))
        evidence, at_ms = with_neighbor_features(own, others), rows["confirmed_at_ms"].to_numpy()
        scores = scheduled_scores_of(evidence, at_ms, self._models, of_product.product)
        names = ("policy_id", "disruption_id", "confirmed_at_ms", "decided_at_ms", "rescored")
        claims = rows.select(names).iter_rows()
        return scores_by_claim(of_product.product, claims, scores, of_product.members)

    @property
    def next_work_ms(self) -> int | None:
        dues = [self._next_deferred_ms, *(claims.machines.next_due_ms for claims in self._products.values())]
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)

    @property
    def holds_expiring_state(self) -> bool:
        return any(claims.compared or claims.wages or claims.machines for claims in self._products.values())

    def expire(self, upto_ms: int) -> None:
        for claims in self._products.values():
            if upto_ms // DAY_MS > self.done_ms // DAY_MS:
                self._expire(claims, upto_ms)
            claims.machines.settle(upto_ms)

    def _expire(self, claims: _ProductClaims, upto_ms: int) -> None:
        for buffer in (claims.compared, claims.wages):
            buffer.expire(upto_ms - self._config.remembered_ms)
            buffer.compact(upto_ms)
        gone = claims.machines.expire(upto_ms - self._config.remembered_ms)
        for member in sorted(member for member in claims.members if member[0] in gone):
            claims.members.remove(member)
            self.state.drop(claims.member_entry(*member))

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._restore_deferred(name, (name.removeprefix("arrived/").rsplit("/", 2)[0], payload))
        for claims in self._products.values():
            claims.compared.restore(entries)
            claims.wages.restore(entries)
        restore_machines({name: claims.machines for name, claims in self._products.items()}, entries)
        for name, _ in entries_of(entries, "member"):
            _, product, claim, confirmed_at_ms = name.split("/")
            self._products[product].members.add((claim, int(confirmed_at_ms)))


class _ProductClaims:
    """The claims on one product, evidence from comparisons, and scores."""

    def __init__(
        self,
        product: Product,
        compared: TimePartitionedBuffer,
        wages: TimePartitionedBuffer,
        model_version: str,
        state: StateWriter,
    ) -> None:
        self.product, self.compared, self.wages = product, compared, wages
        self.machines = RiderMachines(product, model_version, self, state)
        self.scores: Scores = {}
        """The scores for the current call of `on_watermark`."""
        self.rereads: Rereads = {}
        """The re-reads for it."""
        self.members: set[tuple[str, int]] = set()
        """Claims in a syndicate alert: claim_id, confirmation (ms)."""

    def member_entry(self, claim: str, confirmed_at_ms: int) -> str:
        """The name of the state entry of a claim's membership in an alert."""
        return f"member/{self.product.name}/{claim}/{confirmed_at_ms}"

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """The score of a claim; None where no evidence came, since a single claim must not fail the job."""
        return self.scores.get((claim.claim_id, claim.update.confirmed_at_ms, at_ms, claim.score is not None))

    def reread(self, claim: Claim, at_ms: int, asked_at_ms: int, answer_id: str) -> Reread | None:
        """The re-read of a claim; None where none came. A late answer counts from a moment that may differ between
        operators, so that its re-read is found by the answer."""
        found = self.rereads.get((claim.claim_id, claim.update.confirmed_at_ms, asked_at_ms, answer_id or at_ms))
        return None if found is None else replace(found, at_ms=at_ms)


def _rereads(arrived: Mapping[str, list[bytes]]) -> Rereads:
    """The re-reads of claims, completed with the riders of their phones."""
    if not arrived.get("rereads"):
        return {}
    rows = pl.concat([unpack_frame(payload) for payload in arrived["rereads"]])
    key = [*CLAIM, "decided_at_ms", "asked_at_ms"]
    rows = rows.sort(*key, "answer_id")
    own = Evidence(
        {name: rows[name].to_numpy() for name in OWN_GUARD_FEATURES},
        {name: rows[f"{name}/reports"].to_numpy() for name in OWN_GUARD_FEATURES},
    )
    frames = [unpack_frame(payload) for payload in arrived.get("reread-riders", ())]
    others = {"riders_on_device_28d": _joined_riders(rows, frames, key)}
    evidence = with_neighbor_features(own, others)
    asked_ms, decided_ms = rows["asked_at_ms"].to_numpy(), rows["decided_at_ms"].to_numpy()
    found = claim_rereads(evidence, rows["tied"].to_numpy(), asked_ms, decided_ms)
    names = ("policy_id", "disruption_id", "confirmed_at_ms", "asked_at_ms", "answer_id", "decided_at_ms")
    return {
        (claim_id(policy, disruption), confirmed_ms, asked_ms, answer or at_ms): reread
        for (policy, disruption, confirmed_ms, asked_ms, answer, at_ms), reread in zip(
            rows.select(names).iter_rows(), found, strict=True
        )
    }


def _of_present(evidence: pl.DataFrame) -> pl.DataFrame:
    """A message with all columns that it has today: what an earlier release did not measure is not measured."""
    absent = [name for name in FEATURE_NAMES if name not in evidence.columns]
    if "rescored" not in evidence.columns:
        evidence = with_rescored(evidence).with_columns(
            window_start_ms=pl.col("confirmed_at_ms") - WINDOW_MS, window_end_ms=pl.col("decided_at_ms")
        )
    elif not absent:
        return evidence
    return evidence.with_columns(
        **{name: pl.lit(float("nan")) for name in absent},
        **{f"{name}/reports": pl.lit(0, pl.Int32) for name in absent},
    ).select(_EVIDENCE)


def _each_pane_once(payloads: Sequence[bytes], schema: dict[str, Any]) -> pl.DataFrame:
    """Panes that arrived, deduplicated: a pane comes once for each moment at which a claim needs it."""
    frame = stacked([unpack_frame(payload) for payload in payloads], schema)
    return frame.unique(["worker_id", "pane_start_ms"], keep="first")


def _compared(rows: pl.DataFrame, compared: pl.DataFrame, names: Sequence[str]) -> dict[str, Measured]:
    """The features of these names from comparisons made once a confirmation, claim by claim."""
    joined = rows.select(CLAIM).join(compared, on=CLAIM, how="left", maintain_order="left")
    return {name: (joined[name].to_numpy(), joined[f"{name}/reports"].to_numpy()) for name in names}


def _riders(rows: pl.DataFrame, payloads: Sequence[bytes]) -> Measured:
    """How many riders used the rider's phone, claim by claim."""
    frames = [with_rescored(unpack_frame(payload)) for payload in payloads]
    return _joined_riders(rows, frames, [*CLAIM, "decided_at_ms", "rescored"])


def _joined_riders(rows: pl.DataFrame, frames: Sequence[pl.DataFrame], key: list[str]) -> Measured:
    schema = {**rows.select(key).schema, "riders": pl.Float64, "reports": pl.Int64}
    counts = stacked([frame.select(*schema) for frame in frames], schema).unique(key, keep="first")
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
        window_start_ms=rows["window_start_ms"].to_numpy(),
        window_end_ms=rows["window_end_ms"].to_numpy(),
    )
    return steps.barometric_delta_match(queries)
