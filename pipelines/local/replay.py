"""Replay on the local engine: one process, columns for the telemetry, then one pass per rider in event-time order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines import metrics
from monsoon.pipelines.local.scores import ClaimScores, Question, ScoreBook, Unanswered
from monsoon.sinks.folder import OutputFolder
from monsoon.sources.files import INPUT_FOLDERS
from monsoon.sources.reference import read_references
from monsoon.sources.streams import read_stream
from monsoon.sources.trail import to_trail
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption
from monsoon.transforms.adjudication.claims import Happening
from monsoon.transforms.adjudication.machine import REVIEW_REASONS, RiderMachine
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.presence import Presence
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.trail import Trail
from monsoon.transforms.triggers.readings import Reading, reading_from_record
from monsoon.transforms.triggers.series import judge_trigger
from monsoon.transforms.validation.catalogue import Catalogue

Progress = Callable[[str, float | None], None]
"""Told the stage, and the share of it that is done where that is known."""


def _no_progress(stage: str, share: float | None) -> None:
    pass


@dataclass
class Inputs:
    """The validated streams, and the account of every line: counts and dead letters by stream."""

    trail: Trail
    readings: list[Reading]
    subscriptions: list[dict[str, Any]]
    counts: dict[str, dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    reference_rows_skipped: dict[str, int] = field(default_factory=dict)


@dataclass
class Outcome:
    """What one or more products make of the inputs, as records of the contracts."""

    disruptions: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    payouts: list[dict[str, Any]] = field(default_factory=list)


def replay(
    input_dir: Path,
    output_dir: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    scorer: Scorer,
    progress: Progress = _no_progress,
) -> dict[str, Any]:
    """Replays a folder of streams into a folder of results; returns the summary that it also wrote.

    `products` are all that a subscription may name, `selected` those to run. Raises InputError and OutputError; a
    result that was there before stays whole until the new one is.
    """
    with OutputFolder(output_dir, (input_dir / name for name in INPUT_FOLDERS)) as output:
        running = {name: products[name] for name in sorted(selected)}
        inputs = read_inputs(input_dir, products, progress)
        book = open_book(inputs, input_dir, scorer)
        outcome = run_products(running, inputs, book, progress)
        return write_results(output, inputs, outcome, running, book, progress)


def read_inputs(input_dir: Path, products: Mapping[str, Product], progress: Progress = _no_progress) -> Inputs:
    """Reads and validates the three streams below `input_dir`."""
    catalogue = Catalogue({name: product.accepts_plan for name, product in products.items()})
    counts: dict[str, dict[str, Any]] = {}
    dead_letters: list[dict[str, Any]] = []

    def show(stream: str, rows: int, share: float) -> None:
        progress(f"reading {stream}, {rows:,} rows", share)

    def read(stream: str) -> pl.DataFrame:
        found = read_stream(stream, input_dir, catalogue, show)
        counts[stream] = found.counts | {"ignored": list(found.ignored)}
        dead_letters.extend(found.dead)
        return found.frame

    subscriptions = read("subscriptions").to_dicts()
    readings = [reading_from_record(record) for record in read("oracle_readings").to_dicts()]
    return Inputs(to_trail(read("telemetry")), readings, subscriptions, counts, dead_letters)


def open_book(inputs: Inputs, input_dir: Path, scorer: Scorer) -> ScoreBook:
    """What scores the claims of these inputs; takes note of reference rows that could not be used."""
    references = read_references(input_dir / "reference")
    inputs.reference_rows_skipped = {name: faults.rows for name, faults in sorted(references.faults.items())}
    return ScoreBook(inputs.trail, references.locate(inputs.trail), scorer)


def run_products(
    products: Mapping[str, Product], inputs: Inputs, book: ClaimScores, progress: Progress = _no_progress
) -> Outcome:
    """Everything the products make of the inputs, one after another."""
    outcome = Outcome()
    for name, product in products.items():
        progress(f"running {name}", None)
        run_product(product, inputs, book, outcome)
    return outcome


def write_results(
    output: OutputFolder,
    inputs: Inputs,
    outcome: Outcome,
    products: Mapping[str, Product],
    book: ScoreBook,
    progress: Progress = _no_progress,
) -> dict[str, Any]:
    """Writes every stream in a fixed order, and the summary, which it returns."""
    progress("writing", None)
    outcome.disruptions.sort(key=_disruption_order)
    outcome.claims.sort(key=_claim_order)
    outcome.payouts.sort(key=_payout_order)
    summary = _summary(inputs, outcome, products.values(), book)
    output.write("disruptions", outcome.disruptions)
    output.write("claims", outcome.claims)
    output.write("payouts", outcome.payouts)
    output.write("syndicate_alerts", [])
    output.write("dead_letters", inputs.dead_letters)
    output.finish(summary)
    return summary


def run_product(product: Product, inputs: Inputs, book: ClaimScores, outcome: Outcome) -> None:
    """Everything one product makes of the inputs, added to `outcome`."""
    coverage = Coverage(event for event in inputs.subscriptions if event["product"] == product.name)
    presence = Presence(inputs.trail, coverage.workers, product.zone_resolution)
    zones = Zones.of(_zone_cells(coverage, presence, product.zone_resolution), product.zone_resolution)
    finder = CandidateFinder(product, coverage, presence)
    disruptions: list[Disruption] = []
    for trigger in product.triggers:
        for series in judge_trigger(trigger, inputs.readings, zones):
            disruptions.extend(finder.disruptions(series))
    happenings: dict[str, list[Happening]] = defaultdict(list)
    for disruption in disruptions:
        outcome.disruptions.extend(disruption.records(product.name))
        for worker, mine in disruption.happenings.items():
            happenings[worker].extend(mine)
    book.begin(disruptions)
    pending = sorted(happenings)
    while pending:
        put_off: dict[str, Question] = {}
        for worker in pending:
            try:
                _adjudicate(RiderMachine(product, book.model_version, book), happenings[worker], outcome)
            except Unanswered as asked:
                put_off[worker] = asked.question
        book.answer(set(put_off.values()))
        pending = sorted(put_off)


def _zone_cells(coverage: Coverage, presence: Presence, resolution: int) -> npt.NDArray[np.uint64]:
    homes = [(lat, lon) for policy in coverage.policies.values() for _, lat, lon in policy.homes()]
    places = np.array(homes, dtype=np.float64).reshape(-1, 2)
    return np.union1d(cells_of(places[:, 0].copy(), places[:, 1].copy(), resolution), presence.visited)


def _adjudicate(machine: RiderMachine, happenings: list[Happening], outcome: Outcome) -> None:
    """One rider's machine through all its moments: what happens, and the timers in between.

    Adds to `outcome` only when it got through; raises Unanswered otherwise.
    """
    moments = defaultdict(list)
    for happening in happenings:
        moments[happening.at_ms].append(happening)
    ahead = sorted(moments, reverse=True)
    claims: list[dict[str, Any]] = []
    payouts: list[dict[str, Any]] = []
    while ahead or machine.next_due_ms is not None:
        due_ms = machine.next_due_ms
        at_ms = ahead.pop() if ahead and (due_ms is None or ahead[-1] <= due_ms) else due_ms
        assert at_ms is not None
        decided = machine.decide(at_ms, moments.get(at_ms, ()))
        claims.extend(decided[0])
        payouts.extend(decided[1])
    outcome.claims.extend(claims)
    outcome.payouts.extend(payouts)


def _disruption_order(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return (record["revised_at"], record["disruption_id"], record["revision"])


def _claim_order(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return (record["decided_at"], record["claim_id"], record["revision"])


def _payout_order(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return (record["created_at"], record["claim_id"], record["instalment"])


def _summary(inputs: Inputs, outcome: Outcome, products: Iterable[Product], book: ScoreBook) -> dict[str, Any]:
    """Accounts for every line read and every record written; holds nothing of where or when the replay ran.

    `outcome` is in the order in which it is written.
    """
    disruptions = _last(outcome.disruptions, "disruption_id")
    claims = _last(outcome.claims, "claim_id")
    by_product = {
        product.name: {
            "version": product.version,
            "disruptions": _counted(record["state"] for record in disruptions[product.name]),
            "claims": _counted(record["status"] for record in claims[product.name]),
            **_paid(outcome.payouts, {record["claim_id"] for record in claims[product.name]}),
            "for_review": sorted(
                record["claim_id"] for record in claims[product.name] if REVIEW_REASONS.intersection(record["reasons"])
            ),
        }
        for product in products
    }
    streams = {stream: inputs.counts[stream] for stream in sorted(inputs.counts)}
    return {
        "monsoon": version("monsoon"),
        "streams": streams,
        "products": by_product,
        "models": {book.model_name: book.model_version},
        "reference_rows_skipped": inputs.reference_rows_skipped,
        "records": {
            "disruptions": len(outcome.disruptions),
            "claims": len(outcome.claims),
            "payouts": len(outcome.payouts),
            "syndicate_alerts": 0,
            "dead_letters": len(inputs.dead_letters),
        },
        "metrics": _samples(streams, by_product),
    }


def _samples(streams: Mapping[str, Mapping[str, Any]], products: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """What a streaming job reports while it runs, as it stands at the end."""
    samples = {}
    for stream, counts in streams.items():
        for metric, count in (
            (metrics.RECORDS_READ, "read"),
            (metrics.RECORDS_USED, "used"),
            (metrics.RECORDS_DUPLICATE, "duplicate"),
            (metrics.RECORDS_DEAD, "dead"),
        ):
            samples[metrics.sample_name(metric, stream=stream)] = counts[count]
    for product, result in products.items():
        for state, count in result["disruptions"].items():
            samples[metrics.sample_name(metrics.DISRUPTIONS, product=product, state=state)] = count
        for status, count in result["claims"].items():
            samples[metrics.sample_name(metrics.CLAIMS, product=product, status=status)] = count
        samples[metrics.sample_name(metrics.PAYOUTS, product=product)] = result["payouts"]
        samples[metrics.sample_name(metrics.PAYOUT_PAISE, product=product)] = result["payout_paise"]
    return samples


def _last(records: Sequence[Mapping[str, Any]], identity: str) -> dict[str, list[Mapping[str, Any]]]:
    """The last revision of each record, by product."""
    by_product: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in {record[identity]: record for record in records}.values():
        by_product[record["product"]].append(record)
    return by_product


def _paid(payouts: Sequence[Mapping[str, Any]], claim_ids: set[str]) -> dict[str, int]:
    amounts = [payout["amount_paise"] for payout in payouts if payout["claim_id"] in claim_ids]
    return {"payouts": len(amounts), "payout_paise": sum(amounts)}


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
