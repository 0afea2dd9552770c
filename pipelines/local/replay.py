"""Replay on the local engine: one process, columns for the telemetry, then one pass per rider in event-time order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from monsoon.pipelines.local.candidates import Candidates, SharedTelemetry
from monsoon.pipelines.local.collector import collector_paused
from monsoon.pipelines.local.evidence import ClaimEvidence, ClaimScores, ScoreNotMeasured, ScoringQuery
from monsoon.pipelines.local.rings import rings_among
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.results import Account, Outcome, dead_letter_order, providers_are, write_results
from monsoon.sinks.folder import OutputFolder
from monsoon.sinks.record_files import Format
from monsoon.sources.accounting import StreamCounts, dead_letters
from monsoon.sources.files import INPUT_FOLDERS, OPTIONAL_STREAMS, streams_in
from monsoon.sources.provider_register import read_provider_register
from monsoon.sources.reference import read_references
from monsoon.sources.streams import StreamRead, read_stream
from monsoon.sources.telemetry_table import to_telemetry_table, with_consent
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.adjudication.rider_answers import STREAM, Answers
from monsoon.transforms.consents import Withdrawals, consent_events
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.decisions import Decisions, payment_records
from monsoon.transforms.evidence.references import References
from monsoon.transforms.exposure import Reserve, unlimited, within_reserves
from monsoon.transforms.product import Product
from monsoon.transforms.provider_register import as_registered
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.readings import Reading, reading_from_record
from monsoon.transforms.validation.catalogue import Catalogue
from monsoon.transforms.validation.input_checks import InputStatistics, RefusalLimit
from monsoon.transforms.validation.record_validator import DeadLetter


@dataclass
class Inputs(Account):
    """The validated streams, and the account of all lines: counts and dead letters by stream."""

    telemetry: TelemetryTable
    readings: list[Reading]
    subscriptions: list[dict[str, Any]]
    reserves: list[dict[str, Any]] = field(default_factory=list)
    confirmations: list[dict[str, Any]] = field(default_factory=list)
    references: References | None = None
    """Where the cell towers and access points of the telemetry table stand, once that was read."""

    @cached_property
    def shared(self) -> SharedTelemetry:
        """What all products compute of the telemetry alike."""
        return SharedTelemetry(self.telemetry, self.references)

    @cached_property
    def code_of(self) -> dict[str, int]:
        """The codes of riders in the telemetry table."""
        return {worker: code for code, worker in enumerate(self.telemetry.workers)}

    def refuse(self, stream: str, dead: Sequence[DeadLetter]) -> None:
        """Adds dead letters of valid records that could not be used."""
        if not dead:  # the stream may be absent
            return
        added, counts = StreamCounts(used=-len(dead)), self.counts[stream]
        self.dead_letters = sorted([*self.dead_letters, *dead_letters(stream, dead, added)], key=dead_letter_order)
        for name in ("used", "duplicate", "dead"):
            counts[name] += getattr(added, name)
        counts["reasons"] = dict(sorted((Counter(counts["reasons"]) + added.reasons).items()))


def replay(
    input_dir: Path,
    output_dir: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    scorer: Scorer,
    progress: Progress = no_progress,
    file_format: Format = "jsonl",
    limit: RefusalLimit | None = None,
) -> dict[str, Any]:
    """Replays a folder of streams into a folder of results; returns the summary that it also wrote.

    `products` are all that a subscription may name, `selected` those to run; `limit` says how many records of a stream
    may be refused (None: all). Raises InputError and OutputError; a result that was there before stays whole until the
    new one is.
    """
    with OutputFolder(output_dir, (input_dir / name for name in INPUT_FOLDERS), file_format) as output:
        running = {name: products[name] for name in sorted(selected)}
        inputs = read_inputs(input_dir, products, progress, limit)
        claim_scores = claim_evidence(inputs, input_dir, scorer)
        with collector_paused():
            outcome = run_products(running, inputs, claim_scores, progress)
        return write_results(output, inputs, outcome, running, claim_scores.models, progress)


def read_inputs(
    input_dir: Path,
    products: Mapping[str, Product],
    progress: Progress = no_progress,
    limit: RefusalLimit | None = None,
) -> Inputs:
    """Reads and validates the streams below `input_dir`."""
    catalogue = Catalogue({name: product.accepts_plan for name, product in products.items()})
    counts: dict[str, dict[str, Any]] = {}
    dead: list[dict[str, Any]] = []
    statistics: dict[str, InputStatistics] = {}

    def show(stream: str, rows: int, share: float) -> None:
        progress(f"reading {stream}, {rows:,} rows", share)

    def read(stream: str) -> StreamRead:
        found = read_stream(stream, input_dir, catalogue, show, limit)
        statistics[stream] = found.statistics
        counts[stream] = found.counts | {"ignored": list(found.ignored)}
        dead.extend(found.dead)
        return found

    subscriptions = read("subscriptions").records
    register, _ = read_provider_register(input_dir / "reference")
    stated = read("oracle_readings").records
    readings = [reading_from_record(as_registered(record, register)) for record in stated]
    frame = read("telemetry").frame
    telemetry = to_telemetry_table(with_consent(frame, Withdrawals(consent_events(subscriptions))))
    present = streams_in(input_dir)
    reserves, confirmations = (read(each).records if each in present else [] for each in OPTIONAL_STREAMS)
    return Inputs(
        telemetry,
        readings,
        subscriptions,
        reserves,
        confirmations,
        counts=counts,
        dead_letters=dead,
        providers=providers_are(register),
        statistics=statistics,
    )


def claim_evidence(inputs: Inputs, input_dir: Path, scorer: Scorer) -> ClaimEvidence:
    """Scores for the claims of these inputs; records in `inputs` the reference rows that could not be used."""
    references = read_references(input_dir / "reference")
    inputs.reference_account = references.account
    inputs.references = references.locate(inputs.telemetry)
    return ClaimEvidence(inputs.telemetry, inputs.references, scorer, inputs.shared.panes)


def run_products(
    products: Mapping[str, Product], inputs: Inputs, claim_scores: ClaimScores, progress: Progress = no_progress
) -> Outcome:
    """The outcome of the products on these inputs, one after another."""
    outcome, answers = Outcome(), Answers(inputs.confirmations)
    for name, product in products.items():
        progress(f"running {name}", None)
        run_product(product, inputs, claim_scores, outcome, answers)
    inputs.refuse(STREAM, answers.dead_letters())
    return outcome


def run_product(
    product: Product,
    inputs: Inputs,
    claim_scores: ClaimScores,
    outcome: Outcome,
    answers: Answers | None = None,
    coverage: Coverage | None = None,
) -> None:
    """Adds the outcome of one product to `outcome`; `answers` records which riders' answers it accepted, `coverage` has
    the product's policies where the caller has made it before."""
    answers = answers or Answers(())
    candidates = Candidates(product, inputs.shared, inputs.readings, inputs.subscriptions, coverage)
    disruptions = candidates.disruptions
    for disruption in disruptions:
        outcome.disruptions.extend(disruption.records(product.name))
    items = candidates.items()
    links, ring_alerts = rings_among(product, disruptions, inputs.telemetry, inputs.shared.phones, inputs.code_of)
    outcome.ring_alerts.extend(ring_alerts)
    decisions = Decisions()
    claim_scores.begin(product, disruptions, candidates.amounts)
    pending = sorted(items)
    while pending:
        deferred: dict[str, ScoringQuery] = {}
        for worker in pending:
            try:
                machine = RiderMachine(product, claim_scores.model_version, claim_scores)
                decided = run_rider(machine, [*items[worker], *links.get(worker, ()), *answers.of(worker)])
            except ScoreNotMeasured as not_measured:
                deferred[worker] = not_measured.query
                continue
            decisions.add(machine, {}, decided)
            answers.record_refusals(worker, machine.take_refused())
        claim_scores.measure_scores(set(deferred.values()))
        pending = sorted(deferred)
    outcome.syndicate_alerts.extend(claim_scores.syndicate_alerts)
    publish(product, decisions, inputs.reserves, outcome)


def publish(product: Product, decisions: Decisions, reserves: Iterable[dict[str, Any]], outcome: Outcome) -> None:
    """Adds the decisions of riders' machines to `outcome`: payouts within the reserves, and notifications."""
    outcome.add(decisions.records)
    instructions, standings = decisions.instructions()
    stated = [Reserve.of(record) for record in reserves if record["product"] == product.name]
    exposed = within_reserves([*stated, *standings, *instructions]) if stated else unlimited(instructions)
    outcome.add(payment_records(exposed))
