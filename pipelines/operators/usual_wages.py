"""What policies usually state, by product and confirmation: every bucket of riders sends how many of its policies state
which amount, and the claims that rest on one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from monsoon.pipelines.runtime.messages import Message, buckets_of, messages_by_bucket
from monsoon.transforms.claim_scores import ScoringRequest, stated_wage
from monsoon.transforms.evidence.policy import stated_wage_ratio
from monsoon.transforms.evidence.wages import AmountCounts, usual_at
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.product import Product
from monsoon.transforms.stated_amounts import StatedAmounts

AMOUNTS: dict[str, Any] = {
    "confirmed_at_ms": pl.Int64,
    "name": pl.String,
    "home": pl.UInt64,
    "amount_inr": pl.Float64,
    "policies": pl.Int64,
}
"""How many policies in force at a confirmation state an amount of a name."""

STATED: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "worker_id": pl.String,
    "name": pl.String,
    "zone_cell": pl.UInt64,
    "stated_inr": pl.Float64,
}
"""Claims whose payout a stated amount decides."""

RATIOS: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "worker_id": pl.String,
    "stated_wage_ratio": pl.Float64,
    "stated_wage_ratio/reports": pl.Int64,
}


def amount_messages(
    product: str, amounts: StatedAmounts, about: Mapping[tuple[str, int], Collection[int]], buckets: int, due_ms: int
) -> Iterator[Message]:
    """The amounts of some names at some confirmations (ms) to where the claims of these are compared; `about` gives the
    cells with their zones (`wages_of`)."""
    frames = []
    for (name, at_ms), cells in sorted(about.items()):
        counts = amounts.at(name, at_ms).around(np.array(sorted(cells), dtype=np.uint64))
        columns = {"home": counts.home, "amount_inr": counts.amount_inr, "policies": counts.policies}
        frames.append(pl.DataFrame({"confirmed_at_ms": at_ms, "name": name, **columns}, schema=AMOUNTS))
    rows = pl.concat(frames) if frames else pl.DataFrame(schema=AMOUNTS)
    if rows.height:
        yield from messages_by_bucket(
            "compare-neighbors", f"amounts/{product}", due_ms, rows, _keys(product, rows, buckets)
        )


def claim_messages(
    product: Product, requests: Sequence[ScoringRequest], queries: Queries, buckets: int, due_ms: int
) -> Iterator[Message]:
    """The claims among scoring requests whose payout a stated amount decides, to where this is compared."""
    stated = [stated_wage(product, request.update) for request in requests]
    rows = [
        (
            request.update.disruption_id,
            request.update.confirmed_at_ms,
            request.update.terms.worker_id,
            mine.name,
            zone,
            mine.amount_inr,
        )
        for request, mine, zone in zip(requests, stated, queries.zone.tolist(), strict=True)
        if mine is not None and request.update.terms is not None
    ]
    if rows:
        frame = pl.DataFrame(rows, schema=STATED, orient="row")
        keys = _keys(product.name, frame, buckets)
        yield from messages_by_bucket("compare-neighbors", f"stated/{product.name}", due_ms, frame, keys)


def _keys(product: str, rows: pl.DataFrame, buckets: int) -> pl.Series:
    """All amounts and claims of a confirmation come to one bucket, those of different ones to different buckets."""
    return buckets_of((f"{product}/{at_ms}" for at_ms in rows["confirmed_at_ms"].to_list()), buckets)


def ratios_of(product: Product, claims: pl.DataFrame, amounts: pl.DataFrame) -> pl.DataFrame:
    """The claims (STATED) beside the amounts (AMOUNTS) of all buckets, as RATIOS."""
    by_moment = dict(iter(amounts.group_by("name", "confirmed_at_ms")))

    def counts_at(name: str, at_ms: int) -> AmountCounts:
        rows = by_moment.get((name, at_ms), amounts.clear())
        return AmountCounts(*(rows[column].to_numpy() for column in ("home", "amount_inr", "policies")))

    zone, confirmed_ms = claims["zone_cell"].to_numpy(), claims["confirmed_at_ms"].to_numpy()
    usual = usual_at(zone, claims["name"].to_list(), confirmed_ms, counts_at)
    queries = Queries.of(
        product.zone_resolution,
        worker=np.arange(claims.height),
        zone=zone,
        confirmed_at_ms=confirmed_ms,
        stated_inr=claims["stated_inr"].to_numpy(),
        usual_inr=usual,
    )
    found, reports = stated_wage_ratio(queries)
    columns = {"stated_wage_ratio": found, "stated_wage_ratio/reports": reports}
    return claims.with_columns(**columns).select(*RATIOS)
