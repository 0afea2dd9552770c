"""Other terms tried on one input: a grid of product files, each run on streams that are read once.

What does not depend on terms (the validated streams, the telemetry's panes and cells, the policies) is computed once;
at each point the triggers, candidates, scores and decisions of the varied products are computed as a replay does, with
evidence measured where a point's disruptions need it. Products that do not vary are left out: no product's decisions
depend on another's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product as product_of
from math import prod
from pathlib import Path
from typing import Any

import polars as pl

from monsoon.models.evaluation.claims import HONEST
from monsoon.pipelines.evaluation.gather import Labels
from monsoon.pipelines.local.candidates import coverage_of
from monsoon.pipelines.local.collector import collector_paused
from monsoon.pipelines.local.replay import claim_evidence, read_inputs, run_product
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.results import Outcome, summarized
from monsoon.sources.plain_yaml import read_plain_yaml
from monsoon.sources.product_files import load_products, product_contents, read_product
from monsoon.transforms.adjudication.rider_answers import Answers
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.exposure import Reserve
from monsoon.transforms.product import Product, ProductError, chain_versions
from monsoon.transforms.product.variations import Variation, keys_of, plain, with_value
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.validation.input_checks import RefusalLimit
from monsoon.transforms.waiting_period import policy_terms_of

MAX_POINTS = 1_000


@dataclass(frozen=True)
class Point:
    """One point of a grid: a value for each variation, and the files of the varied products that have them."""

    values: tuple[Decimal, ...]
    contents: Mapping[str, Mapping[str, bytes]]
    """By product, then by file; each is a product file, in JSON, which is YAML too."""

    def products(self) -> dict[str, Product]:
        """The varied products. Raises ProductError where a value makes no product."""
        return {
            name: chain_versions({where: read_product(content, where) for where, content in versions.items()})
            for name, versions in self.contents.items()
        }


@dataclass(frozen=True)
class PointResult:
    """What the varied products make of the input at one point: their records, in the order of a replay's output, and
    their part of its summary."""

    point: Point
    outcome: Outcome
    summary: Mapping[str, Mapping[str, Any]]
    """By product."""


def points_of(variations: Sequence[Variation], extra: Iterable[Path] = ()) -> tuple[list[Point], list[str]]:
    """The grid of some variations: every combination of their values, the last varying first; and of each combination
    that makes no valid product, such as levels out of order, the fault: it is left out.

    A number is varied in every version of its product. Raises ProductError, before anything is read, for a product or
    field that is not there, one that is varied twice, and where no combination is valid.
    """
    count = prod(len(each.values) for each in variations)
    if count > MAX_POINTS:
        raise ProductError(f"the grid has {count:,} points; {MAX_POINTS:,} are the most")
    documents: dict[str, dict[str, Any]] = {}
    places: dict[tuple[str, str, tuple[str | int, ...]], str] = {}
    for variation in variations:
        if variation.product not in documents:
            contents = product_contents(variation.product, extra)
            documents[variation.product] = {each: read_plain_yaml(contents[each]).value for each in contents}
        for where, document in documents[variation.product].items():
            place = variation.product, where, keys_of(document, variation.path, where)
            if place in places:
                raise ProductError(f"--vary {variation.name}: is varied as {places[place]} already")
            places[place] = variation.name
    points, faults = [], []
    for values in product_of(*(variation.values for variation in variations)):
        varied = {name: dict(versions) for name, versions in documents.items()}
        for variation, value in zip(variations, values, strict=True):
            for where, document in varied[variation.product].items():
                keys = keys_of(document, variation.path, where)
                varied[variation.product][where] = with_value(document, keys, value)
        at = ", ".join(f"{each.name}={plain(value)}" for each, value in zip(variations, values, strict=True))
        files = {
            name: {f"{at} in {where}": _file(document) for where, document in versions.items()}
            for name, versions in varied.items()
        }
        point = Point(values, files)
        try:
            point.products()
        except ProductError as error:
            faults.append(str(error).replace(".yaml:1: ", ".yaml: "))  # of a file of one line
        else:
            points.append(point)
    if not points:
        raise ProductError(faults[0])
    return points, faults


def _file(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


class WhatIf:
    """One input, read once, on which points are run."""

    def __init__(
        self,
        input_dir: Path,
        scorer: Scorer,
        extra: Iterable[Path] = (),
        progress: Progress = no_progress,
        limit: RefusalLimit | None = None,
    ) -> None:
        """`extra` are product files from elsewhere, of which policies may be; `limit` says how many records of a stream
        may be refused (None: all). Raises InputError where the streams cannot be read."""
        self._inputs = read_inputs(input_dir, load_products(extra=extra), progress, limit)
        self._scores = claim_evidence(self._inputs, input_dir, scorer)
        self._coverage: dict[str, tuple[tuple[Any, ...], Coverage]] = {}
        """By product: of the point before, with what it depends on."""

    def run(self, point: Point) -> PointResult:
        """What the varied products make of the input at a point."""
        outcome, products = Outcome(), point.products()
        with collector_paused():
            for product in products.values():
                answers = Answers(self._inputs.confirmations)
                run_product(product, self._inputs, self._scores, outcome, answers, self._coverage_of(product))
            summary = summarized(self._inputs, outcome, products, self._scores.models)
        return PointResult(point, outcome, summary["products"])

    def _coverage_of(self, product: Product) -> Coverage:
        terms = policy_terms_of(product)
        known, coverage = self._coverage.get(product.name, ((), None))
        if coverage is None or known != terms:
            coverage = coverage_of(product, self._inputs.subscriptions)
            self._coverage[product.name] = terms, coverage
        return coverage

    def reserve_paise(self, product: str) -> int | None:
        """What the reserves stated last allow a product to pay, of all days and cells; None: no reserve is stated."""
        stated = [Reserve.of(record) for record in self._inputs.reserves if record["product"] == product]
        last = {each.pool: each.amount_paise for each in sorted(stated, key=lambda r: (r.event_time_ms, r.reserve_id))}
        return sum(last.values()) if last else None


def grid_table(
    variations: Sequence[Variation],
    points: Sequence[Point],
    what_if: WhatIf,
    labels: Labels | None,
    progress: Progress = no_progress,
) -> pl.DataFrame:
    """A row per point and varied product: the value of each variation under its name, and what came of it: the
    columns of docs/workbench.md. `labels`: the truth of a simulated input, by rider; None: it is not known."""
    rows: list[dict[str, Any]] = []
    honest_paid: list[set[str]] = []
    for number, point in enumerate(points):
        progress(f"running {len(points)} points", number / len(points))
        result = what_if.run(point)
        values = {each.name: float(value) for each, value in zip(variations, point.values, strict=True)}
        for product, summary in result.summary.items():
            paid = _riders_paid(result.outcome, product)
            honest = {worker for worker in paid if labels and labels.get(worker, {}).get("kind") == HONEST}
            honest_paid.append(honest)
            rows.append(
                {
                    "point": number,
                    **values,
                    "product": product,
                    **_measures(summary, len(paid), what_if.reserve_paise(product)),
                    "honest_missed": None,
                    "attackers_paid": None if labels is None else len(paid) - len(honest),
                }
            )
    if labels is not None:
        reached: dict[str, set[str]] = defaultdict(set)
        for row, honest in zip(rows, honest_paid, strict=True):
            reached[row["product"]] |= honest
        for row, honest in zip(rows, honest_paid, strict=True):
            row["honest_missed"] = len(reached[row["product"]] - honest)
    return pl.DataFrame(rows, schema_overrides=_TYPES, infer_schema_length=None)


_TYPES = {"reserve_share": pl.Float64, "honest_missed": pl.Int64, "attackers_paid": pl.Int64}


def _measures(summary: Mapping[str, Any], riders_paid: int, reserve_paise: int | None) -> dict[str, Any]:
    claims, owed = summary["claims"], summary["payout_paise"] + summary["queued_paise"]
    return {
        "disruptions": sum(count for state, count in summary["disruptions"].items() if state != "withdrawn"),
        "claims": sum(claims.values()),
        "claims_approved": claims.get("approved", 0),
        "riders_paid": riders_paid,
        "paid_inr": summary["payout_paise"] / 100,
        "queued_inr": summary["queued_paise"] / 100,
        "reserve_share": owed / reserve_paise if reserve_paise else None,
    }


def _riders_paid(outcome: Outcome, product: str) -> set[str]:
    claims = {record["claim_id"] for record in outcome.claims if record["product"] == product}
    return {payout["worker_id"] for payout in outcome.payouts if payout["claim_id"] in claims}
