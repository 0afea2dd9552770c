"""What each rider's own reports say: who may claim on what, the evidence, and what others are compared with."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from monsoon.pipelines.operators.confirm_disruptions import SeriesRecord
from monsoon.pipelines.operators.disruption_log import DisruptionLog, Place, confirmed_after, places_of
from monsoon.pipelines.operators.disruption_state import pack_disruption, unpack_disruption
from monsoon.pipelines.operators.evidence_requests import PANES_LOOK_BACK_MS, EvidenceRequests, workers_of
from monsoon.pipelines.operators.product_claims import ProductClaims
from monsoon.pipelines.operators.rider_activity_tests import Due, RiderActivityTests, Span, found_in_the_week
from monsoon.pipelines.operators.route_policies import PolicyBook
from monsoon.pipelines.operators.telemetry_buffer import PaneBuffer, PaneReducer, TelemetryBuffer
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import (
    BEFORE_TIME_MS,
    END_OF_TIME_MS,
    KeyedOperator,
    StateWriter,
    entries_of,
)
from monsoon.pipelines.runtime.messages import (
    Message,
    bucket_of,
    buckets_of,
    pack,
    pack_frame,
    split,
    unpack,
    unpack_frame,
)
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.sources.reference import ReferenceTables
from monsoon.transforms.activity.week_to_date import WEEK_MS, claims_by_week_to_date
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption, LookupStart
from monsoon.transforms.adjudication.claims import ActivityResult
from monsoon.transforms.adjudication.scoring_schedule import rescore_delays_ms
from monsoon.transforms.evidence.limits import ACTIVITY_MS
from monsoon.transforms.geo.cells import cell_of
from monsoon.transforms.presence import REPORT_HOLDS_MS, Presence, ReportCells
from monsoon.transforms.product import Product
from monsoon.transforms.triggers.series import Series

_LOOK_BACK_MS = ACTIVITY_MS + 1
"""Evidence and presence look back 90 min from a confirmation, presence to the very moment."""


class RiderEvidence(KeyedOperator):
    """One bucket of riders: their telemetry, policies, and the series of every trigger."""

    uid: ClassVar = "riders-evidence"
    label: ClassVar = "telemetry, policies and disruptions by rider"
    to: ClassVar = ("unite-disruptions", "compare-neighbors", "adjudicate-claims")

    def __init__(self, key: int, state: StateWriter, config: JobConfig, references: ReferenceTables) -> None:
        super().__init__(key, state)
        self._config = config
        self._requests = EvidenceRequests(key, config.buckets, references)
        self._reports = TelemetryBuffer(state, "rows", "event_time", self._name)
        self._panes = PaneBuffer(state, "panes", "pane_start_ms", self._name)
        self._pane_reducer = PaneReducer(state, self._reports, self._panes)
        self._book = PolicyBook(state)
        self._arrived: dict[str, list[SeriesRecord]] = {}
        """Series that wait for their time, by entry."""
        self._log = DisruptionLog()
        self._comparisons: list[int] = []
        """Moments at which claims may be compared with others': a heap."""
        self._scheduled: set[int] = set()
        """What is in it."""
        self._window: tuple[int, ReportCells] | None = None
        """While it works: the moment after which it has a trail, and that trail's places."""
        self._activity_tests = RiderActivityTests(config)
        self._series: list[tuple[str, set[Place]]] = []
        """Entries of series, with the episodes of which each speaks."""
        self._products = {name: ProductClaims(product) for name, product in sorted(config.running.items())}

    def process(self, message: Message) -> None:
        if message.kind == "rows":
            arrived = unpack_frame(message.payload)
            rows = self._reports.unheard(arrived)
            if rows.height:
                self._reports.put(rows, message.payload if rows.height == arrived.height else None)
        elif message.kind == "policies":
            for (product, _), events in self._book.add(unpack(message.payload, list[dict[str, Any]])).items():
                self._products[product].changed_policies.extend(events)
            self._done(self.done_ms)  # policies have entries of their own names: a version beside them
        else:
            arrived_series = unpack(message.payload, list[SeriesRecord])
            records = [record.in_time(self.done_ms) for record in arrived_series]
            name = self._defer("series", message)
            self._take_series(name, records)
            self.state.put(name, message.payload if records == arrived_series else pack(records))

    def _take_series(self, name: str, records: Sequence[SeriesRecord]) -> None:
        self._arrived[name] = list(records)
        self._series.append((name, set().union(*map(places_of, records))))

    def _taken_out(self, names: Collection[str]) -> list[SeriesRecord]:
        """The series of these entries, in the order of their arrival."""
        arrived = [name for name in self._arrived if name in names]
        return [record for name in arrived for record in self._arrived.pop(name)]

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        touched: dict[str, set[Any]] = defaultdict(set)
        for record in self._taken_out(self._take_due(upto_ms)):
            new = self._log.add(record)
            touched[self._product_of(record.trigger)].update(new)
            self._activity_tests.touch(new)
            self._schedule_comparisons(record)
        tests = self._activity_tests.due(self._log, Span(self.done_ms, upto_ms))
        for due in tests:
            self._schedule(due.trigger, (time.at_ms for time in due.times))
        new_panes_ms = self._pane_reducer.close(upto_ms) if self._comparing(upto_ms) else None
        if new_panes_ms is not None:
            yield from self._requests.phones_to_neighbors(self._panes.frame(new_panes_ms - 1), upto_ms)
        self._window = None
        for name, product_claims in self._products.items():
            self._enroll(product_claims, touched[name])
            mine = [due for due in tests if self._product_of(due.trigger) == name]
            yield from self._decide(name, product_claims, touched[name], mine, upto_ms)
            if new_panes_ms is not None:
                panes = self._panes.frame(new_panes_ms - PANES_LOOK_BACK_MS - 1)
                yield from self._requests.panes_to_neighbors(product_claims.product, panes, new_panes_ms, upto_ms)

    def _product_of(self, trigger: str) -> str:
        return self._config.triggers[trigger][0].name

    def _schedule_comparisons(self, record: SeriesRecord) -> None:
        """Claims may be judged when a disruption is confirmed or rises, and a hold later: by then every bucket must
        have told the neighbors of its panes, whether the claims are its own or not."""
        trigger = self._config.triggers[record.trigger][1]
        at_the_end = trigger.pays_by_duration or bool(trigger.supplements)
        self._schedule(
            record.trigger,
            (
                revision.at_ms
                for revision in record.revisions
                if revision.state != "withdrawn" and (at_the_end or revision.at_ms != revision.event.end_ms)
            ),
        )

    def _schedule(self, trigger: str, moments_ms: Iterable[int]) -> None:
        """Claims may be judged at these moments, and again when a hold from then runs out."""
        waits_ms = (0, *sorted(rescore_delays_ms(self._config.triggers[trigger][0])))
        for at_ms in {moment_ms + wait_ms for moment_ms in moments_ms for wait_ms in waits_ms}:
            if at_ms > self.done_ms and at_ms not in self._scheduled:
                self._scheduled.add(at_ms)
                heapq.heappush(self._comparisons, at_ms)

    def _comparing(self, upto_ms: int) -> bool:
        """Whether panes are to be closed now."""
        asked = False
        while self._comparisons and self._comparisons[0] <= upto_ms:
            self._scheduled.discard(heapq.heappop(self._comparisons))
            asked = True
        wait_ms = self._pane_reducer.due_ms
        return asked or (wait_ms is not None and wait_ms <= upto_ms)

    # Disruptions.

    def _enroll(self, product_claims: ProductClaims, touched: set[Any]) -> None:
        """Takes in policies; disruptions that may concern new riders or homes are looked at again."""
        if not product_claims.changed_policies:
            return
        name = product_claims.product.name
        # What an event changes may be which home counts of those that its policy stated before.
        changed = {event["policy_id"] for event in product_claims.changed_policies}
        resolution = product_claims.product.zone_resolution
        cells: set[int] = set()
        workers: set[str] = set()
        for policy in sorted(changed):
            events = self._book.of((name, policy))
            product_claims.coverage.replace_events(policy, events)
            cells.update(cell_of(event["home_lat"], event["home_lon"], resolution) for event in events)
            workers.update(event["worker_id"] for event in events)
        product_claims.changed_policies.clear()
        mine_too = {worker for worker in workers if bucket_of(worker, self._config.buckets) == self.key}
        newcomers = sorted(mine_too - product_claims.workers)
        product_claims.workers |= mine_too
        if newcomers:
            # Where they were before they held a policy makes a zone worth a record.
            places = ReportCells(self._reports.telemetry(None, newcomers))
            margins_m = {version.presence_margin_m for version in product_claims.product.versions}
            product_claims.newcomers = {
                margin_m: Presence(places, newcomers, resolution, margin_m) for margin_m in margins_m
            }
            cells.update(*(presence.visited.tolist() for presence in product_claims.newcomers.values()))
        mine = {trigger for trigger in self._config.triggers if self._product_of(trigger) == name}
        touched |= self._log.of(mine, cells)

    def _decide(
        self, name: str, product_claims: ProductClaims, touched: set[Any], tests: Sequence[Due], upto_ms: int
    ) -> Iterator[Message]:
        """Disruptions that changed, and evidence at the moments at which a claim may be judged."""
        due = product_claims.take_due(upto_ms)
        if not touched and not due and not tests:
            return
        changed = self._disruptions(product_claims, touched, upto_ms)
        for disruption in changed:
            self._note(product_claims, disruption)
        yield from self._to_records(product_claims.product, changed, upto_ms)
        found_before = {identity: _size(found) for identity, found in product_claims.found.items()}
        yield from self._test(product_claims, tests, upto_ms)
        yield from self._look_at_the_week(product_claims, changed, upto_ms)
        found = {
            identity for identity, each in product_claims.found.items() if _size(each) != found_before.get(identity, 0)
        }
        for identity in sorted(found):
            if self.state.durable:
                self.state.put(f"found/{name}/{identity}", pack_small(product_claims.found[identity]))
        named = {disruption.disruption_id for disruption in changed} | due | found
        asked = product_claims.asked(named, self.done_ms, upto_ms)
        product_claims.schedule([*changed, *(product_claims.known[identity] for identity in sorted(found))], upto_ms)
        updates = [
            (worker, new)
            for disruption in changed
            for worker, mine in disruption.updates.items()
            if (new := [update for update in mine if update.at_ms > self.done_ms])
        ]
        if updates:
            yield Message("adjudicate-claims", self.key, f"happenings/{name}", upto_ms, pack(updates))
        if asked:
            earliest_ms = min(each.update.confirmed_at_ms for each in asked) - _LOOK_BACK_MS
            telemetry = self._places_after(earliest_ms, upto_ms).telemetry
            panes = self._panes.frame(None, workers_of(asked))
            yield from self._requests.evidence(product_claims, asked, telemetry, panes, upto_ms)

    def _test(self, product_claims: ProductClaims, tests: Sequence[Due], upto_ms: int) -> Iterator[Message]:
        """What the bucket's riders say of activity tests, to where peers are counted."""
        if not tests:
            return
        places = self._places_after(self._activity_tests.looks_back_ms(tests) - 1, upto_ms)
        for kind, rows in self._activity_tests.answers(product_claims, tests, places, Span(self.done_ms, upto_ms)):
            for key, part in split(rows, buckets_of(rows["disruption_id"].to_list(), self._config.buckets)):
                yield Message(
                    "compare-neighbors", key, f"{kind}/{product_claims.product.name}", upto_ms, pack_frame(part)
                )

    def _look_at_the_week(
        self, product_claims: ProductClaims, changed: Sequence[Disruption], upto_ms: int
    ) -> Iterator[Message]:
        """What riders had worked of the week, to their claims that may get a supplement for it."""
        asked = claims_by_week_to_date(changed, self.done_ms)
        if not asked:
            return
        after_ms = min(update.start_ms for update, _ in asked) - WEEK_MS - 1
        telemetry = self._reports.telemetry(after_ms, {terms.worker_id for _, terms in asked})
        found = pack(sorted(found_in_the_week(product_claims, changed, telemetry, self.done_ms).items()))
        yield Message("adjudicate-claims", self.key, f"findings/{product_claims.product.name}", upto_ms, found)

    def _places_after(self, after_ms: int, upto_ms: int) -> ReportCells:
        """The places of the reports after a moment, and perhaps of more."""
        if self._window is None or self._window[0] > after_ms:
            # At the end everything is judged at once: one trail for all.
            whole = upto_ms == END_OF_TIME_MS
            telemetry = self._reports.telemetry(None if whole else after_ms)
            self._window = (BEFORE_TIME_MS if whole else after_ms, ReportCells(telemetry))
        return self._window[1]

    def _disruptions(self, product_claims: ProductClaims, touched: set[Any], upto_ms: int) -> list[Disruption]:
        """Those that concern riders of the bucket, each with what it says to them."""
        series: list[tuple[Product, list[Series]]] = []
        for version in product_claims.product.versions:
            triggers = {name: trigger for name, (of, trigger) in self._config.triggers.items() if of is version}
            mine = {each for each in touched if each[0][0] in triggers}
            if mine:
                series.append((version, list(self._log.series(mine, triggers))))
        if not series:
            return []
        confirmed = confirmed_after([each for _, some in series for each in some], self.done_ms)
        places = self._places_after(min(confirmed, default=upto_ms) - _LOOK_BACK_MS, upto_ms)
        since = LookupStart(self.done_ms, self.done_ms - self._config.reports_kept_ms + REPORT_HOLDS_MS)
        found: list[Disruption] = []
        for version, some in series:
            presence = Presence(
                places, sorted(product_claims.workers), version.zone_resolution, version.presence_margin_m
            )
            finder = CandidateFinder(version, product_claims.coverage, presence)
            of_all = list(finder.disruptions_of(some, product_claims.known, since))
            if product_claims.newcomers:
                known = product_claims.known | {disruption.disruption_id: disruption for disruption in of_all}
                finder = CandidateFinder(
                    version, product_claims.coverage, product_claims.newcomers[version.presence_margin_m]
                )
                of_new = finder.disruptions_of(some, known, since)
                of_all += [each for each in of_new if each.disruption_id not in known]
            found += of_all
        product_claims.newcomers = {}
        return [
            disruption
            for disruption in found
            if disruption.disruption_id not in product_claims.known
            or len(disruption.revisions) > len(product_claims.known[disruption.disruption_id].revisions)
        ]

    def _note(self, product_claims: ProductClaims, disruption: Disruption) -> None:
        product_claims.note(disruption)
        if self.state.durable:
            version = product_claims.product.at(disruption.revisions[0].event.start_ms)
            trigger = self._config.trigger_name(version, disruption.series.trigger.name)
            self.state.put(
                f"disruption/{product_claims.product.name}/{disruption.disruption_id}",
                pack_disruption(trigger, disruption),
            )

    def _to_records(self, product: Product, changed: Sequence[Disruption], due_ms: int) -> Iterator[Message]:
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for disruption in changed:
            by_key[bucket_of(disruption.disruption_id, self._config.buckets)].extend(disruption.records(product.name))
        for key, records in by_key.items():
            yield Message("unite-disruptions", key, "records", due_ms, pack(records))

    # State.

    @property
    def holds_expiring_state(self) -> bool:
        known = any(product_claims.known for product_claims in self._products.values())
        return bool(self._reports or self._panes or self._book or self._series or known)

    def expire(self, upto_ms: int) -> None:
        reports_ms = upto_ms - self._config.reports_kept_ms
        self._reports.expire(upto_ms - self._config.rows_kept_ms)
        self._reports.join(upto_ms)
        self._panes.expire(reports_ms - self._config.history_kept_ms)
        self._panes.join(upto_ms)
        before_ms = upto_ms - self._config.remembered_ms
        self._log.expire(before_ms)
        for name, places in self._series:
            if name not in self._arrived and not any(map(self._log.knows, places)):
                self.state.drop(name)
                places.clear()
        self._series = [entry for entry in self._series if entry[1]]
        for name, policy in sorted(self._book.expire(upto_ms - self._config.policies_kept_ms)):
            product_claims = self._products[name]
            product_claims.coverage.replace_events(policy, ())
            product_claims.workers &= product_claims.coverage.holders
        for product_claims in self._products.values():
            for identity in product_claims.expire(before_ms):
                self.state.drop(f"disruption/{product_claims.product.name}/{identity}")
                self.state.drop(f"found/{product_claims.product.name}/{identity}")

    @property
    def next_work_ms(self) -> int | None:
        if any(product_claims.changed_policies for product_claims in self._products.values()):
            return self.done_ms
        dues = [
            product_claims.asks[0][0] for product_claims in self._products.values() if product_claims.asks
        ] + self._comparisons[:1]
        more = (self._pane_reducer.due_ms, self._next_deferred_ms, self._activity_tests.next_due_ms(self.done_ms))
        dues += [ms for ms in more if ms is not None]
        return min(dues, default=None)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._reports.restore(entries)
        self._panes.restore(entries)
        self._book.restore(entries)
        for product_claims in self._products.values():
            product_claims.changed_policies.extend(self._book.of_product(product_claims.product.name))
        for name, payload in entries_of(entries, "series"):
            self._take_series(name, unpack(payload, list[SeriesRecord]))
        told = {name for name in self._arrived if not self._defer_again(name)}
        for record in self._taken_out(told):
            self._activity_tests.touch(self._log.add(record))
            self._schedule_comparisons(record)
        self._pane_reducer.restore(entries)
        for name, payload in entries_of(entries, "disruption"):
            _, product, identity = name.split("/", 2)
            self._products[product].note(unpack_disruption(identity, payload, self._config.triggers))
        for name, payload in entries_of(entries, "found"):
            _, product, identity = name.split("/", 2)
            self._products[product].found[identity] = unpack_small(payload, dict[str, list[ActivityResult]])
        for product_claims in self._products.values():
            product_claims.schedule(product_claims.known.values(), self.done_ms)


def _size(found: Mapping[str, Sequence[ActivityResult]]) -> int:
    return sum(map(len, found.values()))
