"""What only shows in comparison, neighborhood by neighborhood: pressure against others', claims of one disruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from monsoon.pipelines.flink.envelopes import Envelope, Item, buckets_of, frames, numbers, pack_frame, split
from monsoon.pipelines.flink.riders import CLAIM
from monsoon.pipelines.flink.settings import Settings
from monsoon.transforms.evidence.batch import Arrivals, HourlyWork, Stays, claim_burst_rank, peer_divergence
from monsoon.transforms.evidence.surroundings import apart_from_others_pa
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.product import Product

_PANES: dict[str, Any] = {
    "worker_id": pl.String,
    "pane_start_ms": pl.Int64,
    "neighborhood": pl.UInt64,
    "age": pl.Int64,
    "change_pa": pl.Float64,
    "sought": pl.Boolean,
}


class CompareNeighbors:
    """All panes of some neighborhoods, and all claims on disruptions in them."""

    to = ("adjudicate-claims",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, key: int, items: Sequence[Item]) -> Iterator[Envelope]:
        for name, product in sorted(self._settings.running.items()):
            panes = numbers(frames(items, f"panes/{name}"), _PANES)
            yield from self._send(f"apart/{name}", _apart(panes))
            claims = frames(items, f"claims/{name}")
            if claims:
                yield from self._send(f"compared/{name}", _compared(product, pl.concat(claims), panes))

    def _send(self, kind: str, rows: pl.DataFrame) -> Iterator[Envelope]:
        for key, part in split(rows, buckets_of(rows["worker_id"].to_list(), self._settings.buckets)):
            yield Envelope("adjudicate-claims", key, kind, pack_frame(part))


def _apart(panes: pl.DataFrame) -> pl.DataFrame:
    apart_pa = apart_from_others_pa(
        panes["change_pa"].to_numpy(), panes["neighborhood"].to_numpy(), panes["pane_start_ms"].to_numpy()
    )
    return panes.with_columns(apart_pa=apart_pa).filter("sought").select("worker_id", "pane_start_ms", "apart_pa")


def _compared(product: Product, claims: pl.DataFrame, panes: pl.DataFrame) -> pl.DataFrame:
    """The features of closed batches: a batch is all claims on one disruption under one confirmation."""
    stays = Stays(
        panes["neighborhood"].to_numpy(),
        panes["pane_start_ms"].to_numpy(),
        panes["age"].to_numpy(),
        product.zone_resolution,
    ).sorted()
    queries = Queries.of(
        product.zone_resolution,
        worker=np.arange(claims.height),
        zone=claims["zone_cell"].to_numpy(),
        confirmed_at_ms=claims["confirmed_at_ms"].to_numpy(),
        batch=claims.select(pl.struct(CLAIM[:2]).rank("dense").cast(pl.Int64)).to_series().to_numpy(),
        orders_per_hour=claims["orders_per_hour"].to_numpy(),
    )
    arrivals = Arrivals(claims["age"].to_numpy(), claims["arrival_reports"].to_numpy())
    platform = claims["platform"].rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()
    work = HourlyWork(claims["orders"].to_numpy(), claims["work_reports"].to_numpy(), platform)
    burst, burst_reports = claim_burst_rank(queries, arrivals, stays)
    divergence, divergence_reports = peer_divergence(queries, work)
    return claims.select(
        *CLAIM,
        claim_burst_rank=burst,
        peer_divergence=divergence,
        **{"claim_burst_rank/reports": burst_reports, "peer_divergence/reports": divergence_reports},
    )
