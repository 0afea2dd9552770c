"""Claims of a bucket of riders: evidence made whole, scored, adjudicated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import polars as pl

from monsoon.pipelines.claim_scores import scores_of
from monsoon.pipelines.flink.envelopes import RESULTS, Envelope, Item, frames, numbers, result, unpack_all
from monsoon.pipelines.flink.riders import CLAIM
from monsoon.pipelines.flink.settings import Settings
from monsoon.sources.model_files import load_scorer
from monsoon.transforms.adjudication.claims import Claim, Happening, Score
from monsoon.transforms.adjudication.machine import RiderMachine, run_rider
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence, with_neighbors
from monsoon.transforms.evidence.surroundings import PressureSteps
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.product import Product

_PANES: dict[str, Any] = {"worker_id": pl.String, "pane_start_ms": pl.Int64, "reports": pl.Int64}
_APART: dict[str, Any] = {"worker_id": pl.String, "pane_start_ms": pl.Int64, "apart_pa": pl.Float64}
_BATCH_FEATURES = ("claim_burst_rank", "peer_divergence")

Scores = dict[tuple[str, int, int], Score]
"""By claim_id, confirmation and moment (ms)."""


class AdjudicateClaims:
    """All that concerns the claims of one bucket of riders."""

    to = (RESULTS,)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scorer = load_scorer(settings.model)

    def __call__(self, key: int, items: Sequence[Item]) -> Iterator[Envelope]:
        for name, product in sorted(self._settings.running.items()):
            happenings: dict[str, list[Happening]] = defaultdict(list)
            for happening, worker in _by_rider(items, name):
                happenings[worker].append(happening)
            if happenings:
                yield from self._adjudicated(product, happenings, self._scores(product, items))

    def _adjudicated(
        self, product: Product, happenings: dict[str, list[Happening]], scores: Scores
    ) -> Iterator[Envelope]:
        def score(claim: Claim, at_ms: int) -> Score:
            return scores[claim.claim_id, claim.happening.confirmed_at_ms, at_ms]

        claims, payouts = [], []
        for worker in sorted(happenings):
            decided = run_rider(RiderMachine(product, self._scorer.version, score), happenings[worker])
            claims.extend(decided[0])
            payouts.extend(decided[1])
        yield result("claims", claims)
        yield result("payouts", payouts)

    def _scores(self, product: Product, items: Sequence[Item]) -> Scores:
        rows = pl.concat(frames(items, f"evidence/{product.name}")).sort(*CLAIM, "decided_at_ms")
        own = Evidence(
            {name: rows[name].to_numpy() for name in FEATURE_NAMES},
            {name: rows[f"{name}/reports"].to_numpy() for name in FEATURE_NAMES},
        )
        measured = _compared(rows, frames(items, f"compared/{product.name}"))
        measured["barometric_delta_match"] = _barometric(product, rows, items)
        scores = scores_of(with_neighbors(own, measured), self._scorer)
        names = rows.select("policy_id", "disruption_id", "confirmed_at_ms", "decided_at_ms").iter_rows()
        return {
            (claim_id(policy, disruption), confirmed_at_ms, at_ms): score
            for (policy, disruption, confirmed_at_ms, at_ms), score in zip(names, scores, strict=True)
        }


def _by_rider(items: Sequence[Item], product: str) -> Iterator[tuple[Happening, str]]:
    for worker, happenings in unpack_all(items, f"happenings/{product}", list[tuple[str, list[Happening]]]):
        for happening in happenings:
            yield happening, worker


def _compared(rows: pl.DataFrame, found: Sequence[pl.DataFrame]) -> dict[str, Measured]:
    """The features of closed batches, claim by claim."""
    joined = rows.select(CLAIM).join(pl.concat(found), on=CLAIM, how="left", maintain_order="left")
    return {name: (joined[name].to_numpy(), joined[f"{name}/reports"].to_numpy()) for name in _BATCH_FEATURES}


def _barometric(product: Product, rows: pl.DataFrame, items: Sequence[Item]) -> Measured:
    """How a rider's changes of pressure agree with those of others nearby."""
    panes = numbers(frames(items, f"panes/{product.name}"), _PANES)
    apart = numbers(frames(items, f"apart/{product.name}"), _APART)
    panes = panes.join(apart, on=["worker_id", "pane_start_ms"], how="left").sort("worker_id", "pane_start_ms")
    workers = rows["worker_id"].unique().sort()
    starts = [*panes["worker_id"].search_sorted(workers, "left").to_list(), panes.height]
    steps = PressureSteps(
        np.array(starts, dtype=np.int64),
        panes["pane_start_ms"].to_numpy(),
        panes["reports"].to_numpy(),
        panes["apart_pa"].fill_null(float("nan")).to_numpy(),
    )
    queries = Queries.of(
        product.zone_resolution,
        worker=workers.search_sorted(rows["worker_id"]).to_numpy(),
        zone=[h3.str_to_int(zone) for zone in rows["zone"].to_list()],
        confirmed_at_ms=rows["confirmed_at_ms"].to_numpy(),
        decided_at_ms=rows["decided_at_ms"].to_numpy(),
    )
    return steps.barometric_delta_match(queries)
