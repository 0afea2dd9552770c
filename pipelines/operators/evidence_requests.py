"""A bucket's evidence on its way: panes to their neighborhoods, what claims rest on to where they are adjudicated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from monsoon.pipelines.claim_scores import Asked, queries_of
from monsoon.pipelines.operators.peer_features import PANES, PHONES
from monsoon.pipelines.operators.product_claims import ProductClaims
from monsoon.pipelines.operators.telemetry_buffer import to_panes, words_of
from monsoon.pipelines.runtime.messages import Message, buckets_of, buckets_of_cells, pack, pack_frame, split
from monsoon.pipelines.syndicate_alerts import Linked, linked, watches
from monsoon.sources.reference import ReferenceTables
from monsoon.transforms.evidence.batch import dwell_ages
from monsoon.transforms.evidence.devices import local_day_number
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.limits import ACTIVITY_MS
from monsoon.transforms.evidence.measure import OwnEvidence, measure_own
from monsoon.transforms.evidence.neighborhoods import PaneCells, neighborhoods_of
from monsoon.transforms.evidence.surroundings import pressure_changes_pa, pressure_span
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.panes import PANE_MS, Panes
from monsoon.transforms.product import Product
from monsoon.transforms.telemetry_table import TelemetryTable

PANES_LOOK_BACK_MS = PANE_MS + ACTIVITY_MS
"""A pane's pressure changes from the one before; how long its rider has stayed is looked back on for ACTIVITY_MS."""


class EvidenceRequests:
    """Measures for one bucket of riders (`key`), and addresses what it finds."""

    def __init__(self, key: int, buckets: int, references: ReferenceTables) -> None:
        self._key, self._buckets, self._references = key, buckets, references
        self._phones_told: dict[tuple[str, str], tuple[int, int]] = {}
        """The local day of which it was last told that a rider was on a phone, and from when on (ms) that was known."""

    def panes_to_neighbors(self, product: Product, frame: pl.DataFrame, from_ms: int, due_ms: int) -> Iterator[Message]:
        """The panes that start at `from_ms` or later to their neighborhoods; `frame` has those of
        PANES_LOOK_BACK_MS before, too."""
        # Not the trail's own codes: panes alone say all that the neighbors need.
        workers, devices = sorted(set(frame["worker_id"])), sorted({*frame["device_id"].drop_nulls()})
        names = TelemetryTable.from_columns(worker=[], event_time_ms=[], lat=[], lon=[]).with_codes_for(
            workers, devices
        )
        panes = to_panes(frame, names).in_time
        cells = PaneCells.of(panes, product.zone_resolution)
        rows = pl.DataFrame(
            {
                "worker_id": words_of(names.workers, panes.worker),
                "pane_start_ms": panes.pane_start_ms,
                "neighborhood": cells.neighborhood,
                "age": dwell_ages(panes, cells),
                "change_pa": pressure_changes_pa(panes),
            },
            schema=PANES,
        )
        new = panes.pane_start_ms >= from_ms
        buckets = buckets_of_cells(cells.neighborhood[new], self._buckets)
        for key, part in split(rows.filter(pl.Series(new)), buckets):
            yield Message("compare-neighbors", key, f"panes/{product.name}", due_ms, pack_frame(part))

    def evidence(
        self,
        product_claims: ProductClaims,
        asked: Sequence[Asked],
        telemetry: TelemetryTable,
        frame: pl.DataFrame,
        due_ms: int,
    ) -> Iterator[Message]:
        """What is asked, measured on a trail and all panes of the riders concerned."""
        product = product_claims.product
        workers = workers_of(asked)
        telemetry = telemetry.with_codes_for(sorted({*frame["worker_id"]}), sorted({*frame["device_id"].drop_nulls()}))
        panes = to_panes(frame, telemetry)
        cells = PaneCells.of(panes, product.zone_resolution)
        codes = {worker: code for code, worker in enumerate(telemetry.workers)}
        queries = queries_of(asked, codes, {worker: product_claims.claims[worker].values() for worker in workers})
        own = measure_own(telemetry, panes, cells, self._references.locate(telemetry), queries)
        known = panes.in_time
        sought = np.unique(pressure_span(known.worker_starts, known.pane_start_ms, queries).rows)
        yield from self._to_claims(product, telemetry, known, asked, queries, own, sought, due_ms)
        yield from self._to_comparison(product, telemetry, asked, queries, own, due_ms)
        yield from self._seek(product, telemetry, known, sought, due_ms)
        yield from self._to_phones(product, telemetry, asked, queries, own, due_ms)
        if watches(product):
            yield from self._to_syndicates(product, telemetry, asked, queries, due_ms)

    def _to_phones(
        self,
        product: Product,
        telemetry: TelemetryTable,
        asked: Sequence[Asked],
        queries: Queries,
        own: OwnEvidence,
        due_ms: int,
    ) -> Iterator[Message]:
        """Each claim to where it is known who else used the rider's phone."""
        claims = pl.DataFrame(
            {
                **_identity(asked),
                "decided_at_ms": queries.decided_at_ms,
                "device_id": [None if code < 0 else telemetry.devices[code] for code in own.device.tolist()],
            }
        ).drop_nulls("device_id")
        for key, part in split(claims, buckets_of(claims["device_id"].to_list(), self._buckets)):
            yield Message("compare-neighbors", key, f"riders/{product.name}", due_ms, pack_frame(part))

    def _to_syndicates(
        self, product: Product, telemetry: TelemetryTable, asked: Sequence[Asked], queries: Queries, due_ms: int
    ) -> Iterator[Message]:
        """Each claim once under each confirmation, with what may link it to others, to the neighborhood of its zone."""
        first = np.flatnonzero([each.batch >= 0 for each in asked])
        claims = linked(telemetry, [asked[place] for place in first], queries.take(first))
        where = neighborhoods_of(queries.zone[first], product.zone_resolution)
        by_key: dict[int, list[Linked]] = defaultdict(list)
        for key, claim in zip(buckets_of_cells(where, self._buckets), claims, strict=True):
            by_key[int(key)].append(claim)
        for key, mine in sorted(by_key.items()):
            yield Message("compare-neighbors", key, f"linked/{product.name}", due_ms, pack(mine))

    def phones_to_neighbors(self, frame: pl.DataFrame, due_ms: int) -> Iterator[Message]:
        """Who was on which phone in new panes, to those who count a phone's riders; of each day once."""
        seen = frame.drop_nulls("device_id")
        seen = seen.with_columns(day=local_day_number(seen["pane_start_ms"].to_numpy())).sort("day", "known_from_ms")
        told, news = self._phones_told, []
        for device, worker, day, known_ms in seen.select("device_id", "worker_id", "day", "known_from_ms").iter_rows():
            before_day, before_ms = told.get((device, worker), (None, 0))
            news.append(before_day != day or known_ms < before_ms)
            if news[-1]:
                told[device, worker] = (day, known_ms)
        rows = seen.select(*PHONES).filter(pl.Series(news, dtype=pl.Boolean))
        for key, part in split(rows, buckets_of(rows["device_id"].to_list(), self._buckets)):
            yield Message("compare-neighbors", key, "phones/-", due_ms, pack_frame(part))

    def _to_claims(
        self,
        product: Product,
        telemetry: TelemetryTable,
        panes: Panes,
        asked: Sequence[Asked],
        queries: Queries,
        own: OwnEvidence,
        sought: Any,
        due_ms: int,
    ) -> Iterator[Message]:
        """To the riders' claims: the evidence so far, and the panes whose pressure is compared."""
        evidence = pl.DataFrame(
            {
                **_identity(asked),
                "policy_id": [each.update.terms.policy_id for each in asked if each.update.terms],
                "decided_at_ms": queries.decided_at_ms,
                **{name: own.evidence.values[name] for name in FEATURE_NAMES},
                **{f"{name}/reports": own.evidence.reports[name] for name in FEATURE_NAMES},
            }
        )
        sought_panes = pl.DataFrame(
            {
                "worker_id": words_of(telemetry.workers, panes.worker[sought]),
                "pane_start_ms": panes.pane_start_ms[sought],
                "reports": panes["pressure_reports"][sought],
            }
        )
        yield Message("adjudicate-claims", self._key, f"evidence/{product.name}", due_ms, pack_frame(evidence))
        yield Message("adjudicate-claims", self._key, f"panes/{product.name}", due_ms, pack_frame(sought_panes))

    def _to_comparison(
        self,
        product: Product,
        telemetry: TelemetryTable,
        asked: Sequence[Asked],
        queries: Queries,
        own: OwnEvidence,
        due_ms: int,
    ) -> Iterator[Message]:
        """Each claim once under each confirmation, to the neighborhood of its zone."""
        platforms = [None if code < 0 else telemetry.platforms[code] for code in own.work.platform.tolist()]
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
        )
        claims = claims.filter(pl.Series([each.batch >= 0 for each in asked], dtype=pl.Boolean))
        buckets = buckets_of_cells(claims["neighborhood"].to_numpy(), self._buckets)
        for key, part in split(claims, buckets):
            yield Message("compare-neighbors", key, f"claims/{product.name}", due_ms, pack_frame(part))

    def _seek(
        self, product: Product, telemetry: TelemetryTable, panes: Panes, sought: Any, due_ms: int
    ) -> Iterator[Message]:
        """Panes whose pressure is to be compared, to their neighborhoods."""
        where = PaneCells.of(panes, product.zone_resolution).neighborhood[sought]
        rows = pl.DataFrame(
            {
                "worker_id": words_of(telemetry.workers, panes.worker[sought]),
                "pane_start_ms": panes.pane_start_ms[sought],
                "neighborhood": where,
            }
        )
        for key, part in split(rows, buckets_of_cells(where, self._buckets)):
            yield Message("compare-neighbors", key, f"sought/{product.name}", due_ms, pack_frame(part))


def workers_of(asked: Sequence[Asked]) -> set[str]:
    """The riders asked about."""
    return {each.update.terms.worker_id for each in asked if each.update.terms}


def _identity(asked: Sequence[Asked]) -> dict[str, Any]:
    return {
        "disruption_id": [each.update.disruption_id for each in asked],
        "confirmed_at_ms": [each.update.confirmed_at_ms for each in asked],
        "worker_id": [each.update.terms.worker_id for each in asked if each.update.terms],
        "zone": [each.update.zone for each in asked],
    }
