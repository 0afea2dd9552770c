"""From a played scenario and its labels.csv to the facts of every claim."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h3.api.basic_str as h3
import numpy as np
import polars as pl

from monsoon.models.evaluation.claims import HONEST, ClaimFacts, claim_facts, first_scored
from monsoon.models.evaluation.truth import is_true
from monsoon.pipelines.results import Outcome
from monsoon.transforms.product import Product
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_table import TelemetryTable

LABELS = "labels.csv"
ZONE_RESOLUTION = 6
"""Of the zones that are slices: 36 square km, since a zone of a product has too few riders."""
_LABEL_SLICES = {
    "device_tier": "device tier",
    "district": "district",
    "barometer": "barometer",
    "agc": "AGC",
    "condition": "condition",
}
"""Columns of labels.csv whose values are slices, where there is such a column."""
_NOTE = re.compile(r"[a-z_]+")
_NETWORK = re.compile(r"[^-]+-(\d+-\d+)-")

Labels = Mapping[str, Mapping[str, Any]]


def read_labels(folder: Path) -> Labels:
    """The rows of labels.csv by rider; columns beside `worker_id` and `kind` are those that the generator writes."""
    table = pl.read_csv(folder / LABELS, infer_schema_length=None)
    if "condition" in table.columns and table["condition"].n_unique() == 1:
        table = table.drop("condition")  # a generator that tells no conditions apart
    return {row["worker_id"]: row for row in table.iter_rows(named=True)}


def facts_of(
    scenario: str,
    labels: Labels,
    outcome: Outcome,
    telemetry: TelemetryTable,
    products: Mapping[str, Product],
    scorer: Scorer,
) -> list[ClaimFacts]:
    """Every claim of an outcome, by claim id, with the risks that the model has for its evidence."""
    revisions: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in sorted(outcome.claims, key=lambda claim: (claim["claim_id"], claim["revision"])):
        revisions[record["claim_id"]].append(record)
    disruptions: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in sorted(outcome.disruptions, key=lambda each: (each["revised_at"], each["revision"])):
        disruptions[each["disruption_id"]].append(each)
    paid: Counter[str] = Counter()
    for payout in outcome.payouts:
        paid[payout["claim_id"]] += payout["amount_paise"]
    networks = networks_of(telemetry)
    risks = _risks(scorer, [first_scored(mine) for mine in revisions.values()])
    found = []
    for (claim, mine), both in zip(revisions.items(), risks, strict=True):
        row, last = labels[mine[-1]["worker_id"]], mine[-1]
        opened_on = opening_revision(disruptions[mine[0]["disruption_id"]], mine[0]["decided_at"])
        true = is_true(
            row,
            zone=last["zone"],
            margin_m=products[last["product"]].presence_margin_m,
            providers=opened_on["providers"],
            confirmed_at_ms=opened_on["confirmed_at"],
        )
        slices = _slices(row, last["zone"], networks.get(last["worker_id"]))
        facts = claim_facts(mine, row, scenario=scenario, true=true, paid_paise=paid[claim], risks=both, slices=slices)
        found.append(facts)
    return found


def opening_revision(revisions: Sequence[Mapping[str, Any]], opened_ms: int) -> Mapping[str, Any]:
    """The revision of a disruption on which a claim was opened, of all in order; corrections may have made another of
    it since."""
    return next((each for each in reversed(revisions) if each["revised_at"] <= opened_ms), revisions[0])


def _risks(scorer: Scorer, records: Sequence[Mapping[str, Any]]) -> list[tuple[float | None, float | None]]:
    """Of each record's features the calibrated risk, and that on one scale; None where nothing was measured."""
    columns = {
        name: np.array([record["features"].get(name) for record in records], dtype=np.float64)
        for name in scorer.features
    }
    risks, on_one_scale = scorer.score(columns).risk, scorer.risk_on_one_scale(columns)
    return [(_known(risk), _known(other)) for risk, other in zip(risks.tolist(), on_one_scale.tolist(), strict=True)]


def _known(risk: float) -> float | None:
    return None if math.isnan(risk) else risk


def networks_of(telemetry: TelemetryTable) -> dict[str, str]:
    """The mobile network (MCC-MNC) of the most reports of each rider who states a cell; of several the first in
    order."""
    names = [match[1] if (match := _NETWORK.match(cell)) else "" for cell in telemetry.cells]
    table = pl.DataFrame({"worker": telemetry.worker, "cell": telemetry.cell})
    counted = table.filter(pl.col("cell") >= 0).group_by("worker", "cell").len()
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for worker, cell, count in counted.iter_rows():
        if names[cell]:
            found[worker][names[cell]] += count
    return {
        telemetry.workers[worker]: min(counts, key=lambda name: (-counts[name], name))
        for worker, counts in found.items()
    }


def _slices(labels: Mapping[str, Any], zone: str, network: str | None) -> Sequence[tuple[str, str]]:
    """What an honest rider's claim is a slice by; nothing of others."""
    if labels["kind"] != HONEST:
        return ()
    found = [(title, _word(labels[name])) for name, title in _LABEL_SLICES.items() if labels.get(name) is not None]
    notes: Iterable[str] = (labels.get("notes") or "").split()
    found += [("note", note) for note in notes if _NOTE.fullmatch(note)]
    if network is not None:
        found.append(("carrier", network))
    resolution = min(ZONE_RESOLUTION, h3.get_resolution(zone))
    return [*found, ("zone", h3.cell_to_parent(zone, resolution))]


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
