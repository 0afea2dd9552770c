"""Messages with a bucket's evidence: panes to their neighborhoods, the evidence of claims to their adjudication."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.pipelines.operators.link_claims import active_messages, opened_claims, opening_messages
from monsoon.pipelines.operators.neighbor_panes import PANES
from monsoon.pipelines.operators.pane_buffer import PaneBuffer, decoded, phones_of, to_panes
from monsoon.pipelines.operators.peer_features import PHONES
from monsoon.pipelines.operators.report_store import ReportStore
from monsoon.pipelines.operators.usual_wages import amount_messages, claim_messages
from monsoon.pipelines.runtime.messages import (
    Message,
    bucket_of,
    buckets_of,
    buckets_of_cells,
    messages_by_bucket,
    pack,
    pack_frame,
    split,
)
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS
from monsoon.sources.reference import ReferenceTables
from monsoon.transforms.claim_scores import ScoringRequest, queries_of
from monsoon.transforms.evidence.anchor import anchor_rows
from monsoon.transforms.evidence.batch import dwell_ages
from monsoon.transforms.evidence.devices import local_day_number
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.limits import ACTIVITY_MS, ANCHOR_HOLDS_MS
from monsoon.transforms.evidence.measure import NEIGHBOR_FEATURES, OwnEvidence, measure_own
from monsoon.transforms.evidence.neighborhoods import PaneCells, neighborhoods_of
from monsoon.transforms.evidence.surroundings import pressure_changes_pa, pressure_span
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.guard.rereads import ties_of
from monsoon.transforms.guard.signals import GUARD_FEATURES
from monsoon.transforms.panes import PANE_MS, Panes
from monsoon.transforms.product import Product
from monsoon.transforms.product_claims import ProductClaims
from monsoon.transforms.rings.limits import SIGHTINGS_MS
from monsoon.transforms.rings.openings import Opening
from monsoon.transforms.rings.sightings import active_by_cell, stays_of_openings
from monsoon.transforms.syndicate_alerts import Linked, linked, watches
from monsoon.transforms.telemetry_table import TelemetryTable

PANES_LOOK_BACK_MS = PANE_MS + 2 * ACTIVITY_MS
"""A pressure change needs the pane before. How long a rider has stayed is measured over ACTIVITY_MS: whether the stay
began before that says the last pane before it, which is at most ACTIVITY_MS older than the next."""

_ANCHOR_AGE_MS = 10 * 60_000
"""Most anchors are not older than that at a confirmation."""

LOOK_BACK_MS = ACTIVITY_MS + _ANCHOR_AGE_MS + 1
"""Presence looks back 90 min from a confirmation, that moment included, and evidence 90 min from an anchor."""

_SILENT_LOOK_BACK_MS = ANCHOR_HOLDS_MS + ACTIVITY_MS + 1
"""The same for an anchor as old as it can be."""

OWN_GUARD_FEATURES = tuple(name for name in GUARD_FEATURES if name not in NEIGHBOR_FEATURES)
"""What the guard asks of a rider's own reports."""


class EvidenceRequests:
    """Measures evidence for one bucket of riders (`key`) and makes the messages that carry it."""

    def __init__(
        self, key: int, buckets: int, references: ReferenceTables, reports: ReportStore, panes: PaneBuffer
    ) -> None:
        self._key, self._buckets, self._references = key, buckets, references
        self._reports, self._panes = reports, panes
        self._phones_sent: dict[tuple[str, str], tuple[int, int]] = {}
        """By device_id and worker_id: the last local day that was sent, and from when on (ms) that use was known."""

    def panes_to_neighbors(
        self, frame: pl.DataFrame, from_ms: int, resolutions: Iterable[int]
    ) -> dict[int, list[tuple[int, bytes]]]:
        """By resolution of zones: panes that start at `from_ms` or later, to the buckets of their neighborhoods;
        `frame` also has those of the PANES_LOOK_BACK_MS before."""
        # Codes of their own: the neighbors need panes only, not the telemetry table.
        workers = sorted(set(frame["worker_id"].to_list()))
        panes = to_panes(frame, workers, ()).in_time
        new = np.flatnonzero(panes.pane_start_ms >= from_ms)
        worker_ids, change_pa = decoded(workers, panes.worker[new]), pressure_changes_pa(panes)[new]
        by_resolution = {}
        for resolution in resolutions:
            cells = PaneCells.of(panes, resolution)
            neighborhood = cells.neighborhood[new]
            columns = {
                "worker_id": worker_ids,
                "pane_start_ms": panes.pane_start_ms[new],
                "neighborhood": neighborhood,
                "age": dwell_ages(panes, cells)[new],
                "change_pa": change_pa,
            }
            buckets = buckets_of_cells(neighborhood, self._buckets)
            parts = split(pl.DataFrame(columns, schema=PANES), buckets)
            by_resolution[resolution] = [(key, pack_frame(part)) for key, part in parts]
        return by_resolution

    def expire(self, upto_ms: int) -> None:
        """Forgets what was sent of days before yesterday; sent again it changes nothing."""
        yesterday = upto_ms // DAY_MS - 1
        self._phones_sent = {phone: sent for phone, sent in self._phones_sent.items() if sent[0] >= yesterday}

    def phones_to_neighbors(self, frame: pl.DataFrame, due_ms: int) -> Iterator[Message]:
        """Riders and their phones in new panes, once a day, by phone to where its riders are counted."""
        day, known_ms = local_day_number(frame["pane_start_ms"].to_numpy()), frame["known_from_ms"].to_numpy()
        order = np.lexsort((known_ms, day))
        phones = list(zip(frame["device_id"].to_list(), frame["worker_id"].to_list(), strict=True))
        sent, new = self._phones_sent, []
        for row, *last in zip(order.tolist(), day[order].tolist(), known_ms[order].tolist(), strict=True):
            before_day, before_ms = sent.get(phones[row], (None, 0))
            if phones[row][0] is not None and (before_day != last[0] or last[1] < before_ms):
                sent[phones[row]] = (last[0], last[1])
                new.append(row)
        if not new:
            return
        rows = frame.select(*PHONES)[new]
        buckets = buckets_of(rows["device_id"].to_list(), self._buckets)
        yield from messages_by_bucket("compare-neighbors", "phones/-", due_ms, rows, buckets)

    def evidence(self, claims: ProductClaims, requests: Sequence[ScoringRequest], due_ms: int) -> Iterator[Message]:
        """The evidence of scoring requests, from the table of all riders where that is at hand. Claims that were held
        or corrected, and silent riders, look back farther: that needs the reports of their riders alone."""
        if not requests:
            return
        confirmed_ms = min(each.update.confirmed_at_ms for each in requests)
        if self._reports.covers(confirmed_ms - LOOK_BACK_MS):
            table = self._reports.report_cells(confirmed_ms - LOOK_BACK_MS).telemetry
            is_whole = self._reports.covers(confirmed_ms - _SILENT_LOOK_BACK_MS)
            requests, rest = by_anchor(requests, table, ANCHOR_HOLDS_MS if is_whole else _ANCHOR_AGE_MS)
            if rest:
                yield from self._evidence(self._measure(claims, rest, table, due_ms))
        if requests:
            yield from self._evidence(self._measure(claims, requests, self._own_reports(requests), due_ms))

    def _evidence(self, measured: _Measured) -> Iterator[Message]:
        yield from measured.to_claims(self._key)
        yield from measured.to_comparison()
        yield from measured.to_phones()
        yield from measured.to_wages()
        if watches(measured.product):
            yield from measured.to_syndicates()

    def rereads(self, claims: ProductClaims, requests: Sequence[ScoringRequest], due_ms: int) -> Iterator[Message]:
        """What the guard asks of re-reads, from the reports of their riders alone."""
        if requests:
            measured = self._measure(claims, requests, self._own_reports(requests), due_ms)
            yield measured.rereads_to_claims(self._key)
            yield from measured.rereads_to_phones()

    def openings(self, product: str, openings: Sequence[Opening], due_ms: int) -> Iterator[Message]:
        """Claims as they are opened, with what their riders' phones saw, to where they are linked."""
        if not openings:
            return
        after_ms = min(each.confirmed_at_ms for each in openings) - SIGHTINGS_MS
        workers = {each.worker_id for each in openings}
        used = self._panes.phones_of(workers)
        telemetry = self._reports.telemetry(after_ms, workers)
        telemetry = telemetry.with_codes_for(used["worker_id"].to_list(), used["device_id"].to_list())
        code_of = {worker: code for code, worker in enumerate(telemetry.workers)}
        stays = stays_of_openings(telemetry, phones_of(used, telemetry), code_of, openings)
        yield from opening_messages(product, opened_claims(openings, telemetry, stays), self._buckets, due_ms)

    def active_riders(self, product: str, places: Collection[tuple[str, int, int]], due_ms: int) -> Iterator[Message]:
        """How many riders of the bucket report from the cells in which, or beside which, claims may be opened, to where
        they are linked; `places` as of `places_of`."""
        if not places:
            return
        moments_ms = sorted({at_ms for _, _, at_ms in places})
        telemetry = self._reports.report_cells(moments_ms[0] - LOOK_BACK_MS).telemetry
        active = {at_ms: active_by_cell(telemetry, at_ms) for at_ms in moments_ms}
        yield from active_messages(product, places, active, self._buckets, due_ms)

    def stated_amounts(
        self, claims: ProductClaims, about: Mapping[tuple[str, int], Collection[int]], due_ms: int
    ) -> Iterator[Message]:
        """What policies of the bucket's riders state, to where it is compared (`about` as of `wages_of`)."""
        if about:
            amounts = claims.coverage.stated_amounts(self.is_mine)
            yield from amount_messages(claims.product.name, amounts, about, self._buckets, due_ms)

    def is_mine(self, worker: str) -> bool:
        """Whether a rider is of the bucket."""
        return bucket_of(worker, self._buckets) == self._key

    def _own_reports(self, requests: Sequence[ScoringRequest]) -> TelemetryTable:
        confirmed_ms = min(each.update.confirmed_at_ms for each in requests)
        return self._reports.telemetry(confirmed_ms - _SILENT_LOOK_BACK_MS, workers_of(requests))

    def _measure(
        self,
        product_claims: ProductClaims,
        requests: Sequence[ScoringRequest],
        telemetry: TelemetryTable,
        due_ms: int,
    ) -> _Measured:
        """The evidence of requests, measured on `telemetry` and on all panes of the riders."""
        product = product_claims.product
        workers = workers_of(requests)
        frame = self._panes.of_workers(workers)
        telemetry = telemetry.with_codes_for(frame["worker_id"].to_list(), {*frame["device_id"].to_list()} - {None})
        panes = to_panes(frame, telemetry.workers, telemetry.devices)
        cells = PaneCells.of(panes, product.zone_resolution)
        codes = {worker: code for code, worker in enumerate(telemetry.workers)}
        queries = queries_of(requests, codes, {worker: product_claims.claims[worker].values() for worker in workers})
        own = measure_own(telemetry, panes, cells, self._references.locate(telemetry), queries)
        return _Measured(product, telemetry, panes.in_time, requests, queries, own, self._buckets, due_ms)


@dataclass(frozen=True, eq=False)
class _Measured:
    """Scoring requests of a product with the evidence that the riders' own telemetry and panes give."""

    product: Product
    telemetry: TelemetryTable
    panes: Panes
    requests: Sequence[ScoringRequest]
    queries: Queries
    own: OwnEvidence
    buckets: int
    due_ms: int

    def to_claims(self, key: int) -> Iterator[Message]:
        """To the adjudication of claims: the rider's own evidence, and the panes whose pressure is compared; and these
        panes to their neighborhoods."""
        evidence = pl.DataFrame(
            {
                **_identity(self.requests),
                "policy_id": [each.update.terms.policy_id for each in self.requests if each.update.terms],
                "decided_at_ms": self.queries.decided_at_ms,
                "rescored": self.queries.rescored > 0,
                "window_start_ms": self.own.queries.window_start_ms,
                "window_end_ms": self.own.queries.window_end_ms,
                **{name: self.own.evidence.values[name] for name in FEATURE_NAMES},
                **{f"{name}/reports": self.own.evidence.reports[name] for name in FEATURE_NAMES},
            }
        )
        compared = np.unique(pressure_span(self.panes.worker_starts, self.panes.pane_start_ms, self.own.queries).rows)
        panes = pl.DataFrame(
            {
                "worker_id": decoded(self.telemetry.workers, self.panes.worker[compared]),
                "pane_start_ms": self.panes.pane_start_ms[compared],
                "reports": self.panes["pressure_reports"][compared],
            }
        )
        name, due_ms = self.product.name, self.due_ms
        yield Message("adjudicate-claims", key, f"evidence/{name}", due_ms, pack_frame(evidence))
        yield Message("adjudicate-claims", key, f"panes/{name}", due_ms, pack_frame(panes))
        if len(compared):
            neighborhood = PaneCells.of(self.panes, self.product.zone_resolution).neighborhood[compared]
            rows = panes.select("worker_id", "pane_start_ms", neighborhood=neighborhood)
            yield from self._to_neighbors("sought", rows, buckets_of_cells(neighborhood, self.buckets))

    def to_comparison(self) -> Iterator[Message]:
        """Each claim, once for each confirmation, to the neighborhood of its zone."""
        first = self._first
        if not len(first):
            return
        own, queries = self.own, self.queries
        platforms = [None if code < 0 else self.telemetry.platforms[code] for code in own.work.platform[first].tolist()]
        neighborhoods = neighborhoods_of(queries.zone[first], self.product.zone_resolution)
        claims = pl.DataFrame(
            {
                **_identity([self.requests[index] for index in first.tolist()]),
                "zone_cell": queries.zone[first],
                "age": own.arrivals.age[first],
                "arrival_reports": own.arrivals.reports[first],
                "orders": own.work.orders[first],
                "work_reports": own.work.reports[first],
                "platform": pl.Series(platforms, dtype=pl.String),
                "orders_per_hour": queries.orders_per_hour[first],
                "neighborhood": neighborhoods,
            }
        )
        yield from self._to_neighbors("claims", claims, buckets_of_cells(neighborhoods, self.buckets))

    def to_phones(self) -> Iterator[Message]:
        """Each claim, by the rider's phone, to where the riders of a phone are counted."""
        known = np.flatnonzero(self.own.device >= 0)
        claims = pl.DataFrame(
            {
                **_identity([self.requests[index] for index in known.tolist()]),
                "decided_at_ms": self.queries.decided_at_ms[known],
                "rescored": self.queries.rescored[known] > 0,
                "device_id": [self.telemetry.devices[code] for code in self.own.device[known].tolist()],
            }
        )
        yield from self._to_neighbors("riders", claims, buckets_of(claims["device_id"].to_list(), self.buckets))

    def to_wages(self) -> Iterator[Message]:
        """Each claim, once for each confirmation, to where what its policy states is compared with other policies."""
        first = self._first
        requests = [self.requests[index] for index in first.tolist()]
        yield from claim_messages(self.product, requests, self.queries.take(first), self.buckets, self.due_ms)

    def rereads_to_claims(self, key: int) -> Message:
        """To the adjudication of claims: what the guard asks of the reports since the riders were asked, and whether
        these tie to their claims."""
        values, reports = self.own.evidence.values, self.own.evidence.reports
        rows = pl.DataFrame(
            {
                **_identity(self.requests),
                "policy_id": [each.update.terms.policy_id for each in self.requests if each.update.terms],
                "decided_at_ms": self.queries.decided_at_ms,
                "asked_at_ms": self.queries.asked_at_ms,
                "answer_id": [each.answer_id for each in self.requests],
                "tied": ties_of(self.telemetry, self.queries),
                **{name: values[name] for name in OWN_GUARD_FEATURES},
                **{f"{name}/reports": reports[name] for name in OWN_GUARD_FEATURES},
            }
        )
        return Message("adjudicate-claims", key, f"rereads/{self.product.name}", self.due_ms, pack_frame(rows))

    def rereads_to_phones(self) -> Iterator[Message]:
        """Each re-read, by the rider's phone, to where the riders of a phone are counted."""
        known = np.flatnonzero(self.own.device >= 0)
        claims = pl.DataFrame(
            {
                **_identity([self.requests[index] for index in known.tolist()]),
                "decided_at_ms": self.queries.decided_at_ms[known],
                "asked_at_ms": self.queries.asked_at_ms[known],
                "device_id": [self.telemetry.devices[code] for code in self.own.device[known].tolist()],
            }
        )
        buckets = buckets_of(claims["device_id"].to_list(), self.buckets)
        yield from self._to_neighbors("reread-riders", claims, buckets)

    def to_syndicates(self) -> Iterator[Message]:
        """Each claim, once for each confirmation, with the attributes that may link it to others, to the neighborhood
        of its zone."""
        first = self._first
        claims = linked(self.telemetry, [self.requests[index] for index in first], self.queries.take(first))
        where = neighborhoods_of(self.queries.zone[first], self.product.zone_resolution)
        by_key: dict[int, list[Linked]] = defaultdict(list)
        for key, claim in zip(buckets_of_cells(where, self.buckets), claims, strict=True):
            by_key[int(key)].append(claim)
        for key, of_bucket in sorted(by_key.items()):
            yield Message("compare-neighbors", key, f"linked/{self.product.name}", self.due_ms, pack(of_bucket))

    @property
    def _first(self) -> npt.NDArray[np.int64]:
        """The requests by which claims take part in the comparison of all claims."""
        return np.flatnonzero([each.batch >= 0 for each in self.requests])

    def _to_neighbors(self, kind: str, rows: pl.DataFrame, buckets: pl.Series) -> Iterator[Message]:
        return messages_by_bucket("compare-neighbors", f"{kind}/{self.product.name}", self.due_ms, rows, buckets)


def by_anchor(
    requests: Sequence[ScoringRequest], telemetry: TelemetryTable, age_ms: int
) -> tuple[list[ScoringRequest], list[ScoringRequest]]:
    """The requests of riders whose anchor is older than `age_ms` at the confirmation, and all others."""
    codes = {worker: code for code, worker in enumerate(telemetry.workers)}
    worker = [codes.get(each.update.terms.worker_id, -1) if each.update.terms else -1 for each in requests]
    confirmed_ms = np.array([each.update.confirmed_at_ms for each in requests], dtype=np.int64)
    anchor = anchor_rows(telemetry, np.array(worker, dtype=np.int64), confirmed_ms)
    old = np.zeros(len(requests), dtype=np.bool_)
    old[anchor >= 0] = telemetry.event_time_ms[anchor[anchor >= 0]] < confirmed_ms[anchor >= 0] - age_ms
    parts: tuple[list[ScoringRequest], list[ScoringRequest]] = [], []
    for each, is_old in zip(requests, old.tolist(), strict=True):
        parts[not is_old].append(each)
    return parts


def workers_of(requests: Sequence[ScoringRequest]) -> set[str]:
    """The riders of scoring requests."""
    return {each.update.terms.worker_id for each in requests if each.update.terms}


def _identity(requests: Sequence[ScoringRequest]) -> dict[str, Any]:
    return {
        "disruption_id": [each.update.disruption_id for each in requests],
        "confirmed_at_ms": [each.update.confirmed_at_ms for each in requests],
        "worker_id": [each.update.terms.worker_id for each in requests if each.update.terms],
        "zone": [each.update.zone for each in requests],
    }
