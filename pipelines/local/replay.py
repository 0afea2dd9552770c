"""Replay on the local engine: one process, columns for the telemetry, then one pass per rider in event-time order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.local.scores import ClaimScores, Question, ScoreBook, Unanswered
from monsoon.pipelines.results import Outcome, Progress, no_progress, write_results
from monsoon.sinks.folder import OutputFolder
from monsoon.sources.files import INPUT_FOLDERS
from monsoon.sources.reference import read_references
from monsoon.sources.streams import read_stream
from monsoon.sources.trail import to_trail
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption
from monsoon.transforms.adjudication.claims import Happening
from monsoon.transforms.adjudication.machine import RiderMachine, run_rider
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.presence import Presence
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.trail import Trail
from monsoon.transforms.triggers.conditions import alert_condition
from monsoon.transforms.triggers.readings import Reading, reading_from_record
from monsoon.transforms.triggers.series import judge_trigger
from monsoon.transforms.validation.catalogue import Catalogue


@dataclass
class Inputs:
    """The validated streams, and the account of every line: counts and dead letters by stream."""

    trail: Trail
    readings: list[Reading]
    subscriptions: list[dict[str, Any]]
    counts: dict[str, dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    reference_rows_skipped: dict[str, int] = field(default_factory=dict)


def replay(
    input_dir: Path,
    output_dir: Path,
    products: Mapping[str, Product],
    selected: Sequence[str],
    scorer: Scorer,
    progress: Progress = no_progress,
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
        return write_results(output, inputs, outcome, running, book.models, progress)


def read_inputs(input_dir: Path, products: Mapping[str, Product], progress: Progress = no_progress) -> Inputs:
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
    products: Mapping[str, Product], inputs: Inputs, book: ClaimScores, progress: Progress = no_progress
) -> Outcome:
    """Everything the products make of the inputs, one after another."""
    outcome = Outcome()
    for name, product in products.items():
        progress(f"running {name}", None)
        run_product(product, inputs, book, outcome)
    return outcome


def run_product(product: Product, inputs: Inputs, book: ClaimScores, outcome: Outcome) -> None:
    """Everything one product makes of the inputs, added to `outcome`."""
    coverage = Coverage(event for event in inputs.subscriptions if event["product"] == product.name)
    presence = Presence(inputs.trail, coverage.workers, product.zone_resolution)
    zones = Zones.of(_zone_cells(coverage, presence, product.zone_resolution), product.zone_resolution)
    finder = CandidateFinder(product, coverage, presence)
    disruptions: list[Disruption] = []
    for trigger in product.triggers:
        for series in judge_trigger(trigger, inputs.readings, zones, alert=alert_condition(product)):
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
                claims, payouts = run_rider(RiderMachine(product, book.model_version, book), happenings[worker])
            except Unanswered as asked:
                put_off[worker] = asked.question
                continue
            outcome.claims.extend(claims)
            outcome.payouts.extend(payouts)
        book.answer(set(put_off.values()))
        pending = sorted(put_off)


def _zone_cells(coverage: Coverage, presence: Presence, resolution: int) -> npt.NDArray[np.uint64]:
    homes = [(lat, lon) for policy in coverage.policies.values() for _, lat, lon in policy.homes()]
    places = np.array(homes, dtype=np.float64).reshape(-1, 2)
    return np.union1d(cells_of(places[:, 0].copy(), places[:, 1].copy(), resolution), presence.visited)
