"""What each rider's own reports say: who may claim on what, the evidence, and what others are compared with."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import h3.api.basic_int as h3
import numpy as np
import polars as pl

from monsoon.pipelines.claim_scores import Asked, queries_of
from monsoon.pipelines.steps.desk import Desk
from monsoon.pipelines.steps.envelopes import (
    Envelope,
    Item,
    bucket_of,
    buckets_of_cells,
    pack,
    pack_frame,
    split,
    unpack,
    unpack_frame,
)
from monsoon.pipelines.steps.histories import Histories
from monsoon.pipelines.steps.neighbors import PANES
from monsoon.pipelines.steps.reports import PaneStore, Reports, closed_panes, pane_floor, to_panes, words_of
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import BEFORE_TIME_MS, END_OF_TIME_MS, Kept, Step, entries_of
from monsoon.pipelines.steps.triggers import SeriesRecord
from monsoon.sources.reference import ReferenceTables
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption
from monsoon.transforms.adjudication.claims import Happening
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.batch import stay_ages
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.limits import ACTIVITY_MS, HISTORY_MS
from monsoon.transforms.evidence.measure import OwnEvidence, measure_own
from monsoon.transforms.evidence.neighborhoods import PaneCells, neighborhoods_of
from monsoon.transforms.evidence.surroundings import pressure_changes_pa, pressure_span
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.panes import PANE_MS, Panes
from monsoon.transforms.presence import Presence
from monsoon.transforms.product import Product
from monsoon.transforms.trail import Trail
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

DISRUPTIONS_REMEMBERED_MS = 35 * 24 * 3_600_000
"""Four weeks and a week for corrections: as long as the readings that made them."""

_LOOK_BACK_MS = ACTIVITY_MS + 1
"""Evidence and presence look back 90 min from a confirmation, presence to the very moment."""

_PANES_WAIT_MS = 3_600_000
"""Panes that nobody asks for are closed by the hour."""


class RidersEvidence(Step):
    """One bucket of riders: their telemetry, policies, and the series of every trigger."""

    uid: ClassVar = "riders-evidence"
    label: ClassVar = "telemetry, policies and disruptions by rider"
    to: ClassVar = ("unite-disruptions", "compare-neighbors", "adjudicate-claims")

    def __init__(self, key: int, kept: Kept, settings: Settings, references: ReferenceTables) -> None:
        super().__init__(key, kept)
        self._settings, self._references = settings, references
        self._reports, self._panes = Reports(), PaneStore()
        self._paned_ms: int | None = None
        """Panes that start before it are over; None: no report yet."""
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """Subscription events by product."""
        self._arrived: list[SeriesRecord] = []
        self._histories = Histories()
        self._comparisons: list[int] = []
        """Moments at which claims may be compared with others': a heap."""
        self._window: tuple[int, Trail] | None = None
        """While it works: the moment after which it has a trail, and that trail."""
        self._series: list[tuple[str, int]] = []
        """Entries of series, with the last moment that each speaks of."""
        self._desks = {name: Desk(product) for name, product in sorted(settings.running.items())}

    def take(self, item: Item) -> None:
        name = self._name(item.kind)
        self._take(name, item.kind, item.payload)
        self.kept.put(name, item.payload)

    def _take(self, name: str, kind: str, payload: bytes) -> None:
        if kind == "rows":
            self._reports.add(name, unpack_frame(payload))
        elif kind == "policies":
            for event in unpack(payload, list[dict[str, Any]]):
                self._events[event["product"]].append(event)
                self._desks[event["product"]].policies_changed = True
        else:
            records = unpack(payload, list[SeriesRecord])
            self._arrived.extend(records)
            self._series.append((name, max(record.revisions[-1].at_ms for record in records)))

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        touched: dict[str, set[Any]] = defaultdict(set)
        for record in self._arrived:
            touched[self._product_of(record.trigger)].update(self._histories.add(record))
            self._schedule_comparisons(record)
        self._arrived.clear()
        new_panes_ms = self._close_panes(upto_ms) if self._comparing(upto_ms) else None
        self._window = None
        for name, desk in self._desks.items():
            self._enroll(desk, touched[name])
            yield from self._decide(name, desk, touched[name], upto_ms)
            if new_panes_ms is not None:
                yield from self._to_neighbors(desk.product, new_panes_ms, upto_ms)
        if self.kept.keeps:
            self._forget(upto_ms)

    def _product_of(self, trigger: str) -> str:
        return self._settings.triggers[trigger][0].name

    # Panes.

    def _schedule_comparisons(self, record: SeriesRecord) -> None:
        """Claims may be judged when a disruption is confirmed or rises, and a hold later: by then every bucket must have
        told the neighbors of its panes, whether the claims are its own or not."""
        hold_ms = self._settings.triggers[record.trigger][0].decision.hold_ms
        for revision in record.revisions:
            if revision.state != "withdrawn" and revision.at_ms != revision.episode.end_ms:
                for at_ms in (revision.at_ms, revision.at_ms + hold_ms):
                    if at_ms > self.done_ms:
                        heapq.heappush(self._comparisons, at_ms)

    def _comparing(self, upto_ms: int) -> bool:
        """Whether panes are to be closed now."""
        asked = False
        while self._comparisons and self._comparisons[0] <= upto_ms:
            heapq.heappop(self._comparisons)
            asked = True
        waited_ms = self._panes_wait_ms
        return asked or (waited_ms is not None and waited_ms <= upto_ms)

    @property
    def _panes_wait_ms(self) -> int | None:
        """Until when panes may wait; None: there are none."""
        first_ms = self._reports.first_ms if self._paned_ms is None else self._reports.first_after(self._paned_ms)
        return None if first_ms is None else pane_floor(first_ms) + _PANES_WAIT_MS

    def _close_panes(self, upto_ms: int) -> int | None:
        """Reduces the reports of panes that are over; gives the start of the first pane that is new, or None."""
        first_ms = self._reports.first_ms if self._paned_ms is None else self._reports.first_after(self._paned_ms)
        last_ms = self._reports.last_ms
        if first_ms is None or last_ms is None:
            return None
        from_ms = pane_floor(first_ms)
        to_ms = min(pane_floor(min(upto_ms, last_ms + PANE_MS)), pane_floor(last_ms) + PANE_MS)
        if to_ms <= from_ms:
            return None
        panes = closed_panes(self._reports.trail(from_ms - 1), from_ms, to_ms)
        name = self._name("panes")
        self._panes.add(name, panes)
        self._paned_ms = to_ms
        if self.kept.keeps:
            self.kept.put(name, pack_frame(panes))
            self.kept.put_packed("paned", to_ms)
        return from_ms

    def _to_neighbors(self, product: Product, from_ms: int, due_ms: int) -> Iterator[Envelope]:
        """Every new pane to its neighborhood."""
        frame = self._panes.frame(from_ms - PANE_MS - ACTIVITY_MS - 1)
        # Not the trail's own codes: panes alone say all that the neighbors need.
        workers, devices = sorted(set(frame["worker_id"])), sorted({*frame["device_id"].drop_nulls()})
        names = Trail.from_columns(worker=[], event_time_ms=[], lat=[], lon=[]).knowing(workers, devices)
        panes = to_panes(frame, names)
        cells = PaneCells.of(panes, product.zone_resolution)
        rows = pl.DataFrame(
            {
                "worker_id": words_of(names.workers, panes.worker),
                "pane_start_ms": panes.pane_start_ms,
                "neighborhood": cells.neighborhood,
                "age": stay_ages(panes, cells),
                "change_pa": pressure_changes_pa(panes),
            },
            schema=PANES,
        )
        new = panes.pane_start_ms >= from_ms
        buckets = buckets_of_cells(cells.neighborhood[new], self._settings.buckets)
        for key, part in split(rows.filter(pl.Series(new)), buckets):
            yield Envelope("compare-neighbors", key, f"panes/{product.name}", due_ms, pack_frame(part))

    # Disruptions.

    def _enroll(self, desk: Desk, touched: set[Any]) -> None:
        """Takes in policies; disruptions that may concern new riders or homes are looked at again."""
        if not desk.policies_changed:
            return
        desk.policies_changed = False
        mine = [name for name, (product, _) in self._settings.triggers.items() if product is desk.product]
        desk.coverage = Coverage(self._events[desk.product.name])
        workers = {worker for worker in desk.coverage.workers if bucket_of(worker, self._settings.buckets) == self.key}
        desk.newcomers, desk.workers = workers - desk.workers, workers
        touched |= self._histories.all(mine)

    def _decide(self, name: str, desk: Desk, touched: set[Any], upto_ms: int) -> Iterator[Envelope]:
        """Disruptions that changed, and evidence at the moments at which a claim may be judged."""
        due = desk.take_due(upto_ms)
        if not touched and not due:
            return
        triggers = {name: trigger for name, (_, trigger) in self._settings.triggers.items()}
        series = list(self._histories.series(touched, triggers))
        changed = self._disruptions(desk, series, upto_ms)
        for disruption in changed:
            self._note(desk, disruption)
        yield from self._to_records(desk.product, changed, upto_ms)
        asked = desk.asked({disruption.disruption_id for disruption in changed} | due, self.done_ms, upto_ms)
        desk.schedule(changed, upto_ms)
        happenings = [
            (worker, [happening for happening in mine if happening.at_ms > self.done_ms])
            for disruption in changed
            for worker, mine in disruption.happenings.items()
        ]
        happenings = [(worker, mine) for worker, mine in happenings if mine]
        if happenings:
            yield Envelope("adjudicate-claims", self.key, f"happenings/{name}", upto_ms, pack(happenings))
        if asked:
            yield from self._measured(desk, asked, upto_ms)

    def _trail_for(self, confirmed_ms: Iterable[int], upto_ms: int) -> Trail:
        """A trail of the reports that matter to disruptions confirmed at these moments, and perhaps of more."""
        after_ms = min(confirmed_ms, default=upto_ms) - _LOOK_BACK_MS
        if self._window is None or self._window[0] > after_ms:
            # At the end everything is judged at once: one trail for all.
            whole = upto_ms == END_OF_TIME_MS
            self._window = (BEFORE_TIME_MS if whole else after_ms, self._reports.trail(None if whole else after_ms))
        return self._window[1]

    def _disruptions(self, desk: Desk, series: Sequence[Series], upto_ms: int) -> list[Disruption]:
        """Those that concern riders of the bucket, each with what it says to them."""
        if not series:
            return []
        presence = Presence(
            self._trail_for(_confirmed_after(series, self.done_ms), upto_ms),
            sorted(desk.workers),
            desk.product.zone_resolution,
        )
        found = list(CandidateFinder(desk.product, desk.coverage, presence).disruptions_of(series, desk.known))
        if desk.newcomers:
            # Where they were before they held a policy makes a zone worth a record.
            known = desk.known | {disruption.disruption_id: disruption for disruption in found}
            trail = self._reports.trail(None, desk.newcomers)
            presence = Presence(trail, sorted(desk.newcomers), desk.product.zone_resolution)
            finder = CandidateFinder(desk.product, desk.coverage, presence)
            found += [each for each in finder.disruptions_of(series, known) if each.disruption_id not in known]
            desk.newcomers = set()
        return [
            disruption
            for disruption in found
            if disruption.disruption_id not in desk.known
            or len(disruption.revisions) > len(desk.known[disruption.disruption_id].revisions)
        ]

    def _note(self, desk: Desk, disruption: Disruption) -> None:
        desk.note(disruption)
        if self.kept.keeps:
            trigger = f"{desk.product.name}/{disruption.series.trigger.name}"
            self.kept.put_packed(
                f"disruption/{desk.product.name}/{disruption.disruption_id}",
                (trigger, disruption.series.platform, disruption.zone, disruption.revisions, disruption.happenings),
            )

    def _to_records(self, product: Product, changed: Sequence[Disruption], due_ms: int) -> Iterator[Envelope]:
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for disruption in changed:
            by_key[bucket_of(disruption.disruption_id, self._settings.buckets)].extend(disruption.records(product.name))
        for key, records in by_key.items():
            yield Envelope("unite-disruptions", key, "records", due_ms, pack(records))

    # Evidence.

    def _measured(self, desk: Desk, asked: Sequence[Asked], due_ms: int) -> Iterator[Envelope]:
        product = desk.product
        trail = self._trail_for((each.happening.confirmed_at_ms for each in asked), due_ms)
        workers = {each.happening.terms.worker_id for each in asked if each.happening.terms}
        frame = self._panes.frame(None, workers)
        trail = trail.knowing(sorted({*frame["worker_id"]}), sorted({*frame["device_id"].drop_nulls()}))
        panes = to_panes(frame, trail)
        cells = PaneCells.of(panes, product.zone_resolution)
        codes = {worker: code for code, worker in enumerate(trail.workers)}
        queries = queries_of(asked, codes, {worker: desk.claims[worker].values() for worker in workers})
        own = measure_own(trail, panes, cells, self._references.locate(trail), queries)
        sought = np.unique(pressure_span(panes.worker_starts, panes.pane_start_ms, queries).rows)
        yield from self._to_claims(product, trail, panes, asked, queries, own, sought, due_ms)
        yield from self._to_comparison(product, trail, asked, queries, own, due_ms)
        yield from self._seek(product, trail, panes, cells, sought, due_ms)

    def _to_claims(
        self,
        product: Product,
        trail: Trail,
        panes: Panes,
        asked: Sequence[Asked],
        queries: Queries,
        own: OwnEvidence,
        sought: Any,
        due_ms: int,
    ) -> Iterator[Envelope]:
        """To the riders' claims: the evidence so far, and the panes whose pressure is compared."""
        evidence = pl.DataFrame(
            {
                **_identity(asked),
                "policy_id": [each.happening.terms.policy_id for each in asked if each.happening.terms],
                "decided_at_ms": queries.decided_at_ms,
                **{name: own.evidence.values[name] for name in FEATURE_NAMES},
                **{f"{name}/reports": own.evidence.reports[name] for name in FEATURE_NAMES},
            }
        )
        sought_panes = pl.DataFrame(
            {
                "worker_id": words_of(trail.workers, panes.worker[sought]),
                "pane_start_ms": panes.pane_start_ms[sought],
                "reports": panes["pressure_reports"][sought],
            }
        )
        yield Envelope("adjudicate-claims", self.key, f"evidence/{product.name}", due_ms, pack_frame(evidence))
        yield Envelope("adjudicate-claims", self.key, f"panes/{product.name}", due_ms, pack_frame(sought_panes))

    def _to_comparison(
        self,
        product: Product,
        trail: Trail,
        asked: Sequence[Asked],
        queries: Queries,
        own: OwnEvidence,
        due_ms: int,
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
        )
        claims = claims.filter(pl.Series([each.batch >= 0 for each in asked], dtype=pl.Boolean))
        buckets = buckets_of_cells(claims["neighborhood"].to_numpy(), self._settings.buckets)
        for key, part in split(claims, buckets):
            yield Envelope("compare-neighbors", key, f"claims/{product.name}", due_ms, pack_frame(part))

    def _seek(
        self, product: Product, trail: Trail, panes: Panes, cells: PaneCells, sought: Any, due_ms: int
    ) -> Iterator[Envelope]:
        """Panes whose pressure is to be compared, to their neighborhoods."""
        where = cells.neighborhood[sought]
        rows = pl.DataFrame(
            {
                "worker_id": words_of(trail.workers, panes.worker[sought]),
                "pane_start_ms": panes.pane_start_ms[sought],
                "neighborhood": where,
            }
        )
        for key, part in split(rows, buckets_of_cells(where, self._settings.buckets)):
            yield Envelope("compare-neighbors", key, f"sought/{product.name}", due_ms, pack_frame(part))

    # State.

    def _forget(self, upto_ms: int) -> None:
        for name in self._reports.forget(upto_ms - self._settings.reports_kept_ms):
            self.kept.drop(name)
        for name in self._panes.forget(upto_ms - HISTORY_MS - self._settings.reports_kept_ms):
            self.kept.drop(name)
        forgotten_ms = upto_ms - DISRUPTIONS_REMEMBERED_MS
        for name, last_ms in self._series:
            if last_ms < forgotten_ms:
                self.kept.drop(name)
        self._series = [entry for entry in self._series if entry[1] >= forgotten_ms]
        self._histories.forget(forgotten_ms)
        for desk in self._desks.values():
            for identity in desk.forget(forgotten_ms):
                self.kept.drop(f"disruption/{desk.product.name}/{identity}")

    @property
    def due_ms(self) -> int | None:
        if self._arrived or any(desk.policies_changed for desk in self._desks.values()):
            return self.done_ms
        dues = [desk.asks[0][0] for desk in self._desks.values() if desk.asks] + self._comparisons[:1]
        if (wait_ms := self._panes_wait_ms) is not None:
            dues.append(wait_ms)
        return min(dues, default=None)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for kind in ("rows", "policies", "series"):
            for name, payload in entries_of(entries, kind):
                self._take(name, kind, payload)
        waiting = [record for record in self._arrived if record.revisions[-1].at_ms > self.done_ms]
        for record in self._arrived:
            if record.revisions[-1].at_ms <= self.done_ms:
                self._histories.add(record)
                self._schedule_comparisons(record)
        self._arrived = waiting
        for name, payload in entries_of(entries, "panes"):
            self._panes.add(name, unpack_frame(payload))
        if "paned" in entries:
            self._paned_ms = unpack(entries["paned"], int)
        for name, payload in entries_of(entries, "disruption"):
            _, product, identity = name.split("/", 2)
            trigger, platform, zone, revisions, happenings = unpack(payload, _Noted)
            cells = np.array([h3.str_to_int(zone)], dtype=np.uint64)
            series = Series(self._settings.triggers[trigger][1], platform, cells, revisions)
            self._desks[product].note(Disruption(identity, zone, series, revisions, happenings))
        for desk in self._desks.values():
            desk.schedule(desk.known.values(), self.done_ms)


def _confirmed_after(series: Iterable[Series], after_ms: int) -> set[int]:
    """Confirmations (ms) that were first told of after a moment."""
    found = set()
    for each in series:
        told_ms: dict[int, int] = {}
        for revision in each.revisions:
            told_ms.setdefault(revision.episode.confirmed_at_ms, revision.at_ms)
        found |= {confirmed_at_ms for confirmed_at_ms, at_ms in told_ms.items() if at_ms > after_ms}
    return found


_Noted = tuple[str, str | None, str, tuple[Revision, ...], dict[str, list[Happening]]]


def _identity(asked: Sequence[Asked]) -> dict[str, Any]:
    return {
        "disruption_id": [each.happening.disruption_id for each in asked],
        "confirmed_at_ms": [each.happening.confirmed_at_ms for each in asked],
        "worker_id": [each.happening.terms.worker_id for each in asked if each.happening.terms],
        "zone": [each.happening.zone for each in asked],
    }
