"""A scenario: scripted records of riders, phones and oracles, and the decisions of a product on them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from monsoon.pipelines.local.evidence import ClaimEvidence
from monsoon.pipelines.local.replay import claim_evidence, read_inputs, run_products
from monsoon.sources.files import STREAMS
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_product_file
from monsoon.testing.clock import Clock, span_ms
from monsoon.testing.records import oracle_reading, policy_event, telemetry_report
from monsoon.transforms.adjudication.claims import Claim, ClaimScore
from monsoon.transforms.product import Product

CHENNAI = (13.0827, 80.2707)
_WELL_MEASURED = 9
"""Sensor groups measured with a scripted score: enough for any rule."""


@dataclass
class Result:
    """The output of a product for a scenario, as records of the contracts (contracts/), every revision of them.

    `refused` are the scripted records that were invalid: dead letters, each with its reason.
    """

    disruptions: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    payouts: list[dict[str, Any]]
    notifications: list[dict[str, Any]]
    refused: list[dict[str, Any]]

    def claim(self, rider: str, trigger: str | None = None) -> dict[str, Any]:
        """The last revision of a rider's only claim (on disruptions of a trigger). Raises LookupError for none, or
        several."""
        found = {claim["claim_id"]: claim for claim in self._claims(rider, trigger)}
        if len(found) != 1:
            by = f" by {trigger}" if trigger is not None else ""
            there = ", ".join(sorted(f"{claim['worker_id']} {claim['status']}" for claim in self.claims)) or "none"
            raise LookupError(f"{len(found)} claims of {rider}{by}; claims there are: {there}")
        return next(iter(found.values()))

    def statuses(self, rider: str, trigger: str | None = None) -> list[str]:
        """The statuses that a rider's claims went through, in the order of their revisions."""
        return [claim["status"] for claim in self._claims(rider, trigger)]

    def paid_inr(self, rider: str) -> float:
        """The sum of a rider's payouts, in rupees."""
        return float(sum(each["amount_paise"] for each in self.payouts if each["worker_id"] == rider) / 100)

    def _claims(self, rider: str, trigger: str | None) -> list[dict[str, Any]]:
        triggers = {each["disruption_id"]: each["trigger"] for each in self.disruptions}
        mine = [claim for claim in self.claims if claim["worker_id"] == rider]
        mine = [claim for claim in mine if trigger in (None, triggers[claim["disruption_id"]])]
        return sorted(mine, key=lambda claim: (claim["claim_id"], claim["revision"]))


@dataclass
class Scenario:
    """One product, one place unless records say otherwise, and records scripted at the time of the `clock`.

    `product` is a product or the path of its file. Every method that scripts a record takes its other fields, by the
    names of its contract, and returns the record.
    """

    product: Product | Path | str
    clock: Clock = field(default_factory=Clock)
    place: tuple[float, float] = CHENNAI
    """The default latitude and longitude, degrees."""

    def __post_init__(self) -> None:
        self._product = self.product if isinstance(self.product, Product) else load_product_file(Path(self.product))
        self._ids = count(1)
        self._risks: dict[str, list[float | None]] = {}
        self._trust: dict[str, float | None] = {}
        self.records: dict[str, list[dict[str, Any]]] = {stream: [] for stream in STREAMS}

    def policy(self, rider: str, plan: str, bought: str = "30 d", **fields: Any) -> dict[str, Any]:
        """A rider buys the product, so long before now; the place is home."""
        at_ms = self.clock.now_ms - span_ms(bought)
        made = policy_event(self._id("policy"), rider, self._product.name, plan, at_ms, *self.place, **fields)
        return self._add("subscriptions", made)

    def report(self, rider: str, at: tuple[float, float] | None = None, **fields: Any) -> dict[str, Any]:
        """A rider's phone reports now."""
        made = telemetry_report(self._id("report"), rider, self.clock.now_ms, *(at or self.place), **fields)
        return self._add("telemetry", made)

    def reading(
        self, provider: str, metric: str, value: float, at: tuple[float, float] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """A provider publishes a reading of a metric now, around a place."""
        made = oracle_reading(
            self._id("reading"), provider, metric, value, self.clock.now_ms, *(at or self.place), **fields
        )
        return self._add("oracle_readings", made)

    def score(self, rider: str, *anomaly: float | None, trust: float | None = None) -> None:
        """Scripts the scores of every claim of a rider, each well measured: the first `anomaly` for the first decision,
        the next when a hold has run out and the claim is scored again, and the last from then on. None: nothing was
        measured.

        Without a script a claim has the scores of the product file, from what the phones reported.
        """
        if not anomaly:
            raise ValueError(f"no score for {rider}; give at least one")
        self._risks[rider], self._trust[rider] = list(anomaly), trust

    def play(self) -> Result:
        """The decisions of the local engine once all timers have fired, as `monsoon replay` makes them."""
        with tempfile.TemporaryDirectory() as folder:
            products = {self._product.name: self._product}
            inputs = read_inputs(self.write(Path(folder)), products)
            book = claim_evidence(inputs, Path(folder), load_scorer())
            outcome = run_products(products, inputs, _Scripted(book, self._risks, self._trust))
        return Result(outcome.disruptions, outcome.claims, outcome.payouts, outcome.notifications, inputs.dead_letters)

    def write(self, folder: Path) -> Path:
        """The records as an input of `monsoon replay` and `monsoon run`; returns the folder."""
        for stream, records in self.records.items():
            (folder / stream).mkdir(parents=True)
            lines = "".join(json.dumps(record) + "\n" for record in records)
            (folder / stream / "scripted.jsonl").write_text(lines, encoding="utf-8")
        return folder

    def _id(self, kind: str) -> str:
        return f"{kind}-{next(self._ids):06d}"

    def _add(self, stream: str, record: dict[str, Any]) -> dict[str, Any]:
        self.records[stream].append(record)
        return record


class _Scripted:
    """Scores of a script where a rider has one, else of the model and formulas of the product."""

    def __init__(
        self, book: ClaimEvidence, risks: Mapping[str, list[float | None]], trust: Mapping[str, float | None]
    ) -> None:
        self._book, self._risks, self._trust = book, risks, trust
        self.model_version = book.model_version
        self.begin, self.measure_scores, self.reread = book.begin, book.measure_scores, book.reread
        self._score_times_ms: dict[str, list[int]] = {}
        """By claim, the moments at which a score was requested."""

    @property
    def syndicate_alerts(self) -> list[dict[str, Any]]:
        return self._book.syndicate_alerts

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        found = self._book(claim, at_ms)
        terms = claim.update.terms
        script = None if terms is None else self._risks.get(terms.worker_id)
        if found is None or script is None or terms is None:
            return found
        times_ms = self._score_times_ms.setdefault(claim.claim_id, [])
        if at_ms not in times_ms:  # a rider's decisions may be made again, from the start
            times_ms.append(at_ms)
        risk = script[min(times_ms.index(at_ms), len(script) - 1)]
        signals = 0 if risk is None else _WELL_MEASURED
        return replace(found, risk=risk, trust=self._trust[terms.worker_id], signals=signals)
