"""What each rider's own reports say: who may claim on what, the evidence, and what others are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from monsoon.pipelines.claim_scores import Asked, claim_moments, queries_of
from monsoon.pipelines.flink.envelopes import (
    Envelope,
    Item,
    bucket_of,
    buckets_of_cells,
    frames,
    pack,
    pack_frame,
    split,
    unpack_all,
)
from monsoon.pipelines.flink.settings import Settings
from monsoon.pipelines.flink.triggers import SeriesRecord
from monsoon.pipelines.local.panes import panes_of
from monsoon.sources.reference import read_references
from monsoon.sources.telemetry_store import in_order, joined
from monsoon.sources.trail import to_trail
from monsoon.transforms.adjudication.asking import Moment, asking_moments
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption
from monsoon.transforms.adjudication.claims import Happening
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.batch import stay_ages
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import OwnEvidence, measure_own
from monsoon.transforms.evidence.neighborhoods import PaneCells, neighborhoods_of
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.surroundings import pressure_changes_pa, pressure_span
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.panes import Panes
from monsoon.transforms.presence import Presence
from monsoon.transforms.product import Product
from monsoon.transforms.trail import Trail


class RidersEvidence:
    """One bucket of riders: their telemetry, policies, and the series of every trigger."""

    to = ("unite-disruptions", "compare-neighbors", "adjudicate-claims")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._references = read_references(settings.references)

    def __call__(self, key: int, items: Sequence[Item]) -> Iterator[Envelope]:
        rows = joined(frames(items, "rows"))
        trail = to_trail(in_order(rows, np.ones(rows.height, dtype=np.bool_)))
        bucket = _Bucket(key, trail, panes_of(trail), self._references.locate(trail))
        policies = unpack_all(items, "policies", list[dict[str, Any]])
        series = unpack_all(items, "series", list[SeriesRecord])
        for name, product in sorted(self._settings.running.items()):
            disruptions = self._disruptions(product, bucket, policies, series)
            yield from self._to_records(name, disruptions)
            yield from self._measured(product, bucket, disruptions)

    def _disruptions(
        self, product: Product, bucket: _Bucket, policies: Sequence[dict[str, Any]], series: Sequence[SeriesRecord]
    ) -> list[Disruption]:
        """Those that concern riders of the bucket, each with what it says to them."""
        coverage = Coverage(event for event in policies if event["product"] == product.name)
        # Whoever held one of the policies before or after may be in another bucket.
        mine = [worker for worker in coverage.workers if bucket_of(worker, self._settings.buckets) == bucket.key]
        finder = CandidateFinder(product, coverage, Presence(bucket.trail, mine, product.zone_resolution))
        return [
            disruption
            for record in series
            if self._settings.triggers[record.trigger][0] is product
            for disruption in finder.disruptions(record.series(self._settings))
        ]

    def _to_records(self, product: str, disruptions: Sequence[Disruption]) -> Iterator[Envelope]:
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for disruption in disruptions:
            by_key[bucket_of(disruption.disruption_id, self._settings.buckets)].extend(disruption.records(product))
        for key, records in by_key.items():
            yield Envelope("unite-disruptions", key, "records", pack(records))

    def _measured(self, product: Product, bucket: _Bucket, disruptions: Sequence[Disruption]) -> Iterator[Envelope]:
        cells = PaneCells.of(bucket.panes, product.zone_resolution)
        asked = _asked(product, disruptions)
        sought = np.zeros(len(bucket.panes), dtype=np.bool_)
        if asked:
            codes = {worker: code for code, worker in enumerate(bucket.trail.workers)}
            queries = queries_of(asked, codes, claim_moments(disruptions))
            own = measure_own(bucket.trail, bucket.panes, cells, bucket.references, queries)
            sought[pressure_span(bucket.panes.worker_starts, bucket.panes.pane_start_ms, queries).rows] = True
            yield from self._to_claims(product, bucket, disruptions, asked, queries, own, sought)
            yield from self._to_comparison(product, bucket.trail, asked, queries, own)
        yield from self._to_neighbors(product, bucket, cells, sought)

    def _to_claims(
        self,
        product: Product,
        bucket: _Bucket,
        disruptions: Sequence[Disruption],
        asked: Sequence[Asked],
        queries: Queries,
        own: OwnEvidence,
        sought: np.ndarray,
    ) -> Iterator[Envelope]:
        """To the riders' claims: what happened, the evidence so far, and the panes whose pressure is compared."""
        happenings = [mine for disruption in disruptions for mine in disruption.happenings.items()]
        evidence = pl.DataFrame(
            {
                **_identity(asked),
                "policy_id": [each.happening.terms.policy_id for each in asked if each.happening.terms],
                "decided_at_ms": queries.decided_at_ms,
                **{name: own.evidence.values[name] for name in FEATURE_NAMES},
                **{f"{name}/reports": own.evidence.reports[name] for name in FEATURE_NAMES},
            }
        )
        panes = bucket.panes
        sought_panes = pl.DataFrame(
            {
                "worker_id": _names(bucket.trail, panes.worker[sought]),
                "pane_start_ms": panes.pane_start_ms[sought],
                "reports": panes["pressure_reports"][sought],
            }
        )
        yield Envelope("adjudicate-claims", bucket.key, f"happenings/{product.name}", pack(happenings))
        yield Envelope("adjudicate-claims", bucket.key, f"evidence/{product.name}", pack_frame(evidence))
        yield Envelope("adjudicate-claims", bucket.key, f"panes/{product.name}", pack_frame(sought_panes))

    def _to_comparison(
        self, product: Product, trail: Trail, asked: Sequence[Asked], queries: Queries, own: OwnEvidence
    ) -> Iterator[Envelope]:
        """Each claim once under each confirmation, to the neighborhood of its zone."""
        platforms = [None if code < 0 else trail.platforms[code] for code in own.work.platform.tolist()]
        claims = pl.DataFrame(
            {
                **_identity(asked),
                "zone_cell": queries.zone,
                "age": own.arrivals.age,
                "arrival_reports": own.arrivals.reports,
                "orders": own.work.orders,
                "work_reports": own.work.reports,
                "platform": pl.Series(platforms, dtype=pl.String),
                "orders_per_hour": queries.orders_per_hour,
                "neighborhood": neighborhoods_of(queries.zone, product.zone_resolution),
            }
        ).unique(CLAIM, keep="first", maintain_order=True)
        buckets = buckets_of_cells(claims["neighborhood"].to_numpy(), self._settings.buckets)
        for key, part in split(claims, buckets):
            yield Envelope("compare-neighbors", key, f"claims/{product.name}", pack_frame(part))

    def _to_neighbors(
        self, product: Product, bucket: _Bucket, cells: PaneCells, sought: np.ndarray
    ) -> Iterator[Envelope]:
        """Every pane to its neighborhood."""
        panes = bucket.panes
        rows = pl.DataFrame(
            {
                "worker_id": _names(bucket.trail, panes.worker),
                "pane_start_ms": panes.pane_start_ms,
                "neighborhood": cells.neighborhood,
                "age": stay_ages(panes, cells),
                "change_pa": pressure_changes_pa(panes),
                "sought": sought,
            }
        )
        for key, part in split(rows, buckets_of_cells(cells.neighborhood, self._settings.buckets)):
            yield Envelope("compare-neighbors", key, f"panes/{product.name}", pack_frame(part))


CLAIM = ["disruption_id", "confirmed_at_ms", "worker_id"]
"""What names a claim under one confirmation."""


@dataclass(frozen=True, eq=False)
class _Bucket:
    key: int
    trail: Trail
    panes: Panes
    references: References


def _asked(product: Product, disruptions: Sequence[Disruption]) -> list[Asked]:
    """Every claim at every moment at which it may be judged; each at least once under each confirmation, since the
    others are compared with it."""
    asked: list[Asked] = []
    for disruption in disruptions:
        for happenings in disruption.happenings.values():
            under: dict[int, Happening] = {}
            for happening in happenings:
                if happening.terms is not None:
                    under.setdefault(happening.confirmed_at_ms, happening)
            moments = {moment for moment in asking_moments(product, happenings) if moment.confirmed_at_ms in under}
            judged = {moment.confirmed_at_ms for moment in moments}
            moments |= {Moment(confirmed_at_ms, confirmed_at_ms) for confirmed_at_ms in under.keys() - judged}
            asked.extend(Asked(under[moment.confirmed_at_ms], moment.at_ms, -1) for moment in sorted(moments))
    return asked


def _identity(asked: Sequence[Asked]) -> dict[str, Any]:
    return {
        "disruption_id": [each.happening.disruption_id for each in asked],
        "confirmed_at_ms": [each.happening.confirmed_at_ms for each in asked],
        "worker_id": [each.happening.terms.worker_id for each in asked if each.happening.terms],
        "zone": [each.happening.zone for each in asked],
    }


def _names(trail: Trail, codes: np.ndarray) -> pl.Series:
    """Riders' ids, row by row."""
    words = pl.Series(trail.workers, dtype=pl.String)
    return words.gather(codes.astype(np.uint32)) if len(words) else pl.Series([], dtype=pl.String)
